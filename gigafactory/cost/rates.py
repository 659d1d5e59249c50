"""How fast the machine and its software do each thing: the scalars every price is made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gigafactory.spec.hardware import Tier
    from gigafactory.spec.kernels import (
        AttentionKernel,
        CollectiveKernel,
        GemmKernel,
        GroupedGemmKernel,
    )
    from gigafactory.spec.software import Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One accelerator in one fabric, run by one software profile at one precision.

    Attributes:
        gemm: Matmul kernel of the precision, at the sustained clock.
        output_gemm: The same for the logits, which stay in bf16.
        attention: Flash attention of the software's generation.
        attention_backward: Backward over forward time of attention.
        memory_bytes_per_s: HBM bandwidth that element-wise kernels reach.
        weight_bytes: Bytes per parameter gathered over the network.
        gathered_bytes: Bytes per activation gathered over tensor-parallel ranks.
        elementwise: Bytes that element-wise kernels move over what the formula counts.
        cross_entropy: Bytes moved per logit, forward and backward.
        tensor_hidden: Share of tensor-parallel time hidden under GEMMs.
        pipeline_exposed: Share of pipeline transfer time that is exposed.
        data_window: Share of the backward window that gradient reduction can use.
        contention: Slow-down of compute per second of gradient reduction that runs under it.
        sharded_contention: The same for the transfers of fully sharded layers, which run under
            every layer and share its memory traffic.
        host_layer_s: Shortest time in which the host can launch one forward layer.
        optimizer_bytes: Bytes that one optimizer step moves per parameter it owns.
        accumulation_bytes: Bytes moved per parameter and microbatch to add its gradient to those
            before it; 0 where the weight-gradient matmul adds it.
        straggler: Relative slow-down per doubling of the number of nodes.
        imbalance: Rows of the fullest expert over the mean, dropless.
        link_bytes_per_s: What one transfer reaches inside the scale-up domain.
        bridge_bytes_per_s: What one accelerator's collectives reach between the scale-up domains
            of one server; that of its network card where a server is one domain.
        nic_bytes_per_s: Scale-out bandwidth one accelerator's collectives reach.
        exchange_share: Share of that which an all-to-all reaches.
        memory_capacity_bytes: HBM of one accelerator.
        gradient_state_bytes: Bytes per parameter that gradients take between microbatches.
        optimizer_state_bytes: Bytes per parameter of master weight and both moments.
        saved_bytes: Bytes per element of a matmul's input kept for the backward pass.
        reserved_bytes: What runtime and communication buffers take of it.
        fragmentation: Share of activations that the allocator loses between them.
        activation_bytes: Bytes per element of activations between matmuls.
        stored_bytes: Bytes per parameter of the weights that matmuls read.
        host_tensor_s: Host time that tensor parallelism adds to a forward layer.
        host_tensor_ends_s: Host time that it adds to the ends of the model, both passes.
        tensor_copy_bytes: Bytes that it moves per token and hidden element of a forward layer.
        host_shard_s: Host time of gathering and reducing one fully sharded layer, both passes.
        shard_copy_bytes: Bytes moved per parameter of it, into messages and out of them.
    """

    gemm: GemmKernel
    output_gemm: GemmKernel
    grouped: GroupedGemmKernel
    attention: AttentionKernel
    attention_backward: float
    collectives: dict[str, CollectiveKernel]
    features: Features
    peak_flops_per_s: float
    memory_bytes_per_s: float
    weight_bytes: float
    gathered_bytes: float
    elementwise: float
    cross_entropy: float
    tensor_hidden: float
    pipeline_exposed: float
    data_window: float
    contention: float
    sharded_contention: float
    host_layer_s: float
    optimizer_bytes: float
    accumulation_bytes: float
    straggler: float
    imbalance: float
    scale_up_domain: int
    link_bytes_per_s: float
    gpus_per_node: int
    bridge_bytes_per_s: float
    nic_bytes_per_s: float
    exchange_share: float
    nic_latency_s: float
    tiers: tuple[Tier, ...]
    memory_capacity_bytes: float
    gradient_state_bytes: float
    optimizer_state_bytes: float
    saved_bytes: float
    reserved_bytes: float
    fragmentation: float
    activation_bytes: float = 2.0
    stored_bytes: float = 2.0
    host_tensor_s: float = 0.0
    host_tensor_ends_s: float = 0.0
    tensor_copy_bytes: float = 0.0
    host_shard_s: float = 0.0
    shard_copy_bytes: float = 0.0
