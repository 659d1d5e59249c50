"""Fitted numbers of the step model: each belongs to hardware, a fabric or a software profile."""

from __future__ import annotations

from dataclasses import dataclass, field

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor(Spec):
    """One number of the step model.

    Attributes:
        value: What is used.
        prior: Where it started, from a data sheet, a kernel table or a count of bytes.
        spread: How far (natural logarithm, one standard deviation) the fit may move it freely;
            0 for a number that is not fitted.
        rows: Measured runs whose step time it moves by more than 1 % when it moves by 10 %.
        reason: What the number stands for and where the prior comes from.
    """

    value: float
    prior: float
    spread: float = 0.0
    rows: int = 0
    reason: str

    def __post_init__(self) -> None:
        require_positive(self, "value", "prior", "spread", zero=True)
        require_count(self, "rows", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Width(Spec):
    """What one thing known before a run does to the interval around its prediction.

    Attributes:
        factor: Times the half-width; of `base` the half-width itself, of ln(measured / predicted).
        rows: Left-out runs that it was fitted on; 0 where it follows from the others.
        reason: What the runs have in common.
    """

    factor: float
    rows: int = 0
    reason: str

    def __post_init__(self) -> None:
        require_positive(self, "factor")
        require_count(self, "rows", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent(Spec):
    """The smallest and the largest value that was measured."""

    low: float
    high: float

    def __post_init__(self) -> None:
        require_positive(self, "low", "high")
        if self.low > self.high:
            raise fault(self, "low", self.low, f"must not be above high {self.high!r}")

    def joined(self, other: Extent | None) -> Extent:
        """Return the span from the lower low to the higher high."""
        if other is None:
            return self
        return Extent(low=min(self.low, other.low), high=max(self.high, other.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCalibration(Spec):
    """All numbers of the step model, by name.

    A name is `kind`, `kind.group` or `kind.group.part`; `lookup` takes the most special one.
    Intervals come from the residuals of runs that the fit had not seen.

    Attributes:
        widths: By what an interval is wide: `base`, `experts`, `accelerator.hopper.h100-sxm` ...
        ranges: What the measured runs span, by quantity: `num_gpus`, `seq_len` ...
        precision_runs: Number of measured runs by `generation.precision`.
        residual_low: Measured over predicted at the lower edge on one very machine, by its
            kernels' accelerator; stands above `widths`.
        residual_high: The same at the upper edge.
    """

    factors: dict[str, Factor] = field(hash=False)
    widths: dict[str, Width] = field(default_factory=dict, hash=False)
    ranges: dict[str, Extent] = field(default_factory=dict, hash=False)
    precision_runs: dict[str, int] = field(default_factory=dict, hash=False)
    residual_low: dict[str, float] = field(default_factory=dict, hash=False)
    residual_high: dict[str, float] = field(default_factory=dict, hash=False)
    rows: int = 0
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name, runs in self.precision_runs.items():
            if runs < 1:
                raise fault(self, f"precision_runs.{name}", runs, "must be above 0")
        for name, low in self.residual_low.items():
            high = self.residual_high.get(name)
            if high is None or not low <= 1.0 <= high:
                rule = f"must enclose 1 together with residual_high {high}"
                raise fault(self, f"residual_low.{name}", low, rule)

    def lookup(self, kind: str, *groups: str) -> float:
        """Return the factor of the first of `kind.group` that exists, else of `kind`.

        Raises:
            SpecError: No such factor stands in the calibration.
        """
        for name in (*(f"{kind}.{group}" for group in groups), kind):
            if name in self.factors:
                return self.factors[name].value
        raise SpecError(f"calibration: no factor {kind} for {', '.join(groups) or 'anything'}")

    def width(self, *names: str) -> float:
        """Return the factor of the first of these widths that exists, 1 without any."""
        known = (self.widths[name].factor for name in names if name in self.widths)
        return next(known, 1.0)

    @property
    def num_widths(self) -> int:
        """Number of widths that were fitted on left-out runs."""
        return sum(1 for width in self.widths.values() if width.rows)

    @property
    def num_fitted(self) -> int:
        """Number of factors that the fit may move."""
        return sum(1 for factor in self.factors.values() if factor.spread > 0)
