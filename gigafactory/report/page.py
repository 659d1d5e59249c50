"""The page of `giga plan --html`: one file with its tables and plots."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from gigafactory.catalog.files import write_whole
from gigafactory.plan.explain import bound_sentence
from gigafactory.report import plots, run, runners_up, step
from gigafactory.report.explain import as_sentence
from gigafactory.report.growth import growth_sheet
from gigafactory.report.html import document, figure, paragraph, table
from gigafactory.report.sheet import Sheet
from gigafactory.report.words import count, duration, share, usd
from gigafactory.units import SECONDS_PER_DAY, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gigafactory.plan.answer import Answer, Point
    from gigafactory.spec.promise import Promise


def write_page(answer: Answer, curves: Mapping[str, Sequence[Point]], path: Path | str) -> None:
    """Write a plan as one page that needs nothing else, whole or not at all.

    Args:
        answer: What the search found.
        curves: Scaling curves by the batch's label.
        path: Where to.

    Raises:
        MissingExtra: matplotlib is not installed.
        CatalogError: The file cannot be written.
    """
    write_whole(path, page(answer, curves))


def page(answer: Answer, curves: Mapping[str, Sequence[Point]]) -> str:
    """Return the page's text.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    promise = answer.promise
    grown = [table(growth_sheet(answer.growth))] if answer.growth else []
    body = [*_top(answer), *_step(answer), *grown, *_run(promise), *_others(answer, curves)]
    return document(*run.headline(promise), body)


def _top(answer: Answer) -> list[str]:
    """Return notes, the figures that matter most, and what bounds the plan."""
    notes = [paragraph(f"{note}.", "note") for note in answer.notes]
    told = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
        for value, what in key_figures(answer.promise)
    )
    bound = as_sentence(bound_sentence(answer.promise.prediction))
    return [*notes, f'<div class="figures">{told}</div>', paragraph(bound)]


def key_figures(promise: Promise) -> list[tuple[str, str]]:
    """Return the numbers a reader looks for first, each with its name."""
    prediction, estimate = promise.prediction, promise.run
    found = [
        (show(prediction.step_time_s.expected, "s"), "per step"),
        (share(prediction.mfu), "model FLOPs utilization"),
        (share(estimate.goodput.expected), "goodput under failures"),
        (duration(run.wall_s(promise)), f"done on {estimate.finish[1]}"),
    ]
    if promise.power:
        found.append((show(promise.power.facility_w.expected, "W"), "at the meter"))
    if promise.cost:
        found.append((usd(promise.cost.usd.expected), f"for the run, {_basis(promise)}"))
    return found


def _basis(promise: Promise) -> str:
    return "rented" if promise.cost and promise.cost.basis == "rent" else "owned"


def _step(answer: Answer) -> list[str]:
    prediction = answer.promise.prediction
    return [
        table(step.layout_sheet(answer.promise.plan.layout)),
        table(replace(step.breakdown_sheet(prediction), bars=())),  # the plot shows them
        figure(plots.breakdown_svg(prediction), "Exposed time of one step by cause"),
        table(step.memory_sheet(prediction)),
        figure(plots.memory_svg(prediction), "Memory of every pipeline stage"),
    ]


def _run(promise: Promise) -> list[str]:
    return [
        table(run.run_sheet(promise)),
        table(run.checkpoint_sheet(promise)),
        table(run.power_sheet(promise.power)),
        table(run.cost_sheet(promise.cost)),
    ]


def _others(answer: Answer, curves: Mapping[str, Sequence[Point]]) -> list[str]:
    """Return other sizes, other batches, other layouts, and the ground all of it stands on."""
    return [
        *_sizes(curves, answer.promise.plan.cluster.num_gpus),
        table(runners_up.alternatives_sheet(answer)),
        table(runners_up.front_sheet(answer)),
        table(step.assumptions_sheet(answer.promise.prediction.assumptions)),
        f"<footer>{paragraph(counts_sentence(answer), 'dim')}</footer>",
    ]


def _sizes(curves: Mapping[str, Sequence[Point]], num_gpus: int) -> list[str]:
    """Return the scaling curves as plots and a table; nothing where no size fits."""
    drawn = {label: points for label, points in curves.items() if points}
    if not drawn:
        return []
    return [
        "<h2>More or fewer GPUs, larger or smaller batches</h2>",
        figure(plots.scaling_svg(drawn), "Tokens per second and days over GPUs offered"),
        figure(plots.worth_svg(drawn), "Utilization and cost over GPUs offered"),
        table(batches_sheet(drawn, num_gpus)),
    ]


def counts_sentence(answer: Answer) -> str:
    """Return how many layouts were looked at."""
    return (
        f"Of {answer.considered:,} layouts, {answer.priced:,} were priced and {answer.fits:,} fit."
    )


def batches_sheet(curves: Mapping[str, Sequence[Point]], num_gpus: int) -> Sheet:
    """Return what each batch makes of the size on its curve nearest to `num_gpus`.

    Args:
        curves: Scaling curves by the batch's label, none of them empty.
        num_gpus: GPUs offered.
    """
    rows = []
    for label, points in curves.items():
        near = min(points, key=lambda point: abs(point.gpus_offered - num_gpus))
        rows.append((label, *_point(near)))
    return Sheet(
        title="The same tokens in other batches",
        align="lrrrrrr",
        head=("batch", "GPUs offered", "used", "tokens/s", "MFU", "days", "cost"),
        rows=tuple(rows),
    )


def _point(point: Point) -> tuple[str, ...]:
    promise = point.promise
    return (
        f"{point.gpus_offered:,}",
        f"{promise.plan.layout.num_gpus:,}",
        count(promise.prediction.tokens_per_s),
        share(promise.prediction.mfu),
        f"{run.wall_s(promise) / SECONDS_PER_DAY:,.3g}",
        usd(promise.cost.usd.expected) if promise.cost else "not published",
    )
