"""The pieces of a page that needs nothing from elsewhere: its frame, paragraphs, plots, tables."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.report.sheet import Sheet

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


def document(title: str, lead: str, body: Sequence[str]) -> str:
    """Return a whole page.

    Args:
        title: Its heading, and the name of the window.
        lead: The sentence below.
        body: HTML of what follows.
    """
    text = "\n".join(body)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{paragraph(lead, 'lead')}\n{text}\n"
        f"</main>\n</body>\n</html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, of a class where one is named."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(svg: str, label: str) -> str:
    """Return a plot with its name for readers who cannot see it."""
    named = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return f"<figure>{named}</figure>"


def table(sheet: Sheet) -> str:
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
    note = paragraph(sheet.note, "dim") if sheet.note else ""
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
