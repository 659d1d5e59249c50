"""The page of `giga build --html`: one file with its tables and plots."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gigafactory.catalog.files import write_whole
from gigafactory.report import build, build_plots
from gigafactory.report.html import document, figure, paragraph, table
from gigafactory.report.words import share, usd
from gigafactory.units import show

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.build.delivery import Delivery


def write_page(found: Delivery, path: Path | str) -> None:
    """Write the answer as one page that needs nothing else, whole or not at all.

    Raises:
        MissingExtra: matplotlib is not installed.
        CatalogError: The file cannot be written.
    """
    write_whole(path, page(found))


def page(found: Delivery) -> str:
    """Return the page's text.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    told = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
        for value, what in key_figures(found)
    )
    note = [paragraph(found.project.note, "dim")] if found.project.note else []
    body = [
        *note,
        f'<div class="figures">{told}</div>',
        figure(build_plots.odds_svg(found), "Odds of being done by each date"),
        table(build.phases_sheet(found)),
        table(build.views_sheet(found)),
        figure(build_plots.gantt_svg(found), "Tasks over time, P50 with whiskers to P80"),
        table(build.tasks_sheet(found)),
        table(build.choices_sheet(found)),
        *_swings(found),
        table(build.bill_sheet(found)),
        table(build.test_sheet(found)),
        table(build.assumptions_sheet(found)),
        table(build.sources_sheet(found)),
    ]
    return document(*build.headline(found), body)


def key_figures(found: Delivery) -> list[tuple[str, str]]:
    """Return the numbers a reader looks for first, each with its name."""
    view = found.views[0]
    figures = [
        (share(found.p_on_time), f"on time for {found.by}, by its own tasks"),
        (share(view.p_on_time), f"of sites like it, as of {view.survival.as_of}"),
        (share(view.pool_p_on_time), "reconciled"),
        (str(found.finish[1]), "P50 of the last phase"),
    ]
    if found.bill and found.bill.facility_w:
        figures.append((show(found.bill.facility_w.expected, "W"), "at the meter"))
    if found.bill and found.bill.capex_usd:
        figures.append((usd(found.bill.capex_usd.expected), "to buy and build"))
    if found.delay_usd_per_day:
        figures.append((usd(found.delay_usd_per_day.expected), "a day of delay"))
    return figures


def _swings(found: Delivery) -> list[str]:
    if not found.swings:
        return []
    return [figure(build_plots.tornado_svg(found), "How far each task and risk moves the end")]
