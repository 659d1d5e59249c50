"""Fits the kernel laws to what was measured of this machine.

The laws are those of GPUs, with one multiprocessor: a rank. Points at which a rank works are
fitted with all ranks at work, so that what they share (caches, memory) is in the numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gigafactory.compare.kernels import Unknown, fitted
from gigafactory.compare.machine_points import (
    core_points,
    exchange_points,
    groups,
    points,
    product_points,
)
from gigafactory.compare.tables import compared_with
from gigafactory.cost.kernels import attention_forward_time_s, collective_time_s, gemm_time_s
from gigafactory.spec.kernels import (
    COLLECTIVE_KINDS,
    AttentionKernel,
    CollectiveKernel,
    GemmKernel,
)

if TYPE_CHECKING:
    from gigafactory.compare.tables import Array, Points
    from gigafactory.run.measure.samples import Measurements
    from gigafactory.spec.kernels import Residuals

BYTES: Final = {"fp32": 4.0, "bf16": 2.0}
CACHE_BYTES: Final = 1e6  # a core's second-level cache, about; the loss beyond it is fitted
LAUNCH_S: Final = 5e-6
ONE: Final = 1  # a rank takes one tile after the other


def memory_bytes_per_s(told: Measurements) -> float:
    """Return the rate at which one rank streams more than its caches hold, all ranks at once."""
    streams = points(told, "stream", "bytes", least=2)
    return float(streams["bytes"][-1] / streams.time_s[-1])


def fitted_gemm(told: Measurements, precision: str) -> tuple[GemmKernel, Residuals]:
    """Return the law of products, and how far off it is.

    Raises:
        SpecError: Too few shapes, or times that cannot be.
    """
    found = product_points(told, precision)
    m, n, k = found["m"], found["n"], found["k"]
    fastest, memory = float(np.max(2.0 * m * n * k / found.time_s)), memory_bytes_per_s(told)
    start = GemmKernel(
        peak_flops_per_s=fastest, launch_s=LAUNCH_S, k_overhead=10.0, wave_weight=0.0,
        tile_edge=1.0, num_sms=ONE, memory_bytes_per_s=memory * 2.0, cache_bytes=CACHE_BYTES,
        operand_bytes=BYTES[precision], output_bytes=BYTES[precision], whole_tiles=False,
    )  # fmt: skip
    unknowns = [
        Unknown("peak_flops_per_s", fastest, fastest * 0.5, fastest * 3.0),
        Unknown("launch_s", LAUNCH_S, 1e-7, 1e-3),
        Unknown("k_overhead", 10.0, 0.1, 200.0),
        Unknown("tile_edge", 1.0, 0.01, 60.0),
        Unknown("memory_bytes_per_s", memory * 2.0, memory * 0.2, memory * 10.0),
        Unknown("cache_loss", 0.02, 1e-4, 0.5),
    ]
    kernel = fitted(start, unknowns, lambda law: gemm_time_s(m, n, k, law), found)
    return kernel, _residuals(found, gemm_time_s(m, n, k, kernel))


def fitted_attention(
    told: Measurements, precision: str
) -> tuple[dict[str, AttentionKernel], dict[str, Residuals]]:
    """Return the law of attention by head dimension, and how far off each is.

    Raises:
        SpecError: Too few shapes, or times that cannot be.
    """
    found = core_points(told, precision)
    kernels, residuals = {}, {}
    for width in sorted(set(found["head_dim"])):
        part = found.where(found["head_dim"] == width)
        start = AttentionKernel(
            forward_flops_per_s=3e10, half_seq=100.0, launch_s=LAUNCH_S, num_sms=ONE,
            head_dim_step=ONE, memory_bytes_per_s=memory_bytes_per_s(told),
        )  # fmt: skip
        unknowns = [Unknown("forward_flops_per_s", 3e10, 1e8, 1e15),
                    Unknown("half_seq", 100.0, 0.1, 2e4)]  # fmt: skip

        def law(kernel: AttentionKernel, part: Points = part, width: float = width) -> Any:
            seq, heads = part["seq"], part["heads"]
            return attention_forward_time_s(1, seq, seq, heads, heads, width, kernel)

        key = str(int(width))
        kernels[key] = fitted(start, unknowns, law, part)
        residuals[f"attention_{key}"] = _residuals(part, law(kernels[key]))
    return kernels, residuals


def attention_backward_ratio(told: Measurements, precision: str) -> float:
    """Return the time of attention backward over forward, median over shapes."""
    forward, backward = core_points(told, precision), core_points(told, precision, backward=True)
    return float(np.median(backward.time_s / forward.time_s))


def fitted_collectives(
    told: Measurements,
) -> tuple[dict[str, CollectiveKernel], dict[str, Residuals]]:
    """Return the law of every collective between local ranks, and how far off each is.

    Raises:
        SpecError: Too few sizes, or times that cannot be.
    """
    kernels, residuals = {}, {}
    for kind in COLLECTIVE_KINDS:
        for group in groups(told):
            name, found = f"{kind}_{group}", exchange_points(told, kind, group)
            first, last = float(found.time_s.min()), float(found["bytes"][-1] / found.time_s[-1])
            unknowns = [Unknown("latency_s", first, 1e-7, 1.0),
                        Unknown("bytes_per_s", last * 2.0, last * 0.05, last * 100.0)]  # fmt: skip
            start = CollectiveKernel(kind=kind, group=group, latency_s=first, bytes_per_s=last)

            def law(
                kernel: CollectiveKernel, size: Array = found["bytes"], name: str = name
            ) -> Any:
                return collective_time_s(kernel.kind, size, kernel.group, {name: kernel})

            kernels[name] = fitted(start, unknowns, law, found)
            residuals[f"collective_{name}"] = _residuals(found, law(kernels[name]))
    return kernels, residuals


def send_law(told: Measurements) -> tuple[float, float]:
    """Return latency and bytes per second of one message from rank to rank."""
    found = points(told, "send", "bytes", least=2)
    waited = found.time_s * told.free_share
    slope, latency = np.polyfit(found["bytes"], waited, 1, w=1.0 / waited)
    return max(float(latency), float(waited.min()) / 2.0), 1.0 / max(float(slope), 1e-15)


def _residuals(found: Points, law_s: Any) -> Residuals:
    return compared_with(found, law_s, np.ones(len(found), dtype=bool)).residuals
