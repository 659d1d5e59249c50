"""How a run stands at a moment: state, numbers beside their promises, what is wrong with it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.compare.measured import Measured, measure_run
from gigafactory.errors import SpecError
from gigafactory.run.ledger import History, Ledger, history, seconds_of
from gigafactory.spec.base import Spec
from gigafactory.spec.interval import Interval
from gigafactory.spec.run import Event
from gigafactory.units import SECONDS_PER_HOUR, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.compare.promised import Promised
    from gigafactory.spec.run import RunResult, StepRecord

BLOCKS: Final = 10  # equal stretches of recent steps whose pace spans the time left
BLOCK_STEPS: Final = 5  # least steps of one
GOODPUT_RESOLUTION: Final = 0.01  # closer to the plan than a point is on it: host gaps, rounding
BLOCK_MOST: Final = 100  # most steps of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read of a run folder at one moment.

    Attributes:
        now: The moment, seconds since 1970.
        live: A process has the folder; None where the file system does not tell.
        hang_s: A step that takes longer is taken for hung.
    """

    steps: Sequence[StepRecord]
    events: Sequence[Event]
    lost: Sequence[StepRecord]
    result: RunResult | None
    now: float
    live: bool | None
    hang_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Spec):
    """One number beside its promise.

    Attributes:
        measured: None where nothing tells it yet.
        outside: It lies outside the plan's interval.
        trouble: It lies there on the side that is bad news.
    """

    name: str
    unit: str
    predicted: Interval
    measured: float | None
    outside: bool = False
    trouble: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Spec):
    """A run at one moment.

    Attributes:
        state: running, waiting (no step yet), finished, failed, stopped, dead or hung.
        step: Last step that counts.
        steps: Steps of the whole run.
        left_s: Seconds to the end at the pace of late; None where it ended or none is known.
        rows: Numbers beside their promises.
        last_hour: Where the last hour's time went.
        troubles: What is wrong, one sentence each.
        moment: What `now` counted as, seconds since 1970: the last record of a run that ended.
    """

    state: str
    step: int
    steps: int
    tokens: float
    left_s: Interval | None
    rows: tuple[Row, ...]
    so_far: Ledger
    last_hour: Ledger
    interruptions: int
    troubles: tuple[str, ...]
    moment: float


def status(promised: Promised, seen: Seen) -> Status:
    """Return how a run stands."""
    state = _state(seen)
    goes_on = state in ("running", "waiting", "hung")
    events = [*seen.events, _silence(seen.now)] if state == "hung" else seen.events
    told = history(seen.steps, events, seen.lost, seen.now if goes_on else None)
    try:
        measured = measure_run(seen.steps, seen.events, told)
    except SpecError:  # no step yet that can be used
        measured = None
    steps = ceil(promised.plan.job.tokens / promised.plan.layout.tokens_per_step)
    step = seen.steps[-1].step if seen.steps else 0
    rows = _rows(promised, measured, told)
    left = steps - step if goes_on else 0
    return Status(
        state=state,
        step=step,
        steps=steps,
        tokens=float(sum(s.tokens for s in seen.steps)),
        left_s=_left_s(promised, seen, left) if left > 0 else None,
        rows=rows,
        so_far=told.ledger(),
        last_hour=told.ledger(told.end_s - SECONDS_PER_HOUR),
        interruptions=told.interruptions,
        troubles=(*_state_troubles(state, seen), *_row_troubles(rows)),
        moment=told.begin + told.end_s,
    )


def _state(seen: Seen) -> str:
    """Return the state; a live run goes before the result that an earlier process left."""
    ended = seen.live is not True or (seen.events and seen.events[-1].kind == "finish")
    if ended and seen.result is not None:
        return seen.result.state
    if seen.live is False:
        return "dead"
    if seen.now - _last_sign(seen) > seen.hang_s:
        return "hung"
    return "running" if seen.steps else "waiting"


def _silence(now: float) -> Event:
    """Return a hang that lasts until now, as the watchdog would have written it."""
    return Event(time=dt.datetime.fromtimestamp(now, dt.UTC).isoformat(), kind="hang")


def _last_sign(seen: Seen) -> float:
    """Return when a step or a start was last written; now where nothing was."""
    kinds = ("start", "resume", "restart")
    starts = [seconds_of(e.time) for e in seen.events[-100:] if e.kind in kinds]
    steps = [seconds_of(s.time) for s in seen.steps[-1:]]
    return max([*starts, *steps], default=seen.now)


