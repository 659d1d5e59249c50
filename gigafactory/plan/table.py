"""Predict a whole table of runs: rows of one machine and precision are priced together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.cost.layer import held_parameters, price_layer
from gigafactory.cost.memory import activation_bytes, peak_bytes
from gigafactory.cost.operators import layer_model_flops
from gigafactory.errors import SpecError
from gigafactory.plan.cases import columns
from gigafactory.plan.interval import edges
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import price

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gigafactory.cost.rates import Rates
    from gigafactory.plan.cases import Case
    from gigafactory.plan.rows import MachineKey, Row
    from gigafactory.spec.machine import Machine

MEMORY_ERROR: Final = 0.05  # within which the published bytes are met (docs/explanation/memory.md)


class RowPrediction(NamedTuple):
    """What is predicted for one row of a table."""

    step_time_s: float
    step_time_low_s: float
    step_time_high_s: float
    mfu: float
    tokens_per_s_per_gpu: float
    model_tflops_per_gpu: float
    memory_bytes: float
    fits: bool


Answer = RowPrediction | SpecError


def predict_rows(
    rows: Sequence[Row | SpecError], machine_of: Callable[[MachineKey], Machine]
) -> list[Answer]:
    """Return a prediction, or what is wrong, for every row, in order.

    Args:
        rows: Rows understood, or the fault of those that were not.
        machine_of: Returns the machine of a key; its `SpecError` is that row's fault.
    """
    answers: list[Answer] = [row if isinstance(row, SpecError) else SpecError("") for row in rows]
    groups: dict[tuple[MachineKey, str, int], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        if not isinstance(row, SpecError):
            case = row.cases[0]
            groups[row.machine, case.layout.precision, case.model.head_dim].append(i)
    for (key, precision, head_dim), members in groups.items():
        chosen = [row for i in members if not isinstance(row := rows[i], SpecError)]
        try:
            found: Sequence[Answer] = _predict_group(chosen, machine_of(key), precision, head_dim)
        except SpecError as error:
            found = [error] * len(members)
        for i, answer in zip(members, found, strict=True):
            answers[i] = answer
    return answers


def could_run(memory_bytes: NDArray[np.float64], rates: Rates) -> NDArray[np.bool_]:
    """Return where a run that did run may have run so: its memory fits but for the law's error."""
    return memory_bytes <= rates.memory_capacity_bytes * (1.0 + MEMORY_ERROR)


def fastest(seconds: NDArray[np.float64], could: NDArray[np.bool_]) -> int:
    """Return the place of the fastest case that could run, else of the fastest."""
    return int(np.lexsort((seconds, ~could))[0])


def possible_cases(rows: Sequence[Row], rates: Rates) -> list[tuple[Case, ...]]:
    """Return the cases that each row can mean.

    A row that does not say what it recomputed ran all the same: where none of its cases fits, it
    recomputed some of its layers.
    """
    meant = [row.cases for row in rows]
    unsaid = [i for i, row in enumerate(rows) if row.recomputing]
    cases = [case for i in unsaid for case in meant[i]]
    if not cases:
        return meant
    shape, grid = columns(cases)
    held, acts = held_parameters(shape), activation_bytes(shape, rates)
    memory = np.asarray(peak_bytes(shape, grid, held, acts, rates))
    start = 0
    for i in unsaid:
        end = start + len(meant[i])
        if not could_run(memory[start:end], rates).any():
            meant[i] += rows[i].recomputing
        start = end
    return meant


def _predict_group(
    rows: Sequence[Row], machine: Machine, precision: str, head_dim: int
) -> list[RowPrediction]:
    """Return the predictions of rows that share machine, precision and head size."""
    rates = rates_of(machine, precision, head_dim)
    meant = possible_cases(rows, rates)
    cases = [case for group in meant for case in group]
    shape, grid = columns(cases)
    layers, _ = price_layer(shape, rates)
    priced = price(layers, grid, rates)
    seconds = np.asarray(priced.step.total_s)
    memory = np.asarray(priced.memory_bytes)
    gpus = np.array([case.layout.num_gpus for case in cases])
    tokens = np.array([case.layout.tokens_per_step for case in cases])
    flops_per_s = layer_model_flops(shape) * tokens / seconds / gpus
    low, high, _ = edges(cases, shape, grid, machine)
    fits, could = memory <= rates.memory_capacity_bytes, could_run(memory, rates)
    found, start = [], 0
    for group in meant:
        end = start + len(group)
        best = start + fastest(seconds[start:end], could[start:end])
        found.append(
            RowPrediction(
                step_time_s=float(seconds[best]),
                step_time_low_s=float(seconds[best] * low[best]),
                step_time_high_s=float(seconds[best] * high[best]),
                mfu=float(flops_per_s[best] / rates.peak_flops_per_s),
                tokens_per_s_per_gpu=float(tokens[best] / seconds[best] / gpus[best]),
                model_tflops_per_gpu=float(flops_per_s[best] / 1e12),
                memory_bytes=float(memory[best]),
                fits=bool(fits[best]),
            )
        )
        start = end
    return found
