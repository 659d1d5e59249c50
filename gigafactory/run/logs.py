"""Logs of other engines: Megatron-LM, torchtitan, NeMo and CSV, told apart by their lines."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.errors import SpecError
from gigafactory.run.log_formats import (
    CSV_COLUMNS,
    FORMATS,
    Point,
    argument,
    csv_point,
    reserved_bytes,
)
from gigafactory.spec.base import Spec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ECHO_S: Final = 2.0  # ranks that print one step do so within this
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
MOST_FAULTS: Final = 3  # of one kind in one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Spec):
    """What the log of a run tells.

    Attributes:
        name: Of its files.
        format: Of its lines.
        points: One per line of a step, echoes of other ranks left out.
        restarts: Times that the steps began again at an earlier one.
        memory_bytes: Peak of the fullest rank, as the allocator reserved it; None if not told.
        arguments: Of the engine, where it prints them.
    """

    name: str
    format: str
    points: tuple[Point, ...]
    restarts: int
    memory_bytes: float | None
    arguments: dict[str, str] = field(default_factory=dict, hash=False)


class _Told(NamedTuple):
    """What one file tells; peaks and arguments also from lines that tell no step."""

    points: list[Point]
    peaks: list[float]
    arguments: dict[str, str]


def read_log(paths: Sequence[Path]) -> Log:
    """Return what log files tell, in the order given; several are one run that went on.

    Raises:
        SpecError: A file cannot be read, holds no step, several formats or a time that is not
            above 0; all faults at once.
    """
    faults: list[str] = []
    told = [_file(path, faults) for path in paths]
    found = [point for one in told for point in one.points]
    formats = list(dict.fromkeys(point.format for point in found))
    if len(formats) > 1 and not faults:
        faults.append(f"log: files must be of one format, got {' and '.join(formats)}")
    if faults:
        raise SpecError("; ".join(faults), field="log")
    points, restarts = _generations(found)
    return Log(
        name=", ".join(path.name for path in paths),
        format=formats[0],
        points=tuple(points),
        restarts=restarts,
        memory_bytes=max((peak for one in told for peak in one.peaks), default=None),
        arguments={name: value for one in told for name, value in one.arguments.items()},
    )


def _file(path: Path, faults: list[str]) -> _Told:
    """Return what one file tells, and note its faults."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
        return _Told([], [], {})
    before = len(faults)
    head = text.lstrip("\ufeff").split("\n", 1)[0]
    is_table = path.suffix.lower() == ".csv" or set(CSV_COLUMNS) <= {
        name.strip() for name in head.split(",")
    }
    told = _table(path, text, faults) if is_table else _lines(text)
    if len(faults) == before:
        faults += _faults_of(path, told.points)
    return told


def _faults_of(path: Path, points: list[Point]) -> list[str]:
    """Return what is wrong with the points of one file."""
    first: dict[str, int] = {}
    for point in points:
        first.setdefault(point.format, point.line)
    if not points:
        return [f"{path}: holds no step in a format known here: {', '.join(FORMATS)}, csv"]
    if len(first) > 1:
        where = " and ".join(f"{name} (line {line})" for name, line in first.items())
        return [f"{path}: must be of one format, got {where}"]
    return [
        f"{path}: line {point.line}: step time must be above 0, got {point.rate:g}"
        for point in points
        if not 0 < point.rate < float("inf")
    ][:MOST_FAULTS]


def _lines(text: str) -> _Told:
    """Return what the lines of a log tell; a progress bar redraws its line after a return."""
    told = _Told([], [], {})
    for number, line in enumerate(text.split("\n"), start=1):
        for part in COLOUR.sub("", line).split("\r"):
            _line(part, number, told)
    return told


def _line(text: str, number: int, told: _Told) -> None:
    """Note what one line tells."""
    for parse in FORMATS.values():
        point = parse(text, number)
        if point is not None:
            told.points.append(point)
            told.peaks.extend([point.memory_bytes] if point.memory_bytes else [])
            return
    peak, given = reserved_bytes(text), argument(text)
    if peak is not None:
        told.peaks.append(peak)
    if given is not None:
        told.arguments[given[0]] = given[1]


def _table(path: Path, text: str, faults: list[str]) -> _Told:
    """Return what a CSV table tells, and note its faults."""
    reader = csv.DictReader(text.lstrip("\ufeff").splitlines(), skipinitialspace=True)
    missing = [name for name in CSV_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        faults.append(f"{path}: column missing: {', '.join(missing)}")
        return _Told([], [], {})
    points: list[Point] = []
    wrong: list[str] = []
    for row in reader:
        try:
            points.append(csv_point(row, reader.line_num))
        except (ValueError, TypeError) as error:
            wrong.append(f"{path}: line {reader.line_num}: {error}")
    faults += wrong[:MOST_FAULTS]
    return _Told(points, [p.memory_bytes for p in points if p.memory_bytes], {})


def _generations(found: list[Point]) -> tuple[list[Point], int]:
    """Return the points without echoes, each with its generation's first step, and the restarts.

    A step at or below the one before it is a restart, unless another rank printed it again.
    """
    points: list[Point] = []
    seen: dict[int, Point] = {}
    restarts = 0
    for point in found:
        if point.step in seen and _is_echo(point, seen[point.step], points[-1]):
            continue
        if points and point.step <= points[-1].step:
            restarts += 1
            seen = {}
        first = next(iter(seen), point.step)
        seen[point.step] = point
        points.append(replace(point, first_step=first))
    return points, restarts


def _is_echo(point: Point, before: Point, last: Point) -> bool:
    """Return whether a line tells a step that another rank, or a redrawn bar, told already.

    Args:
        point: The line.
        before: The one that told this step before.
        last: The one that told the last step.
    """
    if point.time is not None and before.time is not None:
        return abs(point.time - before.time) <= ECHO_S
    return before.step == last.step and (point.rate, point.loss) == (before.rate, before.loss)
