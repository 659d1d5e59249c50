"""Where every second of a run went, from its steps and events alone.

The categories are those of Google's ml-goodput-measurement (`GOOGLE` names each one's type there);
each second is in exactly one. Wall time runs from the first process's start to the end asked for.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.run import gaps
from gigafactory.run.gaps import Category
from gigafactory.spec.base import Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.spec.run import Event, StepRecord

    Floats = NDArray[np.float64]

GOOGLE: Final = {
    "productive": "GoodputType.TOTAL",
    "initialisation": "BadputType.TPU_INITIALIZATION",
    "training_preparation": "BadputType.TRAINING_PREP",
    "program_startup": "BadputType.PROGRAM_STARTUP",
    "data_loading": "BadputType.DATA_LOADING_SYNC",
    "checkpoint_save": "BadputType.UNPRODUCTIVE_CHECKPOINT_SAVE_TIME",
    "checkpoint_restore": "BadputType.UNPRODUCTIVE_CHECKPOINT_RESTORE_TIME",
    "wasted_progress": "BadputType.WASTED_PROGRESS_FROM_DISRUPTION",
    "infrastructure_recovery": "BadputType.INFRASTRUCTURE_RECOVERY_FROM_DISRUPTION",
    "evaluation": "BadputType.CUSTOM_BADPUT_EVENTS",
    "other": "BadputType.OTHER",
}
# Parts of a step that are not progress, by the span that measures them.
SPAN_CATEGORY: Final = {
    "data": Category.DATA_LOADING,
    "checkpoint": Category.CHECKPOINT_SAVE,
    "evaluate": Category.EVALUATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger(Spec):
    """Seconds of wall time by category; they sum to it."""

    wall_s: float
    seconds: dict[str, float] = field(hash=False)

    @property
    def goodput(self) -> float:
        """Share of wall time that made progress; 0 of no time at all."""
        return self.seconds["productive"] / self.wall_s if self.wall_s > 0 else 0.0

    def lost(self) -> list[tuple[str, float]]:
        """Return what was lost, largest first, nothing of none."""
        parts = [(k, v) for k, v in self.seconds.items() if k != "productive" and v > 0]
        return sorted(parts, key=lambda pair: -pair[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A run's time as segments, each of one category, without a hole between them.

    Attributes:
        begin: When the first process started, seconds since 1970.
        edges_s: Edges of the segments, seconds since `begin`, one more than there are segments.
        category: One `Category` per segment.
        interruptions: Times that training stopped without being asked to.
        first_step_s: Where the first step begins; the end where there is none.
    """

    begin: float
    edges_s: Floats
    category: NDArray[np.int8]
    interruptions: int
    first_step_s: float

    def ledger(self, since_s: float = 0.0, until_s: float | None = None) -> Ledger:
        """Return the seconds by category of a window, whole run by default.

        Args:
            since_s: Start of the window, seconds since `begin`.
            until_s: Its end; the end of the run by default.
        """
        until = self.end_s if until_s is None else min(until_s, self.end_s)
        since = min(max(since_s, 0.0), until)
        cut = np.diff(np.clip(self.edges_s, since, until))
        sums = np.bincount(self.category, weights=cut, minlength=len(GOOGLE))
        return Ledger(
            wall_s=until - since, seconds=dict(zip(GOOGLE, map(float, sums), strict=True))
        )

    @property
    def end_s(self) -> float:
        """Seconds of wall time."""
        return float(self.edges_s[-1])


def seconds_of(time: str) -> float:
    """Return a time of a record in seconds since 1970; UTC where it names no zone."""
    when = dt.datetime.fromisoformat(time)
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()


def history(
    steps: Sequence[StepRecord],
    events: Sequence[Event],
    lost: Sequence[StepRecord] = (),
    until: float | None = None,
) -> History:
    """Return the history of a run.

    A clock that goes back stands still until it has caught up, so nothing is counted twice.

    Args:
        steps: The steps that count, in order.
        events: The events, in the order they were written.
        lost: Steps that a restart threw away.
        until: The moment to count to, seconds since 1970; the last record by default.
    """
    done, step_end, kept = _in_time(steps, lost)
    event_end = _steady([seconds_of(e.time) for e in events])
    begin = _begin(done, step_end, events, event_end)
    step_end, event_end = step_end - begin, event_end - begin
    last = max(float(x[-1]) for x in (step_end, event_end, np.zeros(1)) if len(x))
    end = last if until is None else max(until - begin, last)
    took = np.array([s.step_time_s for s in done])
    start = np.maximum(step_end - took, np.concatenate([[0.0], step_end[:-1]]))
    timed = list(zip(event_end.tolist(), events, strict=True))
    between = gaps.fill(start, step_end, timed, end, lost_known=bool(lost))
    inside = _inside(done, kept, between.generation, step_end - start)
    edges, category = _joined(start, inside, between, end)
    return History(
        begin=begin,
        edges_s=edges,
        category=category,
        interruptions=between.interruptions,
        first_step_s=float(start[0]) if len(start) else end,
    )


