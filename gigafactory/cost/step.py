"""Time of one training step: layers in stages, stages in a pipeline, gradients, optimizer.

Each rank's compute, its scale-up link and its network card are resources; what one does while
another works is hidden, what does not fit under it is exposed, and what is hidden slows the work
above it by `Rates.contention`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gigafactory.cost.collectives import hierarchical_time_s, point_to_point_time_s
from gigafactory.cost.layer import HOST_BACKWARD, PARTS, LayerParts, LayerPrice
from gigafactory.cost.memory import FULLY_SHARDED, SHARDED_GRADIENTS
from gigafactory.cost.operators import Seconds
from gigafactory.cost.optimizer import optimizer_time_s, owned_share
from gigafactory.cost.pipeline import stage_layers, uneven_pipeline_time_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gigafactory.cost.columns import Column, Grid, Shape
    from gigafactory.cost.rates import Rates


class StepParts(NamedTuple):
    """Seconds of one step; they sum to the step.

    Attributes:
        pipeline: All microbatches through the pipeline: layers, ends, transfers, bubble.
        accumulation: Adding one layer's gradients to those of earlier microbatches.
        end_accumulation: The same for the embedding or the output matrix.
        gathering: Exposed gathering and scattering of one fully sharded layer, one microbatch.
        handing_on: Exposed transfers between stages, one microbatch.
        reduction: Exposed gradient reduction and parameter gathering at the step's end.
        optimizer: The optimizer's passes.
        jitter: Waiting for the slowest of all nodes.
    """

    pipeline: Column
    accumulation: Column
    end_accumulation: Column
    gathering: Column
    handing_on: Column
    reduction: Column
    optimizer: Column
    jitter: Column

    @property
    def total_s(self) -> Column:
        """Return the seconds of the whole step."""
        return self.pipeline + self.reduction + self.optimizer + self.jitter


class DataTraffic(NamedTuple):
    """Seconds of data-parallel collectives.

    Attributes:
        layer_gather: Gathering one fully sharded layer's weights.
        layer_scatter: Reducing one fully sharded layer's gradients.
        end_gather: Gathering the ends' matrices, one layer's part of it; 0 where it is hidden.
        end_scatter: Reducing their gradients likewise.
        reduce: Reducing the fullest stage's gradients once.
        gather: Gathering its parameters once.
        replicas: Reducing a hybrid shard's gradients between its copies.
    """

    layer_gather: Column
    layer_scatter: Column
    end_gather: Column
    end_scatter: Column
    reduce: Column
    gather: Column
    replicas: Column


def data_traffic(price: LayerPrice, grid: Grid, rates: Rates) -> DataTraffic:
    """Return the seconds of each data-parallel collective, experts over their own ranks."""
    s, held = price.shape, price.held
    ranks, shard, span = grid.dp * s.cp, grid.shard * s.cp, s.ep * s.etp
    width, wire = rates.weight_bytes, rates.features.gradient_bytes
    rails = rates.features.sharded_rails
    layers = stage_layers(s.layers, grid.pp, np.minimum(1.0, grid.pp - 1.0))
    stage = layers * held.dense + np.where(grid.pp > 1, 1.0, 2.0 - s.tied) * held.end
    experts = layers * held.expert
    has_experts = held.expert > 0

    def moved(
        kind: str, dense: Column, expert: Column, per: float, group: Column, *, rails: bool = True
    ) -> Column:
        time = hierarchical_time_s(kind, dense * per, group, s.tp, rates, rails=rails)
        if not np.any(has_experts):
            return time
        own = np.maximum(group * s.tp / span, 1.0)
        more = hierarchical_time_s(kind, expert * per, own, span, rates, rails=rails)
        # Dense rows of the same table have no experts, and no latency of theirs.
        return time + np.where(has_experts, more, 0.0)

    reduce = moved("reduce_scatter", stage, experts, wire, ranks)
    gather = moved("all_gather", stage, experts, width, ranks)
    if np.any(unsharded := grid.sharding < 1):
        # Without sharding gradients are all-reduced, and there are no parameters to gather.
        both = reduce + moved("all_gather", stage, experts, wire, ranks)
        if rates.features.reduces_whole:
            both = moved("all_reduce", stage, experts, wire, ranks)
        reduce, gather = np.where(unsharded, both, reduce), np.where(unsharded, 0.0, gather)
    end = ends_per_layer(price)
    hidden = rates.features.prefetch
    return DataTraffic(
        end_gather=0.0 if hidden else moved("all_gather", end, 0.0, width, shard),
        end_scatter=0.0 if hidden else moved("reduce_scatter", end, 0.0, wire, shard),
        layer_gather=moved("all_gather", held.dense, held.expert, width, shard, rails=rails),
        layer_scatter=moved("reduce_scatter", held.dense, held.expert, wire, shard, rails=rails),
        reduce=reduce,
        gather=gather,
        replicas=_replicas_s(grid, (stage + experts) * wire / shard, s.tp * shard, rates),
    )


def ends_per_layer(price: LayerPrice) -> Column:
    """Return the parameters of embedding and output over the number of layers."""
    return price.held.end * (2.0 - price.shape.tied) / price.shape.layers


def _replicas_s(grid: Grid, owned_bytes: Column, stride: Column, rates: Rates) -> Column:
    """Return the seconds in which a hybrid's copies reduce what each rank owns of the stage."""
    hybrid = (grid.sharding >= FULLY_SHARDED) & (grid.shard < grid.dp)
    if not np.any(hybrid):
        return 0.0
    time = hierarchical_time_s("all_reduce", owned_bytes, grid.dp / grid.shard, stride, rates)
    return np.where(hybrid, time, 0.0)


