"""Turns a machine and its fitted numbers into the rates of one precision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gigafactory.cost.kernels import BACKWARD_FLOPS_RATIO, attention_kernel
from gigafactory.cost.rates import Rates
from gigafactory.errors import SpecError
from gigafactory.plan.crowding import relieved

if TYPE_CHECKING:
    from gigafactory.spec.kernels import AttentionKernel, GemmKernel, GroupedGemmKernel
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.software import Features

KERNEL_DTYPE: Final = {
    "fp32": "fp32", "bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "nvfp4": "nvfp4",
}  # fmt: skip

MASTER_AND_MOMENTS: Final = 12.0  # fp32, four bytes each
# A quantised element: nvfp4 holds half a byte and an 8-bit scale for every 16 elements.
QUANTISED_BYTES: Final = {"fp8": 1.0, "nvfp4": 0.5625}
FULL_BYTES: Final = 4.0  # of weights and activations in fp32; all other precisions keep 16 bits
HALF_BYTES: Final = 2.0

# Fitted numbers that are rates as they stand, under the same name.
PLAIN_FACTORS: Final = (
    "elementwise", "pipeline_exposed", "data_window", "contention", "sharded_contention",
    "host_layer_s", "optimizer_bytes", "straggler", "imbalance", "exchange_share", "reserved_bytes",
    "fragmentation",
)  # fmt: skip
# What spreading a model over ranks costs the host: only of measured machines.
SPREADING: Final = (
    "host_tensor_s", "host_tensor_ends_s", "tensor_copy_bytes", "host_shard_s", "shard_copy_bytes",
)  # fmt: skip


def precisions(machine: Machine) -> tuple[str, ...]:
    """Return the precisions that the accelerator's kernels cover."""
    return tuple(p for p, dtype in KERNEL_DTYPE.items() if dtype in machine.kernels.gemm)


def rates_of(machine: Machine, precision: str, head_dim: int, *, busy: int | None = None) -> Rates:
    """Return how fast this machine works at one precision.

    Args:
        machine: With its software.
        precision: Of the step.
        head_dim: Of its attention.
        busy: Ranks at work in all; None for every rank of each node.

    Raises:
        SpecError: The accelerator has no kernels for the precision.
    """
    dtype = _kernel_dtype(machine, precision)
    accelerator, features = machine.cluster.accelerator, machine.software.features
    share = machine.factor("memory_share", machine.kernels.accelerator)
    rates = Rates(
        gemm=_gemm(machine, dtype),
        output_gemm=_gemm(machine, dtype if dtype == "fp32" else "bf16"),
        grouped=_grouped(machine, dtype),
        attention=_attention(machine, head_dim, precision),
        attention_backward=BACKWARD_FLOPS_RATIO / machine.factor("attention_backward_rate"),
        collectives=machine.kernels.collectives,
        features=features,
        peak_flops_per_s=accelerator.peak_flops_per_s[precision],
        memory_bytes_per_s=accelerator.memory_bytes_per_s * share,
        cross_entropy=machine.factor("cross_entropy_bytes"),
        tensor_hidden=machine.factor("tensor_hidden") if features.overlap_tensor else 0.0,
        accumulation_bytes=features.accumulation_bytes.get(precision, 0.0),
        memory_capacity_bytes=accelerator.memory_bytes,
        **_spreading(machine),
        **_network(machine),
        **_element_bytes(features, precision),
        **_plain_factors(machine, precision),
    )
    return relieved(rates, machine, busy)


def _kernel_dtype(machine: Machine, precision: str) -> str:
    """Return the number format of the kernels that a precision runs on; raises as `rates_of`."""
    dtype = KERNEL_DTYPE[precision]
    if dtype not in machine.kernels.gemm:
        raise SpecError(
            f"precision: {machine.cluster.accelerator.name} runs "
            f"{', '.join(precisions(machine))}, got {precision!r}",
            field="precision",
        )
    return dtype


def _network(machine: Machine) -> dict[str, Any]:
    """Return how ranks reach one another, from the scale-up domain outwards."""
    cluster, kind = machine.cluster, machine.cluster.fabric.kind
    bridge = cluster.node.bridge_bytes_per_s or cluster.nic_bytes_per_s
    reached = machine.factor("nic_share", f"{kind}.{machine.kernels.accelerator}", kind)
    return {
        "scale_up_domain": cluster.scale_up_domain,
        "link_bytes_per_s": _link_bytes_per_s(machine),
        "gpus_per_node": cluster.node.num_accelerators,
        "bridge_bytes_per_s": machine.factor("bridge_share") * bridge,
        "nic_bytes_per_s": cluster.nic_bytes_per_s * reached,
        "nic_latency_s": cluster.fabric.tiers[0].hop_latency_s,
        "tiers": cluster.fabric.tiers,
    }