def _in_time(
    steps: Sequence[StepRecord], lost: Sequence[StepRecord]
) -> tuple[list[StepRecord], Floats, NDArray[np.bool_]]:
    """Return all steps that were made in the order of time, their ends, and which of them count."""
    # Lost steps come in the order they were lost in, which may be another than that of time.
    gone = np.array([seconds_of(s.time) for s in lost])
    ends = np.concatenate([gone, _steady([seconds_of(s.time) for s in steps])])
    order = np.argsort(ends, kind="stable")
    together = [*lost, *steps]
    return [together[i] for i in order], ends[order], order >= len(lost)


def _steady(times: list[float]) -> Floats:
    """Return times that never go back."""
    return np.maximum.accumulate(np.array(times, dtype=np.float64)) if times else np.zeros(0)


def _begin(
    done: list[StepRecord], step_end: Floats, events: Sequence[Event], event_end: Floats
) -> float:
    """Return the first moment known of the run, seconds since 1970."""
    known = [float(t) - (e.duration_s or 0.0) for t, e in zip(event_end, events, strict=True)]
    known += [float(step_end[0]) - done[0].step_time_s] if done else []
    return min(known, default=0.0)


def _inside(
    done: list[StepRecord], kept: NDArray[np.bool_], generation: NDArray[np.int64], width: Floats
) -> tuple[Floats, NDArray[np.int8]]:
    """Return the seconds of every step's pieces [step, piece], and the category of each.

    A step that a clock cut short is cut short in all its pieces alike.
    """
    took = np.array([s.step_time_s for s in done])
    spans = np.array([[s.spans_s.get(name, 0.0) for name in SPAN_CATEGORY] for s in done]).reshape(
        -1, len(SPAN_CATEGORY)
    )
    spans *= np.minimum(1.0, took / np.maximum(spans.sum(axis=1), 1e-300))[:, None]
    scale = np.divide(width, took, out=np.zeros_like(width), where=took > 0)[:, None]
    spans = spans * scale
    work = np.maximum(width - spans.sum(axis=1), 0.0)
    startup = _startup(work, kept, generation)
    pieces = np.column_stack([startup, spans[:, 0], work - startup, spans[:, 1:]])
    kinds = (Category.PROGRAM_STARTUP, Category.DATA_LOADING, Category.PRODUCTIVE,
             Category.CHECKPOINT_SAVE, Category.EVALUATION)  # fmt: skip
    category = np.tile(np.array(kinds, dtype=np.int8), (len(done), 1))
    category[~kept] = Category.WASTED_PROGRESS
    return pieces, category


def _startup(work: Floats, kept: NDArray[np.bool_], generation: NDArray[np.int64]) -> Floats:
    """Return what the first step after each start took above the mean of those that follow it.

    Source: ml-goodput-measurement 0.2.3, definition of PROGRAM_STARTUP.
    """
    extra = np.zeros_like(work)
    if not len(work):
        return extra
    firsts = np.flatnonzero(np.diff(generation, prepend=generation[0] - 1))
    counts = np.add.reduceat(kept.astype(float), firsts)
    sums = np.add.reduceat(np.where(kept, work, 0.0), firsts)
    rest = np.divide(
        sums - work[firsts], counts - 1, out=np.full(len(firsts), np.inf), where=counts > 1
    )
    extra[firsts] = np.where(kept[firsts], np.maximum(work[firsts] - rest, 0.0), 0.0)
    return extra


def _joined(
    start: Floats,
    inside: tuple[Floats, NDArray[np.int8]],
    between: gaps.Filled,
    end: float,
) -> tuple[Floats, NDArray[np.int8]]:
    """Return edges and categories of the whole run: gap, step, gap, step, gap."""
    pieces, kinds = inside
    piece_start = start[:, None] + np.concatenate(
        [np.zeros((len(start), 1)), np.cumsum(pieces, axis=1)[:, :-1]], axis=1
    )
    begins = np.concatenate([between.start_s, piece_start.ravel()])
    category = np.concatenate([between.category, kinds.ravel()])
    steps = np.repeat(np.arange(len(start)), kinds.shape[1])
    order = np.argsort(np.concatenate([2 * between.gap, 2 * steps + 1]), kind="stable")
    edges = np.append(begins[order], end)
    return np.maximum.accumulate(edges), category[order]
