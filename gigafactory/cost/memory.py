"""Bytes on one accelerator: weights, gradients, optimizer state, activations, logits, buffers.

Source: Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
equations 1 to 5, extended to gated MLPs, grouped queries, flash attention, experts and quantised
matmul inputs; Rajbhandari et al. 2020, "ZeRO", section 3, for what sharding divides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.cost.optimizer import owned_share
from gigafactory.cost.pipeline import microbatches_in_flight, stage_layers

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Grid, Shape
    from gigafactory.cost.rates import Rates

REDUCED_BYTES: Final = 4.0  # FSDP adds gradients up in the type it reduces them in, fp32
SAVED_PRODUCTS: Final = 0.5  # torchtitan saves every other product (its selective-op policy)
GATHERED_LAYERS: Final = 2.0  # FSDP keeps the layer in use and the one prefetched
FULLY_SHARDED: Final = 3.0
SHARDED_GRADIENTS: Final = 2.0


class LayerBytes(NamedTuple):
    """Activation bytes of one layer and microbatch on one rank.

    Attributes:
        kept: Saved from forward to backward at the recompute level of the shape.
        working: Alive at once while one layer is recomputed or differentiated.
    """

    kept: Column
    working: Column


class StageBytes(NamedTuple):
    """Bytes on one rank of one pipeline stage, by kind."""

    weights: Column
    gradients: Column
    optimizer: Column
    activations: Column
    logits: Column
    buffers: Column
    runtime: Column

    @property
    def total(self) -> Column:
        """Return the sum of all kinds."""
        total: Column = 0.0
        for part in self:
            total = total + part
        return total


def activation_bytes(s: Shape, rates: Rates) -> LayerBytes:
    """Return the activation bytes of one layer, mean over dense and expert layers.

    With no gate, no grouped queries, unfused attention, dropout and 16 bits this is Korthikanti's
    s b h (10 + 24/t + 5 a s / (h t)). The allocator's losses come on top of what is kept.
    """
    norms = norm_activation_bytes(s, rates)
    attention, scores = attention_activation_bytes(s, rates)
    share = s.expert_layers / s.layers
    dense = mlp_activation_bytes(s, s.ffn, rates)
    expert = expert_activation_bytes(s, rates) + mlp_activation_bytes(s, s.shared_ffn, rates)
    everything = norms + attention + scores + (1 - share) * dense + share * expert
    full = rates.activation_bytes * s.hidden * s.tokens / sequence_split(s)
    selective = everything - scores
    if rates.features.selective == "elementwise":
        selective = selective - elementwise_activation_bytes(s, rates)
    elif rates.features.selective == "matmuls":
        selective = np.minimum(selective, full + saved_product_bytes(s, rates))
    rest = np.where(s.recompute == 1, selective, everything)
    kept = np.where(s.recompute > 1, full, (1.0 - s.recomputed) * rest + s.recomputed * full)
    again = (s.recompute > 0) | (np.asarray(s.recomputed) > 0)
    least = np.where((s.recompute > 1) | (np.asarray(s.recomputed) > 0), full, rest)
    return LayerBytes(kept * (1.0 + rates.fragmentation), np.where(again, everything - least, 0.0))


def sequence_split(s: Shape) -> Column:
    """Return the ranks that what lies between tensor-parallel regions is split over."""
    return np.where(s.sp > 0, s.tp, 1.0)


def norm_activation_bytes(s: Shape, rates: Rates) -> Column:
    """Return bytes kept by both norms of a layer: input and output, and masks of dropout.

    The output is the next matmul's input, and kept as such.
    """
    per_element = 2.0 * rates.activation_bytes + 2.0 * rates.saved_bytes
    masks = 2.0 if rates.features.dropout else 0.0
    return (per_element + masks) * s.hidden * s.tokens / sequence_split(s)


def attention_activation_bytes(s: Shape, rates: Rates) -> tuple[Column, Column]:
    """Return bytes kept by the attention core: its operands, and its score matrix if written.

    The core keeps its output in 16 bits; where matmul inputs are quantised the projection keeps
    a copy of its own.
    """
    latent = s.kv_rank > 0
    out = np.where(latent, s.value_dim, s.head_dim) * s.heads / s.tp
    kv_heads = s.heads if rates.features.eager else s.kv_heads  # repeated for the core
    plain = (2.0 * s.heads + 2.0 * kv_heads) * s.head_dim / s.tp
    low_rank = (
        s.query_rank
        + s.kv_rank
        + s.heads / s.tp * (2.0 * (s.nope_dim + s.rope_dim) + 2.0 * s.value_dim)
    )
    copy = rates.saved_bytes if rates.saved_bytes < rates.activation_bytes else 0.0
    operands = (rates.activation_bytes * np.where(latent, low_rank, plain) + copy * out) * s.tokens
    if rates.features.attention != "unfused":
        return operands, np.zeros_like(operands)
    # softmax output and its dropped-out copy in 2 bytes, the mask in 1
    kept = 5.0 if rates.features.dropout else 4.0
    return operands, kept * s.heads / s.tp * s.seq * s.tokens


def mlp_activation_bytes(s: Shape, width: Column, rates: Rates) -> Column:
    """Return bytes kept by a dense MLP: the activation's input, and its output for the matmul."""
    return s.tokens * width * inner_bytes(s, rates) / s.tp


