"""What ranks of one processor take from one another: caches, memory, clock.

Kernels are measured with every rank of the node at work. A layout that leaves some of them idle
works faster, in proportion to how many are idle.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gigafactory.cost.rates import Rates
    from gigafactory.spec.machine import Machine

CROWDING: Final = "crowding"


def is_crowded(machine: Machine) -> bool:
    """Return whether it was measured what ranks of a node take from one another."""
    return CROWDING in machine.calibration.factors


def relieved(rates: Rates, machine: Machine, busy: int | None) -> Rates:
    """Return the rates of a rank when `busy` ranks work in all; None for every rank of a node.

    With a share c of its time lost to the others when all work, and a share i of them idle, every
    kernel takes 1 - c i of its time.
    """
    ranks = machine.cluster.node.num_accelerators
    if busy is None or busy >= ranks or not is_crowded(machine):
        return rates
    idle = (ranks - busy) / (ranks - 1)
    part = 1.0 - machine.calibration.lookup(CROWDING) * idle
    gemm, grouped, attention = rates.gemm, rates.grouped, rates.attention
    faster = replace(
        gemm, peak_flops_per_s=gemm.peak_flops_per_s / part, launch_s=gemm.launch_s * part,
        memory_bytes_per_s=gemm.memory_bytes_per_s / part,
    )  # fmt: skip
    return replace(
        rates,
        gemm=faster,
        output_gemm=faster,
        grouped=replace(grouped, launch_s=grouped.launch_s * part),
        attention=replace(
            attention, forward_flops_per_s=attention.forward_flops_per_s / part,
            launch_s=attention.launch_s * part,
            memory_bytes_per_s=attention.memory_bytes_per_s / part,
        ),
        memory_bytes_per_s=rates.memory_bytes_per_s / part,
        host_layer_s=rates.host_layer_s * part,
    )  # fmt: skip
