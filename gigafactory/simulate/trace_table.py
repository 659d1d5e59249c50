"""The table of a trace: read from parquet or CSV, every row checked by itself.

`traces` says what the columns mean. All faults of a file are told at once, each kind of fault with
its first row.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gigafactory.errors import CatalogError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

SECONDS: Final = ("start_ts", "duration")
PLACES: Final = ("dp_rank", "stage", "step", "seq_id", "mc", "mb_id")
NONE_IS: Final = -1  # what mc and mb_id hold where an operation has no chunk or microbatch
LEAST: Final = {"mc": NONE_IS, "mb_id": NONE_IS}
MOST: Final = 2**53  # whole numbers beyond it are not exact as floats
MOST_S: Final = 1e12  # more is another unit: today is 1.8e9 s and 1.8e18 ns after 1970
COLUMNS: Final = ("optype", *SECONDS, *PLACES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Checked rows, column by column.

    Attributes:
        name: The file.
        steps: Numbers of the steps, in turn; `step` is an index into it.
        optype: Name of the operation, one per row.
        start_s: Second it starts.
        end_s: Second it ends.
    """

    name: str
    steps: Whole
    optype: NDArray[np.str_]
    step: Whole
    stage: Whole
    replica: Whole
    place: Whole
    chunk: Whole
    microbatch: Whole
    start_s: Floats
    end_s: Floats


def read_table(path: Path, operations: Sequence[str]) -> Table:
    """Return the rows of a trace.

    Raises:
        CatalogError: No such file, not parquet or CSV, a column missing, or values at fault.
        MissingExtra: A parquet file without pyarrow.
    """
    if path.suffix == ".parquet":
        return table_of(_parquet(path), str(path), operations)
    if path.name.endswith((".csv", ".csv.gz")):
        return table_of(_csv(path), str(path), operations)
    raise CatalogError(f"{path}: a trace must be .parquet, .csv or .csv.gz, got {path.name!r}")


def table_of(columns: Mapping[str, NDArray[Any]], name: str, operations: Sequence[str]) -> Table:
    """Return checked rows.

    Args:
        columns: At least those of `COLUMNS`.
        name: What to call them in errors.
        operations: Names that `optype` may hold.

    Raises:
        CatalogError: A column missing, no row, or values at fault: all of them.
    """
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise CatalogError(f"{name}: column missing: {', '.join(missing)}", field=missing[0])
    if not len(columns["optype"]):
        raise CatalogError(f"{name}: must hold at least one operation, it has no row")
    faults = [
        *(fault for column in SECONDS for fault in _seconds_faults(column, columns[column])),
        *(fault for column in PLACES for fault in _place_faults(column, columns[column])),
        *_name_faults(columns["optype"], operations),
    ]
    if faults:
        raise CatalogError(f"{name}: {'; '.join(faults)}")
    places = {column: columns[column].astype(np.int64) for column in PLACES}
    steps, step = np.unique(places["step"], return_inverse=True)
    start_s = columns["start_ts"].astype(np.float64)
    return Table(
        name=name,
        steps=steps,
        optype=columns["optype"].astype(np.str_),
        step=step,
        stage=places["stage"],
        replica=places["dp_rank"],
        place=places["seq_id"],
        chunk=places["mc"],
        microbatch=places["mb_id"],
        start_s=start_s,
        end_s=start_s + columns["duration"].astype(np.float64),
    )


def _seconds_faults(column: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind not in "fiu":
        return [_text_fault(column, values)]
    least = 0.0 if column == "duration" else -MOST_S
    bad = ~((values >= least) & (values < MOST_S))
    return _first(column, values, bad, f"must be seconds from {least:g} to {MOST_S:g}")


def _place_faults(column: str, values: NDArray[Any]) -> list[str]:
    if values.dtype.kind not in "fiu":
        return [_text_fault(column, values)]
    least = LEAST.get(column, 0)
    whole = np.isfinite(values) & (np.floor(values) == values)
    bad = ~(whole & (values >= least) & (values < MOST))
    return _first(column, values, bad, f"must be a whole number from {least} on")


def _name_faults(values: NDArray[Any], operations: Sequence[str]) -> list[str]:
    bad = ~np.isin(values.astype(np.str_), operations)
    return _first("optype", values, bad, f"must be one of {', '.join(operations)}")


def _text_fault(column: str, values: NDArray[Any]) -> str:
    for row, value in enumerate(values, start=1):
        try:
            float(value)
        except (TypeError, ValueError):
            return f"row {row}: {column}: must be a number, got {value!r}"
    return f"{column}: must be a column of numbers, got {values.dtype}"


def _first(column: str, values: NDArray[Any], bad: NDArray[np.bool_], rule: str) -> list[str]:
    """Return the fault of the first bad row, with how many more there are."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return []
    value = values[rows[0]]
    shown = repr(str(value)) if values.dtype.kind in "OU" else f"{value:g}"
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    return [f"row {rows[0] + 1}: {column}: {rule}, got {shown}{more}"]


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(
            f"{path}: parquet needs pyarrow: pip install pyarrow, or convert the trace to CSV"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            names = [name for name in COLUMNS if name in file.schema_arrow.names]
            table = file.read(columns=names)
    except FileNotFoundError as error:
        raise CatalogError(f"{path}: cannot be read: No such file or directory") from error
    except (OSError, arrow.ArrowException) as error:
        raise CatalogError(f"{path}: must be a parquet file: {_line(error)}") from error
    text = arrow.types.is_dictionary
    columns = {name: table[name] for name in names}
    return {
        name: (x.cast(arrow.string()) if text(x.type) else x).to_numpy()
        for name, x in columns.items()
    }


def _csv(path: Path) -> dict[str, NDArray[Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as source:
            rows = [row for row in csv.reader(source, strict=True) if row]
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: must be UTF-8: {error.reason}") from error
    except (csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise CatalogError(f"{path}: must be a CSV table: {_line(error)}") from error
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from error
    head = rows[0] if rows else []
    short = next((i for i, row in enumerate(rows) if len(row) != len(head)), None)
    if short is not None:
        raise CatalogError(
            f"{path}: row {short}: must have {len(head)} cells as its head has, "
            f"got {len(rows[short])}"
        )
    cells = list(zip(*rows[1:], strict=True)) or [()] * len(head)
    return {name: _column(name, column) for name, column in zip(head, cells, strict=True)}


def _column(name: str, cells: Sequence[str]) -> NDArray[Any]:
    """Return numbers where all cells are, else the text, which the checks then refuse."""
    if name in {*SECONDS, *PLACES}:
        try:
            return np.array(cells, dtype=np.float64)
        except ValueError:
            return np.array(cells, dtype=object)
    return np.array(cells, dtype=np.str_)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
