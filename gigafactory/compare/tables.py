"""Measured kernel tables of the package aiconfigurator-core, read and checked.

The package is a development dependency: only the calibration of kernels reads it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.errors import MissingExtra, SpecError
from gigafactory.spec.kernels import Residuals

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

DIGITS: Final = 5
"""Significant digits of the numbers in the catalog."""

PACKAGE: Final = "aiconfigurator-core"
MODULE: Final = "aiconfigurator_core"
LICENSE: Final = "Apache-2.0"
DATA: Final = "systems/data"
MS: Final = 1e-3  # the tables give milliseconds

FAR_WORK: Final = 8.0
FAR_TIME: Final = 0.5
FAR_SHARE: Final = 0.01
"""A point with 8 times the work of another must not take less than half of its time; up to 1 %
of the points may (a measured table has odd kernels, a broken one has many)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Measured points of one kernel: columns of equal length and the time of each row.

    Attributes:
        table: Path of the table inside the package.
        columns: Shape of each point.
        time_s: Median time of each distinct shape.
    """

    table: str
    columns: dict[str, Array] = field(hash=False)
    time_s: Array = field(hash=False)

    def __len__(self) -> int:
        """Return the number of distinct shapes."""
        return len(self.time_s)

    def __getitem__(self, column: str) -> Array:
        """Return one column."""
        return self.columns[column]

    def where(self, mask: NDArray[np.bool_]) -> Points:
        """Return the points at which `mask` holds."""
        columns = {name: values[mask] for name, values in self.columns.items()}
        return Points(table=self.table, columns=columns, time_s=self.time_s[mask])

    def shapes(self) -> str:
        """Return the range of each column, such as "m 2048-32768, n 1024-65536"."""
        spans = ((name, values.min(), values.max()) for name, values in self.columns.items())
        return ", ".join(f"{name} {low:g}-{high:g}" for name, low, high in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Measured points of one kernel beside the fitted law."""

    points: Points
    law_s: Array
    residuals: Residuals


def installed_package() -> Path:
    """Return the folder of the installed package that holds the tables.

    Raises:
        MissingExtra: It is not installed.
    """
    spec = util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        raise MissingExtra(f"kernel tables: install {PACKAGE} (extra [calibrate])")
    return Path(spec.origin).parent


def package_version(package: Path) -> str:
    """Return the version of the package unpacked at `package`, from the metadata beside it."""
    for info in sorted(package.parent.glob(f"{MODULE}-*.dist-info")):
        return metadata.Distribution.at(info).version
    raise SpecError(f"kernel tables: {package.name} has no {MODULE}-*.dist-info beside it")


def digest(package: Path, table: str) -> str:
    """Return the SHA-256 of a table."""
    return hashlib.sha256((package / table).read_bytes()).hexdigest()


def read_points(
    package: Path,
    table: str,
    *,
    match: dict[str, str | int],
    columns: dict[str, str],
    least: int,
) -> Points:
    """Return the rows of a table that match, one per distinct shape (the median of repeats).

    Args:
        package: Folder of the package.
        table: Path inside it.
        match: Columns and the value each must have; columns that a table lacks count as 0.
        columns: Our name of each shape column by its name in the table.
        least: Fewest distinct shapes that may be fitted.

    Raises:
        SpecError: The file or a column is missing, nothing matches, there are too few points,
            a time is not above zero, or times fall where the work grows far.
    """
    frame = _matching(_frame(package, table, [*columns, "latency"]), table, match)
    times = frame["latency"].to_numpy(float)
    bad = ~(np.isfinite(times) & (times > 0))
    if bad.any():
        raise SpecError(
            f"{table}: latency must be a finite number above 0, got {times[bad][0]!r}"
            f" in {int(bad.sum())} rows", field="latency",
        )  # fmt: skip
    merged = frame.groupby(list(columns), sort=True)["latency"].median().reset_index()
    require_shapes(table, len(merged), least, _shown(match))
    found = {name: merged[column].to_numpy(float) for column, name in columns.items()}
    return Points(table=table, columns=found, time_s=merged["latency"].to_numpy(float) * MS)


