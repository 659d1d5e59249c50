"""The published runs, parsed once and grouped by machine, ready to be priced again and again."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.catalog import loader, machines
from gigafactory.cost.layer import price_layer
from gigafactory.plan.cases import columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import price
from gigafactory.plan.rows import parse_row
from gigafactory.plan.table import possible_cases

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gigafactory.cost.columns import Grid, Shape
    from gigafactory.cost.rates import Rates
    from gigafactory.plan.rows import Row
    from gigafactory.spec.calibration import StepCalibration
    from gigafactory.spec.machine import Machine


# How much a row counts: inputs not published, and small runs that stand in five hundred rows.
PARTIAL_WEIGHT: Final = 0.4
SINGLE_NODE_WEIGHT: Final = 0.3


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
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    machine: Machine
    precision: str
    head_dim: int
    shape: Shape
    grid: Grid

    def rates(self, calibration: StepCalibration) -> Rates:
        """Return the group's rates under other fitted numbers."""
        machine = replace(self.machine, calibration=calibration)
        return rates_of(machine, self.precision, self.head_dim)

    def step_time_s(self, rates: Rates) -> NDArray[np.float64]:
        """Return the predicted seconds of every run of the group."""
        layers, _ = price_layer(self.shape, rates)
        priced = price(layers, self.grid, rates)
        seconds = np.asarray(priced.step.total_s)
        unfit = np.asarray(priced.memory_bytes) > rates.memory_capacity_bytes
        best = [
            part[np.lexsort((part, unfit[start : start + len(part)]))[0]]
            for start, part in zip(self.starts, np.split(seconds, self.starts[1:]), strict=True)
        ]
        return np.array(best)


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
        by_tier = {"full": 1.0, "partial": PARTIAL_WEIGHT, "doubtful": 0.0}
        single = {"single_node": SINGLE_NODE_WEIGHT}
        return np.array([by_tier[r.tier] * single.get(r.table, 1.0) for r in self.runs])


def published_runs() -> Runs:
    """Return the published runs of the catalog."""
    rows, parsed = [], []
    for table in ("runs", "single_node"):
        path = loader.DATA / "published" / f"{table}.csv"
        with path.open(encoding="utf-8", newline="") as source:
            for row in csv.DictReader(source):
                rows.append(_run(row, table))
                parsed.append(parse_row(row, machines.known_model))
    members: dict[tuple[object, ...], list[int]] = {}
    for i, row_ in enumerate(parsed):
        first = row_.cases[0]
        key = (row_.machine, first.layout.precision, first.model.head_dim)
        members.setdefault(key, []).append(i)
    groups = tuple(_group(places, parsed) for places in members.values())
    return Runs(runs=tuple(rows), groups=groups)


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
