"""The answer of `giga explain` for people: where each millisecond and each byte of a step goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.plan.explain import bound_sentence
from gigafactory.report import step
from gigafactory.report.sheet import Sheet, print_sheets, print_text
from gigafactory.report.words import count, share
from gigafactory.units import show

if TYPE_CHECKING:
    from rich.console import Console

    from gigafactory.report.explained import Explained
    from gigafactory.spec.prediction import Prediction


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
    """Return layout, time by cause, memory by kind and by stage, and the assumptions."""
    prediction = told.prediction
    measured = [] if told.measured_s is None else [measured_sheet(told, told.measured_s)]
    return [
        *measured,
        step.layout_sheet(told.case.layout),
        step.advice_sheet(prediction),
        step.memory_sheet(prediction),
        step.stages_sheet(prediction),
        step.assumptions_sheet(prediction.assumptions),
    ]


def measured_sheet(told: Explained, measured_s: float) -> Sheet:
    """Return the measured step beside the predicted one."""
    step_time_s = told.prediction.step_time_s
    error = step_time_s.expected / measured_s - 1
    side = "above" if error > 0 else "below"
    inside = "inside" if step_time_s.low <= measured_s <= step_time_s.high else "outside"
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
        f"its interval.",
    )