def _element_bytes(features: Features, precision: str) -> dict[str, Any]:
    """Return bytes per element or parameter: what is sent, and what is held."""
    full = FULL_BYTES if precision == "fp32" else HALF_BYTES
    thin = KERNEL_DTYPE[precision] in QUANTISED_BYTES
    saved = QUANTISED_BYTES.get(precision, full) if features.quantised_saves else full
    return {
        "weight_bytes": 1.0 if thin and features.quantised_weights else full,
        "gathered_bytes": 1.0 if thin and features.quantised_gather else full,
        "saved_bytes": saved,
        "activation_bytes": full,
        "stored_bytes": full,
        "gradient_state_bytes": features.gradient_state_bytes.get(
            precision, features.gradient_bytes
        ),
        "optimizer_state_bytes": features.optimizer_state_bytes.get(precision, MASTER_AND_MOMENTS),
    }


def _plain_factors(machine: Machine, precision: str) -> dict[str, Any]:
    """Return the fitted numbers that are rates as they stand."""
    special = f"{machine.software.name}.{precision}"
    return {name: machine.factor(name, special) for name in PLAIN_FACTORS}


def _optional(machine: Machine, name: str, without: float) -> float:
    """Return a factor that only measured machines have."""
    has = any(key.partition(".")[0] == name for key in machine.calibration.factors)
    return machine.factor(name) if has else without


def _spreading(machine: Machine) -> dict[str, Any]:
    return {name: _optional(machine, name, 0.0) for name in SPREADING}


def _gemm(machine: Machine, dtype: str) -> GemmKernel:
    """Return the kernel at the clock that long runs sustain."""
    kernel = machine.kernels.gemm[dtype]
    sustained = _sustained(machine, machine.cluster.accelerator.name, dtype)
    return replace(kernel, peak_flops_per_s=kernel.peak_flops_per_s * sustained)


def _sustained(machine: Machine, accelerator: str, dtype: str) -> float:
    """Return the clock that long runs sustain on an accelerator of the kernels' family."""
    family = f"{machine.kernels.accelerator}.{dtype}"
    return machine.calibration.lookup("sustained", f"{accelerator}.{dtype}", family, dtype)


def _grouped(machine: Machine, dtype: str) -> GroupedGemmKernel:
    """Return the grouped product at the rate that training reaches of the measured one.

    Where the tables show grouped products ahead of dense ones, they are taken as equal.
    """
    kernel = machine.kernels.grouped_gemm[dtype]
    share = machine.calibration.lookup(
        "expert_rate", f"{machine.kernels.accelerator}.{dtype}", dtype
    )
    # The fused kernels exist for Blackwell, which alone has nvfp4, and for its 8-bit format.
    blackwell = "nvfp4" in machine.kernels.gemm
    fused = machine.software.features.fused_experts and blackwell and dtype == "fp8"
    traffic = machine.calibration.lookup("expert_traffic", *(("fused",) if fused else ()))
    return replace(
        kernel,
        relative_rate=min(kernel.relative_rate, 1.0) * share,
        moved_bytes_per_element=kernel.moved_bytes_per_element * traffic,
    )


def _attention(machine: Machine, head_dim: int, precision: str) -> AttentionKernel:
    """Return the measured kernel at the rate of the software's flash generation.

    A relative of the measured accelerator with a lower power limit sustains a lower clock.
    """
    kernel = attention_kernel(machine.kernels, head_dim)
    generation = machine.software.features.attention
    family = f"{generation}.{machine.kernels.accelerator}"
    share = machine.calibration.lookup("attention", f"{family}.{precision}", family, generation)
    own, measured = (
        _sustained(machine, name, "bf16")
        for name in (machine.cluster.accelerator.name, machine.kernels.accelerator)
    )
    return replace(kernel, forward_flops_per_s=kernel.forward_flops_per_s * share * own / measured)


def _link_bytes_per_s(machine: Machine) -> float:
    fast = [c.bytes_per_s for c in machine.kernels.collectives.values() if c.kind == "all_gather"]
    share = _optional(machine, "link_share", 1.0)
    return max(fast, default=machine.cluster.accelerator.scale_up_bytes_per_s or 0.0) * share
