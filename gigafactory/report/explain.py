"""The answer of `giga explain` for people: where each millisecond and each byte of a step goes."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Final

from gigafactory.plan.explain import bound_sentence
from gigafactory.report import operators, step
from gigafactory.report.sheet import Sheet, print_sheets, print_text
from gigafactory.report.words import count, layout_words, share
from gigafactory.units import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from gigafactory.report.explained import Explained, Sibling
    from gigafactory.spec.prediction import Prediction

SHOWN_SIBLINGS: Final = 8


def print_explanation(told: Explained, console: Console) -> None:
    """Print every cause of time with what would shorten it, and the memory of every stage.

    A published run stands beside its prediction.
    """
    print_text(told.title, console, style="bold green")
    print_text(rates_sentence(told.prediction), console, style="bold")
    print_sheets(explanation_sheets(told), console)
    console.print()
    print_text(as_sentence(bound_sentence(told.prediction)), console)


def as_sentence(words: str) -> str:
    """Return words with a capital and a full stop.

    >>> as_sentence("it fits")
    'It fits.'
    """
    return f"{words[0].upper()}{words[1:]}."


def rates_sentence(prediction: Prediction) -> str:
    """Return speed and fit of a step, in one sentence."""
    need, have = max(prediction.memory_per_stage_bytes), prediction.memory_capacity_bytes
    fits = "fits" if prediction.fits else "DOES NOT FIT"
    return (
        f"{show(prediction.step_time_s.expected, 's')} per step, MFU {share(prediction.mfu)}, "
        f"{count(prediction.tokens_per_s)} tokens/s, "
        f"{show(prediction.model_flops_per_s_per_gpu, 'FLOP/s')} per GPU; "
        f"{fits}: {show(need, 'B')} of {show(have, 'B')}"
    )


def explanation_sheets(told: Explained) -> list[Sheet]:
    """Return layout, time by cause, operator and resource, memory, and the assumptions."""
    prediction = told.prediction
    return [
        *published_sheets(told),
        step.layout_sheet(told.case.layout),
        step.advice_sheet(prediction),
        *operator_sheets(told),
        step.memory_sheet(prediction),
        step.stages_sheet(prediction),
        step.assumptions_sheet(prediction.assumptions),
    ]


def operator_sheets(told: Explained, *, whole: bool = False) -> list[Sheet]:
    """Return the time by operator and by resource; `whole` shows the smallest rows as well."""
    return [
        operators.operators_sheet(told.operators, whole=whole),
        operators.resources_sheet(told.operators),
    ]


def published_sheets(told: Explained, *, whole: bool = False) -> list[Sheet]:
    """Return the measured step, what was assumed and the siblings; nothing for a plan."""
    if told.measured_s is None:
        return []
    return [
        measured_sheet(told, told.measured_s),
        assumed_sheet(told),
        siblings_sheet(told.siblings, whole=whole),
    ]


def measured_sheet(told: Explained, measured_s: float) -> Sheet:
    """Return the measured step beside the predicted one."""
    step_time_s = told.prediction.step_time_s
    error = step_time_s.expected / measured_s - 1
    side = "above" if error > 0 else "below"
    inside = "inside" if told.inside else "outside"
    caveat = f" Caution: {told.caveat}." if told.caveat else ""
    return Sheet(
        title="Published and predicted",
        align="lrl",
        rows=(
            ("measured", show(measured_s, "s", 4), told.reference),
            (
                "predicted",
                show(step_time_s.expected, "s", 4),
                step.between(told.prediction).strip(),
            ),
        ),
        note=f"The prediction is {abs(error):.1%} {side} the measured step, which lies {inside} "
        f"its interval.{caveat}",
    )


def assumed_sheet(told: Explained) -> Sheet:
    """Return what the run's source leaves open; no rows where it leaves nothing open."""
    sheet = step.assumptions_sheet(told.assumed)
    return replace(sheet, title="Not published, so assumed")


def siblings_sheet(siblings: Sequence[Sibling], *, whole: bool = False) -> Sheet:
    """Return other runs of the same model and source, with how far off their predictions are.

    Args:
        siblings: Those of as many GPUs first.
        whole: Show all; else the first few.
    """
    shown = siblings if whole else siblings[:SHOWN_SIBLINGS]
    errors = [one.error for one in siblings if one.error is not None]
    note = ""
    if errors:
        note = (
            f"Of {len(siblings)} siblings: median error {median(map(abs, errors)):.1%}, "
            f"mean {fmean(errors):+.1%}."
        )
    return Sheet(
        title="The same model from the same source",
        align="llrrr",
        head=("run", "layout", "measured", "predicted", "error"),
        rows=tuple(_sibling(one) for one in shown),
        note=note,
    )


def _sibling(one: Sibling) -> tuple[str, ...]:
    layout = f"{one.layout.num_gpus:,} GPUs: {layout_words(one.layout)}" if one.layout else ""
    return (
        one.id,
        layout,
        show(one.measured_s, "s"),
        "refused" if one.predicted_s is None else show(one.predicted_s, "s"),
        "" if one.error is None else f"{one.error:+.1%}",
    )
