"""What a machine is made of: the same rates with one resource slower, alone, or as a meter.

Every price is a sum, a maximum or a smooth maximum of times that each scale with one resource.
So a price at other speeds tells what each resource has to do with it, whatever its formula:
slower by a millionth, how much of the price is its; with all others free, how long it is busy;
at one byte a second, how many bytes go through it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gigafactory.cost.rates import Rates
    from gigafactory.spec.kernels import AttentionKernel, CollectiveKernel, GemmKernel

RESOURCES: Final = ("matmul", "memory", "link", "network")
"""Matmul units; HBM; the links inside a server; network cards and switches."""

FREE: Final = 1e-12  # times as slow: next to nothing beside any other time


def slowed(rates: Rates, slowness: Mapping[str, float]) -> Rates:
    """Return the machine with the named resources so many times as slow.

    The start-up of a kernel counts to the matmul units, the latency of a transfer to its link.
    """
    matmul, memory, link, network = (slowness.get(name, 1.0) for name in RESOURCES)
    return replace(
        rates,
        gemm=_gemm(rates.gemm, matmul, memory),
        output_gemm=_gemm(rates.output_gemm, matmul, memory),
        grouped=replace(rates.grouped, launch_s=rates.grouped.launch_s * matmul),
        attention=_attention(rates.attention, matmul, memory),
        memory_bytes_per_s=rates.memory_bytes_per_s / memory,
        collectives={name: _collective(one, link) for name, one in rates.collectives.items()},
        link_bytes_per_s=rates.link_bytes_per_s / link,
        bridge_bytes_per_s=rates.bridge_bytes_per_s / link,
        nic_bytes_per_s=rates.nic_bytes_per_s / network,
        nic_latency_s=rates.nic_latency_s * network,
    )


def alone(rates: Rates, resource: str) -> Rates:
    """Return the machine with every resource but one free: what takes time is that one's."""
    return slowed(rates, {name: FREE for name in RESOURCES if name != resource})


def metered(rates: Rates, resource: str) -> Rates:
    """Return a machine whose seconds are the bytes that go through one resource.

    Args:
        rates: The machine.
        resource: "memory", "link" or "network".
    """
    free = slowed(rates, dict.fromkeys(RESOURCES, FREE))
    if resource == "memory":
        return replace(
            free,
            gemm=replace(free.gemm, memory_bytes_per_s=1.0),
            output_gemm=replace(free.output_gemm, memory_bytes_per_s=1.0),
            attention=replace(free.attention, memory_bytes_per_s=1.0),
            memory_bytes_per_s=1.0,
        )
    if resource == "link":
        links = {k: replace(one, bytes_per_s=1.0) for k, one in free.collectives.items()}
        return replace(free, collectives=links, link_bytes_per_s=1.0, bridge_bytes_per_s=1.0)
    # Oversubscription and the share that an exchange reaches are slowness, not bytes.
    return replace(free, nic_bytes_per_s=1.0, exchange_share=1.0, tiers=free.tiers[:1])


def _gemm(kernel: GemmKernel, matmul: float, memory: float) -> GemmKernel:
    return replace(
        kernel,
        peak_flops_per_s=kernel.peak_flops_per_s / matmul,
        launch_s=kernel.launch_s * matmul,
        memory_bytes_per_s=kernel.memory_bytes_per_s / memory,
    )


def _attention(kernel: AttentionKernel, matmul: float, memory: float) -> AttentionKernel:
    return replace(
        kernel,
        forward_flops_per_s=kernel.forward_flops_per_s / matmul,
        launch_s=kernel.launch_s * matmul,
        memory_bytes_per_s=kernel.memory_bytes_per_s / memory,
    )


def _collective(kernel: CollectiveKernel, link: float) -> CollectiveKernel:
    return replace(
        kernel,
        latency_s=kernel.latency_s * link,
        bytes_per_s=kernel.bytes_per_s / link,
        sqrt_s_per_root_byte=kernel.sqrt_s_per_root_byte * link,
    )
