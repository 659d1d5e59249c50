"""Bytes on one accelerator: weights, gradients, optimizer state, activations, logits, buffers.

Source: Korthikanti et al. 2022, "Reducing Activation Recomputation in Large Transformer Models",
equations 1 to 5, extended to gated MLPs, grouped queries, flash attention and experts; Rajbhandari
et al. 2020, "ZeRO", section 3, for what sharding divides.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gigafactory.cost.columns import Column, Grid, Shape
from gigafactory.cost.optimizer import owned_share
from gigafactory.cost.pipeline import microbatches_in_flight, stage_layers
from gigafactory.cost.rates import Rates

WEIGHT_BYTES: Final = 2.0
OPTIMIZER_BYTES: Final = 12.0  # fp32 master weight and both Adam moments
LOGIT_BYTES: Final = 12.0  # bf16 logits, their fp32 copy, fp32 softmax or gradient, bf16 gradient
ACTIVATION_BYTES: Final = 2.0
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

    With no gate, no grouped queries, unfused attention and dropout this is Korthikanti's
    s b h (10 + 24/t + 5 a s / (h t)).
    """
    attention, scores = attention_activation_bytes(s, rates)
    share = s.expert_layers / s.layers
    dense = mlp_activation_bytes(s, s.ffn)
    expert = expert_activation_bytes(s) + mlp_activation_bytes(s, s.shared_ffn)
    split = np.where(s.sp > 0, s.tp, 1.0)
    inputs = (8.0 + (2.0 if rates.features.dropout else 0.0)) * s.hidden * s.tokens / split
    everything = inputs + attention + scores + (1 - share) * dense + share * expert
    selective = everything - scores
    full = ACTIVATION_BYTES * s.hidden * s.tokens / split
    kept = np.where(s.recompute == 0, everything, np.where(s.recompute == 1, selective, full))
    return LayerBytes(kept, np.where(s.recompute == 0, 0.0, everything - kept))


def attention_activation_bytes(s: Shape, rates: Rates) -> tuple[Column, Column]:
    """Return bytes kept by the attention core: its operands, and its score matrix if written."""
    plain = (2.0 * s.heads + 2.0 * s.kv_heads) * s.head_dim / s.tp
    latent = s.query_rank + s.kv_rank + s.heads / s.tp * (
        2.0 * (s.nope_dim + s.rope_dim) + 2.0 * s.value_dim
    )
    operands = np.where(s.kv_rank > 0, latent, plain) * s.tokens * ACTIVATION_BYTES
    if rates.features.attention != "unfused":
        return operands, np.zeros_like(operands)
    # softmax output and its dropped-out copy in 2 bytes, the mask in 1
    kept = 5.0 if rates.features.dropout else 4.0
    return operands, kept * s.heads / s.tp * s.seq * s.tokens


def mlp_activation_bytes(s: Shape, width: Column) -> Column:
    """Return bytes kept by a dense MLP: the activation's input and output."""
    return ACTIVATION_BYTES * s.tokens * width * (2.0 + s.gated) / s.tp


def expert_activation_bytes(s: Shape) -> Column:
    """Return bytes kept by routed experts: permuted rows in and out, activation in and out."""
    per_row = 2.0 * s.hidden + s.expert_ffn * (2.0 + s.gated) / s.etp
    return ACTIVATION_BYTES * s.expert_rows * per_row


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


def stage_bytes(
    s: Shape, grid: Grid, held: Parameters, acts: LayerBytes, stage: Column, rates: Rates
) -> StageBytes:
    """Return the bytes on one rank of pipeline stage `stage` (from 0)."""
    layers = stage_layers(s.layers, grid.pp, stage)
    first, last = np.where(stage == 0, 1.0, 0.0), np.where(stage == grid.pp - 1, 1.0, 0.0)
    ends = np.maximum(first, last) + first * last * (1.0 - s.tied)
    dense, expert = layers * held.dense + ends * held.end, layers * held.expert
    ranks = grid.dp * s.cp
    expert_ranks = np.maximum(ranks * s.tp / (s.ep * s.etp), 1.0)
    shard = grid.shard * s.cp
    expert_shard = np.maximum(expert_ranks * grid.shard / grid.dp, 1.0)
    owned = dense * owned_share(grid.sharding, ranks, shard)
    owned = owned + expert * owned_share(grid.sharding, expert_ranks, expert_shard)
    params = dense + expert
    full = grid.sharding >= FULLY_SHARDED
    in_flight = microbatches_in_flight(grid.pp, grid.vpp, grid.microbatches, stage)
    gathered = GATHERED_LAYERS * (held.dense + held.expert) * (WEIGHT_BYTES + WEIGHT_BYTES)
    return StageBytes(
        weights=WEIGHT_BYTES * np.where(full, owned, params),
        gradients=rates.features.gradient_bytes
        * np.where(grid.sharding >= SHARDED_GRADIENTS, owned, params),
        optimizer=OPTIMIZER_BYTES * owned,
        activations=layers * in_flight * acts.kept + acts.working,
        logits=last * LOGIT_BYTES * s.tokens * s.vocab / s.tp,
        buffers=np.where(full, gathered, 0.0),
        runtime=np.zeros_like(params) + rates.reserved_bytes,
    )


def peak_bytes(
    s: Shape, grid: Grid, held: Parameters, acts: LayerBytes, rates: Rates
) -> Column:
    """Return the bytes on the fullest rank of the fullest stage.

    The first stage keeps most microbatches and the embedding, the second one layer more where
    stages are uneven, the last one the logits; the others lie between.
    """
    peak: Column = 0.0
    for stage in (np.zeros_like(grid.pp), np.minimum(1.0, grid.pp - 1.0), grid.pp - 1.0):
        peak = np.maximum(peak, stage_bytes(s, grid, held, acts, stage, rates).total)
    return peak