def exposed_under(transfer: Column, work: Column, contention: float, *, overlap: bool) -> Column:
    """Return what a transfer adds to the work it runs under: its rest, and contention.

    >>> float(exposed_under(3.0, 2.0, 0.0, overlap=True))
    1.0
    """
    if not overlap:
        return transfer
    return np.maximum(transfer - work, 0.0) + contention * np.minimum(transfer, work)


def sharded_layer_s(price: LayerPrice, grid: Grid, traffic: DataTraffic, rates: Rates) -> Column:
    """Return what full sharding adds to one layer and microbatch, forward and backward."""
    both = sharded_passes_s(price, grid, traffic, rates).both
    return np.where(fully_sharded(grid, rates), both, 0.0)


def sharded_passes_s(price: LayerPrice, grid: Grid, traffic: DataTraffic, rates: Rates) -> Seconds:
    """Return what each pass of a fully sharded layer adds to one microbatch.

    ZeRO-3 gathers weights before forward and again before backward and reduces gradients after
    it; where software shards gradients only (ZeRO-2), the gathered weights are kept. Where nothing
    hides them, each layer bears its part of what the ends and the host take.
    """
    overlap, slows = rates.features.prefetch, rates.sharded_contention
    under = gathered_again_s(grid, traffic) + traffic.layer_scatter
    host = sharding_host_s(price, rates)
    ahead = exposed_under(traffic.layer_gather, price.forward_s, slows, overlap=overlap)
    back = exposed_under(under, price.backward_s, slows, overlap=overlap)
    return Seconds(
        ahead + traffic.end_gather + host.forward, back + traffic.end_scatter + host.backward
    )


def sharding_host_s(price: LayerPrice, rates: Rates) -> Seconds:
    """Return what the host does for one sharded layer: dispatch, copies into messages and out.

    The ends are one group of parameters more, which the layers bear.
    """
    if not (rates.host_shard_s or rates.shard_copy_bytes):
        return Seconds(0.0, 0.0)
    weights = price.held.dense + price.held.expert + ends_per_layer(price)
    groups = 1.0 + 1.0 / price.shape.layers
    copies = rates.shard_copy_bytes * weights / rates.memory_bytes_per_s
    both = rates.host_shard_s * groups + copies
    return Seconds(both / (1.0 + HOST_BACKWARD), both * HOST_BACKWARD / (1.0 + HOST_BACKWARD))


def gathered_again_s(grid: Grid, traffic: DataTraffic) -> Column:
    """Return the seconds of gathering a fully sharded layer a second time, before backward."""
    return np.where(grid.sharding >= FULLY_SHARDED, traffic.layer_gather, 0.0)


def fully_sharded(grid: Grid, rates: Rates) -> NDArray[np.bool_]:
    """Return where layers are gathered and scattered one by one, in every microbatch.

    FSDP under a pipeline gathers a stage once and reduces its gradients once a step: PyTorch's
    schedules put both off to the last backward pass (torch.distributed.pipelining, stages).
    """
    if rates.features.fully_sharded:
        return np.asarray((grid.sharding >= SHARDED_GRADIENTS) & (grid.dp > 1) & (grid.pp == 1))
    return np.asarray((grid.sharding >= FULLY_SHARDED) & (grid.dp > 1))


