"""Which measured points of each kernel are fitted and compared: rules on shapes, never by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.compare.tables import (
    Array,
    Points,
    read_points,
    require_growth,
    require_shapes,
)
from gigafactory.cost.kernels import grouped_gemm_time_s

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gigafactory.compare.kernel_sources import Machine
    from gigafactory.spec.kernels import GemmKernel, GroupedGemmKernel

LEAST_GEMM, LEAST_ATTENTION, LEAST_GROUPED, LEAST_COLLECTIVE = 2000, 300, 60, 12
LEAST_KEPT: Final = 24
"""Fewest shapes of those that training uses; a law of eight numbers needs three for each."""
MAX_SPLIT: Final = 8
"""Expert layers are split inside one server; the tables' wider splits are shapes of no one."""
PAYING_BYTES: Final = 2.0**20
"""Collectives are judged from 1 MiB on: below, the time is all latency."""


def training_gemm(points: Points) -> NDArray[np.bool_]:
    """Return which products are as large as training's."""
    return np.asarray((points["m"] >= 2048) & (points["n"] >= 1024) & (points["k"] >= 1024))


def gemm_points(package: Path, machine: Machine, dtype: str) -> Points:
    """Return the measured products of one number format, launches and larger."""
    table, name = machine.gemm[dtype]
    columns = {"m": "m", "n": "n", "k": "k"}
    match: dict[str, str | int] = {"gemm_dtype": name}
    points = read_points(package, table, match=match, columns=columns, least=LEAST_GEMM)
    points = points.where((points["m"] >= 128) & (points["n"] >= 256) & (points["k"] >= 256))
    require_shapes(table, len(points), LEAST_KEPT, "m >= 128, n >= 256, k >= 256")
    require_growth(points, "m", "n", "k")
    return points


def attention_points(package: Path, machine: Machine, head_dim: int) -> Points:
    """Return the measured causal attention of one head dimension, 512 tokens and longer."""
    columns = {
        "batch_size": "batch", "isl": "seq", "num_heads": "heads",
        "num_key_value_heads": "kv_heads",
    }  # fmt: skip
    match: dict[str, str | int] = {
        "attn_dtype": "bfloat16", "kv_cache_dtype": "bfloat16", "head_dim": head_dim,
        "window_size": 0, "step": 0, "kernel_source": machine.attention_source,
    }  # fmt: skip
    table = machine.attention
    points = read_points(package, table, match=match, columns=columns, least=LEAST_ATTENTION)
    points = points.where(points["seq"] >= 512)
    require_shapes(table, len(points), LEAST_KEPT, "isl >= 512")
    require_growth(points, "seq", "batch")
    return points


def grouped_points(package: Path, machine: Machine, dtype: str) -> Points:
    """Return measured expert layers with at least 256 rows per expert and 256 columns.

    Left out by rule: top_k 1 (its balanced load is not balanced in the tables) and experts
    split over accelerators (a split layer still walks through the rows of the others).
    """
    table, source, name, distribution = machine.grouped[dtype]
    columns = {
        "num_tokens": "tokens", "hidden_size": "hidden", "inter_size": "inter", "topk": "top_k",
        "num_experts": "experts", "moe_tp_size": "tp",
    }  # fmt: skip
    match: dict[str, str | int] = {
        "moe_dtype": name, "kernel_source": source, "distribution": distribution,
        "moe_ep_size": 1,
    }  # fmt: skip
    points = read_points(package, table, match=match, columns=columns, least=LEAST_GROUPED)
    rows = points["tokens"] * points["top_k"] / points["experts"]
    wide = (points["inter"] / points["tp"] >= 256) & (points["tp"] <= MAX_SPLIT)
    kept = points.where((rows >= 256) & wide & (points["top_k"] > 1))
    require_shapes(table, len(kept), LEAST_KEPT, "256 rows per expert, 256 columns, topk > 1")
    require_growth(kept, "tokens")
    return kept


def collective_points(package: Path, machine: Machine, kind: str, group: int) -> Points:
    """Return one collective by message size, in bytes."""
    name = "alltoall" if kind == "all_to_all" else kind
    match: dict[str, str | int] = {"op_name": name, "nccl_dtype": "half", "num_gpus": group}
    columns = {"message_size": "bytes"}
    table, least = machine.collectives, LEAST_COLLECTIVE
    points = read_points(package, table, match=match, columns=columns, least=least)
    require_growth(points.where(points["bytes"] >= 2.0**15), "bytes")
    sizes = {"bytes": points["bytes"] * 2.0}  # the table counts elements of two bytes
    return Points(table=table, columns=sizes, time_s=points.time_s)


def expert_layer_time_s(points: Points, dense: GemmKernel, grouped: GroupedGemmKernel) -> Array:
    """Return the time of gated expert layers: two grouped products and the rows moved."""
    experts = points["experts"]
    rows = points["tokens"] * points["top_k"] / experts
    hidden, inter = points["hidden"], points["inter"] / points["tp"]
    up = grouped_gemm_time_s(experts, rows, 2 * inter, hidden, dense, grouped)
    down = grouped_gemm_time_s(experts, rows, hidden, inter, dense, grouped)
    moved = grouped.moved_bytes_per_element * experts * rows * hidden / dense.memory_bytes_per_s
    return np.asarray(up + down + moved)
