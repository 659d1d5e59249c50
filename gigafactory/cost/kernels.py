"""Time of single kernels: matrix products, fused attention, grouped products, collectives.

Every function takes floats and numpy arrays alike and gives the same number for a shape alone
and inside an array. Times are above zero for positive input. The fitted numbers come in as
`gigafactory.spec.kernels`; how they were fitted, and how well: docs/explanation/kernels.md.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gigafactory.spec.kernels import (
        AttentionKernel,
        CollectiveKernel,
        GemmKernel,
        GroupedGemmKernel,
        KernelFit,
    )

Number: TypeAlias = float | NDArray[np.float64]

BACKWARD_FLOPS_RATIO: Final = 2.5
"""Flash attention backward over forward FLOPs: five products for two (arXiv 2307.08691, 4.1)."""

TILES: Final = (
    (256, 256), (256, 192), (192, 256), (256, 128), (128, 256), (192, 128), (128, 192),
    (128, 128), (128, 64), (64, 128), (64, 64),
)  # fmt: skip
"""Output tiles of GPU matrix kernels (CUTLASS and cuBLAS families); the fastest one is taken."""


def gemm_time_s(
    m: Number,
    n: Number,
    k: Number,
    kernel: GemmKernel,
    *,
    quantise: bool = True,
    output_bytes: float | None = None,
) -> Number:
    """Return the time of one product [m, k] x [k, n].

    launch + (tiles^4 + bytes^4)^(1/4) + quantise. `tiles` is that of the fastest tile shape:
    whole waves over the multiprocessors, of which the idle part of the last one costs only
    `wave_weight`, slower by `cache_loss` per e-fold that the operands exceed the cache; `bytes`
    moves both operands and the result once. Never falls when m, n or k grows. Ignored:
    alignment (m + 1 costs 1 to 4 %), the choice between kernels of one tile.

    Args:
        m: Rows of the result, above 0.
        n: Columns of the result.
        k: Inner dimension.
        kernel: Fitted numbers of the accelerator and number format.
        quantise: Whether bringing the m x k operand into fp8 or nvfp4 belongs to the product.
        output_bytes: Bytes per element of the result, if other than the kernel's.

    >>> from gigafactory.spec.kernels import GemmKernel
    >>> h100 = GemmKernel(peak_flops_per_s=8e14, launch_s=3e-6, k_overhead=100.0, wave_weight=0.4,
    ...     tile_edge=1.0, num_sms=132, memory_bytes_per_s=2.7e12, operand_bytes=2.0)
    >>> round(2 * 8192**3 / gemm_time_s(8192, 8192, 8192, h100) / 1e12)  # TFLOP/s
    773
    """
    m, n, k = np.asarray(m, float), np.asarray(n, float), np.asarray(k, float)
    operands = (m * k + n * k) * kernel.operand_bytes
    tiles = _tile_time_s(m, n, k, kernel, 1.0) * _cache_factor(operands, kernel)
    result = m * n * (kernel.output_bytes if output_bytes is None else output_bytes)
    time = _joined(tiles, (operands + result) / kernel.memory_bytes_per_s) + kernel.launch_s
    if quantise and kernel.quantise_bytes_per_element:
        time = time + m * k * (kernel.quantise_bytes_per_element / kernel.memory_bytes_per_s)
    return _plain(time)


def grouped_gemm_time_s(  # noqa: PLR0917 - the dimensions in their usual order
    groups: Number,
    m: Number,
    n: Number,
    k: Number,
    kernel: GemmKernel,
    grouped: GroupedGemmKernel,
) -> Number:
    """Return the time of `groups` products [m, k] x [k, n] in one launch, one per expert.

    As `gemm_time_s`, with the tiles of all groups sharing the waves, each group padding its own
    m to whole tiles, at `relative_rate` of the dense rate. Never falls when a dimension grows.
    Left to the caller: unequal loads (pass the mean rows and stretch the time) and quantising.

    Args:
        groups: Number of experts on this accelerator.
        m: Rows (tokens) per expert.
        n: Columns of each result.
        k: Inner dimension.
        kernel: Dense kernel of the same number format.
        grouped: What grouping changes.

    >>> from gigafactory.spec.kernels import GemmKernel, GroupedGemmKernel
    >>> dense = GemmKernel(peak_flops_per_s=8e14, launch_s=3e-6, k_overhead=100.0,
    ...     wave_weight=0.4, tile_edge=1.0, num_sms=132, memory_bytes_per_s=2.7e12,
    ...     operand_bytes=2.0)
    >>> experts = GroupedGemmKernel(relative_rate=0.8, launch_s=1e-5)
    >>> time = grouped_gemm_time_s(8, 2048, 14336, 4096, dense, experts)
    >>> round(8 * 2 * 2048 * 14336 * 4096 / time / 1e12)  # TFLOP/s
    612
    """
    groups, m = np.asarray(groups, float), np.asarray(m, float)
    n, k = np.asarray(n, float), np.asarray(k, float)
    operands = (m * k + n * k) * kernel.operand_bytes
    tiles = _tile_time_s(m, n, k, kernel, groups) * _cache_factor(operands, kernel)
    moved = groups * (operands + m * n * kernel.output_bytes) / kernel.memory_bytes_per_s
    return _plain(_joined(tiles / grouped.relative_rate, moved) + grouped.launch_s)


def attention_forward_time_s(  # noqa: PLR0917 - the dimensions in their usual order
    batch: Number,
    seq_q: Number,
    seq_kv: Number,
    heads: Number,
    kv_heads: Number,
    head_dim: Number,
    kernel: AttentionKernel,
    *,
    causal: bool = True,
) -> Number:
    """Return the time of one fused attention, forward.

    launch + max(FLOPs at the fitted rate, bytes): each query also pays for half_seq / 2 keys more
    than it sees; blocks of queries go in waves over the multiprocessors. A causal query sees half
    of the last `seq_q` keys and all keys before. head_dim is padded to the kernel's step; kv_heads
    only change the bytes. Backward: `BACKWARD_FLOPS_RATIO` times the FLOPs, at a rate that was
    not measured.

    >>> from gigafactory.spec.kernels import AttentionKernel
    >>> fa3 = AttentionKernel(forward_flops_per_s=6e14, half_seq=1000.0, launch_s=1e-5,
    ...     num_sms=132, memory_bytes_per_s=2.7e12)
    >>> time = attention_forward_time_s(1, 8192, 8192, 32, 8, 128, fa3)
    >>> round(2 * 32 * 8192**2 * 128 / time / 1e12)  # causal TFLOP/s
    530
    """
    batch, heads = np.asarray(batch, float), np.asarray(heads, float)
    seq_q, seq_kv = np.asarray(seq_q, float), np.asarray(seq_kv, float)
    step = kernel.head_dim_step
    width = np.ceil(np.asarray(head_dim, float) / step) * step
    keys = seq_kv - seq_q / 2 if causal else seq_kv
    flops = 4 * batch * heads * seq_q * width * (keys + kernel.half_seq / 2)
    compute = flops / kernel.forward_flops_per_s * _idle_factor(batch * heads, seq_q, kernel)
    # bf16 queries and result, keys and values: two bytes an element, each moved once
    moved = 4 * width * batch * (heads * seq_q + np.asarray(kv_heads, float) * seq_kv)
    return _plain(np.maximum(compute, moved / kernel.memory_bytes_per_s) + kernel.launch_s)


def attention_kernel(fit: KernelFit, head_dim: int) -> AttentionKernel:
    """Return the kernel fitted for `head_dim`: the next larger one measured, else the largest.

    Raises:
        SpecError: The fit holds no attention kernel.
    """
    if not fit.attention:
        raise SpecError(f"kernelfit {fit.accelerator}: no attention kernel", field="attention")
    widths = sorted(int(width) for width in fit.attention)
    return fit.attention[str(next((w for w in widths if w >= head_dim), widths[-1]))]


def collective_time_s(
    kind: str, message_bytes: Number, group_size: Number, kernels: Mapping[str, CollectiveKernel]
) -> Number:
    """Return the time of a collective inside one scale-up domain; 0 for a group of one.

    latency + wire / bandwidth + ramp * sqrt(bytes), wire = share(kind, group) * bytes. Between
    measured group sizes the three numbers are interpolated in log2(group); beyond the largest
    its bandwidth and ramp stay and the latency grows with log2(group).

    Args:
        kind: all_reduce, all_gather, reduce_scatter or all_to_all.
        message_bytes: Whole message: the reduced tensor, the gathered tensor, the tensor before
            it is scattered, what one accelerator sends to all (its own share included).
        group_size: Accelerators taking part.
        kernels: `KernelFit.collectives`.

    Raises:
        SpecError: The fit holds no collective of this kind.

    >>> from gigafactory.spec.kernels import CollectiveKernel
    >>> nccl = {"all_reduce_8": CollectiveKernel(kind="all_reduce", group=8, latency_s=1e-5,
    ...     bytes_per_s=4e11)}
    >>> collective_time_s("all_reduce", 4e11, 8, nccl), collective_time_s("all_reduce", 1, 1, nccl)
    (1.75001, 0.0)
    """
    found = sorted((c for c in kernels.values() if c.kind == kind), key=lambda c: c.group)
    size = np.asarray(message_bytes, float)
    group = np.asarray(group_size, float)
    if not found and np.all(group <= 1):
        return _plain(np.zeros(np.broadcast_shapes(size.shape, group.shape)))
    if not found:
        raise SpecError(f"kernelfit: no collective {kind!r} was fitted", field="collectives")
    logs = np.array([log2(c.group) for c in found])
    log = np.log2(np.maximum(group, 2.0))
    latency = np.interp(log, logs, [c.latency_s for c in found]) * np.maximum(1.0, log / logs[-1])
    rate = np.interp(log, logs, [c.bytes_per_s for c in found])
    ramp = np.interp(log, logs, [c.sqrt_s_per_root_byte for c in found])
    alone = group <= 1
    # Terms without the message first: where groups have fewer axes than messages, that is most.
    fixed, root = np.where(alone, 0.0, latency), np.where(alone, 0.0, ramp)
    per_byte = np.asarray(wire_share(kind, group)) / rate
    return _plain(np.asarray(fixed + per_byte * size + root * np.sqrt(size)))


def wire_share(kind: str, group: Number) -> Number:
    """Return the bytes one accelerator sends per byte of message, by the ring's count.

    >>> wire_share("all_reduce", 8), wire_share("all_gather", 8)
    (1.75, 0.875)

    Source: nccl-tests, doc/PERFORMANCE.md, "Bus bandwidth".
    """
    share = 1 - 1 / np.maximum(group, 1.0)
    return _plain(2 * share if kind == "all_reduce" else share)


def _tile_time_s(
    m: NDArray[np.float64],
    n: NDArray[np.float64],
    k: NDArray[np.float64],
    kernel: GemmKernel,
    groups: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Return the time of the fastest tile shape, all multiprocessors at the fitted rate.

    Where tiles may be partly filled, the whole result is one: packing its operands costs
    `tile_edge` rows and columns, setting up k costs `k_overhead` steps (Goto and van de Geijn
    2008, "Anatomy of High-Performance Matrix Multiplication", section 4).
    """
    if not kernel.whole_tiles:
        packed = (m * n + kernel.tile_edge * (m + n)) * (k + kernel.k_overhead)
        return np.asarray(packed * groups * (2.0 / kernel.peak_flops_per_s))
    rows = {edge: np.ceil(m / edge) * groups for edge in {tile[0] for tile in TILES}}
    columns = {edge: np.ceil(n / edge) / kernel.num_sms for edge in {tile[1] for tile in TILES}}
    paid, best = 1.0 - kernel.wave_weight, None
    for high, wide in TILES:
        waves = rows[high] * columns[wide]
        area = high * wide * (1.0 + kernel.tile_edge * (1.0 / high + 1.0 / wide))
        work = (waves * paid + np.ceil(waves) * kernel.wave_weight) * area
        best = work if best is None else np.minimum(best, work)
    assert best is not None  # TILES is not empty
    per_step = 2.0 * kernel.num_sms / kernel.peak_flops_per_s
    return np.asarray(best * ((k + kernel.k_overhead) * per_step))


def _idle_factor(
    heads: NDArray[np.float64], queries: NDArray[np.float64], kernel: AttentionKernel
) -> NDArray[np.float64]:
    """Return waves paid for (one at least) over waves filled, 1 or more."""
    waves = heads * np.ceil(queries / kernel.block_queries) / kernel.num_sms
    paid = waves + (np.ceil(waves) - waves) * kernel.wave_weight
    return np.asarray(np.maximum(1.0, paid) / waves)


def _cache_factor(operands: NDArray[np.float64], kernel: GemmKernel) -> NDArray[np.float64]:
    """Return by how much operands of so many bytes slow the tiles down, 1 or more."""
    return np.asarray(1.0 + kernel.cache_loss * np.log1p(operands / kernel.cache_bytes))


def _joined(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (a^4 + b^4)^(1/4): 19 % above either where compute and memory time are equal.

    Squares and roots only, so that scalars round as arrays do.
    """
    a, b = a * a, b * b
    return np.asarray(np.sqrt(np.sqrt(a * a + b * b)))


def _plain(value: NDArray[np.float64]) -> Number:
    """Return a float for a 0-d array, the array otherwise."""
    return value if np.ndim(value) else float(value)
