"""Work of one layer, operator by operator: matmuls, attention, element-wise traffic, loss.

Every function takes a `Shape`, whose entries are one rank's share of one microbatch, and
returns seconds. Matmuls are `(m, n, k, times)`: an [m, k] by [k, n] product done `times` times.
Source: Narayanan et al. 2021, appendix; Korthikanti et al. 2022, section 4; DeepSeek-V2,
section 2.1 (latent attention).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.cost.kernels import attention_forward_time_s, gemm_time_s, grouped_gemm_time_s

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Shape
    from gigafactory.cost.rates import Rates
    from gigafactory.spec.kernels import GemmKernel

# Reads and writes of [tokens, hidden] per layer, forward: two norms, two residual sums and, in
# older software, bias and dropout in kernels of their own. Source: counted from Megatron-LM.
UNFUSED_PASSES: Final = 16.0
FUSED_PASSES: Final = 12.0
# Eager PyTorch: a norm reads and writes, a residual sum reads twice and writes once; rotation is
# four products and two sums of halves and a concatenation, and shared key-value heads are
# repeated; an activation function reads and writes, its product with the gate takes three.
# Source: counted from gigafactory.run.trainer, models in fp32.
EAGER_PASSES: Final = 10.0
EAGER_ROTATION: Final = 9.0
EAGER_ACTIVATION: Final = 2.0
EAGER_GATE: Final = 3.0
BACKWARD_PASSES: Final = 1.7  # gradients of input and weight read what forward read once
SOFTMAX_FORWARD_PASSES: Final = 5.0  # scale and mask, softmax, dropout: read and write
MERGE_BYTES: Final = 8.0  # a ring step's fp32 result is read and written once
SOFTMAX_BACKWARD_PASSES: Final = 4.5
LOSS_FORWARD: Final = 0.5  # the loss reads the logits forward and writes as much backward
PROJECTIONS: Final = (
    "qkv projection", "output projection",
    "qkv projection", "qkv projection", "qkv projection", "qkv projection", "output projection",
)  # fmt: skip
"""What each of `attention_matmuls` belongs to; the last five are those of latent attention."""


class Matmul(NamedTuple):
    """An [m, k] by [k, n] product, done `times` times."""

    m: Column
    n: Column
    k: Column
    times: Column

    @property
    def flops(self) -> Column:
        """Return the multiplications and additions of all of them."""
        return 2.0 * self.m * self.n * self.k * self.times


class Seconds(NamedTuple):
    """Forward and backward seconds.

    Attributes:
        weights: The weight gradients' share of `backward`, where it is known apart.
    """

    forward: Column
    backward: Column
    weights: Column = 0.0

    @property
    def both(self) -> Column:
        """Return the seconds of both passes."""
        return self.forward + self.backward

    def scaled(self, factor: Column) -> Seconds:
        """Return the seconds times a factor."""
        return Seconds(self.forward * factor, self.backward * factor, self.weights * factor)


def attention_matmuls(s: Shape) -> list[Matmul]:
    """Return the projections of one layer's attention, plain or latent."""
    t, tp = s.tokens, s.tp
    plain = np.where(s.kv_rank > 0, 0.0, 1.0)
    heads = s.heads * s.head_dim / tp
    ops = [
        Matmul(t, (s.heads + 2 * s.kv_heads) * s.head_dim / tp, s.hidden, plain),
        Matmul(t, s.hidden, heads, plain),
    ]
    if not np.any(s.kv_rank > 0):
        return ops
    latent = 1.0 - plain
    query_dim = s.heads * (s.nope_dim + s.rope_dim) / tp
    query_low = latent * np.where(s.query_rank > 0, 1.0, 0.0)
    return [
        *ops,
        Matmul(t, s.query_rank, s.hidden, query_low),
        Matmul(t, query_dim, np.where(s.query_rank > 0, s.query_rank, s.hidden), latent),
        Matmul(t, s.kv_rank + s.rope_dim, s.hidden, latent),
        Matmul(t, s.heads * (s.nope_dim + s.value_dim) / tp, s.kv_rank, latent),
        Matmul(t, s.hidden, s.heads * s.value_dim / tp, latent),
    ]


def mlp_matmuls(s: Shape, width: Column) -> list[Matmul]:
    """Return the matmuls of a dense MLP of the given width."""
    return [
        Matmul(s.tokens, width * (1 + s.gated) / s.tp, s.hidden, 1.0),
        Matmul(s.tokens, s.hidden, width / s.tp, 1.0),
    ]


