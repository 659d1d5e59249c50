"""The answer of `giga compare`: as JSON, for people, and as one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gigafactory.catalog.files import write_whole
from gigafactory.report import html, plots
from gigafactory.report.as_json import SCHEMA, plain
from gigafactory.report.sheet import Sheet, print_sheets, print_text
from gigafactory.report.watch import LOST
from gigafactory.report.words import count, duration, layout_words, off_by, share
from gigafactory.units import show

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from gigafactory.compare.comparison import Comparison
    from gigafactory.compare.gap import Gap
    from gigafactory.spec.interval import Interval

MEANING = {
    "compute": "matrix products, attention, norms, optimizer",
    "communication": "collectives and the pipeline's waits that nothing hid",
    "data": "waiting for the next batch",
    "checkpoint": "standing still while the state is saved",
    "restart": "starts, outages and work done twice",
    "jitter": "slow steps above the median",
    "other": "evaluation and what no span tells",
}


def comparison_json(told: Comparison) -> dict[str, Any]:
    """Return what `giga compare --json` prints; each `explained_by` sums to its gap."""
    found = {
        "schema": SCHEMA,
        "run": told.name,
        "engine": told.engine,
        "predicted": _predicted(told),
        "measured": _measured(told),
        "relative_error": told.relative_error,
        "inside": told.inside,
        "explained_by": _shares(told.step),
        "wall": told.wall
        and {
            "predicted_s_per_step": told.wall.predicted_s,
            "measured_s_per_step": told.wall.measured_s,
            "explained_by": _shares(told.wall),
        },
    }
    made: dict[str, Any] = plain(found)
    return made


def _predicted(told: Comparison) -> dict[str, Any]:
    ours, ledger = told.promised, told.measured.ledger
    wall_s = ledger.wall_s if ledger else None
    return {
        "step_time_s": ours.step_time_s.expected,
        "step_time_interval_s": ours.step_time_s.as_dict(),
        "tokens_per_s": ours.tokens_per_s.expected,
        "mfu": ours.prediction.mfu,
        "memory_bytes": ours.memory_bytes.expected,
        "goodput": ours.estimate.goodput.expected,
        "goodput_interval": None if wall_s is None else ours.goodput(wall_s).as_dict(),
        "interruptions": None if wall_s is None else wall_s / ours.estimate.mtbf_s.expected,
    }


def _measured(told: Comparison) -> dict[str, Any]:
    ours, measured = told.promised, told.measured
    return {
        "step_time_s": measured.pace.mean_s,
        "step_time_deviation_s": measured.pace.deviation_s,
        "tokens_per_s": measured.tokens_per_s,
        "mfu": ours.prediction.mfu * measured.tokens_per_s / ours.tokens_per_s.expected,
        "memory_bytes": measured.memory_bytes,
        "goodput": measured.ledger and measured.ledger.goodput,
        "comparable_goodput": measured.comparable,
        "interruptions": measured.interruptions,
        "steps": measured.steps,
        "steps_used": measured.pace.used,
        "steps_left_out": measured.left_out,
        "seconds": measured.ledger and measured.ledger.seconds,
        "spans_s": measured.spans_s,
    }


def _shares(gap: Gap) -> list[dict[str, Any]]:
    return [{"what": one.what, "share_s": one.share_s} for one in gap.shares]


def print_comparison(told: Comparison, console: Console) -> None:
    """Print predicted beside measured, and what explains the difference."""
    print_text(title(told), console, style="bold green")
    print_text(verdict(told), console, style="bold")
    print_sheets(comparison_sheets(told), console)


def title(told: Comparison) -> str:
    """Return what is compared, in a line."""
    plan = told.promised.plan
    return (
        f"{told.name} ({told.engine}): {plan.model.name} on {plan.layout.num_gpus:,} GPUs of "
        f"{plan.cluster.name}, {layout_words(plan.layout)}"
    )


def verdict(told: Comparison) -> str:
    """Return how far the plan was off, in a sentence."""
    step_s = told.promised.step_time_s
    off = off_by(1.0 + told.relative_error)
    far = f"{off[1:]} {'above' if off[0] == '+' else 'below'}" if off[0] in "+-" else f"{off} of"
    where = f"{show(step_s.low, 's')} to {show(step_s.high, 's')}"
    lies = "inside" if told.inside else "outside"
    return (
        f"The predicted step is {far} the measured one, which lies {lies} the "
        f"plan's interval ({where})."
    )


def comparison_sheets(told: Comparison) -> list[Sheet]:
    """Return the numbers side by side, both gaps, and where the wall time went."""
    sheets = [_numbers(told), gap_sheet(told.step, "The step's difference")]
    if told.wall is not None:
        sheets += [gap_sheet(told.wall, "The wall clock's, per step that counted"), _time(told)]
    return sheets


def _numbers(told: Comparison) -> Sheet:
    ours, measured = told.promised, told.measured
    mfu = ours.mfu.expected * measured.tokens_per_s / ours.tokens_per_s.expected
    rows = [
        ("step time", *_pair(ours.step_time_s, measured.pace.mean_s, "s")),
        ("tokens/s", *_counts(ours.tokens_per_s, measured.tokens_per_s)),
        ("MFU", share(ours.mfu.expected), share(mfu), _points(ours.mfu.expected, mfu)),
        ("memory", *_pair(ours.memory_bytes, measured.memory_bytes, "B")),
    ]
    if measured.ledger is not None and measured.comparable is not None:
        good = ours.goodput(measured.ledger.wall_s).expected
        rows += [
            ("goodput, by losses a plan prices", f"{good:.1%}", f"{measured.comparable:.1%}",
             _points(good, measured.comparable)),
            ("goodput, all losses", "", f"{measured.ledger.goodput:.1%}", ""),
        ]  # fmt: skip
    expected = (
        f"{measured.ledger.wall_s / ours.estimate.mtbf_s.expected:.2g}" if measured.ledger else ""
    )
    rows.append(("interruptions", expected, f"{measured.interruptions}", ""))
    left = ", ".join(f"{n} {why}" for why, n in measured.left_out.items() if n) or "none"
    note = f"Measured over {measured.pace.used:,} steps; left out: {left}."
    return Sheet(
        title="Predicted and measured", align="lrrr", head=("", "predicted", "measured", "off by"),
        rows=tuple(rows), note=note,
    )  # fmt: skip


def _pair(predicted: Interval, measured: float | None, unit: str) -> tuple[str, str, str]:
    told = "" if measured is None else show(measured, unit)
    return show(predicted.expected, unit), told, _error(predicted.expected, measured)


def _counts(predicted: Interval, measured: float) -> tuple[str, str, str]:
    return count(predicted.expected), count(measured), _error(predicted.expected, measured)


def _error(predicted: float, measured: float | None) -> str:
    return off_by(predicted / measured) if measured and predicted else ""


def _points(predicted: float, measured: float) -> str:
    return f"{100 * (predicted - measured):+z.1f} points"


def gap_sheet(gap: Gap, name: str) -> Sheet:
    """Return what explains a difference, largest first; causes of nothing left out."""
    shown = sorted((s for s in gap.shares if s.share_s), key=lambda s: -abs(s.share_s))
    largest = max((abs(s.share_s) for s in shown), default=1.0)
    return Sheet(
        title=f"{name}: {_signed(gap.seconds)}, from {show(gap.predicted_s, 's')} to "
        f"{show(gap.measured_s, 's')}",
        align="lrl",
        rows=tuple((s.what, _signed(s.share_s), MEANING[s.what]) for s in shown),
        bars=tuple(abs(s.share_s) / largest for s in shown),
    )


def _signed(seconds: float) -> str:
    return f"{'+' if seconds > 0 else '-' if seconds < 0 else ''}{show(abs(seconds), 's')}"


def _time(told: Comparison) -> Sheet:
    ledger = told.measured.ledger
    assert ledger is not None
    rows = [("trained", ledger.seconds["productive"])]
    rows += [(LOST[name], seconds) for name, seconds in ledger.lost()]
    return Sheet(
        title=f"Where {duration(ledger.wall_s)} of wall time went",
        align="lrr",
        rows=tuple((n, show(s, "s"), share(s / ledger.wall_s)) for n, s in rows),
        bars=tuple(s / ledger.wall_s for _, s in rows),
    )


def write_comparison(told: Comparison, path: Path | str) -> None:
    """Write a comparison as one page that needs nothing else, whole or not at all.

    Raises:
        MissingExtra: matplotlib is not installed.
        CatalogError: The file cannot be written.
    """
    numbers, *rest = comparison_sheets(told)
    gaps = {"of the step": told.step} | ({"of the wall clock": told.wall} if told.wall else {})
    body = [
        html.table(numbers),
        html.figure(plots.gap_svg(gaps), "What explains the difference"),
        *(html.table(sheet) for sheet in rest),
    ]
    write_whole(path, html.document(title(told), verdict(told), body))
