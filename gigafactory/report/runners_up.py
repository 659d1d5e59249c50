"""What lost to the best plan and why: the search, the alternatives, the Pareto front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.report.sheet import Sheet
from gigafactory.report.words import layout_words
from gigafactory.units import show

if TYPE_CHECKING:
    from gigafactory.plan.answer import Alternative, Answer

GB: Final = 1e9


def search_sentence(answer: Answer, wall_s: float) -> str:
    """Return how many layouts were looked at, in one sentence."""
    priced = f"{answer.priced:,} were priced and {answer.fits:,} fit"
    if answer.priced == answer.fits:
        priced = f"{answer.fits:,} fit and were priced"
    return (
        f"Of {answer.considered:,} layouts, {priced}; the others cannot run, cannot win or do "
        f"not fit (wall {show(wall_s, 's')})."
    )


def alternatives_sheet(answer: Answer) -> Sheet:
    """Return the runners-up, each with what costs it more than the best."""
    best = answer.promise.prediction.step_time_s.expected
    return Sheet(
        title="Why not another layout",
        align="lrrl",
        head=("layout", "slower", "GB", "why"),
        rows=tuple(
            (layout_words(one.layout), _slower(one, best), _gb(one), one.why)
            for one in answer.alternatives
        ),
    )


def front_sheet(answer: Answer) -> Sheet:
    """Return the layouts that no other beats in time, memory and GPUs at once."""
    return Sheet(
        title="Pareto front of step time, memory and GPUs",
        align="rrrl",
        head=("GPUs", "step", "GB", "layout"),
        rows=tuple(
            (
                f"{one.layout.num_gpus:,}",
                show(one.step_time_s, "s"),
                _gb(one),
                layout_words(one.layout),
            )
            for one in answer.front
        ),
    )


def _slower(one: Alternative, best_s: float) -> str:
    return f"{one.step_time_s / best_s - 1:+.1%}"


def _gb(one: Alternative) -> str:
    return f"{one.memory_bytes / GB:,.1f}"
