"""The answer of `giga simulate` for people: when it ends, what is lost to what, spares, power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.report.sheet import Sheet, print_sheets, print_text
from gigafactory.report.words import duration, share
from gigafactory.units import show

if TYPE_CHECKING:
    from rich.console import Console

    from gigafactory.simulate.smoothing import Smoothed
    from gigafactory.spec.outcome import Distribution, Outcome

MOST_CAUSES: Final = 8
LOSS_WORDS: Final = {
    "detect": "until a failure is noticed",
    "restart": "restarts after failures",
    "rework": "steps trained again",
    "checkpoint": "standing still for checkpoints",
    "degraded": "running with fewer or slower servers",
    "waiting": "waiting for a server to be repaired",
    "idle": "planned stops and growth",
}


def headline(found: Outcome) -> tuple[str, str]:
    """Return what was simulated, and the answer, in a sentence each."""
    low, middle, high = found.finish
    return (
        f"{found.num_gpus:,} GPUs under failures as of {found.profile}, {found.seeds:,} seeds",
        f"Ends on {middle} (P10 {low}, P90 {high}); goodput {share(found.goodput.mean)}; "
        f"an unexpected stop every {duration(found.mtbf_s)}",
    )


def sheets(found: Outcome, smoothed: Smoothed | None = None) -> list[Sheet]:
    """Return all tables in the order in which questions come."""
    return [
        run_sheet(found),
        losses_sheet(found),
        causes_sheet(found),
        rates_sheet(found),
        saving_sheet(found),
        power_sheet(found, smoothed),
        swings_sheet(found),
        assumptions_sheet(found),
    ]


def print_outcome(
    found: Outcome, console: Console, wall_s: float, smoothed: Smoothed | None = None
) -> None:
    """Print an answer.

    Args:
        found: The answer.
        console: Where to print.
        wall_s: Seconds it took.
        smoothed: The grid's view of one seed, where a story was told.
    """
    title, lead = headline(found)
    print_text(title, console, style="bold")
    print_text(lead, console)
    print_sheets(sheets(found, smoothed), console)
    console.print()
    print_text(f"Simulated in {duration(wall_s)}.", console, style="dim")


def _row(name: str, one: Distribution, number: str) -> tuple[str, ...]:
    values = (one.mean, one.p05, one.p50, one.p95)
    return (name, *(number.format(value) for value in values))


def run_sheet(found: Outcome) -> Sheet:
    """Return interruptions and goodput over the seeds."""
    return Sheet(
        title=f"{found.days:,.0f} days",
        align="lrrrr",
        head=("", "mean", "P5", "P50", "P95"),
        rows=(
            _row("unexpected interruptions", found.interruptions, "{:,.0f}"),
            _row("goodput", found.goodput, "{:.1%}"),
        ),
    )


def losses_sheet(found: Outcome) -> Sheet:
    """Return where the time goes that does not train, largest first."""
    lost = sorted(found.lost_fraction.items(), key=lambda pair: -pair[1])
    shown = [(kind, part) for kind, part in lost if part > 0]
    most = max((part for _, part in shown), default=1.0)
    return Sheet(
        title="What is lost to what",
        align="llr",
        rows=tuple((kind, LOSS_WORDS[kind], share(part)) for kind, part in shown),
        bars=tuple(part / most for _, part in shown),
        note="Share of the time since the first day; the rest trains.",
    )


def causes_sheet(found: Outcome) -> Sheet:
    """Return the most frequent causes of interruptions."""
    named = list(found.causes.items())
    rows = [_row(name, one, "{:,.1f}") for name, one in named[:MOST_CAUSES] if len(named) > 1]
    more = len(named) - MOST_CAUSES
    note = f"And {more} rarer causes." if more > 0 else ""
    return Sheet(
        title="Interruptions by cause",
        align="lrrrr",
        head=("", "mean", "P5", "P50", "P95"),
        rows=tuple(rows),
        note=note,
    )


def rates_sheet(found: Outcome) -> Sheet:
    """Return failures per 1,000 node-days by part of the machine."""
    parts = list(found.rates.items())
    rows = tuple((name, f"{rate:.2f}") for name, rate in parts if len(parts) > 1)
    return Sheet(title="Failures per 1,000 node-days by part", align="lr", rows=rows)


def saving_sheet(found: Outcome) -> Sheet:
    """Return checkpoints and spare servers."""
    saved, spares = found.checkpoint, found.spares
    rows = (
        ("checkpoint interval", f"{duration(saved.interval_s)} ({saved.rule})"),
        ("best under failures without memory", duration(saved.optimal_interval_s)),
        ("training stands still for each", show(saved.blocking_s, "s")),
        ("bytes", show(saved.total_bytes, "B")),
        ("spare servers", "endless" if spares.given is None else f"{spares.given:,}"),
        ("of these used at most, P50", f"{spares.used.p50:,.0f}"),
        ("the cluster leaves over", f"{spares.left_over:,}"),
        ("enough for 99 of 100 runs", f"{spares.enough_p99:,}"),
    )
    return Sheet(title="Checkpoints and spares", align="lr", rows=rows)


def power_sheet(found: Outcome, smoothed: Smoothed | None = None) -> Sheet:
    """Return what the grid sees."""
    drawn = found.power
    if drawn is None:
        return Sheet(title="Power", align="lr", rows=())
    rows = [
        ("mean at the meter", show(drawn.mean_w, "W")),
        ("99th percentile", show(drawn.p99_w, "W")),
        ("step when the job stops or starts", show(drawn.swing_w, "W")),
        ("swing within a step", f"{show(drawn.step_swing_w, 'W')} at "
                                f"{drawn.step_frequency_hz:.2g} Hz"),
    ]  # fmt: skip
    if smoothed is not None:
        rows += [
            ("fastest change of the load in a second", show(smoothed.largest_load_step_w, "W")),
            ("the same at the grid", show(smoothed.largest_grid_step_w, "W")),
            ("steps that passed the battery", f"{smoothed.steps_passed:,}"),
            ("most the battery gave or took", show(smoothed.largest_battery_w, "W")),
            ("energy of filler work", f"{smoothed.filler_mwh:,.0f} MWh"),
        ]
    return Sheet(title="Power", align="lr", rows=tuple(rows))


def swings_sheet(found: Outcome) -> Sheet:
    """Return how far each assumption moves the end, widest first."""
    rows = [
        (one.what, one.low, f"{one.low_days:,.1f}", one.high, f"{one.high_days:,.1f}")
        for one in found.swings
    ]
    return Sheet(
        title="What moves the end",
        align="lrrrr",
        head=("", "low", "days", "high", "days"),
        rows=tuple(rows),
        note="Mean end in days after the start, each assumption changed alone.",
    )


def assumptions_sheet(found: Outcome) -> Sheet:
    """Return what was taken for granted."""
    return Sheet(
        title="Taken for granted",
        align="ll",
        rows=tuple((what, source) for what, source in found.assumptions),
    )