def first_gather_s(traffic: DataTraffic, rates: Rates) -> Column:
    """Return the gather that nothing precedes; without prefetching, each layer bears its own."""
    return traffic.layer_gather if rates.features.prefetch else np.zeros_like(traffic.layer_gather)


class Closing(NamedTuple):
    """Exposed seconds of what data-parallel ranks exchange once a step.

    Attributes:
        reduce: Reducing gradients.
        gather: Gathering parameters; the first layer's, where layers are fully sharded.
        replicas: Reducing gradients between the copies of a hybrid shard.
    """

    reduce: Column
    gather: Column
    replicas: Column


def reduction_s(price: LayerPrice, grid: Grid, traffic: DataTraffic, rates: Rates) -> Column:
    """Return the exposed seconds of reducing gradients and gathering parameters once a step.

    Full sharding has no such end: only the very first gather finds nothing to run under. A
    hybrid still reduces between its copies, under the last backward pass.
    """
    once = closing_s(price, grid, traffic, rates)
    sharded = first_gather_s(traffic, rates) + once.replicas
    return np.where(fully_sharded(grid, rates), sharded, once.reduce + once.gather)


def closing_s(price: LayerPrice, grid: Grid, traffic: DataTraffic, rates: Rates) -> Closing:
    """Return the exposed seconds of each exchange, as if no layer were fully sharded.

    Reduction can run under the last microbatch's backward pass, bucket by bucket; with
    interleaving under the last backward pass of every chunk but the first. The last bucket, one
    layer or chunk, is always exposed. Gathering runs under the next step's forward pass likewise.
    """
    s = price.shape
    layers = np.maximum(stage_layers(s.layers, grid.pp, np.minimum(1.0, grid.pp - 1.0)), 1.0)
    buckets = num_buckets(grid, layers)
    rounds = np.where(grid.vpp > 1, np.minimum(grid.pp, grid.microbatches), 1.0)
    depth = rounds * (1.0 - 1.0 / buckets) * layers
    depth = depth * rates.data_window
    has, slows = rates.features, rates.contention
    forward, backward = depth * price.forward_s, depth * price.backward_s
    reduce = exposed_under(traffic.reduce, backward, slows, overlap=has.overlap_data)
    gather = exposed_under(traffic.gather, forward, slows, overlap=has.overlap_parameters)
    last = traffic.reduce / buckets if has.overlap_data else 0.0
    first = traffic.gather / buckets if has.overlap_parameters else 0.0
    return Closing(
        reduce=np.maximum(reduce, last),
        gather=np.maximum(gather, first),
        replicas=exposed_under(traffic.replicas, backward, slows, overlap=has.overlap_data),
    )


def num_buckets(grid: Grid, layers: Column) -> Column:
    """Return in how many pieces gradients are reduced: a layer of the stage, or a chunk."""
    return np.where(grid.vpp > 1, grid.vpp, layers)


def step_parts(price: LayerPrice, grid: Grid, rates: Rates) -> StepParts:
    """Return the seconds of one step for every layout of the grid.

    Args:
        price: The layer price of each layout's shape, one row per layout.
        grid: The layouts.
        rates: The machine and its software.
    """
    s = price.shape
    traffic = data_traffic(price, grid, rates)
    gathering = sharded_layer_s(price, grid, traffic, rates)
    adding = accumulation_s_per_parameter(grid, rates)
    accumulation = (price.held.dense + price.held.expert) * adding
    end_accumulation = price.held.end * adding
    layer = price.forward_s + price.backward_s + gathering + accumulation
    hop = point_to_point_time_s(price.boundary_bytes, s.tp * s.cp * grid.dp, rates)
    handing = np.where(grid.pp > 1, 2.0 * grid.vpp * hop * rates.pipeline_exposed, 0.0)
    stages = stages_s(price, grid, layer, handing, end_accumulation)
    pipeline = uneven_pipeline_time_s(
        *stages,
        forward_share=price.forward_s / (price.forward_s + price.backward_s),
        pp=grid.pp,
        vpp=grid.vpp,
        microbatches=grid.microbatches,
    )
    reduction = reduction_s(price, grid, traffic, rates)
    optimizer = optimizer_time_s(owned_parameters(price, grid), rates.optimizer_bytes,
                                 rates.memory_bytes_per_s)  # fmt: skip
    nodes = np.maximum(s.tp * s.cp * grid.dp / rates.gpus_per_node * grid.pp, 1.0)
    jitter = (pipeline + reduction) * (rates.straggler * np.log2(nodes))
    return StepParts(
        pipeline=pipeline,
        accumulation=accumulation,
        end_accumulation=end_accumulation,
        gathering=gathering,
        handing_on=handing,
        reduction=reduction,
        optimizer=optimizer,
        jitter=jitter,
    )


