"""Questions asked backwards: which layouts meet a date, a power cap, a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from gigafactory.cost.goodput import expected_wall_time_s
from gigafactory.errors import DoesNotFit
from gigafactory.plan import promise as run
from gigafactory.spec.interval import Interval
from gigafactory.units import SECONDS_PER_DAY, show

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from gigafactory.cost.goodput import GoodputEstimate
    from gigafactory.plan.search import Floats, Found, Index
    from gigafactory.spec.cluster import Cluster
    from gigafactory.spec.job import Job
    from gigafactory.spec.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run must keep to.

    Attributes:
        by: Day by which training must end; None for no such limit.
        power_cap_w: Expected facility power of the whole cluster.
        budget_usd: Expected cost of the run.
        sized: Returns the cluster of a number of GPUs, where its size is free; None keeps the
            cluster that was asked about, idle GPUs and all.
        rank_by: "step" takes the fastest step, "finish" the earliest end under failures.
    """

    by: dt.date | None = None
    power_cap_w: float | None = None
    budget_usd: float | None = None
    sized: Callable[[int], Cluster] | None = None
    rank_by: Literal["step", "finish"] = "step"


class Size(NamedTuple):
    """What a number of GPUs decides, whatever the layout."""

    goodput: GoodputEstimate
    power_w: float
    usd_per_s: float


class Outlook(NamedTuple):
    """What each row of a search means for the whole run, one entry per row.

    Attributes:
        wall_s: Expected seconds from start to end, failures included.
        power_w: Expected facility power.
        usd: Expected cost of the run.
    """

    wall_s: Floats
    power_w: Floats
    usd: Floats


def outlook(found: Found, job: Job, around: run.Surroundings, limits: Limits) -> Outlook:
    """Return time, power and money of every row; what a number of GPUs decides is priced once."""
    _, first, where = np.unique(found.num_gpus, return_index=True, return_inverse=True)
    layouts = [found.layout(found.rows[i]) for i in first]
    sizes = [_size(layout, found, job, around, limits) for layout in layouts]
    steps = np.ceil(job.tokens / (job.global_batch_size * job.seq_len))
    share = np.array([s.goodput.goodput.expected for s in sizes])[where]
    wall_s = expected_wall_time_s(steps * found.step_time_s, share)
    return Outlook(
        wall_s=wall_s,
        power_w=np.array([s.power_w for s in sizes])[where],
        usd=wall_s * np.array([s.usd_per_s for s in sizes])[where],
    )


def rank_within(found: Found, job: Job, ahead: Outlook, limits: Limits) -> Index:
    """Return the rows that keep all limits, best first.

    The best is the fastest step, or the earliest end where that is asked for or where the size
    is free; with a date and a free size it is the fewest GPUs that end in time.

    Raises:
        DoesNotFit: Nothing keeps them; says how close the closest comes.
    """
    keep = np.ones(len(ahead.wall_s), dtype=bool)
    if limits.by is not None:
        keep &= np.ceil(ahead.wall_s / SECONDS_PER_DAY) <= (limits.by - job.start).days
    if limits.power_cap_w is not None:
        keep &= ahead.power_w <= limits.power_cap_w
    if limits.budget_usd is not None:
        keep &= ahead.usd <= limits.budget_usd
    if not keep.any():
        raise _nothing_keeps(found, job, limits, ahead)
    rows = np.flatnonzero(keep)
    gpus, wall_s = found.num_gpus[rows], ahead.wall_s[rows]
    if limits.sized is not None and limits.by is not None:
        return rows[np.lexsort((wall_s, gpus))]
    earliest = limits.sized is not None or limits.rank_by == "finish"
    return rows[np.lexsort((gpus, wall_s if earliest else found.step_time_s[rows]))]


def _size(layout: Layout, found: Found, job: Job, around: run.Surroundings, limits: Limits) -> Size:
    """Return goodput, power and price of time for the number of GPUs of a layout."""
    num_gpus = layout.num_gpus
    saved = run.checkpoint_of(found.question.model, layout)
    cluster = found.question.machine.cluster
    if limits.sized is not None:
        cluster = replace(cluster, num_gpus=num_gpus)
    second = Interval.point(1.0)
    power = run.power_estimate(cluster, num_gpus, around.site, second)
    cost = run.cost_estimate(cluster, num_gpus, around, start=job.start, wall=second, drawn=power)
    return Size(
        run.goodput_of(saved, num_gpus, around.faults),
        power.facility_w.expected if power else float("nan"),
        cost.usd.expected if cost else float("nan"),
    )


def _nothing_keeps(found: Found, job: Job, limits: Limits, ahead: Outlook) -> DoesNotFit:
    """Return what is missing: the closest that date, power and money come on their own."""
    gpus, told = found.num_gpus, []
    wall_s, watts, usd = ahead
    if limits.by is not None:
        row = int(wall_s.argmin())
        day = run.day_after(job.start, float(wall_s[row]))
        told.append(f"--by {limits.by}: the earliest end is {day} on {gpus[row]:,} GPUs")
    if limits.power_cap_w is not None:
        row = int(np.nanargmin(watts)) if np.isfinite(watts).any() else 0
        told.append(
            f"--power-cap {show(limits.power_cap_w, 'W')}: the least is "
            f"{show(float(watts[row]), 'W')} on {gpus[row]:,} GPUs"
        )
    if limits.budget_usd is not None:
        row = int(np.nanargmin(usd)) if np.isfinite(usd).any() else 0
        told.append(
            f"--budget ${limits.budget_usd:,.0f}: the cheapest costs ${usd[row]:,.0f} "
            f"on {gpus[row]:,} GPUs"
        )
    return DoesNotFit("no layout keeps the limits; " + "; ".join(told))
