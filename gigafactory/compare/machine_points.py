"""Samples of a machine as the points that laws are fitted to, checked first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.compare.tables import Points, require_growth
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from gigafactory.run.measure.samples import Measurements, Sample

TABLE: Final = "measured"
LEAST_PRODUCTS: Final = 8
LEAST_EXCHANGES: Final = 4
PAYING_BYTES: Final = 1e5  # shorter messages are all latency, and noise


def points(told: Measurements, kernel: str, *columns: str, least: int = 1) -> Points:
    """Return the median wall time of every shape of a kernel.

    The time of work is that of a core to itself over the share of a core that was free.

    Raises:
        SpecError: Too few shapes, or a time that is not a finite number above zero.
    """
    found = sorted((s for s in told.samples if s.kernel == kernel),
                   key=lambda s: tuple(s.shape[c] for c in columns))  # fmt: skip
    if len(found) < least or not found:
        raise SpecError(
            f"calibrate: {kernel} must have at least {least} shapes, got {len(found)}", field=kernel
        )
    for sample in found:
        _require_times(sample)
    seconds = np.array([float(np.median(s.seconds)) for s in found])
    return Points(
        table=f"{TABLE}/{kernel}",
        columns={c: np.array([s.shape[c] for s in found]) for c in columns},
        time_s=seconds / told.free_share,
    )


def product_points(told: Measurements, precision: str) -> Points:
    """Return all products of a precision as [m, k] by [k, n]: forward and both gradients.

    Raises:
        SpecError: Too few shapes, or times that fall where the work grows far.
    """
    name = f"gemm.{precision}"
    three = [
        points(told, kernel, "m", "n", "k", least=LEAST_PRODUCTS)
        for kernel in (name, f"{name}.input", f"{name}.weight")
    ]
    for one in three:
        require_growth(one, "m", "n", "k")
    forward, inputs, weights = (np.stack([one["m"], one["n"], one["k"]]) for one in three)
    # As `cost.operators.products_time_s` turns them.
    m, n, k = np.concatenate([forward, inputs[[0, 2, 1]], weights[[2, 1, 0]]], axis=1)
    time = np.concatenate([one.time_s for one in three])
    return Points(table=f"{TABLE}/{name}", columns={"m": m, "n": n, "k": k}, time_s=time)


def core_points(told: Measurements, precision: str, *, backward: bool = False) -> Points:
    """Return attention at every head size.

    Raises:
        SpecError: No shape, or times that fall where the work grows far.
    """
    name = f"attention_backward.{precision}" if backward else f"attention.{precision}"
    found = points(told, name, "head_dim", "seq", "heads", least=2)
    require_growth(found, "head_dim")
    return found


def exchange_points(told: Measurements, kind: str, group: int) -> Points:
    """Return a collective of one group by size.

    Raises:
        SpecError: Too few sizes, or times that fall where the message grows far.
    """
    found = points(told, kind, "bytes", "group", least=LEAST_EXCHANGES)
    found = found.where(found["group"] == group)
    waited = Points(
        table=found.table,
        columns={"bytes": found["bytes"]},
        time_s=found.time_s * told.free_share,  # waiting is told by the wall as it is
    )
    if len(waited) < LEAST_EXCHANGES:
        raise SpecError(f"calibrate: {kind} of {group} ranks must have at least {LEAST_EXCHANGES} "
                        f"sizes, got {len(waited)}", field=kind)  # fmt: skip
    require_growth(waited.where(waited["bytes"] >= PAYING_BYTES), "bytes")
    return waited


def groups(told: Measurements) -> list[int]:
    """Return the sizes of groups that exchanged."""
    return sorted({int(s.shape["group"]) for s in told.samples if s.kernel == "all_reduce"})


def total_s(told: Measurements, kernel: str, shape: dict[str, float] | None = None) -> float:
    """Return the median time of a kernel at one shape, or at its only one.

    Raises:
        SpecError: No such sample.
    """
    for sample in told.samples:
        if sample.kernel == kernel and (shape is None or sample.shape == shape):
            _require_times(sample)
            return float(np.median(sample.seconds)) / told.free_share
    raise SpecError(f"calibrate: {kernel} was not measured", field=kernel)


def _require_times(sample: Sample) -> None:
    wrong = [s for s in sample.seconds if not 0 < s < float("inf")]
    if wrong:
        shape = ", ".join(f"{k} {v:g}" for k, v in sample.shape.items())
        raise SpecError(f"calibrate: {sample.kernel} at {shape}: time must be a finite number "
                        f"above 0, got {wrong[0]!r}", field=sample.kernel)  # fmt: skip
