"""Where the seconds of a step go: operator x pass x resource, exposed and hidden.

The operators are those that the prices are sums of; nothing is priced a second time. Everything
is that of the mean rank: what the slowest stage has more than the mean one is waiting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.cost import operators as op
from gigafactory.cost.collectives import point_to_point_time_s
from gigafactory.cost.kernels import BACKWARD_FLOPS_RATIO
from gigafactory.cost.layer import (
    HOST_BACKWARD,
    PARTS,
    LayerParts,
    LayerPrice,
    Work,
    end_work,
    host_again,
    host_s,
    layer_work,
    price_layer,
)
from gigafactory.cost.pipeline import slowest_stage_s
from gigafactory.cost.resources import RESOURCES, alone, metered, slowed
from gigafactory.cost.step import (
    DataTraffic,
    StepParts,
    closing_s,
    data_traffic,
    end_matrices,
    exposed_parts,
    first_gather_s,
    fully_sharded,
    gathered_again_s,
    num_buckets,
    sharded_passes_s,
    stages_s,
    step_parts,
)

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Grid, Shape
    from gigafactory.cost.rates import Rates

NUDGE: Final = 1e-6  # relative slow-down that tells what share of a price a resource has
PRODUCTS: Final = frozenset({*op.PROJECTIONS, "mlp up and gate", "mlp down", "expert products",
                             "logits"})  # fmt: skip
"""Operators whose backward pass is an input and a weight gradient."""

UNFUSED_FLOPS_RATIO: Final = 2.0
"""Backward over forward FLOPs of two plain products."""


class Item(NamedTuple):
    """One operator in one pass, all microbatches of a step, on the mean rank.

    Attributes:
        phase: "forward", "backward", "input gradient", "weight gradient", "recomputation" or
            "step".
        part: Key of the step's breakdown it counts to.
        exposed: Seconds that the step is longer for it.
        whole: Seconds that it takes, whatever runs beside it.
        calls: How often it is done.
        flops: FLOPs of its products.
    """

    operator: str
    phase: str
    part: str
    exposed: Column
    whole: Column
    calls: Column
    flops: Column = 0.0


class Charge(NamedTuple):
    """What one resource has to do with one `Item`.

    Attributes:
        resource: One of `RESOURCES`, "host" or "waiting".
        exposed: Seconds that the step is longer for it.
        hidden: Seconds in which it is busy under other work.
        whole: Seconds that the operator takes on all resources together.
        amount: FLOPs on matmul units, bytes elsewhere; 0 where nothing is counted.
    """

    operator: str
    phase: str
    resource: str
    part: str
    exposed: Column
    hidden: Column
    whole: Column
    calls: Column
    amount: Column


class Priced(NamedTuple):
    """A step priced at some rates."""

    shape: Shape
    grid: Grid
    rates: Rates
    price: LayerPrice
    layer: LayerParts
    step: StepParts
    traffic: DataTraffic

    @property
    def layers(self) -> Column:
        """Layers times microbatches of the mean rank."""
        return self.shape.layers / self.grid.pp * self.grid.microbatches


def priced(shape: Shape, grid: Grid, rates: Rates) -> Priced:
    """Return the prices of every layout of the columns."""
    price, layer = price_layer(shape, rates)
    step = step_parts(price, grid, rates)
    return Priced(shape, grid, rates, price, layer, step, data_traffic(price, grid, rates))


def charges(shape: Shape, grid: Grid, rates: Rates) -> list[Charge]:
    """Return every charge of one step, one row per layout; `exposed` sums to the step.

    An operator's exposed time goes to the resources by what a slower one would add to it, its
    elasticity: of a sum each term, of a maximum the larger one, of the smooth maximum of a
    matrix product both. A resource's hidden time is what it takes alone, less its exposed time.
    """
    step = priced(shape, grid, rates)
    found = [charge for item in zip(*_measured(step), strict=True) for charge in _split(*item)]
    return [*found, *_contention(step), *_host(step), *_waiting(step)]


class _Measures(NamedTuple):
    """Seconds of an item by resource: more if slower, alone; and its bytes."""

    more: dict[str, Column]
    alone: dict[str, Column]
    bytes: dict[str, Column]


def _measured(step: Priced) -> tuple[list[Item], list[_Measures]]:
    """Return the items, and what each is on machines of other speeds."""
    found = items(step)

    def wholes(rates: Rates) -> list[Column]:
        return [item.whole for item in items(priced(step.shape, step.grid, rates))]

    more = {r: wholes(slowed(step.rates, {r: 1.0 + NUDGE})) for r in RESOURCES}
    busy = {r: wholes(alone(step.rates, r)) for r in RESOURCES}
    moved = {r: wholes(metered(step.rates, r)) for r in RESOURCES[1:]}
    return found, [
        _Measures(
            {r: np.maximum(more[r][i] - item.whole, 0.0) for r in RESOURCES},
            {r: busy[r][i] for r in RESOURCES},
            {r: moved[r][i] for r in RESOURCES[1:]},
        )
        for i, item in enumerate(found)
    ]


def _split(item: Item, measured: _Measures) -> list[Charge]:
    """Return an item's charge to each resource."""
    total: Column = sum(measured.more.values())
    found = []
    for resource in RESOURCES:
        share = measured.more[resource] / np.where(total > 0, total, 1.0)
        exposed = item.exposed * share
        hidden = np.maximum(measured.alone[resource] - exposed, 0.0)
        amount = item.flops if resource == "matmul" else measured.bytes[resource]
        found.append(Charge(item.operator, item.phase, resource, item.part, exposed, hidden,
                            item.whole, item.calls, amount))  # fmt: skip
    return found


