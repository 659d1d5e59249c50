"""What is trained: the shape of a decoder-only transformer, dense or mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts(Spec):
    """Mixture of experts in place of the MLP of some layers.

    Attributes:
        num_experts: Routed experts of a layer.
        top_k: Routed experts each token visits.
        ffn_hidden_size: Width of one expert.
        shared_ffn_hidden_size: Width of the always-on expert; 0 without one.
        first_dense_layers: Leading layers that keep a dense MLP.
        every: Of the rest, every `every`-th layer has experts (1: all of them).
    """

    num_experts: int
    top_k: int
    ffn_hidden_size: int
    shared_ffn_hidden_size: int = 0
    first_dense_layers: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        require_count(self, "num_experts", "top_k", "ffn_hidden_size", "every", most=10**7)
        require_count(self, "shared_ffn_hidden_size", "first_dense_layers", least=0, most=10**7)
        if self.top_k > self.num_experts:
            raise SpecError(
                f"experts: top_k must be at most num_experts {self.num_experts}, got {self.top_k}",
                field="top_k",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention(Spec):
    """Multi-head latent attention (MLA): queries and keys pass through a low rank.

    Source: DeepSeek-V2, arXiv 2405.04434, section 2.1.
    """

    query_rank: int
    kv_rank: int
    nope_head_dim: int
    rope_head_dim: int
    value_head_dim: int

    def __post_init__(self) -> None:
        require_count(
            self, "kv_rank", "nope_head_dim", "rope_head_dim", "value_head_dim", most=10**6
        )
        require_count(self, "query_rank", least=0, most=10**6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Spec):
    """Shape of a decoder-only transformer.

    Attributes:
        ffn_hidden_size: Width of a dense layer's MLP.
        gated: Three matrices (SwiGLU, GeGLU) instead of two.
        tied_embeddings: Input and output embedding are one matrix.
        positions: "rope" and "alibi" hold no parameters, "learned" one row per position.
        published_parameters: Number of parameters its makers state.
        source: Where each fact comes from; "default" covers those not named.
    """

    name: str
    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    gated: bool = True
    tied_embeddings: bool = False
    positions: Literal["rope", "alibi", "learned"] = "rope"
    experts: Experts | None = None
    latent_attention: LatentAttention | None = None
    published_parameters: float | None = None
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(
            self,
            "num_layers", "hidden_size", "ffn_hidden_size", "num_heads", "num_kv_heads",
            "head_dim", "vocab_size", "context_length",
            most=10**8,
        )  # fmt: skip
        require_positive(self, "published_parameters")
        if self.num_heads % self.num_kv_heads:
            raise fault(
                self, "num_kv_heads", self.num_kv_heads, f"must divide num_heads {self.num_heads}"
            )
        if self.experts and self.experts.first_dense_layers > self.num_layers:
            dense = self.experts.first_dense_layers
            raise fault(
                self, "first_dense_layers", dense, f"must be at most num_layers {self.num_layers}"
            )

    @property
    def num_expert_layers(self) -> int:
        """Number of layers whose MLP is a mixture of experts."""
        if self.experts is None:
            return 0
        return (self.num_layers - self.experts.first_dense_layers) // self.experts.every

    @property
    def attention_parameters(self) -> int:
        """Parameters of one layer's attention projections."""
        h, mla = self.hidden_size, self.latent_attention
        if mla is None:
            return 2 * h * (self.num_heads + self.num_kv_heads) * self.head_dim
        query_dim = self.num_heads * (mla.nope_head_dim + mla.rope_head_dim)
        query = mla.query_rank * (h + query_dim) if mla.query_rank else h * query_dim
        key_value = h * (mla.kv_rank + mla.rope_head_dim)
        key_value += mla.kv_rank * self.num_heads * (mla.nope_head_dim + mla.value_head_dim)
        return query + key_value + self.num_heads * mla.value_head_dim * h

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the input embedding, learned positions included."""
        rows = self.vocab_size + (self.context_length if self.positions == "learned" else 0)
        return rows * self.hidden_size

    @property
    def output_parameters(self) -> int:
        """Parameters of an output projection of its own; 0 when tied."""
        return 0 if self.tied_embeddings else self.vocab_size * self.hidden_size

    @property
    def num_parameters(self) -> int:
        """Number of parameters, all experts counted.

        Biases are left out (under 0.1 % of any model in the catalog).
        """
        return self._stack_parameters(all_experts=True) + (
            self.embedding_parameters + self.output_parameters
        )

    @property
    def num_active_parameters(self) -> int:
        """Number of parameters that one token passes through, both embeddings counted."""
        return self._stack_parameters(all_experts=False) + (
            self.embedding_parameters + self.output_parameters
        )

    def _stack_parameters(self, *, all_experts: bool) -> int:
        matrices = (3 if self.gated else 2) * self.hidden_size
        norms = 2 * self.hidden_size
        dense_layers = self.num_layers - self.num_expert_layers
        total = self.num_layers * (self.attention_parameters + norms)
        total += dense_layers * matrices * self.ffn_hidden_size
        if self.experts is not None:
            e = self.experts
            routed = e.num_experts if all_experts else e.top_k
            layer = matrices * (routed * e.ffn_hidden_size + e.shared_ffn_hidden_size)
            total += self.num_expert_layers * (layer + self.hidden_size * e.num_experts)
        return total
