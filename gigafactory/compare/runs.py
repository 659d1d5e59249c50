"""The published runs, parsed once and grouped by machine, ready to be priced again and again."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.catalog import loader, machines
from gigafactory.cost.layer import price_layer
from gigafactory.errors import CatalogError, SpecError
from gigafactory.plan.cases import columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import price
from gigafactory.plan.rows import parse_row
from gigafactory.plan.table import could_run, fastest, possible_cases

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gigafactory.cost.columns import Grid, Shape
    from gigafactory.cost.rates import Rates
    from gigafactory.plan.rows import Row
    from gigafactory.spec.calibration import StepCalibration
    from gigafactory.spec.machine import Machine


# How much a row counts: inputs not published, and small runs that stand in five hundred rows.
PARTIAL_WEIGHT: Final = 0.4
SINGLE_NODE_WEIGHT: Final = 0.3
TABLES: Final = ("runs", "single_node")
TIERS: Final = {"full": 1.0, "partial": PARTIAL_WEIGHT, "doubtful": 0.0}
COLUMNS: Final = (
    "id", "tier", "source", "gpu", "software", "precision", "model", "arch", "n_gpus",
    "step_time_s",
)  # fmt: skip


class Run(NamedTuple):
    """One measured run."""

    id: str
    tier: str
    source: str
    gpu: str
    software: str
    precision: str
    model: str
    arch: str
    num_gpus: int
    table: str
    measured_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs of one machine, precision and head size, as columns.

    Attributes:
        rows: Places of the runs in `Runs.runs`.
        starts: First case of every run; a run with several cases takes the fastest that fits.
        unpublished: Runs of which an input was not published.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    machine: Machine
    precision: str
    head_dim: int
    shape: Shape
    grid: Grid
    unpublished: NDArray[np.bool_]

    def rates(self, calibration: StepCalibration) -> Rates:
        """Return the group's rates under other fitted numbers."""
        machine = replace(self.machine, calibration=calibration)
        return rates_of(machine, self.precision, self.head_dim)

    def step_time_s(self, rates: Rates) -> NDArray[np.float64]:
        """Return the predicted seconds of every run of the group."""
        layers, _ = price_layer(self.shape, rates)
        priced = price(layers, self.grid, rates)
        seconds = np.asarray(priced.step.total_s)
        could = could_run(np.asarray(priced.memory_bytes), rates)
        ends = np.append(self.starts[1:], len(seconds))
        best = [
            start + fastest(seconds[start:end], could[start:end])
            for start, end in zip(self.starts, ends, strict=True)
        ]
        return seconds[best]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All measured runs and their groups."""

    runs: tuple[Run, ...]
    groups: tuple[Group, ...]

    @property
    def measured_s(self) -> NDArray[np.float64]:
        """Measured seconds, one per run."""
        return np.array([run.measured_s for run in self.runs])

    @property
    def weights(self) -> NDArray[np.float64]:
        """What each run counts in a fit; those inconsistent with their siblings count nothing."""
        single = {"single_node": SINGLE_NODE_WEIGHT}
        return np.array([TIERS[r.tier] * single.get(r.table, 1.0) for r in self.runs])


def published_runs(folder: Path = loader.DATA / "published") -> Runs:
    """Return the published runs of the catalog, or of a folder with tables of the same names.

    Raises:
        CatalogError: A table cannot be read, a run has no step time above zero or cannot be
            priced; names every fault of every run.
    """
    rows: list[Run] = []
    parsed: list[Row] = []
    faults: list[str] = []
    seen: set[str] = set()
    for table in TABLES:
        path = folder / f"{table}.csv"
        for cells in _cells(path):
            found, row = _faults(cells, seen), None
            try:
                row = parse_row(cells, machines.known_model)
                machines.machine_of_row(*row.machine)
            except SpecError as error:
                found.append(str(error))
            faults += [f"{path.name}: {cells['id'] or 'no id'}: {fault}" for fault in found]
            if row is not None and not found:
                rows.append(_run(cells, table))
                parsed.append(row)
    if faults:
        raise CatalogError(f"{folder}: " + "; ".join(faults))
    return Runs(runs=tuple(rows), groups=_groups(parsed))


def _cells(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table that has the columns needed."""
    try:
        with path.open(encoding="utf-8", newline="") as source:
            reader = csv.DictReader(source, restval="")
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise CatalogError(f"{path}: column missing: {', '.join(missing)}")
            return list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from error


def _faults(cells: dict[str, str], seen: set[str]) -> list[str]:
    """Return what is wrong with the measured side of a row; remembers its id in `seen`."""
    faults = []
    if cells["id"] in seen:
        faults.append("id must stand once")
    seen.add(cells["id"])
    if cells["tier"] not in TIERS:
        faults.append(f"tier must be one of {', '.join(TIERS)}, got {cells['tier'][:40]!r}")
    text = cells["step_time_s"]
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not (isfinite(seconds) and seconds > 0):
        faults.append(f"step_time_s must be a finite number above 0, got {text[:40]!r}")
    return faults


def _groups(parsed: list[Row]) -> tuple[Group, ...]:
    """Return the runs by machine, precision and head size, as columns."""
    members: dict[tuple[object, ...], list[int]] = {}
    for i, row in enumerate(parsed):
        first = row.cases[0]
        key = (row.machine, first.layout.precision, first.model.head_dim)
        members.setdefault(key, []).append(i)
    return tuple(_group(places, parsed) for places in members.values())


def _group(places: list[int], parsed: list[Row]) -> Group:
    """Return the runs of some places, which share machine, precision and head size."""
    rows = [parsed[i] for i in places]
    machine, first = machines.machine_of_row(*rows[0].machine), rows[0].cases[0]
    precision, head_dim = first.layout.precision, first.model.head_dim
    meant = possible_cases(rows, rates_of(machine, precision, head_dim))
    shape, grid = columns([case for cases in meant for case in cases])
    return Group(
        rows=np.array(places),
        starts=np.cumsum([0, *map(len, meant[:-1])]),
        machine=machine,
        precision=precision,
        head_dim=head_dim,
        shape=shape,
        grid=grid,
        unpublished=np.array([bool(row.cases[0].unpublished) for row in rows]),
    )


def _run(row: dict[str, str], table: str) -> Run:
    texts = {name: row[name] for name in ("id", "tier", "source", "gpu", "software", "precision")}
    return Run(
        **texts,
        model=row["model"],
        arch=row["arch"],
        num_gpus=int(row["n_gpus"]),
        table=table,
        measured_s=float(row["step_time_s"]),
    )
