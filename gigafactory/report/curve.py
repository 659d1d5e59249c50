"""A curve in braille dots, two by four to a character: a loss in a few lines of a terminal."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    Points = Sequence[tuple[float, float]]

BLANK: Final = 0x2800
DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column] of a cell
MARK: Final = "◆"
AXIS: Final = 8  # columns of the scale


def curve(line: Points, marks: Points, width: int, height: int) -> list[str]:
    """Return a curve as `height` lines of `width` columns, its scale at the left.

    Points that are not finite are left out; where several fall on one column of dots their mean
    is drawn.

    Args:
        line: Steps and values.
        marks: Steps and values drawn as diamonds over it.
        width: Columns, the scale in them.
        height: Lines.
    """
    line, marks = _finite(line), _finite(marks)
    if not line or height < 1 or width <= AXIS + 1:
        return [""] * height
    columns, rows = 2 * (width - AXIS), 4 * height
    first, last = line[0][0], max(x for x, _ in (*line, *marks))
    drawn = _means(line, first, last, columns)
    values = [*drawn.values(), *(y for _, y in marks)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    cells = [[BLANK] * (width - AXIS) for _ in range(height)]
    for column, value in drawn.items():
        row = round((high - value) / span * (rows - 1))
        cells[row // 4][column // 2] |= DOTS[row % 4][column % 2]
    text = [[chr(cell) if cell != BLANK else " " for cell in cells[row]] for row in range(height)]
    for x, value in marks:
        row = round((high - value) / span * (rows - 1))
        text[row // 4][_column(x, first, last, columns) // 2] = MARK
    return [f"{label:>{AXIS - 2}} │{''.join(row)}"
            for label, row in zip(_scale(low, high, height), text, strict=True)]  # fmt: skip


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if isfinite(y)]


def _column(x: float, first: float, last: float, columns: int) -> int:
    return round((x - first) / ((last - first) or 1.0) * (columns - 1)) if x > first else 0


def _means(line: Points, first: float, last: float, columns: int) -> dict[int, float]:
    """Return the mean value of every column of dots that has any."""
    sums: dict[int, tuple[float, int]] = {}
    for x, y in line:
        column = _column(x, first, last, columns)
        total, count = sums.get(column, (0.0, 0))
        sums[column] = (total + y, count + 1)
    return {column: total / count for column, (total, count) in sums.items()}


def _scale(low: float, high: float, height: int) -> list[str]:
    """Return what stands beside each line: the highest value above, the lowest below."""
    if height == 1:
        return [f"{high:.3g}"]
    return [f"{high:.3g}", *[""] * (height - 2), f"{low:.3g}"]
