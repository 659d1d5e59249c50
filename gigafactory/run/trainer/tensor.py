"""Tensor and expert parallelism: each layer's matrices cut over ranks.

Between layers hidden states are plain tensors: whole on every rank, or cut along the sequence
under sequence parallelism.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch import nn
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from gigafactory.run.trainer.experts import MixtureOfExperts, Spread
from gigafactory.run.trainer.feed_forward import FeedForward, SharedExpert

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor.placement_types import Placement

    from gigafactory.run.trainer.attention import Attention
    from gigafactory.run.trainer.mesh import Meshes
    from gigafactory.run.trainer.model import Transformer
    from gigafactory.spec.layout import Layout


def spread(transformer: Transformer, layout: Layout, meshes: Meshes) -> None:
    """Cut a stage's matrices over the tensor and expert ranks, as the layout says."""
    if layout.tensor_parallel > 1:
        _spread_dense(transformer, layout, meshes.dense["tensor"])
    for module in transformer.modules():
        if isinstance(module, MixtureOfExperts):
            _spread_experts(module, layout, meshes)


def _between(layout: Layout) -> Placement:
    """Return how hidden states stand between layers."""
    return Shard(1) if layout.sequence_parallel else Replicate()


def _spread_dense(transformer: Transformer, layout: Layout, mesh: DeviceMesh) -> None:
    between = _between(layout)
    ends: dict[str, Any] = {
        "embedding": RowwiseParallel(input_layouts=Replicate(), output_layouts=between),
        "positions": RowwiseParallel(input_layouts=Replicate(), output_layouts=between),
        "output": ColwiseParallel(
            input_layouts=between, output_layouts=Shard(-1), use_local_output=False
        ),
    }
    parallelize_module(
        transformer, mesh, {k: v for k, v in ends.items() if hasattr(transformer, k)}
    )
    transformer.tie()
    if layout.sequence_parallel:
        transformer.sequence_split = layout.tensor_parallel
    for block in transformer.layers.values():
        parallelize_module(block, mesh, _styles(block, layout))
        _share_heads(cast("Attention", block.attention), mesh)


def _styles(block: nn.Module, layout: Layout) -> dict[str, Any]:
    between = _between(layout)
    into, out = ColwiseParallel(), RowwiseParallel(output_layouts=between)
    styles: dict[str, Any] = {
        "attention": PrepareModuleInput(
            input_layouts=(between, None, None), desired_input_layouts=(Replicate(), None, None)
        ),
        "attention.query": into,
        "attention.out": out,
    }
    if isinstance(block.feed_forward, FeedForward):
        styles["feed_forward"] = PrepareModuleInput(
            input_layouts=(between,), desired_input_layouts=(Replicate(),)
        )
        styles |= {"feed_forward.up": into, "feed_forward.down": out}
        if block.feed_forward.gate is not None:
            styles["feed_forward.gate"] = into
    if layout.sequence_parallel:
        norm = SequenceParallel(use_local_output=True)
        styles |= {"attention_norm": norm, "feed_forward_norm": norm}
    return styles


def _share_heads(attention: Attention, mesh: DeviceMesh) -> None:
    """Cut keys and values by head; where there are fewer heads than ranks, all ranks make all."""
    ranks, rank = mesh.size(), mesh.get_local_rank()
    heads = attention.key.out_features // attention.head_dim
    if heads % ranks == 0:
        parallelize_module(attention, mesh, dict.fromkeys(("key", "value"), ColwiseParallel()))
        return
    for linear in (attention.key, attention.value):
        _distribute(linear, mesh, {"weight": [Replicate()]})
    attention.kv_heads = (rank * heads // ranks, 1)


def _spread_experts(layer: MixtureOfExperts, layout: Layout, meshes: Meshes) -> None:
    """Cut a layer's experts over ranks, and its tokens where ranks would route the same ones."""
    tensor, ep, etp = (
        layout.tensor_parallel, layout.expert_parallel, layout.expert_tensor_parallel,
    )  # fmt: skip
    mesh, placements = _expert_placements(layout, meshes)
    if mesh is not None:
        _distribute(layer.experts, mesh, placements)
    if tensor > 1:
        dense = meshes.dense["tensor"]
        _distribute(layer.router, dense, {"weight": [Replicate()]})
        if layer.shared is not None:
            _spread_shared(layer.shared, dense, split=etp > 1)
        _hand_over(layer, dense, _between(layout), split=etp > 1)
    layer.spread = Spread(
        experts=meshes.group("expert") if ep > 1 else None,
        tokens=meshes.group("tensor") if tensor > 1 and etp == 1 else None,
        copies=etp,
    )


def _expert_placements(
    layout: Layout, meshes: Meshes
) -> tuple[DeviceMesh | None, dict[str, list[Placement]]]:
    """Return on which mesh the experts' matrices are cut, and along what."""
    wide: dict[str, list[Placement]] = {"gate": [Shard(2)], "up": [Shard(2)], "down": [Shard(1)]}
    whole: dict[str, list[Placement]] = {name: [Replicate()] for name in wide}
    split = wide if layout.expert_tensor_parallel > 1 else whole
    if layout.expert_parallel == 1:
        return (meshes.dense["tensor"] if layout.tensor_parallel > 1 else None), split
    if layout.expert_tensor_parallel == 1:
        return meshes.sparse["expert"], {name: [Shard(0)] for name in wide}
    both = {name: [Shard(0), *placements] for name, placements in wide.items()}
    return meshes.sparse["expert", "expert_tensor"], both


def _spread_shared(shared: SharedExpert, mesh: DeviceMesh, *, split: bool) -> None:
    """Cut the expert every token visits as the routed ones are."""
    for name, linear in shared.named_children():
        cut: Placement = Shard(1 if name == "down" else 0) if split else Replicate()
        _distribute(linear, mesh, {"weight": [cut]})


def _hand_over(
    layer: MixtureOfExperts, mesh: DeviceMesh, between: Placement, *, split: bool
) -> None:
    """Give each rank its own tokens, or all of them where ranks hold parts of every expert.

    All work inside is on plain tensors; each rank's result and gradient is a part of the whole.
    """
    desired: Placement = Replicate() if split else Shard(1)
    made: Placement = Partial() if split else Shard(1)

    def before(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        x = DTensor.from_local(inputs[0], mesh, [between], run_check=False)
        x = x.redistribute(placements=[desired])
        return (x.to_local(grad_placements=[made]),)

    def after(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        whole = DTensor.from_local(out, mesh, [made], run_check=False)
        return whole.redistribute(placements=[between]).to_local()

    layer.register_forward_pre_hook(before)
    layer.register_forward_hook(after)


def _distribute(
    module: nn.Module, mesh: DeviceMesh, placements: dict[str, list[Placement]]
) -> None:
    for name, cuts in placements.items():
        parameter = getattr(module, name)
        if parameter is not None:
            whole = distribute_tensor(parameter.data, mesh, cuts, src_data_rank=None)
            setattr(module, name, nn.Parameter(whole))