def accumulation_s_per_parameter(grid: Grid, rates: Rates) -> Column:
    """Return the seconds per parameter and microbatch of adding gradients up in a pass of its own.

    Nothing is added with one microbatch, and sharded gradients are reduced instead, except by
    engines that shard them once a step.
    """
    per_parameter = rates.accumulation_bytes / rates.memory_bytes_per_s
    whole = grid.sharding < SHARDED_GRADIENTS
    if rates.features.shard_gradients:
        whole = ~fully_sharded(grid, rates)
    adds = (grid.microbatches > 1) & whole
    return np.where(adds, per_parameter, 0.0)


class Stages(NamedTuple):
    """Seconds of one microbatch, both passes, on the first, an inner and the last stage."""

    first: Column
    inner: Column
    last: Column


def stages_s(
    price: LayerPrice, grid: Grid, layer_s: Column, handing_s: Column, end_s: Column
) -> Stages:
    """Return the seconds of one microbatch on each kind of stage; one alone holds everything.

    `end_s` is what the embedding or output matrix adds to its stage.
    """
    layers, last = price.shape.layers, grid.pp - 1.0
    alone = last == 0
    first_s = (
        stage_layers(layers, grid.pp, np.zeros_like(last)) * layer_s + price.embedding_s + end_s
    )
    last_s = stage_layers(layers, grid.pp, last) * layer_s + price.head_s + end_s
    both_s = first_s + price.head_s + (1.0 - price.shape.tied) * end_s
    return Stages(
        np.where(alone, both_s, first_s) + handing_s,
        np.ceil(layers / grid.pp - 1e-9) * layer_s + handing_s,
        np.where(alone, both_s, last_s) + handing_s,
    )


def end_matrices(s: Shape, grid: Grid) -> Column:
    """Return how many of embedding and output matrix all stages together hold."""
    return np.where(grid.pp > 1, 2.0, 2.0 - s.tied)


def owned_parameters(price: LayerPrice, grid: Grid) -> Column:
    """Return the parameters that a rank of the fullest stage updates."""
    s, held = price.shape, price.held
    layers = stage_layers(s.layers, grid.pp, np.minimum(1.0, grid.pp - 1.0))
    ends = np.where(grid.pp > 1, 1.0, 2.0 - s.tied)
    ranks = grid.dp * s.cp
    expert_ranks = np.maximum(ranks * s.tp / (s.ep * s.etp), 1.0)
    dense = (layers * held.dense + ends * held.end) * owned_share(
        grid.sharding, ranks, grid.shard * s.cp
    )
    expert_shard = np.maximum(expert_ranks * grid.shard / grid.dp, 1.0)
    return dense + layers * held.expert * owned_share(grid.sharding, expert_ranks, expert_shard)


def exposed_parts(
    price: LayerPrice, layer: LayerParts, grid: Grid, step: StepParts
) -> dict[str, Column]:
    """Return the exposed seconds of a step by cause; they sum to `step.total_s`.

    Layers and ends are counted on the mean stage; what the slowest stage and the fill and drain
    of the pipeline add to it is the bubble.
    """
    per_layer = (layer.forward + layer.backward) * price.shape.layers / grid.pp
    parts = {name: per_layer[i] * grid.microbatches for i, name in enumerate(PARTS)}
    ends = (price.head_s + price.embedding_s) / grid.pp * grid.microbatches
    parts["compute"] = parts["compute"] + ends
    added = step.accumulation * price.shape.layers
    added = added + step.end_accumulation * end_matrices(price.shape, grid)
    parts["memory_bound"] = parts["memory_bound"] + added / grid.pp * grid.microbatches
    busy = sum(parts.values())
    gathering = step.gathering * price.shape.layers / grid.pp * grid.microbatches
    handing_on = step.handing_on * grid.microbatches
    parts["pipeline_comm"] = handing_on
    # Without a pipeline the difference is rounding alone, of either sign.
    parts["pipeline_bubble"] = np.maximum(step.pipeline - busy - gathering - handing_on, 0.0)
    parts["data_comm"] = gathering + step.reduction
    parts["optimizer"] = step.optimizer
    parts["jitter"] = step.jitter
    return parts