def _state_troubles(state: str, seen: Seen) -> list[str]:
    if state == "failed":
        reason = seen.result.reason if seen.result else ""
        return [f"the run failed{': ' + reason if reason else ''}"]
    if state == "dead":
        return ["no process has the run, and it left no result"]
    if state == "hung":
        silent = seen.now - _last_sign(seen)
        return [f"no step for {show(silent, 's')}, hang_s is {show(seen.hang_s, 's')}"]
    loss = seen.steps[-1].loss if seen.steps else 0.0
    return [] if isfinite(loss) else [f"the loss of step {seen.steps[-1].step} is {loss}"]


def _rows(promised: Promised, measured: Measured | None, told: History) -> tuple[Row, ...]:
    """Return every number that a plan promises and a run measures."""
    good = promised.goodput(told.end_s - told.first_step_s)
    kept = measured.comparable if measured else None
    below = kept is not None and kept < good.low - GOODPUT_RESOLUTION
    return (
        *_pace_rows(promised, measured),
        _memory_row(promised, measured.memory_bytes if measured else None),
        Row(name="goodput", unit="share", predicted=good, measured=kept, outside=below,
            trouble=below),
    )  # fmt: skip


def _pace_rows(promised: Promised, measured: Measured | None) -> tuple[Row, ...]:
    """Return step time, speed and utilization by the median of the last steps.

    Where these are too few the mean of all stands there, and nothing is called drift; nor is it
    where the plan's step time has no width.
    """
    step_s, pace = promised.step_time_s, measured.pace if measured else None
    recent_s = pace.recent_s if pace else None
    drift = (
        recent_s is not None
        and step_s.low < step_s.high
        and not (step_s.low <= recent_s <= step_s.high)
    )
    now_s = (pace.mean_s if recent_s is None else recent_s) if pace else None
    rows = [Row(name="step time", unit="s", predicted=step_s, measured=now_s, outside=drift,
                trouble=drift and now_s is not None and now_s > step_s.high)]  # fmt: skip
    for name, unit, predicted in (
        ("speed", "tokens/s", promised.tokens_per_s),
        ("MFU", "share", promised.mfu),
    ):
        value = None if now_s is None else predicted.expected * step_s.expected / now_s
        rows.append(Row(name=name, unit=unit, predicted=predicted, measured=value, outside=drift))
    return tuple(rows)


def _memory_row(promised: Promised, peak: float | None) -> Row:
    """Return the peak; it is trouble above the promise's width, or without one above capacity."""
    need = promised.memory_bytes
    most = need.high if need.low < need.high else promised.prediction.memory_capacity_bytes
    above = peak is not None and peak > most
    return Row(name="memory", unit="B", predicted=need, measured=peak, outside=above,
               trouble=above)  # fmt: skip


def _row_troubles(rows: tuple[Row, ...]) -> list[str]:
    """Return one sentence for every number that is trouble, with both sides."""
    found = []
    for row in rows:
        if not row.trouble or row.measured is None:
            continue
        side = "below" if row.measured < row.predicted.expected else "above"
        low, value, high = (_shown(x, row.unit) for x in
                            (row.predicted.low, row.measured, row.predicted.high))  # fmt: skip
        between = f"{low} to {high}" if low != high else low
        found.append(f"{row.name} {value} is {side} the plan's {between}")
    return found


def _shown(value: float, unit: str) -> str:
    return f"{value:.1%}" if unit == "share" else show(value, unit)


def _left_s(promised: Promised, seen: Seen, left: int) -> Interval:
    """Return the seconds to the end: steps left times wall seconds per step of late.

    The lowest, the mean and the highest of the last `BLOCKS` stretches of equal steps, stalls and
    restarts in; the plan's step time and goodput before there are enough steps.
    """
    ends = np.array([seconds_of(s.time) for s in seen.steps[-BLOCKS * BLOCK_MOST - 1 :]])
    size = (len(ends) - 1) // BLOCKS
    if size < BLOCK_STEPS:
        step_s, good = promised.step_time_s, promised.estimate.goodput
        return Interval(
            low=left * step_s.low / good.high,
            expected=left * step_s.expected / good.expected,
            high=left * step_s.high / good.low,
        )
    edges = np.maximum.accumulate(ends)[::-size][: BLOCKS + 1][::-1]
    paces = np.diff(edges) / size
    return Interval(
        low=left * float(paces.min()),
        expected=left * float(min(max(paces.mean(), paces.min()), paces.max())),
        high=left * float(paces.max()),
    )
