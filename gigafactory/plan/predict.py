"""Predict one training step: the same arithmetic for one layout, a table and a search.

`price` is the only way from columns to seconds and bytes; `predict` dresses one row of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.cost.layer import LayerPrice, price_layer
from gigafactory.cost.memory import peak_bytes, stage_bytes
from gigafactory.cost.operators import layer_model_flops
from gigafactory.cost.step import StepParts, exposed_parts, step_parts
from gigafactory.plan import interval
from gigafactory.plan.cases import Case, check, columns
from gigafactory.plan.crowding import is_crowded
from gigafactory.plan.machine import rates_of
from gigafactory.spec.interval import Interval
from gigafactory.spec.prediction import (
    Assumption,
    MemoryBreakdown,
    Prediction,
    StepBreakdown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.cost.columns import Column, Grid
    from gigafactory.cost.rates import Rates
    from gigafactory.spec.machine import Machine

BREAKDOWN: Final = (
    "compute", "memory_bound", "tensor_comm", "context_comm", "expert_comm", "pipeline_comm",
    "pipeline_bubble", "data_comm", "optimizer", "host", "jitter",
)  # fmt: skip


class Priced(NamedTuple):
    """Seconds and bytes of layouts.

    Attributes:
        step: Parts of the step.
        memory_bytes: Bytes on the fullest accelerator.
    """

    step: StepParts
    memory_bytes: Column


def price(layers: LayerPrice, grid: Grid, rates: Rates) -> Priced:
    """Return the time and memory of every layout; `layers` holds one row per layout."""
    memory = peak_bytes(layers.shape, grid, layers.held, layers.acts, rates)
    return Priced(step_parts(layers, grid, rates), memory)


def predict(case: Case, machine: Machine) -> Prediction:
    """Return the prediction for one layout on a machine.

    Raises:
        SpecError: The machine cannot run the precision.
    """
    return predict_all([case], machine)[0]


def predict_all(cases: Sequence[Case], machine: Machine) -> list[Prediction]:
    """Return one prediction per case; all cases share precision and head size.

    Raises:
        SpecError: The machine cannot run the precision, or the model cannot be split so.
    """
    for case in cases:
        check(case)
    first = cases[0]
    busy = first.layout.num_gpus
    if is_crowded(machine) and any(case.layout.num_gpus != busy for case in cases):
        return [predict(case, machine) for case in cases]
    rates = rates_of(machine, first.layout.precision, first.model.head_dim, busy=busy)
    shape, grid = columns(cases)
    layers, parts = price_layer(shape, rates)
    priced = price(layers, grid, rates)
    exposed = exposed_parts(layers, parts, grid, priced.step)
    table = _Table(
        layers=layers,
        grid=grid,
        rates=rates,
        exposed=np.stack(np.broadcast_arrays(*(exposed[name] for name in BREAKDOWN))),
        flops_per_token=np.asarray(layer_model_flops(shape)),
        edges=interval.edges(cases, shape, grid, machine),
        machine=machine,
    )
    return [_prediction(case, row, table) for row, case in enumerate(cases)]


class _Table(NamedTuple):
    """Priced cases, one row each."""

    layers: LayerPrice
    grid: Grid
    rates: Rates
    exposed: NDArray[np.float64]
    flops_per_token: NDArray[np.float64]
    edges: interval.Edges
    machine: Machine


def _prediction(case: Case, row: int, table: _Table) -> Prediction:
    """Return one row as a prediction."""
    exposed = map(float, table.exposed[:, row])
    breakdown = StepBreakdown(**dict(zip(BREAKDOWN, exposed, strict=True)))
    seconds, gpus = breakdown.total_s, case.layout.num_gpus
    low, high = (seconds * float(edge[row]) for edge in (table.edges.low, table.edges.high))
    stages, peak = _stages(row, table)
    tokens_per_s = case.layout.tokens_per_step / seconds
    flops_per_s = float(table.flops_per_token[row]) * tokens_per_s / gpus
    return Prediction(
        step_time_s=Interval(low=low, expected=seconds, high=high),
        mfu=flops_per_s / table.rates.peak_flops_per_s,
        tokens_per_s=tokens_per_s,
        tokens_per_s_per_gpu=tokens_per_s / gpus,
        model_flops_per_s_per_gpu=flops_per_s,
        memory=peak,
        memory_per_stage_bytes=stages,
        memory_capacity_bytes=table.rates.memory_capacity_bytes,
        breakdown_s=breakdown,
        bounded_by=breakdown.bounded_by,
        fits=max(stages) <= table.rates.memory_capacity_bytes,
        assumptions=(
            *assumptions(case, table.rates),
            *interval.assumptions(row, table.edges, table.machine),
        ),
    )


def _stages(row: int, table: _Table) -> tuple[tuple[float, ...], MemoryBreakdown]:
    """Return the bytes of every stage of one row, and the parts of the fullest."""
    pick = np.array([row])
    layers, grid = table.layers.take(pick), table.grid.take(pick)
    stage = np.arange(float(np.max(grid.pp)))
    kinds = stage_bytes(layers.shape, grid, layers.held, layers.acts, table.rates, stage=stage)
    bytes_ = np.stack(np.broadcast_arrays(*kinds))
    totals = bytes_.sum(axis=0)
    fullest = bytes_[:, int(totals.argmax())]
    return tuple(map(float, totals)), MemoryBreakdown(
        **{f"{name}_bytes": float(x) for name, x in zip(kinds._fields, fullest, strict=True)}
    )


def assumptions(case: Case, rates: Rates) -> tuple[Assumption, ...]:
    """Return what the prediction takes for granted, with the numbers used."""
    fitted = "fitted on published runs"
    told = [
        Assumption(what="sustained matmul rate in FLOP/s, large shapes",
                   value=rates.gemm.peak_flops_per_s, source="kernel tables, " + fitted),
        Assumption(what="network bandwidth per GPU that collectives reach, bytes/s",
                   value=rates.nic_bytes_per_s, source=fitted),
        Assumption(what="slow-down per doubling of nodes, slowest of N",
                   value=rates.straggler, source=fitted),
        Assumption(what="memory taken by runtime, NCCL and fragmentation, bytes",
                   value=rates.reserved_bytes, source="published memory peaks"),
    ]  # fmt: skip
    if case.recomputed:
        told.append(Assumption(what="share of the layers recomputed", value=case.recomputed,
                               source="the least that fits; not published"))  # fmt: skip
    if case.model.experts:
        uneven = 1.0 if case.capacity_factor else rates.imbalance
        told.append(Assumption(what="rows of the fullest expert rank over the mean",
                               value=uneven, source=fitted))  # fmt: skip
    if case.layout.schedule in ("zero-bubble", "dualpipe"):
        told.append(Assumption(what="schedule", source="not validated: no published row",
                               value=f"{case.layout.schedule}, priced as interleaved"))  # fmt: skip
    return tuple(told)
