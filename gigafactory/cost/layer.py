"""Price of one layer: its operators, its transfers, what hides what, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost import operators as op
from gigafactory.cost.collectives import all_to_all_time_s, hierarchical_time_s
from gigafactory.cost.columns import Column, Columns, Shape
from gigafactory.cost.memory import LayerBytes, Parameters, activation_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.cost.rates import Rates

PARTS: Final = (
    "compute", "memory_bound", "tensor_comm", "context_comm", "expert_comm", "host",
)  # fmt: skip
MATMULS_REDONE: Final = 0.5  # torchtitan saves every other product (its selective-op policy)
HOST_SHARPNESS: Final = 4.0  # how sharply launch-bound turns into GPU-bound; smooth maximum
HOST_BACKWARD: Final = 1.6  # host time of backward over forward, of the same layer
EXPOSED_RING: Final = 0.1  # of a context-parallel ring, always exposed: its first transfer
Parts = NDArray[np.float64]


class LayerParts(NamedTuple):
    """Seconds of one layer's forward and backward pass by part, each `[part, shape]`."""

    forward: Parts
    backward: Parts


class Work(NamedTuple):
    """One operator of one layer, or of an end of the model, on one microbatch.

    Attributes:
        part: Which of `PARTS` it counts to.
        exposed: Seconds that it lengthens the passes by, recomputation left out.
        hidden: Seconds that it runs under other operators.
        again: Share of the forward pass that the backward pass computes again.
        times: How often it is done, forward.
        flops: FLOPs of its products, forward; padding does not count.
    """

    operator: str
    part: str
    exposed: op.Seconds
    hidden: op.Seconds = op.Seconds(0.0, 0.0)
    again: Column = 0.0
    times: Column = 1.0
    flops: Column = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPrice(Columns):
    """What a layout needs to know of its layer shape.

    Attributes:
        forward_s: One layer forward, one microbatch, transfers and host included.
        backward_s: The same backward, recomputation included.
        head_s: Logits and loss, forward and backward.
        embedding_s: Embedding, forward and backward.
        boundary_bytes: What one rank hands to the next pipeline stage.
    """

    shape: Shape
    held: Parameters
    acts: LayerBytes
    forward_s: Column
    backward_s: Column
    head_s: Column
    embedding_s: Column
    boundary_bytes: Column

    def take(self, rows: NDArray[np.int64]) -> LayerPrice:
        """Return the prices of the given shapes."""
        return self._each(lambda column: column[rows], self.shape.take(rows))

    def along(self, ndim: int) -> LayerPrice:
        """Return the prices as the first of `ndim` axes, to be broadcast over the others."""
        tail = (1,) * (ndim - 1)
        return self._each(lambda column: column.reshape(-1, *tail), self.shape.along(ndim))

    def _each(self, change: Callable[[Parts], Parts], shape: Shape) -> LayerPrice:
        def changed(column: Column) -> Column:
            return change(column) if isinstance(column, np.ndarray) and column.ndim else column

        names = ("forward_s", "backward_s", "head_s", "embedding_s", "boundary_bytes")
        return LayerPrice(
            shape=shape,
            held=Parameters(*map(changed, self.held)),
            acts=LayerBytes(*map(changed, self.acts)),
            **{name: changed(getattr(self, name)) for name in names},
        )


def tensor_time_s(s: Shape, rates: Rates) -> Column:
    """Return the seconds of one tensor-parallel exchange of a layer's activations.

    An all-reduce, or with sequence parallelism the all-gather and reduce-scatter it splits into;
    what feeds a quantised matmul can be gathered quantised.
    """
    size = s.tokens * s.hidden * rates.activation_bytes
    thin = s.tokens * s.hidden * rates.gathered_bytes
    reduce = hierarchical_time_s("all_reduce", size, s.tp, 1.0, rates)
    gather = hierarchical_time_s("all_gather", thin, s.tp, 1.0, rates)
    scatter = hierarchical_time_s("reduce_scatter", size, s.tp, 1.0, rates)
    return np.where(s.tp > 1, np.where(s.sp > 0, gather + scatter, reduce), 0.0)


def ring_time_s(s: Shape, rates: Rates) -> Column:
    """Return the seconds of passing keys and values once around the context-parallel ring."""
    kv = np.where(
        s.kv_rank > 0,
        s.heads * (s.nope_dim + s.rope_dim + s.value_dim),
        2.0 * s.kv_heads * s.head_dim,
    )
    size = s.micro_batch * s.seq * kv * rates.activation_bytes / s.tp
    ring = hierarchical_time_s("all_gather", size, s.cp, s.tp, rates)
    return np.where(s.cp > 1, ring, 0.0)


def exposed_ring_s(ring: Column, attention: op.Seconds) -> op.Seconds:
    """Return the exposed seconds of the ring: what does not fit under the attention.

    Backward the gradients of keys and values travel with them.
    """
    forward = np.maximum(ring - attention.forward, EXPOSED_RING * ring)
    backward = np.maximum(2.0 * ring - attention.backward, EXPOSED_RING * 2.0 * ring)
    return op.Seconds(forward, backward)