def items(step: Priced) -> list[Item]:
    """Return what a step's kernels and transfers take, operator by operator."""
    ends = step.grid.microbatches / step.grid.pp
    # Flash attention computes the scores again in its backward pass; unfused ones are kept.
    unfused = step.rates.features.attention == "unfused"
    ratio = UNFUSED_FLOPS_RATIO if unfused else BACKWARD_FLOPS_RATIO
    found = []
    for work in layer_work(step.shape, step.rates):
        found += _passes(work, step.layers, ratio)
    for work in end_work(step.shape, step.rates):
        found += _passes(work, ends, ratio)
    return [*found, *_accumulation(step), *_sharded(step), *_closing(step), *_handing_on(step),
            Item("optimizer", "step", "optimizer", step.step.optimizer, step.step.optimizer,
                 1.0)]  # fmt: skip


def _passes(work: Work, scale: Column, core_ratio: float) -> list[Item]:
    """Return the passes of one operator that is done `scale` times.

    `core_ratio` is the attention core's backward over its forward FLOPs.
    """
    exposed, hidden = work.exposed, work.hidden
    calls, flops = work.times * scale, work.flops
    name, part = work.operator, work.part
    gradient = "input gradient" if name in PRODUCTS else "backward"
    inputs = exposed.backward - exposed.weights
    ratio = 1.0 if name in PRODUCTS else core_ratio

    def item(phase: str, shown: Column, under: Column, times: Column, flops: Column) -> Item:
        shown = shown * scale
        return Item(name, phase, part, shown, shown + under * scale, times, flops * scale)

    return [
        item("forward", exposed.forward, hidden.forward, calls, flops),
        item(gradient, inputs, hidden.backward, calls, flops * ratio),
        item("weight gradient", exposed.weights, 0.0, calls, flops),
        item("recomputation", work.again * exposed.forward, work.again * hidden.forward,
             work.again * calls, work.again * flops),
    ]  # fmt: skip


def _accumulation(step: Priced) -> list[Item]:
    """Return the passes that add gradients up."""
    ends = end_matrices(step.shape, step.grid) * step.grid.microbatches / step.grid.pp
    seconds = step.step.accumulation * step.layers + step.step.end_accumulation * ends
    return [Item("gradient accumulation", "backward", "memory_bound", seconds, seconds,
                 step.layers)]  # fmt: skip


def _sharded(step: Priced) -> list[Item]:
    """Return the gathering and scattering of fully sharded layers, contention left out."""
    sharded, traffic = fully_sharded(step.grid, step.rates), step.traffic
    scale = np.where(sharded, step.layers, 0.0)
    passes = sharded_passes_s(step.price, step.grid, traffic, _undisturbed(step.rates))
    again, scatter = gathered_again_s(step.grid, traffic), traffic.layer_scatter
    both = again + scatter
    share = again / np.where(both > 0, both, 1.0)
    first = np.where(sharded, first_gather_s(traffic, step.rates), 0.0)
    return [
        Item("weight gathering", "forward", "data_comm", passes.forward * scale + first,
             np.maximum(traffic.layer_gather, passes.forward) * scale, scale),
        Item("weight gathering", "backward", "data_comm", passes.backward * share * scale,
             np.maximum(again, passes.backward * share) * scale, np.where(again > 0, scale, 0.0)),
        Item("gradient reduction", "backward", "data_comm",
             passes.backward * (1.0 - share) * scale,
             np.maximum(scatter, passes.backward * (1.0 - share)) * scale, scale),
    ]  # fmt: skip


def _closing(step: Priced) -> list[Item]:
    """Return what data-parallel ranks exchange once a step, contention left out."""
    sharded, traffic = fully_sharded(step.grid, step.rates), step.traffic
    once = closing_s(step.price, step.grid, traffic, _undisturbed(step.rates))
    plain, hybrid = np.where(sharded, 0.0, 1.0), np.where(sharded, 1.0, 0.0)
    calls = num_buckets(step.grid, step.shape.layers / step.grid.pp)
    return [
        Item("gradient reduction", "backward", "data_comm", once.reduce * plain,
             traffic.reduce * plain, calls * plain),
        Item("parameter gathering", "forward", "data_comm", once.gather * plain,
             traffic.gather * plain, calls * plain),
        Item("gradient reduction", "backward", "data_comm", once.replicas * hybrid,
             traffic.replicas * hybrid, calls * hybrid),
    ]  # fmt: skip