def require_shapes(table: str, shapes: int, least: int, which: str) -> None:
    """Refuse to fit fewer shapes than the least.

    Raises:
        SpecError: Names the table, which rows were wanted, and both counts.
    """
    if shapes < least:
        raise SpecError(
            f"{table}: rows with {which} must give at least {least} shapes, got {shapes}"
        )


def require_growth(points: Points, *axes: str) -> None:
    """Refuse a table in which much more work takes much less time.

    Along each axis, all other columns equal, a point `FAR_WORK` times larger must take at
    least `FAR_TIME` of the smaller one's time, but for `FAR_SHARE` of the points. Finds swapped
    columns, mixed units, shuffled rows.

    Raises:
        SpecError: Names the table, the axis and the first such point.
    """
    for axis in axes:
        fallen = np.concatenate([_fallen(points, axis, rows) for rows in _rows(points, axis)])
        if len(fallen) > FAR_SHARE * len(points):
            first = ", ".join(f"{name} {v[fallen[0]]:g}" for name, v in points.columns.items())
            raise SpecError(
                f"{points.table}: latency must not fall when {axis} grows {FAR_WORK:g}-fold, it"
                f" does at {len(fallen)} of {len(points)} shapes, first at {first}",
                field=axis,
            )


def _rows(points: Points, axis: str) -> list[NDArray[np.intp]]:
    """Return the points by row: those that differ in `axis` only, in its order."""
    others = [values for name, values in points.columns.items() if name != axis]
    order = np.lexsort((points[axis], *others))
    if not others:
        return [order]
    keys = np.column_stack([values[order] for values in others])
    return np.split(order, np.flatnonzero(np.any(keys[1:] != keys[:-1], axis=1)) + 1)


def _fallen(points: Points, axis: str, row: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return those points of one row that are far faster than a far smaller one."""
    size, time = points[axis][row], points.time_s[row]
    slowest = np.maximum.accumulate(time)
    smaller = np.searchsorted(size, size / FAR_WORK, side="right")
    far = np.flatnonzero(smaller)
    return row[far[time[far] < FAR_TIME * slowest[smaller[far] - 1]]]


def _frame(package: Path, table: str, needed: list[str]) -> pd.DataFrame:
    """Return a table as a data frame that has the needed columns."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("kernel tables: install pandas and pyarrow") from error
    path = package / table
    if not path.is_file():
        raise SpecError(f"{table}: no such table in {package.name}")
    frame = pd.read_parquet(path)
    missing = [name for name in needed if name not in frame]
    if missing:
        raise SpecError(f"{table}: column {missing[0]} is missing", field=missing[0])
    return frame


def _matching(frame: pd.DataFrame, table: str, match: dict[str, str | int]) -> pd.DataFrame:
    """Return the rows that have the wanted values."""
    for column, wanted in match.items():
        if column not in frame:
            if wanted == 0:
                continue
            raise SpecError(f"{table}: column {column} is missing", field=column)
        kept = frame[frame[column] == wanted]
        if kept.empty:
            have = ", ".join(sorted(str(value) for value in frame[column].unique())[:8])
            raise SpecError(f"{table}: no {column} {wanted!r}, it has: {have}", field=column)
        frame = kept
    return frame


def _shown(match: dict[str, str | int]) -> str:
    """Return the conditions as text."""
    return ", ".join(f"{column} {value}" for column, value in match.items())


def compared_with(points: Points, law_s: Any, mask: NDArray[np.bool_]) -> Compared:
    """Return the points at which `mask` holds beside the law, and how far off it is."""
    kept, law = points.where(mask), np.asarray(law_s, float)[mask]
    error = np.abs(law / kept.time_s - 1)
    mean, median, p90 = error.mean(), np.median(error), np.quantile(error, 0.9)
    residuals = Residuals(
        num_points=len(kept),
        mean=round(float(mean), DIGITS),
        median=round(float(median), DIGITS),
        p90=round(float(p90), DIGITS),
        shapes=kept.shapes(),
        table=points.table,
    )
    return Compared(points=kept, law_s=law, residuals=residuals)