def expert_time_s(s: Shape, rates: Rates) -> Column:
    """Return the seconds of sending tokens to their experts, or back.

    With expert tensor parallelism the rows are also gathered (scattered back) over its ranks.
    """
    sent = s.expert_rows / s.etp * s.hidden * rates.activation_bytes
    copies = np.maximum(s.top_k, 1.0) if rates.features.one_copy_per_domain else 1.0
    exchange = all_to_all_time_s(sent, s.ep, s.etp, rates, copies)
    gathered = s.expert_rows * s.hidden * rates.activation_bytes
    gather = hierarchical_time_s("all_gather", gathered, s.etp, 1.0, rates)
    return np.where(s.ep > 1, exchange, 0.0) + np.where(s.etp > 1, gather, 0.0)


def layer_parts(s: Shape, rates: Rates) -> LayerParts:
    """Return the exposed seconds of one layer by part, mean over dense and expert layers."""
    work = layer_work(s, rates)
    forward: dict[str, list[Column]] = {part: [] for part in PARTS[:-1]}
    backward: dict[str, list[Column]] = {part: [] for part in PARTS[:-1]}
    for one in work:
        forward[one.part].append(one.exposed.forward)
        backward[one.part].append(one.exposed.backward + one.again * one.exposed.forward)
    launches = HOST_BACKWARD + host_again(s)
    return LayerParts(
        _with_host([sum(part) for part in forward.values()], host_s(s, rates), rates),
        _with_host([sum(part) for part in backward.values()], host_s(s, rates) * launches, rates),
    )


def host_s(s: Shape, rates: Rates) -> Column:
    """Return the shortest time in which the host can launch one forward layer."""
    if not (rates.host_tensor_s or rates.tensor_copy_bytes):
        return rates.host_layer_s
    copies = rates.tensor_copy_bytes * s.tokens * s.hidden / rates.memory_bytes_per_s
    return rates.host_layer_s + np.where(s.tp > 1, rates.host_tensor_s + copies, 0.0)


def host_again(s: Shape) -> Column:
    """Return the host time of recomputation over that of the forward pass."""
    # What is computed again is launched again.
    return np.where(s.recompute > 1, 1.0, s.recomputed)


def layer_work(s: Shape, rates: Rates) -> list[Work]:
    """Return what one layer does, mean over dense and expert layers; the host left out."""
    share = s.expert_layers / s.layers
    again = _again(s, rates)
    attention = op.attention_time_s(s, rates)
    work = [
        *_projections(s, again, rates),
        Work("attention core", "compute", attention, again=again.core, times=s.cp,
             flops=op.attention_flops(s)),
        Work("norms and residuals", "memory_bound", op.elementwise_time_s(s, rates),
             again=again.traffic),
    ]  # fmt: skip
    exchanges: Column = 1.0
    if np.any(share < 1):
        work += _mlp(s, s.ffn, 1 - share, again, rates)
        exchanges = exchanges + (1 - share)
    if np.any(share > 0):
        work += _experts(s, share, again, rates)
    if np.any(s.shared_ffn > 0):
        # The layer ends in a sum over experts: their last product is always computed again.
        whole = again._replace(last=again.product)
        work += _mlp(s, s.shared_ffn, share, whole, rates)
        exchanges = exchanges + np.where(s.shared_ffn > 0, share, 0.0)
    return [
        *work,
        _tensor(s, exchanges, again, rates),
        _ring(s, attention, again, rates),
    ]


class Again(NamedTuple):
    """Share of the forward pass that the backward pass computes again, by kind of operator.

    Attributes:
        product: Products with weights.
        last: The last product of a dense layer, which no gradient needs again.
        core: The attention core.
        traffic: Element-wise kernels.
        transfer: Transfers between ranks.
    """

    product: Column
    last: Column
    core: Column
    traffic: Column
    transfer: Column


def _again(s: Shape, rates: Rates) -> Again:
    """Return what is computed again: all of a layer, or what the software selects."""
    full = np.where(s.recompute > 1, 1.0, s.recomputed)
    selective = np.where(s.recompute == 1, 1.0 - s.recomputed, 0.0)
    selected = rates.features.selective
    product = selective * MATMULS_REDONE if selected == "matmuls" else 0.0
    return Again(
        product=full + product,
        last=product if rates.features.early_stop else full + product,
        core=full + selective if selected == "attention" else full,
        traffic=full if selected == "attention" else full + selective,
        transfer=full,
    )


def _projections(s: Shape, again: Again, rates: Rates) -> list[Work]:
    ops = op.attention_matmuls(s)
    seconds = op.products_time_s(ops, rates.gemm)
    return [
        Work(name, "compute", time, again=again.product, times=one.times, flops=one.flops)
        for name, one, time in zip(op.PROJECTIONS, ops, seconds, strict=False)
    ]


