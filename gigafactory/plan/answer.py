"""The answer to a planning question: the best layout and its promise, and what lost to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.errors import DoesNotFit
from gigafactory.plan.cases import Case
from gigafactory.plan.explain import what_would_fit, why_slower
from gigafactory.plan.growth import GrownRun
from gigafactory.plan.limits import Limits, Outlook, outlook, rank_within
from gigafactory.plan.machine import precisions
from gigafactory.plan.predict import predict, predict_all
from gigafactory.plan.promise import Surroundings, promise, wall_s
from gigafactory.plan.search import Found, Index, pareto, search
from gigafactory.spec.base import Spec
from gigafactory.spec.layout import Layout
from gigafactory.spec.promise import Promise
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.plan.space import Question
    from gigafactory.spec.job import Job

NUM_ALTERNATIVES: Final = 5
CLOSEST: Final = 10_000  # rows behind the best among which the runners-up are looked for
NUM_FRONT: Final = 12
WORTH_A_NOTE: Final = 0.98  # of the time to the end; a smaller gain is not worth a line
NO_LIMITS: Final = Limits()


class NothingFits(DoesNotFit):
    """No layout fits; carries the one that needs least memory and what would make it fit."""

    def __init__(self, layout: Layout, memory_bytes: float, would_fit_if: list[str]) -> None:
        needs = f"{memory_bytes / 1e9:.1f} GB"
        super().__init__(
            f"no layout fits: the leanest needs {needs} per GPU; it would fit with "
            f"{' or '.join(would_fit_if)}"
        )
        self.layout, self.memory_bytes, self.would_fit_if = layout, memory_bytes, would_fit_if


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative(Spec):
    """A layout that was not chosen, and why.

    Attributes:
        why: What costs it more than the best, largest first.
    """

    layout: Layout
    step_time_s: float
    memory_bytes: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Spec):
    """The best plan, what it promises, and what the search looked at.

    Attributes:
        front: Layouts that no other beats in time, memory and GPUs at once.
        notes: What the reader should know: idle GPUs, bounds in force.
        growth: The run over the phases of a site that is still being built; None elsewhere.
    """

    promise: Promise
    alternatives: tuple[Alternative, ...]
    front: tuple[Alternative, ...]
    considered: int
    priced: int
    fits: int
    notes: tuple[str, ...] = ()
    growth: GrownRun | None = None


class Point(NamedTuple):
    """One size of a scaling curve."""

    gpus_offered: int
    promise: Promise


def answer(
    question: Question,
    job: Job,
    around: Surroundings,
    limits: Limits = NO_LIMITS,
    progress: Callable[[int], None] = lambda _: None,
) -> Answer:
    """Return the best layout of a question with its promise, and why the others lost.

    Args:
        question: Model, machine, batch, GPUs offered.
        job: Tokens and dates.
        around: Failures, site, prices.
        limits: What the run must keep to, and whether the size is what was asked for.
        progress: Told the number of layouts priced so far.

    Raises:
        NothingFits: No layout fits the memory.
        DoesNotFit: No layout keeps the limits.
    """
    found = search(question, progress)
    if not len(found.rows):
        raise _nothing_fits(found)
    ahead = outlook(found, job, around, limits)
    rows = rank_within(found, job, ahead, limits)
    best = found.layout(found.rows[rows[0]])
    machine = question.machine
    if limits.sized is not None:
        machine = replace(machine, cluster=limits.sized(best.num_gpus))
    prediction = predict(_case(question, best), machine)
    return Answer(
        promise=promise(question.model, job, best, prediction, machine=machine, around=around),
        alternatives=_alternatives(found, _distinct(found, rows), best),
        front=_alternatives(found, pareto(found)[:NUM_FRONT], best),
        considered=found.considered,
        priced=found.priced,
        fits=len(found.rows),
        notes=() if limits.sized else _notes(found, best, ahead, int(rows[0])),
    )


def answer_any_precision(
    question: Question,
    job: Job,
    around: Surroundings,
    limits: Limits = NO_LIMITS,
    progress: Callable[[int], None] = lambda _: None,
) -> Answer:
    """Return the answer at the precision whose run ends first, and what the others would take.

    That training converges alike at every precision is not part of the plan. fp16 is left out: it
    runs at the rate of bf16.

    Raises:
        NothingFits: No layout fits at any precision.
        DoesNotFit: No layout keeps the limits at any precision.
    """
    found: dict[str, Answer] = {}
    missed: list[DoesNotFit] = []
    for precision in (p for p in precisions(question.machine) if p != "fp16"):
        asked, wanted = replace(question, precision=precision), replace(job, precision=precision)
        try:
            found[precision] = answer(asked, wanted, around, limits, progress)
        except DoesNotFit as error:
            missed.append(error)
    if not found:
        raise missed[0]
    best = min(found, key=lambda p: wall_s(found[p].promise.run).expected)
    others = ", ".join(
        f"{p} {wall_s(a.promise.run).expected / SECONDS_PER_DAY:.1f} days"
        for p, a in found.items()
        if p != best
    )
    note = f"{best} ends first" + (f" ({others})" if others else ", nothing else runs or fits")
    return replace(found[best], notes=(*found[best].notes, note))


def _case(question: Question, layout: Layout) -> Case:
    return Case(question.model, layout, question.capacity_factor)


def _nothing_fits(found: Found) -> NothingFits:
    row, memory = found.closest
    layout = found.layout(row)
    predicted = predict(_case(found.question, layout), found.question.machine)
    return NothingFits(layout, memory, what_would_fit(found.question, layout, predicted))


def _distinct(found: Found, rows: Index) -> Index:
    """Return the runners-up, each of another tensor, pipeline, context or expert degree."""
    rows = rows[:CLOSEST]
    splits = found.space.splits[found.rows[rows, 0], :4]
    depth = found.space.stages[found.rows[rows, 1], :1]
    _, first = np.unique(np.concatenate([splits, depth], axis=1), axis=0, return_index=True)
    return rows[np.sort(first)[1 : NUM_ALTERNATIVES + 1]]


def _alternatives(found: Found, rows: Index, best: Layout) -> tuple[Alternative, ...]:
    layouts = [best, *(found.layout(found.rows[row]) for row in rows)]
    question = found.question
    chosen, *others = predict_all([_case(question, x) for x in layouts], question.machine)
    return tuple(
        Alternative(
            layout=layout,
            step_time_s=other.step_time_s.expected,
            memory_bytes=max(other.memory_per_stage_bytes),
            why=why_slower(chosen, other),
        )
        for layout, other in zip(layouts[1:], others, strict=True)
    )


def _notes(found: Found, best: Layout, ahead: Outlook, chosen: int) -> tuple[str, ...]:
    """Return what is left idle and why, and which smaller layout would end earlier."""
    notes, offered = [], found.question.num_gpus
    if best.num_gpus < offered:
        quickest = int(found.num_gpus[found.order[0]])
        why = "no layout on more of them is faster"
        if quickest > best.num_gpus:
            why = f"{quickest:,} would step faster and end later, or break a limit"
        notes.append(
            f"{best.num_gpus:,} of {offered:,} GPUs are used: {why}, at "
            f"{best.global_batch_size:,} sequences per step"
        )
    first = int(ahead.wall_s.argmin())
    if ahead.wall_s[first] < WORTH_A_NOTE * ahead.wall_s[chosen]:
        days = (ahead.wall_s[chosen] - ahead.wall_s[first]) / SECONDS_PER_DAY
        notes.append(
            f"under failures {int(found.num_gpus[first]):,} GPUs would end {days:.1f} days "
            "earlier: --rank-by finish plans that"
        )
    return tuple(notes)


def scaling(
    question: Question,
    job: Job,
    around: Surroundings,
    sizes: list[int],
    progress: Callable[[int], None] = lambda _: None,
) -> list[Point]:
    """Return the best promise for each number of GPUs offered, from one search of the largest.

    Every layout of a smaller machine is also one of the largest, so a size's best is the fastest
    row that is no larger. Sizes at which nothing fits are left out.
    """
    found = search(replace(question, num_gpus=max(sizes)), progress)
    if not len(found.rows):
        return []
    ahead = outlook(found, job, around, NO_LIMITS)
    order, gpus = rank_within(found, job, ahead, NO_LIMITS), found.num_gpus
    points = []
    for size in sizes:
        rows = order[gpus[order] <= size]
        if len(rows):
            layout = found.layout(found.rows[rows[0]])
            predicted = predict(_case(question, layout), question.machine)
            machine = replace(
                question.machine, cluster=replace(question.machine.cluster, num_gpus=size)
            )
            points.append(
                Point(
                    size,
                    promise(question.model, job, layout, predicted, machine=machine, around=around),
                )
            )
    return points
