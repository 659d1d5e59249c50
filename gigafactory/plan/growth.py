"""Training on a machine that grows: begin on the first phase, grow into each later one.

Every phase trains with its own best layout on the same batch. With n(t) the phase live on day t,

    tokens = integral of rate(n(t)) dt from the first phase's day to the end

The end is later the later any phase is, and phases of one project are late together, so the
quantile of the end is the end at the quantiles of the dates. Left out: the reload of a checkpoint
into the larger layout, minutes for each phase.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from gigafactory.errors import DoesNotFit
from gigafactory.spec.base import Spec
from gigafactory.spec.growth import Phase
from gigafactory.spec.layout import Layout
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.plan.answer import Point
    from gigafactory.spec.growth import Growth
    from gigafactory.spec.job import Job
    from gigafactory.spec.promise import Promise

Dates = tuple[dt.date, dt.date, dt.date]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthStep(Spec):
    """Training on one phase.

    Attributes:
        phase: Size and dates.
        layout: The best one on it.
        tokens_per_s: With failures counted in: tokens per second of the calendar.
        tokens: Tokens trained on it where every date is at its P50.
    """

    phase: Phase
    layout: Layout
    tokens_per_s: float
    tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownRun(Spec):
    """A run over all phases of growth.

    Attributes:
        start: P10, P50, P90 of the first day of training.
        finish: P10, P50, P90 of the end, at the expected speed.
        earliest: P10 of the dates at the fastest step and best goodput.
        latest: P90 of the dates at the slowest step and worst goodput.
        whole_machine: P50 of the end had training waited for the last phase.
        on_time: Whether the P50 is not after the deadline; None without one.
    """

    steps: tuple[GrowthStep, ...]
    start: Dates
    finish: Dates
    earliest: dt.date
    latest: dt.date
    whole_machine: dt.date
    by: dt.date | None
    on_time: bool | None
    source: str


def grown_run(
    points: Sequence[Point], growth: Growth, job: Job, not_before: dt.date | None = None
) -> GrownRun:
    """Return a run that begins on the first phase and grows.

    Args:
        points: The best promise for each phase's size; sizes on which nothing fits are not there.
        growth: When each phase is there.
        job: What is trained, and by when.
        not_before: A day before which nobody trains, whatever is there.

    Raises:
        DoesNotFit: The model fits on no phase.
    """
    found = {point.gpus_offered: point.promise for point in points}
    phases = [phase for phase in growth.phases if phase.num_gpus in found]
    if not phases:
        raise DoesNotFit("no phase of the site holds the model: none of its layouts fits")
    promises = [found[phase.num_gpus] for phase in phases]
    expected = [_rate(one, "expected") for one in promises]
    dates = [_dates(phases, name, not_before) for name in ("p10", "p50", "p90")]
    finish = tuple(_end(job.tokens, days, expected) for days in dates)
    shares = _shares(job.tokens, dates[1], expected)
    steps = zip(phases, promises, expected, shares, strict=True)
    fast = [_rate(one, "fast") for one in promises]
    slow = [_rate(one, "slow") for one in promises]
    return GrownRun(
        steps=tuple(
            GrowthStep(phase=p, layout=one.plan.layout, tokens_per_s=rate, tokens=tokens)
            for p, one, rate, tokens in steps
        ),
        start=(dates[0][0], dates[1][0], dates[2][0]),
        finish=(finish[0], finish[1], finish[2]),
        earliest=_end(job.tokens, dates[0], fast),
        latest=_end(job.tokens, dates[2], slow),
        whole_machine=_end(job.tokens, dates[1][-1:], expected[-1:]),
        by=job.by,
        on_time=None if job.by is None else finish[1] <= job.by,
        source=growth.source,
    )


def _rate(promise: Promise, which: str) -> float:
    """Return tokens per second of the calendar: expected, fast or slow."""
    step, good = promise.prediction.step_time_s, promise.run.goodput
    step_s, share = {
        "expected": (step.expected, good.expected),
        "fast": (step.low, good.high),
        "slow": (step.high, good.low),
    }[which]
    return promise.plan.layout.tokens_per_step / step_s * share


def _dates(phases: list[Phase], name: str, not_before: dt.date | None) -> list[dt.date]:
    days: list[dt.date] = [getattr(phase, name) for phase in phases]
    return [max(day, not_before) if not_before else day for day in days]


def _shares(tokens: float, dates: list[dt.date], rates: list[float]) -> list[float]:
    """Return the tokens trained on each phase."""
    left, shares = tokens, []
    for index, (day, rate) in enumerate(zip(dates, rates, strict=True)):
        last = index + 1 == len(dates)
        span_s = float("inf") if last else (dates[index + 1] - day).days * SECONDS_PER_DAY
        shares.append(min(left, span_s * rate))
        left -= shares[-1]
    return shares


def _end(tokens: float, dates: list[dt.date], rates: list[float]) -> dt.date:
    """Return the day on which the tokens are trained; the calendar's last day at the latest."""
    shares = _shares(tokens, dates, rates)
    at = max(index for index, share in enumerate(shares) if share > 0)
    days = ceil(shares[at] / rates[at] / SECONDS_PER_DAY)
    return dates[at] + dt.timedelta(days=min(days, (dt.date.max - dates[at]).days))
