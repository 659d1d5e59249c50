"""Turns a machine and its fitted numbers into the rates of one precision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gigafactory.cost.kernels import BACKWARD_FLOPS_RATIO, attention_kernel
from gigafactory.cost.rates import Rates
from gigafactory.errors import SpecError
from gigafactory.plan.crowding import relieved

if TYPE_CHECKING:
    from gigafactory.spec.kernels import AttentionKernel, GemmKernel, GroupedGemmKernel
    from gigafactory.spec.machine import Machine

KERNEL_DTYPE: Final = {
    "fp32": "fp32", "bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "nvfp4": "nvfp4",
}  # fmt: skip

MASTER_AND_MOMENTS: Final = 12.0  # fp32, four bytes each
# A kept matmul input: nvfp4 holds half a byte and an 8-bit scale for every 16 elements.
SAVED_BYTES: Final = {"fp32": 4.0, "bf16": 2.0, "fp8": 1.0, "nvfp4": 0.5625}
FULL_BYTES: Final = 4.0  # of weights and activations in fp32; all other precisions keep 16 bits
HALF_BYTES: Final = 2.0

# Fitted numbers that are rates as they stand, under the same name.
PLAIN_FACTORS: Final = (
    "elementwise", "pipeline_exposed", "data_window", "contention", "sharded_contention",
    "host_layer_s", "optimizer_bytes", "straggler", "imbalance", "exchange_share", "reserved_bytes",
    "fragmentation",
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
    dtype = KERNEL_DTYPE[precision]
    if dtype not in machine.kernels.gemm:
        raise SpecError(
            f"precision: {machine.cluster.accelerator.name} runs "
            f"{', '.join(precisions(machine))}, got {precision!r}",
            field="precision",
        )
    accelerator, features = machine.cluster.accelerator, machine.software.features
    full = FULL_BYTES if dtype == "fp32" else HALF_BYTES
    quantised = dtype not in ("fp32", "bf16")
    key, kind = machine.kernels.accelerator, machine.cluster.fabric.kind
    bandwidth = accelerator.memory_bytes_per_s * machine.factor("memory_share", key)
    rates = Rates(
        gemm=_gemm(machine, dtype),
        output_gemm=_gemm(machine, dtype if dtype == "fp32" else "bf16"),
        grouped=_grouped(machine, dtype),
        attention=_attention(machine, head_dim, precision),
        attention_backward=BACKWARD_FLOPS_RATIO / machine.factor("attention_backward_rate"),
        collectives=machine.kernels.collectives,
        features=features,
        peak_flops_per_s=accelerator.peak_flops_per_s[precision],
        memory_bytes_per_s=bandwidth,
        weight_bytes=1.0 if quantised and features.quantised_weights else full,
        gathered_bytes=1.0 if quantised and features.quantised_gather else full,
        cross_entropy=machine.factor("cross_entropy_bytes"),
        tensor_hidden=machine.factor("tensor_hidden") if features.overlap_tensor else 0.0,
        scale_up_domain=machine.cluster.scale_up_domain,
        link_bytes_per_s=_link_bytes_per_s(machine),
        gpus_per_node=machine.cluster.node.num_accelerators,
        bridge_bytes_per_s=machine.factor("bridge_share")
        * (machine.cluster.node.bridge_bytes_per_s or machine.cluster.nic_bytes_per_s),
        nic_bytes_per_s=machine.cluster.nic_bytes_per_s
        * machine.factor("nic_share", f"{kind}.{key}", kind),
        nic_latency_s=machine.cluster.fabric.tiers[0].hop_latency_s,
        tiers=machine.cluster.fabric.tiers,
        accumulation_bytes=features.accumulation_bytes.get(precision, 0.0),
        memory_capacity_bytes=accelerator.memory_bytes,
        gradient_state_bytes=features.gradient_state_bytes.get(precision, features.gradient_bytes),
        optimizer_state_bytes=features.optimizer_state_bytes.get(precision, MASTER_AND_MOMENTS),
        saved_bytes=SAVED_BYTES[dtype] if features.quantised_saves else full,
        activation_bytes=full,
        stored_bytes=full,
        host_tensor_s=_optional(machine, "host_tensor_s", 0.0),
        host_tensor_ends_s=_optional(machine, "host_tensor_ends_s", 0.0),
        **{name: _plain_factor(machine, name, precision) for name in PLAIN_FACTORS},
    )
    return relieved(rates, machine, busy)


def _plain_factor(machine: Machine, name: str, precision: str) -> float:
    return machine.factor(name, f"{machine.software.name}.{precision}")


def _optional(machine: Machine, name: str, without: float) -> float:
    """Return a factor that only measured machines have."""
    has = any(key.partition(".")[0] == name for key in machine.calibration.factors)
    return machine.factor(name) if has else without


def _gemm(machine: Machine, dtype: str) -> GemmKernel:
    """Return the kernel at the clock that long runs sustain."""
    kernel, name = machine.kernels.gemm[dtype], machine.cluster.accelerator.name
    sustained = machine.calibration.lookup(
        "sustained", f"{name}.{dtype}", f"{machine.kernels.accelerator}.{dtype}", dtype
    )
    return replace(kernel, peak_flops_per_s=kernel.peak_flops_per_s * sustained)


def _grouped(machine: Machine, dtype: str) -> GroupedGemmKernel:
    """Return the grouped product at the rate that training reaches of the measured one.

    Where the tables show grouped products ahead of dense ones, they are taken as equal.
    """
    kernel = machine.kernels.grouped_gemm[dtype]
    share = machine.calibration.lookup(
        "expert_rate", f"{machine.kernels.accelerator}.{dtype}", dtype
    )
    fused = ("fused",) if machine.software.features.fused_experts else ()
    traffic = machine.calibration.lookup("expert_traffic", *fused)
    return replace(
        kernel,
        relative_rate=min(kernel.relative_rate, 1.0) * share,
        moved_bytes_per_element=kernel.moved_bytes_per_element * traffic,
    )


def _attention(machine: Machine, head_dim: int, precision: str) -> AttentionKernel:
    """Return the measured kernel at the rate of the software's flash generation."""
    kernel = attention_kernel(machine.kernels, head_dim)
    generation = machine.software.features.attention
    measured = f"{generation}.{machine.kernels.accelerator}"
    share = machine.calibration.lookup("attention", f"{measured}.{precision}", measured, generation)
    return replace(kernel, forward_flops_per_s=kernel.forward_flops_per_s * share)


def _link_bytes_per_s(machine: Machine) -> float:
    fast = [c.bytes_per_s for c in machine.kernels.collectives.values() if c.kind == "all_gather"]
    share = _optional(machine, "link_share", 1.0)
    return max(fast, default=machine.cluster.accelerator.scale_up_bytes_per_s or 0.0) * share
