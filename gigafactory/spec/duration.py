"""How long something takes, in days: a fixed number or a distribution."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import exp, isfinite, log, log1p, sqrt
from typing import Final

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec

LONGEST_DAYS: Final = 36_525.0  # a century; a longer wait is a mistake of units
PERT_WEIGHT: Final = 4.0  # of the mode in the mean: (low + 4 mode + high) / 6, Malcolm et al. 1959
FIELDS: Final = {
    "fixed": ("days",),
    "triangular": ("low_days", "mode_days", "high_days"),
    "pert": ("low_days", "mode_days", "high_days"),
    "lognormal": ("mean_days", "sd_days"),
    "normal": ("mean_days", "sd_days"),
    "exponential": ("mean_days",),
    "empirical": ("observed_days",),
}
MOST_NORMAL_SPREAD: Final = 0.2  # sd over mean: five sd from zero, below which 3 in 10 million fall


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration(Spec):
    """Days that something takes; knows its mean and standard deviation.

    Attributes:
        kind: One of `FIELDS`, which names the fields that this kind needs; it takes no others.
        observed_days: Equally likely values, as they were seen.

    Raises:
        SpecError: A field is missing, strange to the kind, negative, or out of order.

    >>> Duration(kind="pert", low_days=1.0, mode_days=4.0, high_days=7.0).mean
    4.0
    """

    kind: str
    days: float | None = None
    low_days: float | None = None
    mode_days: float | None = None
    high_days: float | None = None
    mean_days: float | None = None
    sd_days: float | None = None
    observed_days: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        found = [*self._shape(), *self._values()] or self._order()
        if found:
            raise SpecError("; ".join(found), field="duration")

    def _shape(self) -> list[str]:
        """Return what is missing for the kind and what is too much."""
        if self.kind not in FIELDS:
            return [f"kind must be one of {', '.join(FIELDS)}, got {self.kind!r}"]
        needed = FIELDS[self.kind]
        given = {f.name for f in fields(self)[1:] if getattr(self, f.name) not in (None, ())}
        missing = [f"{name} is missing for a {self.kind} duration" for name in needed
                   if name not in given]  # fmt: skip
        return missing + [f"{name} is no part of a {self.kind} duration"
                          for name in sorted(given - set(needed))]  # fmt: skip

    def _values(self) -> list[str]:
        single = [(f.name, getattr(self, f.name)) for f in fields(self)[1:-1]]
        every = single + [("observed_days", one) for one in self.observed_days]
        return [
            f"{name} must be between 0 and {LONGEST_DAYS:.0f}, got {value!r}"
            for name, value in every
            if value is not None and not (isfinite(value) and 0 <= value <= LONGEST_DAYS)
        ]

    def _order(self) -> list[str]:
        if self.low_days is not None and not self.low_days <= self._mode <= self._high:
            three = (self.low_days, self._mode, self._high)
            return [f"low_days <= mode_days <= high_days must hold, got {three}"]
        if self.mean_days is not None and not self.mean_days > 0:
            return [f"mean_days must be above 0, got {self.mean_days}"]
        if self.kind == "normal" and self.sd > MOST_NORMAL_SPREAD * self.mean:
            most = MOST_NORMAL_SPREAD * self.mean
            return [f"sd_days must be at most {most:g}, a fifth of the mean, or durations turn "
                    f"negative: take lognormal, got {self.sd}"]  # fmt: skip
        return []

    @property
    def _mode(self) -> float:
        return self.mode_days or 0.0

    @property
    def _high(self) -> float:
        return self.high_days or 0.0

    @property
    def mean(self) -> float:
        """Expected days."""
        if self.kind == "triangular":
            return ((self.low_days or 0.0) + self._mode + self._high) / 3
        if self.kind == "pert":
            low = self.low_days or 0.0
            return (low + PERT_WEIGHT * self._mode + self._high) / (PERT_WEIGHT + 2)
        if self.kind == "empirical":
            return sum(self.observed_days) / len(self.observed_days)
        return self.mean_days if self.mean_days is not None else (self.days or 0.0)

    @property
    def sd(self) -> float:
        """Standard deviation in days."""
        low, mode, high, mean = self.low_days or 0.0, self._mode, self._high, self.mean
        if self.kind == "triangular":
            return sqrt((low**2 + mode**2 + high**2 - low * mode - low * high - mode * high) / 18)
        if self.kind == "pert":
            return sqrt((mean - low) * (high - mean) / (PERT_WEIGHT + 3))
        if self.kind == "exponential":
            return mean
        if self.kind == "empirical":
            return sqrt(sum((x - mean) ** 2 for x in self.observed_days) / len(self.observed_days))
        return self.sd_days or 0.0

    @property
    def log_parameters(self) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm of a lognormal duration."""
        variance = log1p((self.sd / self.mean) ** 2)
        return log(self.mean) - variance / 2, sqrt(variance)

    @property
    def most_likely(self) -> float:
        """The days that a single-number schedule would take: the mode, else the median or mean."""
        if self.mode_days is not None:
            return self.mode_days
        if self.kind == "lognormal":
            center, spread = self.log_parameters
            return exp(center - spread**2)
        return self.mean


def fixed(days: float) -> Duration:
    """Return the duration that takes `days` for certain."""
    return Duration(kind="fixed", days=days)
