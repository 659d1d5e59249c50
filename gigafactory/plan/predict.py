"""Predict one training step: the same arithmetic for one layout, a table and a search.

`price` is the only way from columns to seconds and bytes; `predict` dresses one row of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.columns import Column, Grid, Shape
from gigafactory.cost.layer import LayerPrice, price_layer
from gigafactory.cost.memory import peak_bytes, stage_bytes
from gigafactory.cost.operators import layer_model_flops
from gigafactory.cost.rates import Rates
from gigafactory.cost.step import StepParts, exposed_parts, step_parts
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of
from gigafactory.spec.interval import Interval
from gigafactory.spec.machine import Machine
from gigafactory.spec.prediction import (
    Assumption,
    MemoryBreakdown,
    Prediction,
    StepBreakdown,
)

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
        SpecError: The machine cannot run the precision.
    """
    first = cases[0]
    rates = rates_of(machine, first.layout.precision, first.model.head_dim)
    shape, grid = columns(cases)
    layers, parts = price_layer(shape, rates)
    priced = price(layers, grid, rates)
    exposed = exposed_parts(layers, parts, grid, priced.step)
    width = residual_interval(machine, first.layout.precision)
    tokens = shape.seq * grid.microbatches * shape.micro_batch * grid.dp
    flops = layer_model_flops(shape) * tokens
    table = np.stack(np.broadcast_arrays(*(exposed[name] for name in BREAKDOWN)))
    return [
        _prediction(case, row, table[:, row], float(flops[row]), (shape, layers, grid), rates, width)
        for row, case in enumerate(cases)
    ]


def _prediction(
    case: Case,
    row: int,
    exposed: NDArray[np.float64],
    flops: float,
    columns_: tuple[Shape, LayerPrice, Grid],
    rates: Rates,
    width: tuple[float, float],
) -> Prediction:
    """Return one row as a prediction."""
    breakdown = StepBreakdown(**dict(zip(BREAKDOWN, map(float, exposed), strict=True)))
    seconds, gpus = breakdown.total_s, case.layout.num_gpus
    stages, peak = _stages(row, columns_, rates)
    tokens = case.layout.tokens_per_step
    return Prediction(
        step_time_s=Interval(low=seconds * width[0], expected=seconds, high=seconds * width[1]),
        mfu=flops / seconds / gpus / rates.peak_flops_per_s,
        tokens_per_s=tokens / seconds,
        tokens_per_s_per_gpu=tokens / seconds / gpus,
        model_flops_per_s_per_gpu=flops / seconds / gpus,
        memory=peak,
        memory_per_stage_bytes=stages,
        memory_capacity_bytes=rates.memory_capacity_bytes,
        breakdown_s=breakdown,
        bounded_by=breakdown.bounded_by,
        fits=max(stages) <= rates.memory_capacity_bytes,
        assumptions=assumptions(case, rates),
    )


def _stages(
    row: int, columns_: tuple[Shape, LayerPrice, Grid], rates: Rates
) -> tuple[tuple[float, ...], MemoryBreakdown]:
    """Return the bytes of every stage of one row, and the parts of the fullest."""
    pick = np.array([row])
    layers, grid = columns_[1].take(pick), columns_[2].take(pick)
    stage = np.arange(float(np.max(grid.pp)))
    kinds = stage_bytes(layers.shape, grid, layers.held, layers.acts, stage, rates)
    table = np.stack(np.broadcast_arrays(*kinds))
    totals = table.sum(axis=0)
    fullest = table[:, int(totals.argmax())]
    return tuple(map(float, totals)), MemoryBreakdown(
        **{f"{name}_bytes": float(x) for name, x in zip(kinds._fields, fullest, strict=True)}
    )


def residual_interval(machine: Machine, precision: str) -> tuple[float, float]:
    """Return the lower and upper edge over the expected time, from runs the fit had not seen.

    The most special group with enough runs counts: accelerator and precision, accelerator, all.
    """
    calibration, key = machine.calibration, machine.kernels.accelerator
    for group in (f"{key}.{precision}", key, "all"):
        if group in calibration.residual_low:
            return calibration.residual_low[group], calibration.residual_high[group]
    return 1.0, 1.0


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
    if case.model.experts:
        uneven = 1.0 if case.capacity_factor else rates.imbalance
        told.append(Assumption(what="rows of the fullest expert rank over the mean",
                               value=uneven, source=fitted))  # fmt: skip
    if case.layout.schedule in ("zero-bubble", "dualpipe"):
        told.append(Assumption(what="schedule", value=f"{case.layout.schedule}: priced as "
                               "interleaved", source="not validated: no published row"))  # fmt: skip
    return tuple(told)
