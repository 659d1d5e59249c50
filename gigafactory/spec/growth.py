"""How a machine grows: how many accelerators are there by when, with the odds of each date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gigafactory.spec.base import Spec, fault, require_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(Spec):
    """One size of the machine and the days by which it is there.

    Attributes:
        num_gpus: Accelerators in all, those of earlier phases included.
        p10: The day it is there with a probability of 10 %.
        p50: The same with 50 %.
        p90: The same with 90 %.
    """

    num_gpus: int
    p10: dt.date
    p50: dt.date
    p90: dt.date

    def __post_init__(self) -> None:
        require_count(self, "num_gpus", most=100_000_000)
        if not self.p10 <= self.p50 <= self.p90:
            days = (self.p10.isoformat(), self.p50.isoformat(), self.p90.isoformat())
            raise fault(self, "p50", days, "must lie between p10 and p90")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth(Spec):
    """The phases of one machine, the smallest first.

    Attributes:
        source: What computed the dates, or who promised them.

    Raises:
        SpecError: There is no phase, or a later one is not larger.
    """

    phases: tuple[Phase, ...]
    source: str

    def __post_init__(self) -> None:
        sizes = [phase.num_gpus for phase in self.phases]
        if not sizes or sizes != sorted(set(sizes)):
            raise fault(self, "phases", sizes, "must hold at least one phase, each one larger")
