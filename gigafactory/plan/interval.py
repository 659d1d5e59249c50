"""How far a prediction may be off: the interval that holds four in five measured steps.

The half-width of ln(measured / predicted) is a product: a base, times what the case's kind adds
(experts, a pipeline, inputs that were not published), times what is known of its accelerator and
its software, all fitted on runs that the step model had not seen (`compare/intervals.py`). What
has no run of its own is as wide as its widest relative; outside the ranges measured the half-width
grows by `OUTSIDE` of itself with every doubling. The prediction says so.

Source: Lei et al. 2018, Distribution-free predictive inference for regression (the half-width is a
quantile of residuals over their scale); Koenker 2005, Quantile regression (the scale).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.plan.machine import KERNEL_DTYPE
from gigafactory.spec.calibration import Extent
from gigafactory.spec.prediction import Assumption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.cost.columns import Column, Grid, Shape
    from gigafactory.plan.cases import Case
    from gigafactory.spec.kernels import Residuals
    from gigafactory.spec.machine import Machine

LEVEL: Final = 0.80  # of left-out runs lie inside
# Of the half-width, for every doubling outside a measured range and for a precision without runs.
# Chosen, not fitted: no run tells how wrong a prediction is where there are no runs.
OUTSIDE: Final = 0.25
# Runs of one generation tell of one another where an accelerator has few.
GENERATION: Final = {
    "a100": "ampere", "h100": "hopper", "h200": "hopper", "b200": "blackwell",
    "b300": "blackwell", "gb200": "blackwell", "gb300": "blackwell",
}  # fmt: skip
QUANTITIES: Final = {
    "num_gpus": "GPUs", "seq_len": "tokens in a sequence", "rows": "rows of a product",
    "hidden": "columns of a product (hidden size)", "width": "columns of an MLP product",
}  # fmt: skip
KERNEL_AXES: Final = {"rows": "m", "hidden": "k", "width": "n"}
SPAN: Final = re.compile(r"(\w+) ([\d.e+]+)-([\d.e+]+)")


class Outside(NamedTuple):
    """One way in which cases may lie outside what was measured.

    Attributes:
        what: The quantity, or what has no run.
        value: Of each case, or how it is priced where no case has a run.
        steps: Doublings outside, 1 for a precision without runs; 0 for an accelerator or a
            software without runs, which has its widest relative's width. One per case.
        measured: What the runs have.
    """

    what: str
    value: Column | str
    steps: NDArray[np.float64]
    measured: str


class Edges(NamedTuple):
    """Edges over the expected time, one per case, and what widens them."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    outside: tuple[Outside, ...]


def edges(cases: Sequence[Case], shape: Shape, grid: Grid, machine: Machine) -> Edges:
    """Return the lower and upper edge of every case over its expected time.

    What was measured on this very machine stands above what is known of its kind.

    Args:
        cases: One or more of one precision and head size.
        shape: Their shapes.
        grid: Their layouts.
        machine: The machine.
    """
    precision = cases[0].layout.precision
    calibration, key = machine.calibration, machine.kernels.accelerator
    for name in (f"{key}.{precision}", key, "all"):
        if name in calibration.residual_low:
            ends = calibration.residual_low[name], calibration.residual_high[name]
            low, high = (np.full(len(cases), end) for end in ends)
            return Edges(low, high, ())
    unpublished = np.array([bool(case.unpublished) for case in cases])
    outside = tuple(_outside(shape, grid, machine, precision, cases[0].model.head_dim))
    half = half_widths(shape, grid, machine, unpublished=unpublished)
    half = half * (1.0 + OUTSIDE * sum((one.steps for one in outside), np.zeros(len(cases))))
    return Edges(np.exp(-half), np.exp(half), outside)


