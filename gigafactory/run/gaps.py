"""What a run does between its steps, read from its events: starting, saving, recovering, waiting.

A gap is the time between two steps, before the first and after the last. Most are nothing; where
events stand in one, they say what went on, by these rules:

* `start` is written by a process that begins or is ready to train, `resume` by one that is ready to
  go on. `duration_s` is the time since it began, of which `values` may name `initialisation_s`,
  `preparation_s`, `data_s`, `restore_s` in that order; what they leave is preparation, as is all
  time from there to the first step.
* All time from the last step to the `restart`, `start` or `resume` that ends an outage is recovery.
* A `restart` (the launcher's) begins the start-up of new processes: initialisation.
* `evaluate` and `checkpoint_end` with `duration_s`, and the time from `checkpoint_begin` to
  `checkpoint_end`, are what they say, as far as no step ran in it.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.spec.run import Event

    Floats = NDArray[np.float64]
    Timed = tuple[float, Event]


class Category(IntEnum):
    """What a second of wall time went into, in the order of `ledger.GOOGLE`."""

    PRODUCTIVE = 0
    INITIALISATION = 1
    TRAINING_PREPARATION = 2
    PROGRAM_STARTUP = 3
    DATA_LOADING = 4
    CHECKPOINT_SAVE = 5
    CHECKPOINT_RESTORE = 6
    WASTED_PROGRESS = 7
    INFRASTRUCTURE_RECOVERY = 8
    EVALUATION = 9
    OTHER = 10


STARTS: Final = ("start", "resume")
OUTAGES: Final = ("failure", "hang")
SETUP: Final = {
    "initialisation_s": Category.INITIALISATION,
    "preparation_s": Category.TRAINING_PREPARATION,
    "data_s": Category.DATA_LOADING,
    "restore_s": Category.CHECKPOINT_RESTORE,
}
RUNNING: Final = (Category.OTHER, Category.TRAINING_PREPARATION)


class Filled(NamedTuple):
    """The gaps of a run as segments.

    Attributes:
        start_s: Where each segment begins; it ends where the next segment or step begins.
        category: What it is.
        gap: The gap it lies in, which is the number of steps before it.
        generation: Of every step, how often processes had been started before it.
        interruptions: Outages that nobody asked for.
    """

    start_s: Floats
    category: NDArray[np.int8]
    gap: NDArray[np.int64]
    generation: NDArray[np.int64]
    interruptions: int


class Gap(NamedTuple):
    """A stretch without steps; `first` is that before all steps."""

    opens: float
    closes: float
    first: bool

    def clip(self, time: float) -> float:
        """Return a time moved into the gap."""
        return max(min(time, self.closes), self.opens)


class Piece(NamedTuple):
    """A stretch of a gap from `start_s` to the next piece."""

    start_s: float
    category: Category


def fill(
    start: Floats, end: Floats, events: Sequence[Timed], last: float, *, lost_known: bool
) -> Filled:
    """Return what every gap of a run was.

    Args:
        start: Where each step begins, in order of time.
        end: Where each step ends.
        events: Times and events, in order of time.
        last: The end of the run.
        lost_known: The steps hold those that were lost; else a `resume` says their time.
    """
    opens, closes = np.concatenate([[0.0], end]), np.append(start, last)
    plain = np.ones(len(opens), dtype=bool)
    # An event at the very end of a step belongs to the gap after it, one inside to the one before.
    place = np.searchsorted(end, [time for time, _ in events], side="right")
    pieces: list[Piece] = []
    where: list[int] = []
    interruptions = 0
    for gap, group in groupby(zip(place.tolist(), events, strict=True), key=itemgetter(0)):
        here = Gap(float(opens[gap]), float(closes[gap]), gap == 0)
        told = _of_gap([timed for _, timed in group], is_last=gap == len(opens) - 1)
        phases = _phases(here, told, lost_known=lost_known)
        painted = _painted(here, phases, _covers(here, told))
        pieces += painted
        where += [gap] * len(painted)
        interruptions += _outages(phases, told)
        plain[gap] = False
    started = [time for time, event in events if event.kind in (*STARTS, "restart")]
    other = np.full(int(plain.sum()), Category.OTHER)
    return Filled(
        start_s=np.concatenate([opens[plain], [piece.start_s for piece in pieces]]),
        category=np.concatenate([other, [piece.category for piece in pieces]]).astype(np.int8),
        gap=np.concatenate([np.flatnonzero(plain), np.array(where, dtype=np.int64)]),
        generation=np.searchsorted(np.array(started), start, side="right"),
        interruptions=interruptions,
    )


def _of_gap(told: list[Timed], *, is_last: bool) -> list[Timed]:
    """Return the events of a gap, without outages after which training went on at once.

    A rank's last word may be written before the others have finished the step they are in.
    """
    if is_last or any(event.kind in (*STARTS, "restart") for _, event in told):
        return told
    return [timed for timed in told if timed[1].kind not in OUTAGES]


def _phases(here: Gap, told: Sequence[Timed], *, lost_known: bool) -> list[Piece]:
    """Return what the gap was by the events that begin and end things."""
    phases = [Piece(here.opens, Category.INITIALISATION if here.first else Category.OTHER)]
    for time, event in told:
        at = here.clip(time)
        if event.kind in OUTAGES:
            phases = _down(here, phases)
        elif event.kind == "finish":
            phases = [*phases, Piece(at, Category.INFRASTRUCTURE_RECOVERY)]
        elif event.kind == "restart":
            phases = [*_down(here, phases), Piece(at, Category.INITIALISATION)]
        elif event.kind in STARTS:
            before = _before_start(here, phases, event)
            phases = [*before, *_setup(event, at, before[-1].start_s)]
            if not lost_known:
                phases = _wasted_first(phases, event.values.get("lost_s", 0.0))
    return phases


def _before_start(here: Gap, phases: list[Piece], event: Event) -> list[Piece]:
    """Return the gap up to a process's start: an outage, unless nothing ran yet or one is told."""
    last = phases[-1].category
    if last is Category.INITIALISATION and len(phases) > 1 and event.duration_s is not None:
        return phases[:-1]  # when its process began is known; until then there was none
    if here.first or last in (Category.INITIALISATION, Category.TRAINING_PREPARATION):
        return phases
    return _down(here, phases)