def _mlp(s: Shape, width: Column, share: Column, again: Again, rates: Rates) -> list[Work]:
    """Return a dense MLP that `share` of the layers have."""
    present = np.where(width > 0, share, 0.0)
    wide, narrow = op.mlp_matmuls(s, width)
    up, down = op.products_time_s([wide, narrow], rates.gemm)
    activation = op.activation_time_s(s, s.tokens, width / s.tp, rates)
    return [
        Work("mlp up and gate", "compute", up.scaled(present), again=again.product, times=present,
             flops=wide.flops * present),
        Work("activation", "memory_bound", activation.scaled(present), again=again.traffic,
             times=present),
        Work("mlp down", "compute", down.scaled(present), again=again.last, times=present,
             flops=narrow.flops * present),
    ]  # fmt: skip


def _experts(s: Shape, share: Column, again: Again, rates: Rates) -> list[Work]:
    """Return routed experts, which `share` of the layers have."""
    traffic, products = op.expert_traffic_time_s(s, rates), op.expert_matmuls_time_s(s, rates)
    exchange = expert_time_s(s, rates) * 2.0 * share
    return [
        Work("permute", "memory_bound", traffic.scaled(share), again=again.traffic, times=share),
        Work("expert products", "compute", products.scaled(share), again=again.product,
             times=share * 2.0, flops=op.expert_flops(s) * share),
        Work("expert exchange", "expert_comm", op.Seconds(exchange, exchange),
             again=again.transfer, times=share * 2.0),
    ]  # fmt: skip


def _tensor(s: Shape, exchanges: Column, again: Again, rates: Rates) -> Work:
    """Return the tensor-parallel exchanges of one layer."""
    whole = exchanges * tensor_time_s(s, rates)
    under = rates.tensor_hidden
    under_backward = max(under, 0.5 if rates.features.async_tensor_backward else 0.0)
    return Work(
        "tensor exchange",
        "tensor_comm",
        exposed=op.Seconds(whole * (1 - under), whole * (1 - under_backward)),
        hidden=op.Seconds(whole * under, whole * under_backward),
        again=again.transfer,
        times=np.where(s.tp > 1, exchanges * (1.0 + s.sp), 0.0),
    )


def _ring(s: Shape, attention: op.Seconds, again: Again, rates: Rates) -> Work:
    """Return the context-parallel ring of one layer."""
    ring = ring_time_s(s, rates)
    exposed = exposed_ring_s(ring, attention)
    return Work(
        "context ring",
        "context_comm",
        exposed=exposed,
        hidden=op.Seconds(ring - exposed.forward, 2.0 * ring - exposed.backward),
        again=again.transfer,
        times=s.cp - 1.0,
    )


def end_work(s: Shape, rates: Rates) -> list[Work]:
    """Return what the first stage does before its layers and the last one after them."""
    (product,) = op.output_matmuls(s)
    (logits,) = op.products_time_s([product], rates.output_gemm)
    loss_s = op.loss_time_s(s, rates)
    if rates.host_tensor_ends_s:
        loss_s = loss_s + np.where(s.tp > 1, rates.host_tensor_ends_s, 0.0)
    loss = op.Seconds(op.LOSS_FORWARD * loss_s, (1.0 - op.LOSS_FORWARD) * loss_s)
    return [
        Work("embedding", "compute", op.embedding_time_s(s, rates)),
        Work("logits", "compute", logits, flops=product.flops),
        Work("loss", "compute", loss),
    ]


def _with_host(parts: list[Column], host_s: Column, rates: Rates) -> Parts:
    """Return the parts with the time the host holds the accelerator up as the last one."""
    stacked = np.stack(np.broadcast_arrays(*parts))
    busy = stacked.sum(axis=0)
    if rates.features.host_computes:
        return np.concatenate([stacked, np.broadcast_to(host_s, busy.shape)[None]])
    slower = busy * (1.0 + (host_s / busy) ** HOST_SHARPNESS) ** (1.0 / HOST_SHARPNESS)
    return np.concatenate([stacked, (slower - busy)[None]])


def held_parameters(s: Shape) -> Parameters:
    """Return the parameters of one layer and of one end matrix that a rank holds."""
    share = s.expert_layers / s.layers
    dense = op.sum_parameters(op.attention_matmuls(s)) + 2.0 * s.hidden
    matrices = (2.0 + s.gated) * s.hidden
    dense = dense + matrices * ((1 - share) * s.ffn + share * s.shared_ffn) / s.tp
    dense = dense + share * s.hidden * s.experts
    expert = share * matrices * s.local_experts * s.expert_ffn / s.etp
    end = (s.vocab + s.learned_rows) * s.hidden / s.tp
    return Parameters(dense, np.where(s.experts > 0, expert, 0.0), end)


def price_layer(s: Shape, rates: Rates) -> tuple[LayerPrice, LayerParts]:
    """Return the price of each layer shape, and its parts."""
    parts = layer_parts(s, rates)
    embedding, logits, loss = (one.exposed for one in end_work(s, rates))
    price = LayerPrice(
        shape=s,
        held=held_parameters(s),
        acts=activation_bytes(s, rates),
        forward_s=parts.forward.sum(axis=0),
        backward_s=parts.backward.sum(axis=0),
        head_s=logits.both + loss.both,
        embedding_s=embedding.both,
        boundary_bytes=s.tokens * s.hidden * rates.activation_bytes / s.tp,
    )
    return price, parts
