"""The answer of `giga plan` for people: what to run, when it is done, what it takes, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.plan.explain import bound_sentence
from gigafactory.report import run, runners_up, step
from gigafactory.report.explain import as_sentence
from gigafactory.report.explain import print_explanation as print_explanation
from gigafactory.report.growth import growth_sheet
from gigafactory.report.sheet import Sheet, print_sheets, print_text
from gigafactory.report.sheet import console as console

if TYPE_CHECKING:
    from rich.console import Console

    from gigafactory.plan.answer import Answer


def print_answer(answer: Answer, console: Console, wall_s: float) -> None:
    """Print an answer: the headline, then a sheet for each question a reader has.

    Args:
        answer: What the search found.
        console: Where to print.
        wall_s: Seconds the search took.
    """
    first, second = run.headline(answer.promise)
    print_text(first, console, style="bold green")
    print_text(second, console, style="bold")
    for note in answer.notes:
        print_text(f"Note: {note}.", console, style="yellow")
    print_sheets(promise_sheets(answer), console)
    console.print()
    print_text(why_sentence(answer), console)
    print_text(runners_up.search_sentence(answer, wall_s), console)
    print_sheets(why_sheets(answer), console)


def why_sentence(answer: Answer) -> str:
    """Return what bounds the best plan, as a sentence."""
    return as_sentence(bound_sentence(answer.promise.prediction))


def promise_sheets(answer: Answer) -> list[Sheet]:
    """Return what the best plan is and promises."""
    promise = answer.promise
    return [
        step.layout_sheet(promise.plan.layout),
        step.breakdown_sheet(promise.prediction),
        step.memory_sheet(promise.prediction),
        run.run_sheet(promise),
        *([growth_sheet(answer.growth)] if answer.growth else []),
        run.checkpoint_sheet(promise),
        run.power_sheet(promise.power),
        run.cost_sheet(promise.cost),
    ]


def why_sheets(answer: Answer) -> list[Sheet]:
    """Return what lost to the best plan, and what all of it rests on."""
    return [
        runners_up.alternatives_sheet(answer),
        runners_up.front_sheet(answer),
        step.assumptions_sheet(answer.promise.prediction.assumptions),
    ]