def output_matmuls(s: Shape) -> list[Matmul]:
    """Return the projection to the vocabulary."""
    return [Matmul(s.tokens, s.vocab / s.tp, s.hidden, 1.0)]


def products_time_s(ops: list[Matmul], kernel: GemmKernel) -> list[Seconds]:
    """Return the seconds of each product and of its input and weight gradients."""
    flat = np.stack(np.broadcast_arrays(*(x for op in ops for x in op)))
    m, n, k, times = (flat[i :: len(Matmul._fields)] for i in range(len(Matmul._fields)))
    m, n, k = (np.where((times > 0) & (x > 0), x, 1.0) for x in (m, n, k))
    three = gemm_time_s(np.stack([m, m, k]), np.stack([n, k, n]), np.stack([k, n, m]), kernel)
    forward, inputs, weights = three * times
    return [Seconds(*one) for one in zip(forward, inputs + weights, weights, strict=True)]


def matmuls_time_s(ops: list[Matmul], kernel: GemmKernel) -> Seconds:
    """Return the seconds of all products together and of their gradients."""
    return sum_seconds(products_time_s(ops, kernel))


def sum_seconds(several: list[Seconds]) -> Seconds:
    """Return the seconds of operators one after the other."""
    forward, backward, weights = zip(*several, strict=True)
    return Seconds(sum(forward), sum(backward), sum(weights))


def expert_matmuls_time_s(s: Shape, rates: Rates) -> Seconds:
    """Return the seconds of one expert layer's grouped products, and of their gradients.

    Dropless routing is uneven: the rank with the fullest experts sets the pace.
    """
    uneven = np.where(s.capacity > 0, 1.0, np.where(s.ep > 1, rates.imbalance, 1.0))
    rows = np.maximum(s.expert_rows * uneven / s.local_experts, 1.0)
    width = np.where(s.experts > 0, s.expert_ffn, s.hidden) / s.etp
    up, down = (width * (1 + s.gated), s.hidden), (s.hidden, width)
    total: list[Column] = [0.0, 0.0, 0.0]
    for n, k in (up, down):
        for place, (gm, gn, gk) in enumerate(((rows, n, k), (rows, k, n), (k, n, rows))):
            time = grouped_gemm_time_s(s.local_experts, gm, gn, gk, rates.gemm, rates.grouped)
            total[place] = total[place] + time
    forward, inputs, weights = total
    return Seconds(forward, inputs + weights, weights)


def attention_time_s(s: Shape, rates: Rates) -> Seconds:
    """Return the seconds of the attention core.

    A context-parallel ring runs one kernel per block of keys, each on a sequence cp times
    shorter, evenly loaded (zigzag), and merges the blocks' results.
    """
    if rates.features.attention == "unfused":
        return unfused_attention_time_s(s, rates)
    dim = np.where(s.kv_rank > 0, (s.nope_dim + s.rope_dim + s.value_dim) / 2, s.head_dim)
    heads, block = s.heads / s.tp, s.seq / s.cp
    forward = s.cp * attention_forward_time_s(
        s.micro_batch, block, block, heads, s.kv_heads, dim, rates.attention, causal=True
    )
    merged = (s.cp - 1.0) * s.tokens * heads * dim * MERGE_BYTES
    forward = forward + merged / rates.memory_bytes_per_s
    return Seconds(forward, forward * rates.attention_backward)


def unfused_attention_time_s(s: Shape, rates: Rates) -> Seconds:
    """Return the seconds of attention that writes its score matrix; nothing is skipped.

    The softmax chain passes over [batch, heads, seq, seq] five times forward and four and a half
    times backward.
    """
    rows = s.micro_batch * s.heads / s.tp * s.seq / s.cp
    products = matmuls_time_s(
        [Matmul(rows, s.seq, s.head_dim, 1.0), Matmul(rows, s.head_dim, s.seq, 1.0)], rates.gemm
    )
    chain_s = rows * s.seq * rates.activation_bytes / rates.memory_bytes_per_s
    return Seconds(
        products.forward + SOFTMAX_FORWARD_PASSES * chain_s,
        products.backward + SOFTMAX_BACKWARD_PASSES * chain_s,
    )