def half_widths(
    shape: Shape, grid: Grid, machine: Machine, *, unpublished: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the half-width of ln(measured / predicted) of every case inside what was measured.

    A calibration without widths knows none: the half-width is zero.
    """
    calibration = machine.calibration
    if "base" not in calibration.widths:
        return np.zeros(len(unpublished))
    half = np.full(len(unpublished), calibration.width("base"))
    half *= calibration.width(*names("accelerator", *accelerator_of(machine)))
    half *= calibration.width(*names("software", *software_of(machine)))
    for name, holds in traits(shape, grid, unpublished).items():
        half *= np.where(holds, calibration.width(name), 1.0)
    return half


def traits(
    shape: Shape, grid: Grid, unpublished: NDArray[np.bool_]
) -> dict[str, NDArray[np.bool_]]:
    """Return what is known of every case before it runs, by the name of its width."""
    return {
        "experts": np.asarray(np.asarray(shape.experts) > 0),
        "pipeline": np.asarray(np.asarray(grid.pp) > 1),
        "unpublished": unpublished,
    }


def names(kind: str, family: str, member: str) -> tuple[str, str, str]:
    """Return the names of a member's width, the most special first.

    >>> names("software", "fsdp", "torchtitan")
    ('software.fsdp.torchtitan', 'software.fsdp', 'software')
    """
    return f"{kind}.{family}.{member}", f"{kind}.{family}", kind


def accelerator_of(machine: Machine) -> tuple[str, str]:
    """Return generation and name of the machine's accelerator."""
    key = machine.kernels.accelerator
    return GENERATION.get(key, key), machine.cluster.accelerator.name


def software_of(machine: Machine) -> tuple[str, str]:
    """Return family and name of the machine's software."""
    return machine.software.family, machine.software.name


def quantities(shape: Shape, grid: Grid) -> dict[str, Column]:
    """Return what is compared with the ranges measured, by the names of `QUANTITIES`."""
    return {
        "num_gpus": shape.tp * shape.cp * grid.pp * grid.dp,
        "seq_len": shape.seq,
        "rows": shape.tokens,
        "hidden": shape.hidden,
        "width": np.where(
            np.asarray(shape.experts) > 0, shape.expert_ffn / shape.etp, shape.ffn / shape.tp
        ),
    }


def _outside(
    shape: Shape, grid: Grid, machine: Machine, precision: str, head_dim: int
) -> list[Outside]:
    """Return what of the cases lies outside the runs and kernels measured."""
    calibration, size = machine.calibration, len(np.asarray(shape.seq))
    found = []
    kernels = _kernel_spans(machine, precision, head_dim)
    for name, value in quantities(shape, grid).items():
        if name in calibration.ranges:
            span = calibration.ranges[name].joined(kernels.get(name))
            steps = doublings(value, span)
            if np.any(steps > 0):
                told = f"{span.low:,.0f} to {span.high:,.0f}"
                found.append(Outside(QUANTITIES[name], value, steps, told))
    if calibration.widths:
        found += [
            Outside(what, how, np.full(size, step), "none")
            for what, how, step in _without_runs(machine, precision)
        ]
    return found


def doublings(value: Column, span: Extent) -> NDArray[np.float64]:
    """Return by how many doublings a value lies above or below a span, 0 inside.

    >>> doublings(np.array([1.0, 3.0, 32.0]), Extent(low=2.0, high=8.0)).tolist()
    [1.0, 0.0, 2.0]
    """
    x = np.asarray(value, dtype=np.float64)
    above, below = np.log2(np.maximum(x, 1e-9) / span.high), np.log2(span.low / np.maximum(x, 1e-9))
    return np.asarray(np.maximum(np.maximum(above, below), 0.0))


def _kernel_spans(machine: Machine, precision: str, head_dim: int) -> dict[str, Extent]:
    """Return the shapes that the accelerator's kernel tables cover, by our names."""
    residuals = machine.kernels.residuals
    gemm = spans(residuals, f"gemm_{KERNEL_DTYPE[precision]}")
    found = {ours: gemm[theirs] for ours, theirs in KERNEL_AXES.items() if theirs in gemm}
    attention = spans(residuals, f"attention_{head_dim}")
    return found | ({"seq_len": attention["seq"]} if "seq" in attention else {})


def spans(residuals: dict[str, Residuals], kernel: str) -> dict[str, Extent]:
    """Return the range of each column of a kernel's measured shapes, empty where none was."""
    if kernel not in residuals:
        return {}
    found = SPAN.findall(residuals[kernel].shapes)
    return {name: Extent(low=float(low), high=float(high)) for name, low, high in found}


def _without_runs(machine: Machine, precision: str) -> list[tuple[str, str, float]]:
    """Return what this machine has that no measured run has: name, how it is priced, steps."""
    calibration = machine.calibration
    generation, accelerator = accelerator_of(machine)
    family, software = software_of(machine)
    found = []
    if names("accelerator", generation, accelerator)[0] not in calibration.widths:
        found.append((f"accelerator {accelerator}", _kernels_told(machine), 0.0))
    if names("software", family, software)[0] not in calibration.widths:
        found.append((f"software {software}", f"numbers of the {family} family", 0.0))
    if f"{generation}.{precision}" not in calibration.precision_runs:
        found.append((f"precision {precision} on {generation}", "kernel tables alone", 1.0))
    return found


def _kernels_told(machine: Machine) -> str:
    """Return whose kernels price the machine, and whether they were measured on it."""
    scaled = "" if machine.kernels.measured else ", scaled by data sheet ratios"
    return f"kernels of {machine.kernels.accelerator}{scaled}"


def assumptions(row: int, told: Edges, machine: Machine) -> tuple[Assumption, ...]:
    """Return the width of one case's interval and all that widens it, with sources."""
    found = [
        Assumption(
            what=f"interval of the step time, {LEVEL:.0%} of runs like it",
            value=f"{told.low[row] - 1:+.1%} to {told.high[row] - 1:+.1%}",
            source="published runs that the fit had not seen",
        )
    ]
    if not machine.kernels.measured:
        found.append(Assumption(what="kernels of a relative", value=_kernels_told(machine),
                                source="measured = false"))  # fmt: skip
    found += [
        _told(one, row) for one in told.outside if one.steps[row] > 0 or isinstance(one.value, str)
    ]
    return tuple(found)


def _told(one: Outside, row: int) -> Assumption:
    """Return in what one case lies outside what was measured, and by how much that widens it."""
    if isinstance(one.value, str):
        value = one.value
    else:
        value = f"{float(np.broadcast_to(one.value, one.steps.shape)[row]):,.0f}"
    steps = float(one.steps[row])
    wider = f"half-width + {OUTSIDE * steps:.0%}" if steps else "as wide as its widest relative"
    return Assumption(
        what=f"outside what was measured: {one.what}",
        value=value,
        source=f"measured: {one.measured}; {wider}",
    )
