"""Questions asked backwards: which layouts meet a date, a power cap, a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run must keep to.

    Attributes:
        by: Day by which training must end; None for no such limit.
        power_cap_w: Expected facility power of the whole cluster.
        budget_usd: Expected cost of the run.
        sized: Returns the cluster of a number of GPUs, where its size is free; None keeps the
            cluster that was asked about, idle GPUs and all.
    """

    by: dt.date | None = None
    power_cap_w: float | None = None
    budget_usd: float | None = None
    sized: Callable[[int], Cluster] | None = None


class Size(NamedTuple):
    """What a number of GPUs decides, whatever the layout."""

    goodput: GoodputEstimate
    power_w: float
    usd_per_s: float


def rank_within(found: Found, job: Job, around: run.Surroundings, limits: Limits) -> Index:
    """Return the rows that keep all limits, best first.

    With a date and a free size the best is the fewest GPUs that end in time; else the fastest.

    Raises:
        DoesNotFit: Nothing keeps them; says how close the closest comes.
    """
    counts, where = np.unique(found.num_gpus, return_inverse=True)
    sizes = [_size(found, int(n), job, around, limits) for n in counts]
    steps = np.ceil(job.tokens / (job.global_batch_size * job.seq_len))
    share = np.array([s.goodput.goodput.expected for s in sizes])[where]
    wall_s = steps * found.step_time_s / share
    usd = wall_s * np.array([s.usd_per_s for s in sizes])[where]
    watts = np.array([s.power_w for s in sizes])[where]
    keep = np.ones(len(wall_s), dtype=bool)
    if limits.by is not None:
        keep &= np.ceil(wall_s / SECONDS_PER_DAY) <= (limits.by - job.start).days
    if limits.power_cap_w is not None:
        keep &= watts <= limits.power_cap_w
    if limits.budget_usd is not None:
        keep &= usd <= limits.budget_usd
    if not keep.any():
        raise _nothing_keeps(found, job, limits, wall_s=wall_s, watts=watts, usd=usd)
    rows = np.flatnonzero(keep)
    gpus = found.num_gpus[rows]
    fewest = limits.by is not None and limits.sized is not None
    keys = (wall_s[rows], gpus) if fewest else (gpus, wall_s[rows])
    return rows[np.lexsort(keys)]


def _size(found: Found, num_gpus: int, job: Job, around: run.Surroundings, limits: Limits) -> Size:
    """Return goodput, power and price of time for a number of GPUs in use."""
    row = found.rows[int(np.flatnonzero(found.num_gpus == num_gpus)[0])]
    saved = run.checkpoint_of(found.question.model, found.layout(row))
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


def _nothing_keeps(
    found: Found, job: Job, limits: Limits,
    *, wall_s: Floats, watts: Floats, usd: Floats,
) -> DoesNotFit:  # fmt: skip
    """Return what is missing: the closest that date, power and money come on their own."""
    gpus, told = found.num_gpus, []
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
