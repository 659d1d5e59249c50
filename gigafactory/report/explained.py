"""What `giga explain` is about: a plan file, or a published run beside its prediction."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.catalog import files, loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.attribution import OperatorTime, operator_times
from gigafactory.plan.cases import Case
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import predict, predict_all
from gigafactory.plan.rows import parse_row
from gigafactory.plan.table import could_run, fastest, possible_cases
from gigafactory.report.table import predictions
from gigafactory.spec.base import Spec
from gigafactory.spec.layout import Layout
from gigafactory.spec.machine import Machine
from gigafactory.spec.prediction import Assumption, Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gigafactory.plan.table import Answer

PUBLISHED: Final = ("runs.csv", "single_node.csv")
NEAREST: Final = 3  # ids named for one that is unknown
TIERS: Final = {
    "partial": "the source leaves inputs of this run open",
    "doubtful": "this run contradicts its siblings and counts in no fit",
}
OPEN_CELLS: Final = {
    "virtual_pipeline": ("vpp", "the fastest that fits, else the fastest"),
    "sequence_parallel": ("sp", "as the engine does with tensor parallelism"),
    "expert_parallel": ("ep", "experts are not spread"),
    "context_parallel": ("cp", "sequences are whole"),
    "sharding": ("sharding", "the engine's default"),
    "recompute": ("recompute", "the engine's default"),
    "precision": ("precision", "the engine's default"),
}
"""Columns that may be empty, by the layout's field that is filled in for them."""

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling(Spec):
    """Another published run of the same model from the same source.

    Attributes:
        predicted_s: None where the run is refused.
    """

    id: str
    layout: Layout | None
    measured_s: float
    predicted_s: float | None

    @property
    def error(self) -> float | None:
        """Predicted over measured time, less one."""
        return None if self.predicted_s is None else self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Spec):
    """One step, priced, with the measured time where it is a published run.

    Attributes:
        title: What is explained, in a line.
        operators: Where its seconds go; they sum to the step.
        measured_s: Published seconds per step; None for a plan.
        reference: Where they were published.
        caveat: What else is known of the run; empty where all its inputs are published.
        assumed: Inputs that were not published, and what was taken for them.
        siblings: Other runs of the same model from the same source.
    """

    title: str
    case: Case
    machine: Machine
    prediction: Prediction
    operators: tuple[OperatorTime, ...]
    measured_s: float | None = None
    reference: str = ""
    caveat: str = ""
    assumed: tuple[Assumption, ...] = ()
    siblings: tuple[Sibling, ...] = ()

    @property
    def inside(self) -> bool | None:
        """Whether the measured step lies inside the predicted interval; None for a plan."""
        step = self.prediction.step_time_s
        return None if self.measured_s is None else step.low <= self.measured_s <= step.high


def of_plan(path: Path) -> Explained:
    """Return the explanation of a plan file.

    Raises:
        SpecError: The file is at fault.
    """
    plan = files.read_plan(path)
    machine = machines.machine(plan.cluster, plan.software)
    case = Case(plan.model, plan.layout, plan.job.capacity_factor)
    return Explained(
        title=f"{plan.model.name} on {plan.layout.num_gpus:,} GPUs of {plan.cluster.name}",
        case=case,
        machine=machine,
        prediction=predict(case, machine),
        operators=operator_times(case, machine),
    )


def of_case(wanted: str) -> Explained:
    """Return the explanation of a published run.

    Raises:
        SpecError: Unknown id; names the nearest.
    """
    rows = published()
    if wanted not in rows:
        near = ", ".join(get_close_matches(wanted, rows, n=NEAREST, cutoff=0)) or "none"
        raise SpecError(f"case: unknown id {wanted[:60]!r}, nearest: {near}", field="case")
    row = rows[wanted]
    parsed = parse_row(row, machines.known_model)
    machine = machines.machine_of_row(*parsed.machine)
    first = parsed.cases[0]
    rates = rates_of(machine, first.layout.precision, first.model.head_dim)
    (cases,) = possible_cases([parsed], rates)
    told = predict_all(cases, machine)
    seconds = np.array([one.step_time_s.expected for one in told])
    memory = np.array([max(one.memory_per_stage_bytes) for one in told])
    best = fastest(seconds, could_run(memory, rates))
    case = cases[best]
    return Explained(
        title=f"{wanted}: {row['model']} on {row['n_gpus']} {row['gpu']}, {row['software']}",
        case=case,
        machine=machine,
        prediction=told[best],
        operators=operator_times(case, machine),
        measured_s=float(row["step_time_s"]),
        reference=f"{row['source']}, {row['reference']}, {row['year']}",
        caveat=TIERS.get(row["tier"], ""),
        assumed=assumed_inputs(row, case, machine),
        siblings=siblings(row, rows),
    )


def assumed_inputs(row: Mapping[str, str], case: Case, machine: Machine) -> tuple[Assumption, ...]:
    """Return the inputs that a published run leaves open, with what was taken for them.

    Cells that mean nothing for the run, such as experts of a dense model, are none.
    """
    layout, experts = case.layout, case.model.experts is not None
    idle = {
        "virtual_pipeline": layout.pipeline_parallel == 1,
        "sequence_parallel": layout.tensor_parallel == 1,
        "expert_parallel": not experts,
        "recompute": case.recomputed > 0,  # the prediction's own assumption
    }
    found = [
        Assumption(what=field, value=_word(getattr(layout, field)), source=why)
        for field, (column, why) in OPEN_CELLS.items()
        if not row.get(column) and not idle.get(field)
    ]
    if experts and "expert-tp=" not in (row.get("features") or ""):
        found.append(Assumption(what="expert_tensor_parallel", source="the engine's default",
                                value=float(layout.expert_tensor_parallel)))  # fmt: skip
    if not row.get("node_network_gbps"):
        gbps = machine.cluster.nic_bytes_per_s * 8 / 1e9
        found.append(Assumption(what="network of one GPU in Gbit/s", value=gbps,
                                source="usual for the accelerator"))  # fmt: skip
    if not row.get("software_version"):
        found.append(Assumption(what="software release", value=machine.software.name,
                                source="the profile's"))  # fmt: skip
    return tuple(found)


def _word(value: object) -> float | str:
    """Return a layout's value as an assumption holds it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return float(value) if isinstance(value, int) else str(value)


def siblings(row: Mapping[str, str], rows: Mapping[str, Row]) -> tuple[Sibling, ...]:
    """Return the other runs of a run's source and model, those of as many GPUs first."""
    alike = [
        one
        for name, one in rows.items()
        if name != row["id"] and (one["source"], one["model"]) == (row["source"], row["model"])
    ]
    alike.sort(key=lambda one: (abs(int(one["n_gpus"]) - int(row["n_gpus"])), one["id"]))
    return tuple(_sibling(*pair) for pair in zip(alike, predictions(alike), strict=True))


def _sibling(row: Row, answer: Answer) -> Sibling:
    measured_s = float(row["step_time_s"])
    if isinstance(answer, SpecError):
        return Sibling(id=row["id"], layout=None, measured_s=measured_s, predicted_s=None)
    layout = parse_row(row, machines.known_model).cases[0].layout
    return Sibling(
        id=row["id"], layout=layout, measured_s=measured_s, predicted_s=answer.step_time_s
    )


def published() -> dict[str, Row]:
    """Return the published runs of the catalog by id."""
    rows: dict[str, Row] = {}
    for name in PUBLISHED:
        with (loader.DATA / "published" / name).open(encoding="utf-8", newline="") as source:
            rows |= {row["id"]: row for row in csv.DictReader(source)}
    return rows
