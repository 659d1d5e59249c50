"""A table of runs in, a table of predictions out: row by row, in order, never all in memory."""

from __future__ import annotations

import csv
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

from gigafactory.catalog import files, machines
from gigafactory.errors import CatalogError, SpecError
from gigafactory.plan.rows import REQUIRED, Row, parse_row
from gigafactory.plan.table import Answer, RowPrediction, predict_rows

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path


CHUNK_ROWS: Final = 20_000
COLUMNS: Final = (
    "id", "step_time_s", "step_time_low_s", "step_time_high_s", "mfu", "tokens_per_s_per_gpu",
    "model_tflops_per_gpu", "memory_bytes", "fits", "error",
)  # fmt: skip


class Told(NamedTuple):
    """What was written."""

    rows: int
    errors: int


def predict_table(source: Path, out: Path, progress: Callable[[int], None]) -> Told:
    """Write one prediction per row of a table, whole or not at all.

    A row at fault has its `error`; columns are those of `COLUMNS`.

    Raises:
        CatalogError: The table cannot be read, or misses columns; the output cannot be written.
    """
    rows = errors = 0
    with files.writing_whole(out) as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(COLUMNS)
        for chunk in read_rows(source):
            for row, answer in zip(chunk, predictions(chunk), strict=True):
                writer.writerow(_cells(row, answer))
                errors += not isinstance(answer, RowPrediction)
            rows += len(chunk)
            progress(rows)
    return Told(rows, errors)


def predictions(rows: list[dict[str, str]]) -> list[Answer]:
    """Return the prediction of every row, or what is wrong with it."""
    return predict_rows([_parsed(row) for row in rows], lambda key: machines.machine_of_row(*key))


def _parsed(row: dict[str, str]) -> Row | SpecError:
    try:
        return parse_row(row, machines.known_model)
    except SpecError as error:
        return error


def _cells(row: dict[str, str], answer: Answer) -> list[object]:
    if not isinstance(answer, RowPrediction):
        return [row.get("id", ""), *[""] * (len(COLUMNS) - 2), " ".join(str(answer).split())]
    *numbers, fits = answer
    return [row.get("id", ""), *(f"{x:.8g}" for x in numbers), str(fits).lower(), ""]


def read_rows(path: Path) -> Iterator[list[dict[str, str]]]:
    """Yield the rows of a table in chunks.

    Raises:
        CatalogError: No such file, not UTF-8, no table, or missing columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            yield from _chunks(path, source)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path}: must be UTF-8: {error.reason} at byte {error.start}"
        ) from error
    except csv.Error as error:
        raise CatalogError(f"{path}: must be a CSV table: {error}") from error


def _chunks(path: Path, source: TextIO | io.StringIO) -> Iterator[list[dict[str, str]]]:
    reader = csv.DictReader(source, restval="")
    missing = [name for name in ("id", *REQUIRED) if name not in (reader.fieldnames or ())]
    if missing:
        raise CatalogError(f"{path}: column missing: {', '.join(missing)}")
    while chunk := list(islice(reader, CHUNK_ROWS)):
        yield chunk
