"""Kernel laws on arbitrary shapes: positive, monotone, and the same alone and in an array."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.cost.kernels import (
    attention_forward_time_s,
    collective_time_s,
    gemm_time_s,
    grouped_gemm_time_s,
)
from gigafactory.spec.kernels import (
    COLLECTIVE_KINDS,
    AttentionKernel,
    CollectiveKernel,
    GemmKernel,
    GroupedGemmKernel,
)

size = st.integers(1, 200_000)
share = st.floats(0.0, 1.0)

gemms = st.builds(
    GemmKernel,
    peak_flops_per_s=st.floats(1e13, 1e16),
    launch_s=st.floats(1e-7, 1e-4),
    k_overhead=st.floats(0, 2000),
    wave_weight=share,
    tile_edge=st.floats(0, 50),
    num_sms=st.integers(1, 1000),
    memory_bytes_per_s=st.floats(1e11, 2e13),
    operand_bytes=st.sampled_from([0.5625, 1.0, 2.0]),
    quantise_bytes_per_element=st.floats(0, 20),
    cache_loss=st.floats(0, 0.3),
)
attentions = st.builds(
    AttentionKernel,
    forward_flops_per_s=st.floats(1e13, 1e16),
    half_seq=st.floats(0, 5000),
    launch_s=st.floats(1e-7, 1e-4),
    wave_weight=share,
    num_sms=st.integers(1, 1000),
    memory_bytes_per_s=st.floats(1e11, 2e13),
)
GROUPED = GroupedGemmKernel(relative_rate=0.8, launch_s=1e-5)
NCCL = {
    f"{kind}_{group}": CollectiveKernel(
        kind=kind, group=group, latency_s=5e-6 + 1e-6 * group, bytes_per_s=3e11 + 1e10 * group,
        sqrt_s_per_root_byte=4e-9,
    )
    for kind in COLLECTIVE_KINDS
    for group in (2, 4, 8)
}  # fmt: skip


@given(gemms, st.tuples(size, size, size), st.integers(0, 2), st.integers(1, 1000))
def test_a_product_never_gets_faster_as_it_grows(
    kernel: GemmKernel, shape: tuple[int, int, int], axis: int, more: int
) -> None:
    m, n, k = shape
    grown = [m, n, k]
    grown[axis] += more
    time = gemm_time_s(m, n, k, kernel)
    assert 0 < time < np.inf
    assert gemm_time_s(grown[0], grown[1], grown[2], kernel) >= time * (1 - 1e-12)


@given(gemms, st.tuples(size, size, size, size), st.integers(0, 3), st.integers(1, 1000))
def test_a_grouped_product_never_gets_faster_as_it_grows(
    kernel: GemmKernel, shape: tuple[int, int, int, int], axis: int, more: int
) -> None:
    grown = list(shape)
    grown[axis] += more
    first, second = (
        grouped_gemm_time_s(groups, m, n, k, kernel, GROUPED) for groups, m, n, k in (shape, grown)
    )
    assert 0 < first < np.inf
    assert second >= first * (1 - 1e-12)


@given(attentions, st.integers(1, 64), st.integers(1, 100_000), st.integers(1, 128), size)
def test_attention_never_gets_faster_as_it_grows(
    kernel: AttentionKernel, batch: int, seq: int, heads: int, more: int
) -> None:
    time = attention_forward_time_s(batch, seq, seq, heads, heads, 128, kernel)
    assert 0 < time < np.inf
    for grown in (
        attention_forward_time_s(batch + more, seq, seq, heads, heads, 128, kernel),
        attention_forward_time_s(batch, seq + more, seq + more, heads, heads, 128, kernel),
        attention_forward_time_s(batch, seq, seq + more, heads, heads, 128, kernel),
        attention_forward_time_s(batch, seq, seq, heads + more, heads, 128, kernel),
        attention_forward_time_s(batch, seq, seq, heads, heads, 128, kernel, causal=False),
    ):
        assert grown >= time * (1 - 1e-12)


@given(
    st.sampled_from(COLLECTIVE_KINDS), st.floats(0, 1e11), st.floats(0, 1e10), st.integers(2, 80)
)
def test_a_collective_never_gets_faster_with_bytes(
    kind: str, message: float, more: float, group: int
) -> None:
    time = collective_time_s(kind, message, group, NCCL)
    assert 0 < time < np.inf
    assert collective_time_s(kind, message + more, group, NCCL) >= time


def _gemm(kernel: GemmKernel) -> Callable[..., object]:
    return lambda m, n, k: gemm_time_s(m, n, k, kernel)


@given(gemms, st.lists(st.tuples(size, size, size), min_size=1, max_size=40))
def test_a_product_alone_costs_what_it_costs_in_an_array(
    kernel: GemmKernel, shapes: list[tuple[int, int, int]]
) -> None:
    together = np.asarray(_gemm(kernel)(*np.array(shapes, float).T))
    assert together.tolist() == [_gemm(kernel)(*shape) for shape in shapes]
    m, n, k = np.array(shapes, float).T
    grouped = np.asarray(grouped_gemm_time_s(8, m, n, k, kernel, GROUPED))
    assert grouped.tolist() == [grouped_gemm_time_s(8, *one, kernel, GROUPED) for one in shapes]


@given(attentions, st.lists(st.tuples(st.integers(1, 64), size), min_size=1, max_size=40))
def test_attention_alone_costs_what_it_costs_in_an_array(
    kernel: AttentionKernel, shapes: list[tuple[int, int]]
) -> None:
    batch, seq = np.array(shapes, float).T
    together = np.asarray(attention_forward_time_s(batch, seq, seq, 32, 8, 128, kernel))
    assert together.tolist() == [
        attention_forward_time_s(b, s, s, 32, 8, 128, kernel) for b, s in shapes
    ]


@given(st.lists(st.tuples(st.floats(1, 1e10), st.integers(1, 80)), min_size=1, max_size=40))
def test_a_collective_alone_costs_what_it_costs_in_an_array(
    shapes: list[tuple[float, int]],
) -> None:
    size_bytes, group = np.array(shapes, float).T
    together = np.asarray(collective_time_s("all_reduce", size_bytes, group, NCCL))
    assert together.tolist() == [collective_time_s("all_reduce", b, g, NCCL) for b, g in shapes]


def test_shapes_broadcast() -> None:
    kernel = GemmKernel(
        peak_flops_per_s=8e14, launch_s=3e-6, k_overhead=100.0, wave_weight=0.4, tile_edge=1.0,
        num_sms=132, memory_bytes_per_s=2.7e12, operand_bytes=2.0,
    )  # fmt: skip
    times = np.asarray(gemm_time_s(np.full((24, 1), 4096.0), np.arange(1.0, 301.0), 512, kernel))
    assert times.shape == (24, 300)
    assert times[3, 7] == pytest.approx(gemm_time_s(4096, 8, 512, kernel), rel=0)
