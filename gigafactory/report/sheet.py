"""A sheet: one small table as data, which the terminal and the page each draw in their way."""

from __future__ import annotations

import io
import os
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH: Final = 100  # columns of a report, however wide the terminal is
LEAST_WIDTH: Final = 20  # narrower terminals break the lines themselves
BAR_WIDTH: Final = 24
EIGHTHS: Final = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A titled table of text.

    Attributes:
        head: Column titles; empty where the table needs none.
        align: One letter per column: "l" left, "r" right.
        note: A sentence below.
        bars: Fraction of the longest bar for each row; empty without a bar column.
    """

    title: str
    align: str
    rows: tuple[tuple[str, ...], ...]
    head: tuple[str, ...] = ()
    note: str = ""
    bars: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} | ({len(self.head)} if self.head else set())
        assert widths <= {len(self.align)}, f"{self.title}: rows of {widths} cells"
        assert not self.bars or len(self.bars) == len(self.rows), f"{self.title}: bars"


def console() -> Console:
    """Return standard output for a report: the terminal's width, or the report's into a file.

    A character that the terminal cannot show becomes a question mark, not an error.
    """
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if known else WIDTH, highlight=False)


def print_sheets(sheets: list[Sheet], console: Console) -> None:
    """Print sheets one under the other, an empty line before each; those without rows are left out.

    Args:
        sheets: What to print.
        console: Where to.
    """
    from rich.padding import Padding
    from rich.text import Text

    for sheet in sheets:
        if not sheet.rows:
            continue
        console.print()
        console.print(Text(sheet.title, style="bold"))
        console.print(Padding.indent(rich_table(sheet), 1), width=min(WIDTH, console.width))
        if sheet.note:
            print_text(sheet.note, console, style="dim", indent=1)


def print_text(text: str, console: Console, style: str = "", indent: int = 0) -> None:
    """Print a sentence as it stands, wrapped at the report's width."""
    from rich.text import Text

    space = " " * indent
    filled = textwrap.fill(
        text,
        max(min(WIDTH, console.width), LEAST_WIDTH),
        initial_indent=space,
        subsequent_indent=space,
        break_on_hyphens=False,
    )
    console.print(Text(filled, style=style), soft_wrap=True)


def rich_table(sheet: Sheet) -> Table:
    """Return a sheet for the terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if sheet.head else None,
        show_header=bool(sheet.head),
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if sheet.head else 2, 0, 0),
        header_style="dim",
    )
    heads = sheet.head or ("",) * len(sheet.align)
    for head, side in zip(heads, sheet.align, strict=True):
        table.add_column(Text(head), justify="right" if side == "r" else "left")
    if sheet.bars:
        table.add_column("", no_wrap=True)
    for index, row in enumerate(sheet.rows):
        cells = [Text(cell) for cell in row]
        if sheet.bars:
            cells.append(Text(bar(sheet.bars[index]), style="cyan"))
        table.add_row(*cells)
    return table


def bar(fraction: float) -> str:
    """Return a bar of eighths of a character.

    >>> bar(0.0), bar(2.5 / BAR_WIDTH)
    ('', '██▌')
    """
    eighths = round(fraction * BAR_WIDTH * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
