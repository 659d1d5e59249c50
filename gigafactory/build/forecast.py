"""One forecast of two: the inside view's samples and the outside view's sites, by stated weights.

    P(done by t) = w P_inside(done by t) + (1 - w) P_outside(done by t)

A linear pool. Without a record that says which view was better, equal weights are hard to beat:
Clemen, Combining Forecasts: A Review and Annotated Bibliography, Int. J. Forecasting 5 (1989).
The outside view dates first capacity, so for a whole machine it is an upper bound of the odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from gigafactory.build.reference_class import Survival

Floats = NDArray[np.float64]

EQUAL: Final = 0.5
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Odds of being done by day, of both views together.

    Attributes:
        inside_weight: Share of the inside view; the rest is the outside view's.
        days: Days after the start, ascending.
        done: Probability of being done by each of them; below 1 at the end where the outside
            view knows sites that were not done.
    """

    inside_weight: float
    days: Floats
    done: Floats

    def p_done(self, days: float) -> float:
        """Return the probability of being done within `days`."""
        at = int(np.searchsorted(self.days, days, side="right"))
        return float(self.done[at - 1]) if at else 0.0

    def quantile(self, share: float) -> float | None:
        """Return the days within which it is done with probability `share`; None if never."""
        at = int(np.searchsorted(self.done, share - ROUNDING))
        return float(self.days[at]) if at < len(self.days) else None


def pooled(inside_days: Floats, outside: Survival, inside_weight: float = EQUAL) -> Pool:
    """Return both views as one.

    Args:
        inside_days: Samples of the end, in days after the start.
        outside: The reference class.
        inside_weight: Share of the inside view; 1 where the outside view knows nothing.

    Raises:
        SpecError: The weight is not between 0 and 1.
    """
    if not 0 <= inside_weight <= 1:
        raise SpecError(
            f"--inside-weight must be between 0 and 1, got {inside_weight}", field="inside_weight"
        )
    if not outside.days:
        inside_weight = 1.0
    outside_days, masses = outside.masses()
    days = np.concatenate([inside_days, outside_days])
    weight = np.concatenate(
        [
            np.full(len(inside_days), inside_weight / len(inside_days)),
            (1.0 - inside_weight) * masses,
        ]
    )
    order = np.argsort(days, kind="stable")
    return Pool(
        inside_weight=inside_weight, days=days[order], done=np.cumsum(weight[order]).clip(max=1.0)
    )
