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
    size = s.tokens * s.hidden * op.ACTIVATION_BYTES
    thin = s.tokens * s.hidden * rates.gathered_bytes
    reduce = hierarchical_time_s("all_reduce", size, s.tp, 1.0, rates)
    gather = hierarchical_time_s("all_gather", thin, s.tp, 1.0, rates)
    scatter = hierarchical_time_s("reduce_scatter", size, s.tp, 1.0, rates)
    return np.where(s.tp > 1, np.where(s.sp > 0, gather + scatter, reduce), 0.0)


def context_time_s(s: Shape, attention: op.Seconds, rates: Rates) -> op.Seconds:
    """Return the exposed seconds of passing keys and values around the context-parallel ring."""
    kv = np.where(
        s.kv_rank > 0,
        s.heads * (s.nope_dim + s.rope_dim + s.value_dim),
        2.0 * s.kv_heads * s.head_dim,
    )
    size = s.micro_batch * s.seq * kv * op.ACTIVATION_BYTES / s.tp
    ring = hierarchical_time_s("all_gather", size, s.cp, s.tp, rates)
    ring = np.where(s.cp > 1, ring, 0.0)
    forward = np.maximum(ring - attention.forward, EXPOSED_RING * ring)
    backward = np.maximum(2.0 * ring - attention.backward, EXPOSED_RING * 2.0 * ring)
    return op.Seconds(forward, backward)


def expert_time_s(s: Shape, rates: Rates) -> Column:
    """Return the seconds of sending tokens to their experts, or back.

    With expert tensor parallelism the rows are also gathered (scattered back) over its ranks.
    """
    sent = s.expert_rows / s.etp * s.hidden * op.ACTIVATION_BYTES
    copies = np.maximum(s.top_k, 1.0) if rates.features.one_copy_per_domain else 1.0
    exchange = all_to_all_time_s(sent, s.ep, s.etp, rates, copies)
    gathered = s.expert_rows * s.hidden * op.ACTIVATION_BYTES
    gather = hierarchical_time_s("all_gather", gathered, s.etp, 1.0, rates)
    return np.where(s.ep > 1, exchange, 0.0) + np.where(s.etp > 1, gather, 0.0)


def layer_parts(s: Shape, rates: Rates) -> LayerParts:
    """Return the exposed seconds of one layer by part, mean over dense and expert layers."""
    share = s.expert_layers / s.layers
    attention = op.attention_time_s(s, rates)
    projections = op.matmuls_time_s(op.attention_matmuls(s), rates.gemm)
    compute = _sum(attention, projections)
    traffic = op.elementwise_time_s(s, rates)
    tensor = tensor_time_s(s, rates)
    expert: Column = 0.0
    exchanges: Column = 1.0
    if np.any(share < 1):
        compute = _sum(compute, _mlp(s, s.ffn, 1 - share, rates))
        traffic = _sum(traffic, _activation(s, s.ffn, 1 - share, rates))
        exchanges = exchanges + (1 - share)
    if np.any(share > 0):
        compute = _sum(compute, _scaled(op.expert_matmuls_time_s(s, rates), share))
        traffic = _sum(traffic, _scaled(op.expert_traffic_time_s(s, rates), share))
        expert = 2.0 * share * expert_time_s(s, rates)
    if np.any(s.shared_ffn > 0):
        compute = _sum(compute, _mlp(s, s.shared_ffn, share, rates))
        traffic = _sum(traffic, _activation(s, s.shared_ffn, share, rates))
        exchanges = exchanges + np.where(s.shared_ffn > 0, share, 0.0)
    ring = context_time_s(s, attention, rates)
    hidden_b = max(rates.tensor_hidden, 0.5 if rates.features.async_tensor_backward else 0.0)
    forward = [compute.forward, traffic.forward, exchanges * tensor * (1 - rates.tensor_hidden),
               ring.forward, expert]  # fmt: skip
    backward = [compute.backward, traffic.backward, exchanges * tensor * (1 - hidden_b),
                ring.backward, expert]  # fmt: skip
    redone = _redone(s, forward, attention, rates)
    backward = [b + r for b, r in zip(backward, redone, strict=True)]
    # What is computed again is launched again.
    launches = HOST_BACKWARD + np.where(s.recompute > 1, 1.0, s.recomputed)
    return LayerParts(
        _with_host(forward, rates.host_layer_s),
        _with_host(backward, rates.host_layer_s * launches),
    )


def _sum(a: op.Seconds, b: op.Seconds) -> op.Seconds:
    return op.Seconds(a.forward + b.forward, a.backward + b.backward)


def _scaled(a: op.Seconds, factor: Column) -> op.Seconds:
    return op.Seconds(a.forward * factor, a.backward * factor)


def _mlp(s: Shape, width: Column, share: Column, rates: Rates) -> op.Seconds:
    present = np.where(width > 0, share, 0.0)
    return _scaled(op.matmuls_time_s(op.mlp_matmuls(s, width), rates.gemm), present)


def _activation(s: Shape, width: Column, share: Column, rates: Rates) -> op.Seconds:
    return _scaled(op.activation_time_s(s, s.tokens, width / s.tp, rates), share)


def _redone(s: Shape, forward: list[Column], attention: op.Seconds, rates: Rates) -> list[Column]:
    """Return what the backward pass computes again, by part: all of it, or what is selected."""
    full = np.where(s.recompute > 1, 1.0, s.recomputed)
    selective = np.where(s.recompute == 1, 1.0 - s.recomputed, 0.0)
    compute, memory_bound, *transfers = forward
    again: Column = 0.0
    moved: Column = memory_bound
    if rates.features.selective == "attention":
        again, moved = attention.forward, 0.0
    elif rates.features.selective == "matmuls":
        again = MATMULS_REDONE * (compute - attention.forward)
    redone = compute - _last_product_s(s, rates) if rates.features.early_stop else compute
    first: list[Column] = [
        full * redone + selective * again,
        full * memory_bound + selective * moved,
    ]
    return first + [full * x for x in transfers]


def _last_product_s(s: Shape, rates: Rates) -> Column:
    """Return the forward seconds of a dense layer's last product, which no gradient needs again.

    Mixture-of-experts layers end in a sum over experts, and are computed again whole.
    """
    down = op.matmuls_time_s(op.mlp_matmuls(s, s.ffn)[1:], rates.gemm)
    return np.where(s.ffn > 0, (1.0 - s.expert_layers / s.layers) * down.forward, 0.0)


def _with_host(parts: list[Column], host_s: Column) -> Parts:
    """Return the parts with the time the host holds the accelerator up as the last one."""
    stacked = np.stack(np.broadcast_arrays(*parts))
    busy = stacked.sum(axis=0)
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
    output = op.matmuls_time_s(op.output_matmuls(s), rates.output_gemm)
    embedding = op.embedding_time_s(s, rates)
    price = LayerPrice(
        shape=s,
        held=held_parameters(s),
        acts=activation_bytes(s, rates),
        forward_s=parts.forward.sum(axis=0),
        backward_s=parts.backward.sum(axis=0),
        head_s=output.forward + output.backward + op.loss_time_s(s, rates),
        embedding_s=embedding.forward + embedding.backward,
        boundary_bytes=s.tokens * s.hidden * op.ACTIVATION_BYTES / s.tp,
    )
    return price, parts
