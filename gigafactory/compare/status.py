"""How a run stands at a moment: state, numbers beside their promises, what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.compare.measured import Measured, measure_run
from gigafactory.errors import SpecError
from gigafactory.run.ledger import History, Ledger, history, seconds_of
from gigafactory.spec.base import Spec
from gigafactory.spec.interval import Interval
from gigafactory.spec.run import Event, RunResult, StepRecord
from gigafactory.units import SECONDS_PER_HOUR, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.compare.promised import Promised

BLOCKS: Final = 10  # equal stretches of recent steps whose pace spans the time left
BLOCK_STEPS: Final = 5  # least steps of one
GOODPUT_RESOLUTION: Final = 0.01  # closer to the plan than a point is on it: host gaps, rounding
NO_RESULT: Final = ("dead", "hung")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Spec):
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
        outside: It lies outside the plan's interval, on the side that is trouble or not.
        trouble: It lies on the side that is.
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
    measured: Measured | None


def status(promised: Promised, seen: Seen) -> Status:
    """Return how a run stands."""
    state = _state(seen)
    goes_on = state in ("running", "waiting", "hung")
    told = history(seen.steps, seen.events, seen.lost, seen.now if goes_on else None)
    try:
        measured = measure_run(seen.steps, seen.events, seen.lost)
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
        measured=measured,
    )


def _state(seen: Seen) -> str:
    """Return the state; a live run goes before the result that an earlier process left."""
    if seen.live is not True and seen.result is not None:
        return seen.result.state
    silent_s = seen.now - _last_sign(seen)
    if seen.live is False:
        return "dead"
    if silent_s > seen.hang_s:
        return "hung" if seen.live else "dead"
    return "running" if seen.steps else "waiting"


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
    """Return every number that a plan promises and a run measures.

    Step time, speed and utilization are told by the median of the last steps, where these are
    enough; before that nothing is called drift.
    """
    step_s = promised.step_time_s
    recent = measured.pace.recent_s if measured else None
    now_s = recent if recent is not None or measured is None else measured.pace.mean_s
    faster = None if now_s is None else step_s.expected / now_s
    drift = (
        recent is not None and not step_s.low <= recent <= step_s.high and step_s.low < step_s.high
    )
    slow = drift and recent is not None and recent > step_s.high
    good = promised.goodput(told.end_s - told.first_step_s)
    kept = measured.comparable if measured else None
    below = kept is not None and kept < good.low - GOODPUT_RESOLUTION
    memory = measured.memory_bytes if measured else None
    capacity = promised.prediction.memory_capacity_bytes
    need = promised.memory_bytes
    above = memory is not None and memory > (need.high if need.low < need.high else capacity)

    def speed(name: str, unit: str, predicted: Interval) -> Row:
        value = None if faster is None else predicted.expected * faster
        return Row(name=name, unit=unit, predicted=predicted, measured=value, outside=drift)

    return (
        Row(name="step time", unit="s", predicted=step_s, measured=now_s, outside=drift,
            trouble=slow),
        speed("speed", "tokens/s", promised.tokens_per_s),
        speed("MFU", "share", promised.mfu),
        Row(name="memory", unit="B", predicted=need, measured=memory, outside=above,
            trouble=above),
        Row(name="goodput", unit="share", predicted=good, measured=kept, outside=below,
            trouble=below),
    )  # fmt: skip


def _row_troubles(rows: tuple[Row, ...]) -> list[str]:
    sides = {"goodput": "below"}
    return [
        f"{row.name} is {sides.get(row.name, 'above')} the plan's interval"
        for row in rows
        if row.trouble
    ]


def _left_s(promised: Promised, seen: Seen, left: int) -> Interval:
    """Return the seconds to the end: steps left times wall seconds per step of late.

    The lowest, the mean and the highest of the last `BLOCKS` stretches of equal steps, stalls and
    restarts in; the plan's step time and goodput before there are enough steps.
    """
    ends = np.array([seconds_of(s.time) for s in seen.steps[-BLOCKS * RECENT_PER_BLOCK :]])
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


RECENT_PER_BLOCK: Final = 100
