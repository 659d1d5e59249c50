"""Data parallelism: replicas that average gradients, whole (DDP) or sharded (FSDP2, HSDP).

| sharding | weights between steps | gradients | weights within a step |
|---|---|---|---|
| none | whole | summed after the last microbatch | whole |
| zero1 | in shards | summed after the last microbatch | gathered once |
| zero2 | in shards | summed after each microbatch | gathered once |
| zero3, hsdp | in shards | summed after each microbatch | gathered for each layer, both passes |
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import torch
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from gigafactory.run.trainer import spans
from gigafactory.run.trainer.experts import MixtureOfExperts
from gigafactory.run.trainer.mesh import expert_shard_size

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch._C._distributed_c10d import GradBucket

    from gigafactory.run.trainer.mesh import Meshes
    from gigafactory.run.trainer.model import Transformer
    from gigafactory.spec.layout import Layout


def by_ddp(layout: Layout) -> bool:
    """Return whether replicas are DDP's: whole models, and nothing else is parallel."""
    others = layout.tensor_parallel * layout.pipeline_parallel * layout.expert_parallel
    return layout.data_parallel > 1 and layout.sharding == "none" and others == 1


def by_fsdp(layout: Layout) -> bool:
    """Return whether parameters are FSDP2's; unsharded replicas are shards of 1."""
    spread = layout.data_parallel > 1 or layout.expert_parallel > 1
    return spread and not by_ddp(layout)


def shard(transformer: Transformer, layout: Layout, meshes: Meshes) -> None:
    """Cut a stage's parameters over data-parallel ranks, layer by layer."""
    gathered_again = layout.sharding in ("zero3", "hsdp") and layout.pipeline_parallel == 1
    kind = torch.bfloat16 if layout.precision == "bf16" else None
    precision = MixedPrecisionPolicy(param_dtype=kind, reduce_dtype=torch.float32)
    for block in transformer.layers.values():
        experts = block.feed_forward
        if layout.expert_parallel > 1 and isinstance(experts, MixtureOfExperts):
            fully_shard(
                experts.experts, mesh=meshes.expert_data, mp_policy=precision,
                reshard_after_forward=gathered_again,
            )  # fmt: skip
            _mean_over_replicas(cast("FSDPModule", experts.experts), layout)
        fully_shard(
            block, mesh=meshes.data, mp_policy=precision, reshard_after_forward=gathered_again
        )
    fully_shard(transformer, mesh=meshes.data, mp_policy=precision, reshard_after_forward=False)


def _mean_over_replicas(experts: FSDPModule, layout: Layout) -> None:
    """Divide the experts' gradients by the replicas, not by the ranks that hold the same experts.

    They hold the tokens of all ranks of their exchange, summed, already.
    """
    experts.set_gradient_divide_factor(layout.data_parallel)
    if expert_shard_size(layout) > 1:
        # gloo cannot scale in a reduction. With shards of 1 there is none, and asking for sums
        # would divide twice (PyTorch 2.13).
        experts.set_force_sum_reduction_for_comms(enable=True)


class Replica(DistributedDataParallel):
    """A model that averages its gradients over all ranks while it goes backwards.

    Attributes:
        ready_at: When the gradients of the last bucket were there; what follows is waiting.
    """

    def __init__(self, transformer: Transformer) -> None:
        super().__init__(transformer, gradient_as_bucket_view=True)
        self.ready_at = 0.0
        # DDP reads annotations, and does not know those that are text: a lambda has none.
        self.register_comm_hook(self, lambda replica, bucket: _averaged(replica, bucket))


def _averaged(replica: Replica, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    replica.ready_at = time.perf_counter()
    return allreduce_hook(replica.process_group, bucket)


def count_waiting(module: nn.Module) -> None:
    """Count the time since a replica's gradients were there as their communication."""
    if isinstance(module, Replica):
        spans.waited("data_comm", time.perf_counter() - module.ready_at)


def prepare(module: nn.Module, layout: Layout, *, last: bool) -> None:
    """Tell a model whether the microbatch to come is the last one of its step."""
    if isinstance(module, DistributedDataParallel):
        module.require_backward_grad_sync = last
    elif isinstance(module, FSDPModule):
        each = layout.sharding in ("zero2", "zero3", "hsdp")
        module.set_requires_gradient_sync(last or each)
        module.set_is_last_backward(last)
        module.set_reshard_after_backward(last or layout.sharding in ("zero3", "hsdp"))