def inner_bytes(s: Shape, rates: Rates) -> Column:
    """Return bytes kept per element of an MLP's inner width, eager what the gate multiplies too."""
    matrices = 1.0 + s.gated + (s.gated if rates.features.eager else 0.0)
    return rates.activation_bytes * matrices + rates.saved_bytes


def expert_activation_bytes(s: Shape, rates: Rates) -> Column:
    """Return bytes kept by routed experts: permuted rows in, activation in and out, rows out.

    Source: Megatron-Core MoE, arXiv 2603.07685 (rows weighted before the second product need not
    be kept after it).
    """
    ends = rates.saved_bytes + (
        rates.activation_bytes if rates.features.keeps_expert_outputs else 0.0
    )
    inner = inner_bytes(s, rates) / s.etp
    return s.expert_rows * (ends * s.hidden + inner * s.expert_ffn)


def elementwise_activation_bytes(s: Shape, rates: Rates) -> Column:
    """Return what is saved by computing norms and activation functions again."""
    share = s.expert_layers / s.layers
    outputs = 2.0 * s.hidden * s.tokens / sequence_split(s)
    outputs = outputs + s.tokens * ((1 - share) * s.ffn + share * s.shared_ffn) / s.tp
    return rates.saved_bytes * (outputs + share * s.expert_rows * s.expert_ffn / s.etp)


def saved_product_bytes(s: Shape, rates: Rates) -> Column:
    """Return bytes of the attention's output and of every other product's, as torchtitan saves.

    Source: torchtitan, activation checkpointing of selective operators.
    """
    share = s.expert_layers / s.layers
    heads = s.heads * s.head_dim / s.tp
    matrices = 1.0 + s.gated
    dense = matrices * ((1 - share) * s.ffn + share * s.shared_ffn) / s.tp + s.hidden
    products = 2.0 * s.kv_heads * s.head_dim / s.tp + heads + s.hidden + dense
    rows = share * s.expert_rows * (matrices * s.expert_ffn / s.etp + s.hidden)
    return rates.activation_bytes * (
        s.tokens * (heads + SAVED_PRODUCTS * products) + SAVED_PRODUCTS * rows
    )


class Parameters(NamedTuple):
    """Parameters that one rank holds, before sharding over data-parallel ranks.

    Attributes:
        dense: Of one layer, experts left out.
        expert: Of one layer's experts.
        end: Of one embedding or output matrix.
    """

    dense: Column
    expert: Column
    end: Column


class StateBytes(NamedTuple):
    """Bytes per parameter that a rank keeps of weights, gradients and optimizer state."""

    weights: Column
    gradients: Column
    optimizer: Column

    @property
    def total(self) -> Column:
        """Return the sum of the three."""
        return self.weights + self.gradients + self.optimizer


def state_bytes(sharding: Column, ranks: Column, shard: Column, rates: Rates) -> StateBytes:
    """Return the bytes per parameter that sharding over data-parallel ranks leaves on each.

    ZeRO-1 divides the optimizer state, ZeRO-2 gradients too, ZeRO-3 weights too; where the fp32
    master is cast as it is gathered, ZeRO-3 keeps no other weight.
    """
    share = owned_share(sharding, ranks, shard)
    third = 0.0 if rates.features.casts_shards else share
    return StateBytes(
        weights=rates.stored_bytes * np.where(sharding >= FULLY_SHARDED, third, 1.0),
        gradients=rates.gradient_state_bytes * np.where(sharding >= SHARDED_GRADIENTS, share, 1.0),
        optimizer=rates.optimizer_state_bytes * share,
    )


class Held(NamedTuple):
    """Bytes of state per dense and per expert parameter, and gathered buffers."""

    dense: StateBytes
    expert: StateBytes
    buffers: Column