def elementwise_time_s(s: Shape, rates: Rates) -> Seconds:
    """Return the seconds of norms, residuals, RoPE: what every layer has besides matmuls."""
    passes = FUSED_PASSES if rates.features.fused_norms else UNFUSED_PASSES
    rotated = 2.0
    if rates.features.eager:
        passes, rotated = EAGER_PASSES, EAGER_ROTATION
    split = np.where(s.sp > 0, s.tp, 1.0)
    per_token = passes * s.hidden / split
    per_token = per_token + s.rope * rotated * (s.heads + s.kv_heads) * s.head_dim / s.tp
    if rates.features.eager:
        per_token = per_token + 2.0 * repeated_heads(s) * s.head_dim / s.tp
    return _traffic(s.tokens * per_token, rates)


def activation_time_s(s: Shape, rows: Column, width: Column, rates: Rates) -> Seconds:
    """Return the seconds of an MLP's activation function over [rows, width]."""
    passes = EAGER_ACTIVATION + EAGER_GATE * s.gated if rates.features.eager else 2.0 + s.gated
    return _traffic(rows * width * passes, rates)


def repeated_heads(s: Shape) -> Column:
    """Return the heads read and written where shared keys and values are repeated, each of both."""
    return np.where(s.kv_heads < s.heads, s.heads + s.kv_heads, 0.0)


def expert_traffic_time_s(s: Shape, rates: Rates) -> Seconds:
    """Return the seconds of sorting rows by expert and back, quantising them and activating.

    Bytes per element of [rows, hidden] as measured beside the grouped products.
    """
    moved = s.expert_rows * s.hidden * rates.grouped.moved_bytes_per_element
    forward = moved / rates.gemm.memory_bytes_per_s
    rows = Seconds(forward, forward * BACKWARD_PASSES)
    if not rates.features.eager:
        return rows
    # Measured apart from the rows: experts differ in how wide they are for their hidden size.
    width = np.where(s.experts > 0, s.expert_ffn, 0.0) / s.etp
    return sum_seconds([rows, activation_time_s(s, s.expert_rows, width, rates)])


def _traffic(elements: Column, rates: Rates) -> Seconds:
    bytes_moved = elements * rates.activation_bytes * rates.elementwise
    forward = bytes_moved / rates.memory_bytes_per_s
    return Seconds(forward, forward * BACKWARD_PASSES)


def loss_time_s(s: Shape, rates: Rates) -> Column:
    """Return the seconds of the cross entropy over the logits, forward and backward together."""
    logits = s.tokens * s.vocab / s.tp
    return logits * rates.cross_entropy / rates.memory_bytes_per_s


def embedding_time_s(s: Shape, rates: Rates) -> Seconds:
    """Return the seconds of reading embedding rows and of scattering their gradient."""
    forward = 3.0 * s.tokens * s.hidden * rates.activation_bytes / rates.memory_bytes_per_s
    return Seconds(forward, forward)


def attention_flops(s: Shape) -> Column:
    """Return the FLOPs of the attention core, forward: the causal half of the score matrix."""
    dim = np.where(s.kv_rank > 0, (s.nope_dim + s.rope_dim + s.value_dim) / 2, s.head_dim)
    return 2.0 * s.tokens * s.heads / s.tp * s.seq * dim


def expert_flops(s: Shape) -> Column:
    """Return the FLOPs of one expert layer's products, forward, with rows evenly spread."""
    return 2.0 * s.expert_rows * (2.0 + s.gated) * s.hidden * s.expert_ffn / s.etp


def layer_model_flops(s: Shape) -> Column:
    """Return the FLOPs per token of one training step that model FLOPs utilisation counts.

    6 per active matmul parameter (output projection in, input embedding out) plus causal
    attention, 6 x layers x heads x head_dim x seq.
    """
    whole = replace(s, tp=np.ones_like(s.tp))  # latent down-projections stand on every rank
    attention = sum_parameters(attention_matmuls(whole))
    dense = sum_parameters(mlp_matmuls(whole, s.ffn))
    matrices = (2.0 + s.gated) * s.hidden
    expert = matrices * (s.top_k * s.expert_ffn + s.shared_ffn) + s.hidden * s.experts
    dense_layers = s.layers - s.expert_layers
    parameters = s.layers * attention + dense_layers * dense + s.expert_layers * expert
    parameters = parameters + s.vocab * s.hidden
    dim = np.where(s.kv_rank > 0, (s.nope_dim + s.rope_dim + s.value_dim) / 2, s.head_dim)
    return 6.0 * parameters + 6.0 * s.layers * s.heads * dim * s.seq


def sum_parameters(ops: list[Matmul]) -> Column:
    """Return the weights that the products hold on one rank."""
    total: Column = 0.0
    for op in ops:
        total = total + op.n * op.k * op.times
    return total