def _down(here: Gap, phases: list[Piece]) -> list[Piece]:
    """Return the gap as an outage from its start, or from where the run had ended in it."""
    if any(piece.category is Category.INFRASTRUCTURE_RECOVERY for piece in phases):
        return phases
    return [Piece(here.opens, Category.INFRASTRUCTURE_RECOVERY)]


def _setup(event: Event, at: float, earliest: float) -> list[Piece]:
    """Return how a process became ready to train at `at`, and that it prepares from there on."""
    begun = max(at - (event.duration_s or 0.0), earliest)
    pieces, reached = [], begun
    for name, category in SETUP.items():
        if event.values.get(name, 0.0) > 0 and reached < at:
            pieces.append(Piece(reached, category))
            reached = min(reached + event.values[name], at)
    if reached < at:
        pieces.append(Piece(reached, Category.TRAINING_PREPARATION))
    return [*pieces, Piece(at, Category.TRAINING_PREPARATION)]


def _wasted_first(phases: list[Piece], lost_s: float) -> list[Piece]:
    """Return the phases with the first `lost_s` of the outage as progress that was lost."""
    for index, piece in enumerate(phases[:-1]):
        if piece.category is Category.INFRASTRUCTURE_RECOVERY and lost_s > 0:
            until = min(piece.start_s + lost_s, phases[index + 1].start_s)
            wasted = Piece(piece.start_s, Category.WASTED_PROGRESS)
            return [*phases[:index], wasted, Piece(until, piece.category), *phases[index + 1 :]]
    return phases


def _covers(here: Gap, told: Sequence[Timed]) -> list[tuple[float, float, Category]]:
    """Return what stood in the way of the next step: evaluations first, then checkpoints."""
    found, saving = [], None
    for time, event in told:
        begun = time - (event.duration_s or 0.0)
        if event.kind == "evaluate":
            found.append((begun, time, Category.EVALUATION))
        elif event.kind == "checkpoint_begin":
            saving = time
        elif event.kind in ("checkpoint_end", "checkpoint_failed"):
            found.append((begun if saving is None else saving, time, Category.CHECKPOINT_SAVE))
            saving = None
    if saving is not None:  # written on while steps run
        found.append((saving, here.closes, Category.CHECKPOINT_SAVE))
    clipped = [(here.clip(start), here.clip(end), category) for start, end, category in found]
    return sorted(clipped, key=lambda cover: cover[2] is not Category.EVALUATION)


def _painted(
    here: Gap, phases: list[Piece], covers: list[tuple[float, float, Category]]
) -> list[Piece]:
    """Return the phases with the covers over them, where a process was there to do it."""
    points = {piece.start_s for piece in phases} | {t for cover in covers for t in cover[:2]}
    made, index = [], 0
    for point in sorted(p for p in points if p >= here.opens):
        while index + 1 < len(phases) and phases[index + 1].start_s <= point:
            index += 1
        category = phases[index].category
        if category in RUNNING:
            over = (c for start, end, c in covers if start <= point < end)
            category = next(over, category)
        made.append(Piece(point, category))
    return made


def _outages(phases: list[Piece], told: Sequence[Timed]) -> int:
    """Return the outages of a gap that nobody asked for."""
    if all(piece.category is not Category.INFRASTRUCTURE_RECOVERY for piece in phases):
        return 0
    kinds = [event.kind for _, event in told]
    first = next((kind for kind in kinds if kind in (*OUTAGES, "signal", "finish")), "failure")
    return max(kinds.count("restart"), 1) if first in OUTAGES else 0
