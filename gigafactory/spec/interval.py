"""A number with its honest width: the lowest, the expected and the highest it can be."""

from __future__ import annotations

from dataclasses import dataclass

from gigafactory.spec.base import Spec, fault, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval(Spec):
    """Three finite numbers of one unit, in order; all three are equal where no width is known.

    Conflicting sources become the two ends. It is a range of published or derived values, not
    a confidence interval, unless the place that makes it says so.

    >>> Interval(low=1.0, expected=2.0, high=4.0).scaled(10)
    Interval(low=10.0, expected=20.0, high=40.0)

    Raises:
        SpecError: A value is not a finite number from zero on, or they are out of order.
    """

    low: float
    expected: float
    high: float

    def __post_init__(self) -> None:
        require_positive(self, "low", "expected", "high", zero=True)
        if not self.low <= self.expected <= self.high:
            values = (self.low, self.expected, self.high)
            raise fault(self, "expected", values, "must lie between low and high")

    @classmethod
    def point(cls, value: float) -> Interval:
        """Return the interval without width at `value`."""
        return cls(low=value, expected=value, high=value)

    def scaled(self, factor: float) -> Interval:
        """Return this interval times a number from zero on."""
        return Interval(
            low=self.low * factor, expected=self.expected * factor, high=self.high * factor
        )

    def as_dict(self) -> dict[str, float]:
        """Return `{"low": ..., "expected": ..., "high": ...}`, as machine output prints it."""
        return {"low": self.low, "expected": self.expected, "high": self.high}
