"""The page of `giga simulate --html`: one file with its tables and plots."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gigafactory.report import simulate, simulate_plots
from gigafactory.report.html import document, figure, table
from gigafactory.report.words import duration, share
from gigafactory.units import show

if TYPE_CHECKING:
    from gigafactory.simulate.power import GridTrace
    from gigafactory.simulate.smoothing import Smoothed
    from gigafactory.simulate.teller import Told
    from gigafactory.spec.outcome import Outcome


def page(
    found: Outcome,
    told: Told | None = None,
    trace: GridTrace | None = None,
    smoothed: Smoothed | None = None,
) -> str:
    """Return the page's text.

    Args:
        found: The answer.
        told: One seed, for its power.
        trace: That power.
        smoothed: What the grid sees of it.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    shown = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
        for value, what in key_figures(found)
    )
    body = [
        f'<div class="figures">{shown}</div>',
        figure(simulate_plots.waterfall_svg(found), "Share of time lost to each cause"),
        table(simulate.run_sheet(found)),
        table(simulate.losses_sheet(found)),
        figure(simulate_plots.finish_svg(found), "Distribution of the end over all seeds"),
        *_swings(found),
        table(simulate.causes_sheet(found)),
        table(simulate.rates_sheet(found)),
        table(simulate.saving_sheet(found)),
        *_power(told, trace),
        table(simulate.power_sheet(found, smoothed)),
        table(simulate.assumptions_sheet(found)),
    ]
    return document(*simulate.headline(found), body)


def key_figures(found: Outcome) -> list[tuple[str, str]]:
    """Return the numbers a reader looks for first, each with its name."""
    figures = [
        (str(found.finish[1]), f"end, P50 (P10 {found.finish[0]}, P90 {found.finish[2]})"),
        (share(found.goodput.mean), "goodput"),
        (duration(found.mtbf_s), "between unexpected stops"),
        (f"{found.spares.enough_p99:,}", "spare servers are enough for 99 of 100 runs"),
        (duration(found.checkpoint.interval_s), "between checkpoints"),
    ]
    if found.power:
        figures.append((show(found.power.mean_w, "W"), "mean at the meter"))
    return figures


def _swings(found: Outcome) -> list[str]:
    if not found.swings:
        return []
    svg = simulate_plots.tornado_svg(found)
    return [figure(svg, "How far each assumption moves the end"), table(
        simulate.swings_sheet(found)
    )]  # fmt: skip


def _power(told: Told | None, trace: GridTrace | None) -> list[str]:
    if told is None or trace is None:
        return []
    return [figure(simulate_plots.power_svg(told, trace), "Megawatts of one seed over time")]
