"""What `giga explain` is about: a plan file, or a published run beside its prediction."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files, loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import predict, predict_all
from gigafactory.plan.rows import parse_row
from gigafactory.plan.table import possible_cases
from gigafactory.spec.base import Spec
from gigafactory.spec.machine import Machine
from gigafactory.spec.prediction import Prediction

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED: Final = ("runs.csv", "single_node.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Spec):
    """One step, priced, with the measured time where it is a published run.

    Attributes:
        title: What is explained, in a line.
        measured_s: Published seconds per step; None for a plan.
        reference: Where they were published.
    """

    title: str
    case: Case
    machine: Machine
    prediction: Prediction
    measured_s: float | None = None
    reference: str = ""


def of_plan(path: Path) -> Explained:
    """Return the explanation of a plan file.

    Raises:
        SpecError: The file is at fault.
    """
    plan = files.read_plan(path)
    machine = machines.machine(plan.cluster, plan.software)
    case = Case(plan.model, plan.layout, plan.job.capacity_factor)
    title = f"{plan.model.name} on {plan.layout.num_gpus:,} GPUs of {plan.cluster.name}"
    return Explained(title=title, case=case, machine=machine, prediction=predict(case, machine))


def of_case(wanted: str) -> Explained:
    """Return the explanation of a published run.

    Raises:
        SpecError: Unknown id; names the nearest.
    """
    rows = published()
    if wanted not in rows:
        near = ", ".join(get_close_matches(wanted, rows, n=3, cutoff=0)) or "none"
        raise SpecError(f"case: unknown id {wanted[:60]!r}, nearest: {near}", field="case")
    row = rows[wanted]
    parsed = parse_row(row, machines.known_model)
    machine = machines.machine_of_row(*parsed.machine)
    first = parsed.cases[0]
    rates = rates_of(machine, first.layout.precision, first.model.head_dim)
    (cases,) = possible_cases([parsed], rates)
    told = predict_all(cases, machine)
    # Where several layouts are possible: the fastest that fits, else the fastest.
    best = min(range(len(told)), key=lambda i: (not told[i].fits, told[i].step_time_s.expected))
    return Explained(
        title=f"{wanted}: {row['model']} on {row['n_gpus']} {row['gpu']}, {row['software']}",
        case=cases[best],
        machine=machine,
        prediction=told[best],
        measured_s=float(row["step_time_s"]),
        reference=f"{row['source']}, {row['reference']}, {row['year']}",
    )


def published() -> dict[str, dict[str, str]]:
    """Return the published runs of the catalog by id."""
    rows: dict[str, dict[str, str]] = {}
    for name in PUBLISHED:
        with (loader.DATA / "published" / name).open(encoding="utf-8", newline="") as source:
            rows |= {row["id"]: row for row in csv.DictReader(source)}
    return rows