def _handing_on(step: Priced) -> list[Item]:
    """Return the transfers between stages."""
    grid, shape = step.grid, step.shape
    stride = shape.tp * shape.cp * grid.dp
    hop = point_to_point_time_s(step.price.boundary_bytes, stride, step.rates)
    calls = np.where(grid.pp > 1, grid.vpp * grid.microbatches, 0.0)
    exposed = 0.5 * step.step.handing_on * grid.microbatches
    return [
        Item("pipeline transfers", phase, "pipeline_comm", exposed, calls * hop, calls)
        for phase in ("forward", "backward")
    ]


def _undisturbed(rates: Rates) -> Rates:
    """Return the machine on which transfers do not slow the work above them."""
    return replace(rates, contention=0.0, sharded_contention=0.0)


def _contention(step: Priced) -> list[Charge]:
    """Return what hidden data-parallel transfers slow the work above them by."""
    sharded, grid, rates = fully_sharded(step.grid, step.rates), step.grid, step.rates
    price, traffic, calm = step.price, step.traffic, _undisturbed(rates)
    scale, plain = np.where(sharded, step.layers, 0.0), np.where(sharded, 0.0, 1.0)
    passes, once = (sharded_passes_s(price, grid, traffic, rates),
                    closing_s(price, grid, traffic, rates))  # fmt: skip
    free, without = (sharded_passes_s(price, grid, traffic, calm),
                     closing_s(price, grid, traffic, calm))  # fmt: skip
    reduce = (once.reduce - without.reduce) * plain
    reduce = reduce + (once.replicas - without.replicas) * (1.0 - plain)
    # Gathered layers share the memory's traffic, reductions take multiprocessors.
    return [
        _known("weight contention", "forward", "memory", "data_comm",
               (passes.forward - free.forward) * scale),
        _known("weight contention", "backward", "memory", "data_comm",
               (passes.backward - free.backward) * scale),
        _known("gradient contention", "backward", "matmul", "data_comm", reduce),
        _known("parameter contention", "forward", "matmul", "data_comm",
               (once.gather - without.gather) * plain),
    ]  # fmt: skip


def _known(operator: str, phase: str, resource: str, part: str, exposed: Column) -> Charge:
    """Return a charge to a resource that is known, and that nothing hides."""
    return Charge(operator, phase, resource, part, exposed, 0.0, exposed, 0.0, 0.0)


def _host(step: Priced) -> list[Charge]:
    """Return the kernel launches: exposed is what the smooth maximum adds to the kernels."""
    host = PARTS.index("host")
    again, scale = host_again(step.shape), step.layers
    forward, backward = step.layer.forward[host] * scale, step.layer.backward[host] * scale
    share = again / (again + HOST_BACKWARD)
    whole = host_s(step.shape, step.rates) * scale

    def launches(phase: str, exposed: Column, ratio: Column) -> Charge:
        hidden = np.maximum(whole * ratio - exposed, 0.0)
        calls = scale * np.where(np.asarray(ratio) > 0, 1.0, 0.0)
        return Charge("kernel launches", phase, "host", "host", exposed, hidden,
                      whole * ratio, calls, 0.0)  # fmt: skip

    return [
        launches("forward", forward, 1.0),
        launches("backward", backward * (1.0 - share), HOST_BACKWARD),
        launches("recomputation", backward * share, again),
    ]


def _waiting(step: Priced) -> list[Charge]:
    """Return what the mean rank waits for: fuller stages, fill and drain, the slowest node."""
    bubble = exposed_parts(step.price, step.layer, step.grid, step.step)["pipeline_bubble"]
    uneven = np.minimum(np.maximum(_uneven_s(step), 0.0), bubble)
    return [
        _known("uneven stages", "step", "waiting", "pipeline_bubble", uneven),
        _known("fill and drain", "step", "waiting", "pipeline_bubble", bubble - uneven),
        _known("straggler wait", "step", "waiting", "jitter", step.step.jitter),
    ]


def _uneven_s(step: Priced) -> Column:
    """Return what the fullest stage works longer than the mean one."""
    price, grid, parts = step.price, step.grid, step.step
    layer = price.forward_s + price.backward_s + parts.gathering + parts.accumulation
    stages = stages_s(price, grid, layer, parts.handing_on, parts.end_accumulation)
    ends = price.head_s + price.embedding_s
    ends = ends + end_matrices(step.shape, grid) * parts.end_accumulation
    mean = (step.shape.layers * layer + ends) / grid.pp + parts.handing_on
    return (slowest_stage_s(*stages, grid.pp) - mean) * grid.microbatches
