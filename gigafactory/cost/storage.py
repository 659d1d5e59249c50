"""Bytes of a checkpoint, how long training waits for it, and what the storage must carry.

A checkpoint holds each parameter once: the 16-bit weight, its fp32 master copy, and the optimizer
moments. Saved asynchronously, training waits only while every accelerator copies its shard to the
host; the write to storage then goes on beside training and must end before the next one starts.
Saved synchronously, training waits for both. Left out: gradients, the data loader's state and
metadata (below 0.1 %), and reading a checkpoint back, which is part of a measured restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gigafactory.errors import SpecError

# The working copy a checkpoint holds: fp8 and nvfp4 training keep 16-bit weights and quantise
# them in each step, so all four save two bytes; fp32 weights are the master copy themselves.
WEIGHT_BYTES: Final = {"fp32": 0.0, "bf16": 2.0, "fp16": 2.0, "fp8": 2.0, "nvfp4": 2.0}
MASTER_BYTES: Final = 4.0  # fp32 copy that the optimizer updates
MOMENT_BYTES: Final = {"adam": 8.0, "adam-bf16": 4.0, "sgd-momentum": 4.0, "sgd": 0.0}

# Least host-to-GPU copy rate at which an H100 server (PCIe 5) is accepted into service; the way
# back to the host is taken as equal. Source: Azure azurehpc-health-checks @0e0a1ac, H100 limits.
HOST_COPY_BYTES_PER_S: Final = 48e9
# Stall of one asynchronous save beyond the copy (barrier, planning).
# Source: PyTorch distributed checkpoint, Llama 3 8B on 512 H100: below 0.5 s per save.
ASYNC_OVERHEAD_S: Final = 0.5
# Storage of Meta's 24,576-GPU clusters: 2 TB/s sustained (Grattafiori et al. 2024,
# arXiv 2407.21783, section 3.3.1), spread evenly. BLOOM wrote 150 MB/s per rank.
STORAGE_BYTES_PER_S_PER_GPU: Final = 2e12 / 24_576


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCost:
    """One checkpoint of one job.

    Attributes:
        total_bytes: The whole checkpoint.
        shard_bytes: What one writing accelerator copies to its host.
        blocking_s: Training stands still this long.
        write_s: Storage is busy this long.
        least_interval_s: Shortest period between checkpoints that the storage bears.
    """

    total_bytes: Any
    shard_bytes: Any
    blocking_s: Any
    write_s: Any
    least_interval_s: Any


def checkpoint_bytes_per_parameter(precision: str = "bf16", optimizer: str = "adam") -> float:
    """Return the checkpoint bytes of one parameter: weight, fp32 master copy, moments.

    >>> checkpoint_bytes_per_parameter("bf16", "adam")
    14.0

    Raises:
        SpecError: The precision or the optimizer is unknown.
    """
    for what, name, table in (
        ("precision", precision, WEIGHT_BYTES),
        ("optimizer", optimizer, MOMENT_BYTES),
    ):
        if name not in table:
            known = ", ".join(table)
            raise SpecError(f"checkpoint: {what} must be one of {known}, got {name!r}", field=what)
    return WEIGHT_BYTES[precision] + MASTER_BYTES + MOMENT_BYTES[optimizer]


def checkpoint_bytes(num_parameters: Any, bytes_per_parameter: Any = 14.0) -> Any:
    """Return the bytes of one checkpoint; every parameter is saved once, however it is sharded."""
    return num_parameters * bytes_per_parameter


def host_copy_time_s(
    total_bytes: Any, num_writers: Any, copy_bytes_per_s: Any = HOST_COPY_BYTES_PER_S
) -> Any:
    """Return the seconds in which every writing accelerator copies its shard to its host.

    `num_writers` is the number of accelerators that hold distinct state: all of them where the
    optimizer state is sharded over data-parallel ranks, tensor x pipeline (x expert) where not.
    """
    return total_bytes / num_writers / copy_bytes_per_s


def write_time_s(total_bytes: Any, storage_bytes_per_s: Any) -> Any:
    """Return the seconds in which the storage takes one checkpoint."""
    return total_bytes / storage_bytes_per_s


def needed_write_bytes_per_s(total_bytes: Any, interval_s: Any) -> Any:
    """Return the storage bandwidth that ends one checkpoint before the next one starts."""
    return total_bytes / interval_s


def checkpoint_cost(
    num_parameters: Any,
    *,
    num_writers: Any,
    storage_bytes_per_s: Any,
    bytes_per_parameter: float = 14.0,
    asynchronous: bool = True,
    copy_bytes_per_s: Any = HOST_COPY_BYTES_PER_S,
    overhead_s: Any = ASYNC_OVERHEAD_S,
) -> CheckpointCost:
    """Return the bytes of a checkpoint, the stall it causes and the write it asks for.

    An asynchronous save stalls for the host copy and must be written before the next one;
    a synchronous one stalls for copy and write together.
    """
    total = checkpoint_bytes(num_parameters, bytes_per_parameter)
    copy_s = host_copy_time_s(total, num_writers, copy_bytes_per_s) + overhead_s
    write_s = write_time_s(total, storage_bytes_per_s)
    blocking_s = copy_s if asynchronous else copy_s + write_s
    return CheckpointCost(
        total_bytes=total,
        shard_bytes=total / num_writers,
        blocking_s=blocking_s,
        write_s=write_s,
        least_interval_s=np.maximum(write_s, blocking_s),
    )