def held_bytes(s: Shape, grid: Grid, held: Parameters, rates: Rates) -> Held:
    """Return what each parameter costs on a rank; experts are sharded over their own ranks."""
    ranks = grid.dp * s.cp
    expert_ranks = np.maximum(ranks * s.tp / (s.ep * s.etp), 1.0)
    expert_shard = np.maximum(expert_ranks * grid.shard / grid.dp, 1.0)
    sharded = grid.sharding >= FULLY_SHARDED
    buffers = np.where(sharded, gathered_bytes(s, held, rates), 0.0)
    if rates.features.fully_sharded:
        # Under a pipeline a stage stays gathered, its gradients unreduced, until the step's end.
        whole = (
            s.layers / grid.pp * (held.dense + held.expert) * (rates.stored_bytes + REDUCED_BYTES)
        )
        buffers = np.where(sharded & (grid.pp > 1), whole, buffers)
    return Held(
        dense=state_bytes(grid.sharding, ranks, grid.shard * s.cp, rates),
        expert=state_bytes(grid.sharding, expert_ranks, expert_shard, rates),
        buffers=buffers,
    )


def gathered_bytes(s: Shape, held: Parameters, rates: Rates) -> Column:
    """Return the bytes of gathered weights and of their gradients before these are scattered.

    A limit on what is gathered leaves room for the largest matrix at least.
    """
    parameters = GATHERED_LAYERS * (held.dense + held.expert)
    limit = rates.features.gathered_parameters
    if limit > 0:
        largest = s.hidden * np.maximum(s.ffn, s.expert_ffn) / s.tp
        parameters = np.minimum(parameters, np.maximum(limit, largest))
    return parameters * (rates.stored_bytes + rates.stored_bytes)


class StageLoad(NamedTuple):
    """What one stage holds, before it is turned into bytes of state.

    Attributes:
        dense: Parameters, experts left out.
        expert: Parameters of experts.
        activations: Bytes of activations in flight, and of the layer being worked on.
        logits: Bytes.
    """

    dense: Column
    expert: Column
    activations: Column
    logits: Column


def stage_load(
    s: Shape, grid: Grid, held: Parameters, acts: LayerBytes, rates: Rates, *, stage: Column
) -> StageLoad:
    """Return what stage `stage` (from 0) holds."""
    layers = stage_layers(s.layers, grid.pp, stage)
    first, last = np.where(stage == 0, 1.0, 0.0), np.where(stage == grid.pp - 1, 1.0, 0.0)
    ends = np.maximum(first, last) + first * last * (1.0 - s.tied)
    in_flight = microbatches_in_flight(grid.pp, grid.vpp, grid.microbatches, stage)
    return StageLoad(
        dense=layers * held.dense + ends * held.end,
        expert=layers * held.expert,
        activations=layers * in_flight * acts.kept + acts.working,
        logits=last * (rates.features.logit_bytes * s.tokens * s.vocab / s.tp),
    )


def stage_bytes(
    s: Shape, grid: Grid, held: Parameters, acts: LayerBytes, rates: Rates, *, stage: Column
) -> StageBytes:
    """Return the bytes on one rank of pipeline stage `stage` (from 0), by kind."""
    load = stage_load(s, grid, held, acts, rates, stage=stage)
    state = held_bytes(s, grid, held, rates)
    return StageBytes(
        weights=load.dense * state.dense.weights + load.expert * state.expert.weights,
        gradients=load.dense * state.dense.gradients + load.expert * state.expert.gradients,
        optimizer=load.dense * state.dense.optimizer + load.expert * state.expert.optimizer,
        activations=load.activations,
        logits=load.logits,
        buffers=state.buffers,
        runtime=np.zeros_like(load.dense) + rates.reserved_bytes,
    )


def peak_bytes(s: Shape, grid: Grid, held: Parameters, acts: LayerBytes, rates: Rates) -> Column:
    """Return the bytes on the fullest rank of the fullest stage.

    The first stage keeps most microbatches and the embedding, the second one layer more where
    stages are uneven, the last one the logits; the others lie between.
    """
    state = held_bytes(s, grid, held, rates)
    per_dense, per_expert = state.dense.total, state.expert.total
    peak: Column = 0.0
    for stage in (np.zeros_like(grid.pp), np.minimum(1.0, grid.pp - 1.0), grid.pp - 1.0):
        load = stage_load(s, grid, held, acts, rates, stage=stage)
        # The two are added first: they have fewer axes than the state.
        kept = load.activations + load.logits
        total = load.dense * per_dense + kept
        if np.any(held.expert > 0):
            total = total + load.expert * per_expert
        peak = np.maximum(peak, total)
    return peak + (state.buffers + rates.reserved_bytes)
