"""The page of `giga plan --html`: one file with its tables and plots."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Final

from gigafactory.catalog.files import write_whole
from gigafactory.plan.explain import bound_sentence
from gigafactory.report import plots, run, runners_up, step
from gigafactory.report.explain import as_sentence
from gigafactory.report.sheet import Sheet
from gigafactory.report.words import count, duration, share, usd
from gigafactory.units import SECONDS_PER_DAY, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gigafactory.plan.answer import Answer, Point
    from gigafactory.spec.promise import Promise

RIGHT: Final = ' class="r"'
STYLE: Final = """
:root { color-scheme: light dark; --ink: #1f2328; --dim: #59636e; --line: #d1d9e0;
  --ground: #ffffff; --card: #f6f8fa; --mark: #3b82c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --line: #3d444d;
  --ground: #0d1117; --card: #151b23; --mark: #5aa2e0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 880px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 6px; }
h2 { font-size: 16px; margin: 36px 0 8px; }
p { margin: 6px 0; } .lead { font-size: 16.5px; } .dim { color: var(--dim); font-size: 13.5px; }
.note { border-left: 3px solid #e08a1e; padding: 2px 0 2px 12px; margin: 12px 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr));
  gap: 10px; margin: 22px 0 8px; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 14px; }
.figures b { display: block; font-size: 21px; line-height: 1.25; }
.figures span { color: var(--dim); font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; min-width: 55%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 4px 18px 4px 0; text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 500; border-bottom: 1px solid var(--line); }
tr + tr td { border-top: 1px solid color-mix(in srgb, var(--line) 45%, transparent); }
.r { text-align: right; white-space: nowrap; }
.bar { width: 220px; min-width: 90px; vertical-align: middle; padding-right: 0; }
.bar i { display: block; height: 9px; border-radius: 2px; background: var(--mark); }
figure { margin: 20px 0 0; } figure svg { width: 100%; height: auto; display: block; }
footer { margin-top: 48px; border-top: 1px solid var(--line); padding-top: 10px; }
"""


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
    first, second = run.headline(promise)
    body = "\n".join([*_top(answer), *_step(answer), *_run(promise), *_others(answer, curves)])
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(first)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(first)}</h1>\n{_paragraph(second, 'lead')}\n{body}\n"
        f"</main>\n</body>\n</html>\n"
    )


def _top(answer: Answer) -> list[str]:
    """Return notes, the figures that matter most, and what bounds the plan."""
    notes = [_paragraph(f"{note}.", "note") for note in answer.notes]
    told = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
        for value, what in key_figures(answer.promise)
    )
    bound = as_sentence(bound_sentence(answer.promise.prediction))
    return [*notes, f'<div class="figures">{told}</div>', _paragraph(bound)]


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
        _table(step.layout_sheet(answer.promise.plan.layout)),
        _table(replace(step.breakdown_sheet(prediction), bars=())),  # the plot shows them
        _figure(plots.breakdown_svg(prediction), "Exposed time of one step by cause"),
        _table(step.memory_sheet(prediction)),
        _figure(plots.memory_svg(prediction), "Memory of every pipeline stage"),
    ]


def _run(promise: Promise) -> list[str]:
    return [
        _table(run.run_sheet(promise)),
        _table(run.checkpoint_sheet(promise)),
        _table(run.power_sheet(promise.power)),
        _table(run.cost_sheet(promise.cost)),
    ]


def _others(answer: Answer, curves: Mapping[str, Sequence[Point]]) -> list[str]:
    """Return other sizes, other batches, other layouts, and the ground all of it stands on."""
    return [
        *_sizes(curves, answer.promise.plan.cluster.num_gpus),
        _table(runners_up.alternatives_sheet(answer)),
        _table(runners_up.front_sheet(answer)),
        _table(step.assumptions_sheet(answer.promise.prediction.assumptions)),
        f"<footer>{_paragraph(counts_sentence(answer), 'dim')}</footer>",
    ]


def _sizes(curves: Mapping[str, Sequence[Point]], num_gpus: int) -> list[str]:
    """Return the scaling curves as plots and a table; nothing where no size fits."""
    drawn = {label: points for label, points in curves.items() if points}
    if not drawn:
        return []
    return [
        "<h2>More or fewer GPUs, larger or smaller batches</h2>",
        _figure(plots.scaling_svg(drawn), "Tokens per second and days over GPUs offered"),
        _figure(plots.worth_svg(drawn), "Utilization and cost over GPUs offered"),
        _table(batches_sheet(drawn, num_gpus)),
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


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _figure(svg: str, label: str) -> str:
    """Return a plot with its name for readers who cannot see it."""
    named = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return f"<figure>{named}</figure>"


def _table(sheet: Sheet) -> str:
    """Return a sheet as HTML; nothing for one without rows."""
    if not sheet.rows:
        return ""
    head = _row(sheet.head, sheet.align, "th", "<th></th>" if sheet.bars else "")
    bars = [
        f'<td class="bar"><i style="width:{100 * max(0.0, bar):.1f}%"></i></td>'
        for bar in sheet.bars
    ] or [""] * len(sheet.rows)
    rows = "\n".join(
        _row(row, sheet.align, "td", bar) for row, bar in zip(sheet.rows, bars, strict=True)
    )
    note = _paragraph(sheet.note, "dim") if sheet.note else ""
    return (
        f'<h2>{escape(sheet.title)}</h2>\n<div class="wide"><table>\n'
        f"{head if sheet.head else ''}\n{rows}\n</table></div>\n{note}"
    )


def _row(cells: Sequence[str], align: str, tag: str, last: str) -> str:
    made = "".join(
        f"<{tag}{RIGHT if side == 'r' else ''}>{escape(cell)}</{tag}>"
        for cell, side in zip(cells, align, strict=False)
    )
    return f"<tr>{made}{last}</tr>"
