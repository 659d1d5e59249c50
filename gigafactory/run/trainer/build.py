"""From a plan to what this rank trains: stages, cut and wrapped, and their optimizer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule

from gigafactory.run.trainer import mesh, replicas, tensor, weights
from gigafactory.run.trainer.model import Transformer
from gigafactory.run.trainer.optimizer import Optimizer
from gigafactory.run.trainer.pipeline import Passes, parts, passes

if TYPE_CHECKING:
    from torch import nn

    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Training


@dataclass(frozen=True, slots=True)
class Built:
    """What this rank trains.

    Attributes:
        stages: Its stages, one unless the pipeline is interleaved.
        modules: The same with what wraps them.
        tied: The ranks that hold the copies of a tied matrix; None where there is one copy.
        seen: What this rank's loss adds to the mean over all ranks.
    """

    place: mesh.Place
    stages: list[Transformer]
    modules: list[nn.Module]
    optimizer: Optimizer
    passes: Passes
    tied: dist.ProcessGroup | None
    seen: float


def device() -> torch.device:
    """Return where this rank computes: its GPU, or the CPU."""
    if torch.cuda.is_available():
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
        return chosen
    return torch.device("cpu")


def build(plan: Plan, training: Training) -> Built:
    """Return what this rank trains, with weights as they are before the first step.

    Every rank of the layout must call it, after `init_process_group`.
    """
    layout, here = plan.layout, device()
    place = mesh.place(layout, dist.get_rank())
    several = layout.num_gpus > 1
    grids = mesh.meshes(layout, here.type) if several else None
    stages = [_stage(plan, part) for part in parts(plan.model, layout, place.pipeline)]
    for stage in stages:
        _settle(stage, plan, training, grids, here)
    modules: list[nn.Module] = list(stages)
    if replicas.by_ddp(layout):
        modules = [replicas.Replica(stage) for stage in stages]
    ranks = layout.data_parallel * layout.tensor_parallel
    run = passes(modules, layout, here, grids.group("pipeline") if grids else None)
    if replicas.by_ddp(layout) and layout.data_parallel > 2:
        _settle_buckets(run, plan, stages, here)
    return Built(
        place=place,
        stages=stages,
        modules=modules,
        optimizer=Optimizer(stages, training, ranks_of_stage=ranks),
        passes=run,
        tied=_tied_group(plan, place),
        seen=1.0 / ranks,
    )


def _stage(plan: Plan, part: object) -> Transformer:
    with torch.device("meta"):
        return Transformer(plan.model, recompute=plan.layout.recompute, part=part)  # type: ignore[arg-type]


def _settle(
    stage: Transformer,
    plan: Plan,
    training: Training,
    grids: mesh.Meshes | None,
    here: torch.device,
) -> None:
    """Cut a stage over ranks, then give what is left of it memory and weights."""
    if grids is not None:
        tensor.spread(stage, plan.layout, grids)
    if training.compile:
        for block in stage.layers.values():
            block.compile()
    if grids is not None and replicas.by_fsdp(plan.layout):
        replicas.shard(stage, plan.layout, grids)
    stage.to_empty(device=here)
    stage.tie()
    for module in stage.modules():
        if isinstance(module, FSDPModule):  # its shards take their final, padded place in memory
            module.unshard()
            module.reshard()
    weights.begin(stage, training.seed)


def _settle_buckets(run: Passes, plan: Plan, stages: list[Transformer], here: torch.device) -> None:
    """Let DDP put its buckets in their lasting order, which it does after a first step.

    Among more than two ranks sums depend on it: a run that resumes would differ in the last bit.
    """
    rows, length = plan.layout.micro_batch_size, plan.layout.seq_len + 1
    for _ in range(2):
        run.train(torch.zeros(rows, length, dtype=torch.int64, device=here))
    for stage in stages:
        stage.zero_grad(set_to_none=True)


def _tied_group(plan: Plan, place: mesh.Place) -> dist.ProcessGroup | None:
    """Return the ranks that hold the first and the last copy of a tied matrix with this rank."""
    layout = plan.layout
    if layout.pipeline_parallel == 1 or not plan.model.tied_embeddings:
        return None
    ranks = layout.num_gpus // layout.pipeline_parallel
    mine = None
    for i in range(ranks):
        group = dist.new_group([i, layout.num_gpus - ranks + i])
        if place.rank in (i, layout.num_gpus - ranks + i):
            mine = group
    return mine
