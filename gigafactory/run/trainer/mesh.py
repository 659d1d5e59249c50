"""Which rank does what: places in the layout, and the device meshes PyTorch works on.

Ranks are numbered pipeline stage, data, tensor, the innermost last. Expert layers see the ranks of
a stage as expert data, expert, expert tensor instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from gigafactory.spec.layout import Layout


@dataclass(frozen=True, slots=True)
class Place:
    """Coordinates of a rank in its layout."""

    rank: int
    pipeline: int
    data: int
    tensor: int


def place(layout: Layout, rank: int) -> Place:
    """Return where a rank stands."""
    rest, tensor = divmod(rank, layout.tensor_parallel)
    pipeline, data = divmod(rest, layout.data_parallel)
    return Place(rank, pipeline, data, tensor)


def shard_size(layout: Layout) -> int:
    """Return how many data-parallel ranks one sharded copy spans."""
    if layout.sharding == "none":
        return 1
    return layout.data_shard or layout.data_parallel


def expert_data(layout: Layout) -> int:
    """Return how many ranks of a stage hold the same experts."""
    ranks = layout.data_parallel * layout.tensor_parallel
    return ranks // (layout.expert_parallel * layout.expert_tensor_parallel)


def expert_shard_size(layout: Layout) -> int:
    """Return how many of the ranks with the same experts one sharded copy of them spans."""
    span = shard_size(layout) * layout.tensor_parallel
    return max(span // (layout.expert_parallel * layout.expert_tensor_parallel), 1)


@dataclass(frozen=True, slots=True)
class Meshes:
    """Views of all ranks as grids of named dimensions.

    Attributes:
        dense: pipeline, replicate, shard, tensor.
        sparse: pipeline, expert_replicate, expert_shard, expert, expert_tensor.
    """

    dense: DeviceMesh
    sparse: DeviceMesh

    @property
    def data(self) -> DeviceMesh:
        """Replicas and shards of a stage's dense parameters."""
        return self.dense["replicate", "shard"]

    @property
    def expert_data(self) -> DeviceMesh:
        """Replicas and shards of the experts held here."""
        return self.sparse["expert_replicate", "expert_shard"]

    def group(self, name: str) -> ProcessGroup:
        """Return this rank's group along a dimension."""
        mesh = self.dense if name in (self.dense.mesh_dim_names or ()) else self.sparse
        return mesh.get_group(name)


def meshes(layout: Layout, device_type: str) -> Meshes:
    """Return the meshes of a layout; every rank must call it."""
    shard, experts = shard_size(layout), expert_shard_size(layout)
    world = init_device_mesh(device_type, (layout.num_gpus,), mesh_dim_names=("world",))
    dense = world._unflatten(
        0,
        (
            layout.pipeline_parallel, layout.data_parallel // shard, shard, layout.tensor_parallel,
        ),
        ("pipeline", "replicate", "shard", "tensor"),
    )  # fmt: skip
    sparse = world._unflatten(
        0,
        (
            layout.pipeline_parallel, expert_data(layout) // experts, experts,
            layout.expert_parallel, layout.expert_tensor_parallel,
        ),
        ("expert_pipeline", "expert_replicate", "expert_shard", "expert", "expert_tensor"),
    )  # fmt: skip
    return Meshes(dense, sparse)
