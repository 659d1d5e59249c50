"""The outside view: how long sites like this one took, from those built and those unfinished.

Kaplan and Meier: of the sites still being built on day t, the share that was done on that day is
taken off; a site not yet done when the data end counts among those at risk until then. What was
not known on a day (sites not begun, openings later than it) is not used for that day's answer.
Source: Kaplan and Meier, Nonparametric Estimation from Incomplete Observations, JASA 53 (1958).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gigafactory.catalog.observed import ObservedSite

Floats = NDArray[np.float64]

ROUNDING: Final = 1e-12
FEWEST: Final = 3  # sites done, below which nothing is said of a site


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """Odds of first capacity by day, from observed and unfinished sites.

    Attributes:
        as_of: The day whose knowledge it holds.
        days: Days on which some site was done, ascending.
        done: Share done up to each of them.
        n: Sites in it.
        censored: Those of them that were unfinished on `as_of`.
    """

    as_of: dt.date
    days: tuple[float, ...]
    done: tuple[float, ...]
    n: int
    censored: int

    def p_done(self, days: float) -> float:
        """Return the share that is done within `days`.

        >>> from datetime import date
        >>> Survival(as_of=date(2024, 1, 1), days=(100.0,), done=(0.5,), n=2,
        ...          censored=1).p_done(100.0)
        0.5
        """
        at = int(np.searchsorted(self.days, days, side="right"))
        return self.done[at - 1] if at else 0.0

    def quantile(self, share: float) -> float | None:
        """Return the days within which `share` is done; None where the data do not reach it."""
        pairs = zip(self.days, self.done, strict=True)
        return next((day for day, done in pairs if done >= share - ROUNDING), None)

    def masses(self) -> tuple[Floats, Floats]:
        """Return the days and the probability that sits on each; the rest is later than all."""
        return np.array(self.days), np.diff(np.array([0.0, *self.done]))


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """What the outside view would have said of one site, and what came of it.

    Attributes:
        known: Sites done that the answer rests on.
        p_by_then: Share that the forecast gave to the days it really took, or fewer.
        p50_days: The forecast's middle; None where the data do not reach it.
        inside: Whether the days lie in the forecast's P10 to P90.
    """

    site: str
    days: int
    known: int
    p_by_then: float
    p50_days: float | None
    inside: bool


def survival(
    sites: Sequence[ObservedSite], as_of: dt.date, leave_out: Sequence[str] = ()
) -> Survival:
    """Return what was known on a day of the days from start of works to first capacity.

    Args:
        sites: The reference class.
        as_of: Sites not begun by then are not known, those not done by then are censored.
        leave_out: Names of sites not to use: the one that is asked about.
    """
    used = [one for one in sites if one.name not in leave_out and one.began < as_of]
    over = np.array([one.operational <= as_of for one in used], dtype=bool)
    days = np.array([(min(one.operational, as_of) - one.began).days for one in used])
    left, events, done = 1.0, [], []
    for day in np.unique(days[over]) if len(used) else ():
        at_risk = int((days >= day).sum())
        left *= 1.0 - int((days[over] == day).sum()) / at_risk
        events.append(float(day))
        done.append(1.0 - left)
    return Survival(
        as_of=as_of,
        days=tuple(events),
        done=tuple(done),
        n=len(used),
        censored=int((~over).sum()),
    )


def back_test(
    sites: Sequence[ObservedSite], seen_on: dt.date, *, in_hindsight: bool
) -> list[BackTest]:
    """Return, for every site that was done, what the other sites would have said of it.

    Args:
        sites: The reference class.
        seen_on: The day of the data.
        in_hindsight: Use all other sites as of `seen_on`; else only what was known on the day the
            works began. Sites with fewer than `FEWEST` others done are left out.
    """
    made = []
    for site in (one for one in sites if one.operational <= seen_on):
        view = survival(sites, seen_on if in_hindsight else site.began, (site.name,))
        if view.n - view.censored >= FEWEST:
            made.append(_tested(site, view))
    return made


def _tested(site: ObservedSite, view: Survival) -> BackTest:
    low, high = view.quantile(0.1), view.quantile(0.9)
    return BackTest(
        site=site.name,
        days=site.days,
        known=view.n - view.censored,
        p_by_then=view.p_done(site.days),
        p50_days=view.quantile(0.5),
        inside=(low is None or low <= site.days) and (high is None or site.days <= high),
    )
