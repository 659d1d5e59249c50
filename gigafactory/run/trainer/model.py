"""A decoder-only transformer sized exactly by `spec.model.Model`, or one pipeline stage of it.

It has `Model.num_parameters` parameters: two norms a layer with weights, a last norm without (its
weight would only scale the columns of the output projection), no biases. Sandwich norms and scaled
embeddings are not in the spec and not built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from gigafactory.run.trainer.attention import Attention, rotations
from gigafactory.run.trainer.experts import MixtureOfExperts
from gigafactory.run.trainer.feed_forward import FeedForward
from gigafactory.run.trainer.recompute import recomputed

if TYPE_CHECKING:
    from torch import Tensor

    from gigafactory.spec.model import Model

NORM_EPSILON: Final = 1e-5  # Grok-1's and Llama's


@dataclass(frozen=True, slots=True)
class Part:
    """The layers of one pipeline stage, and whether it begins or ends the model."""

    layers: range
    first: bool
    last: bool


def whole(model: Model) -> Part:
    """Return the part that is all of a model."""
    return Part(range(model.num_layers), first=True, last=True)


def has_experts(model: Model, layer: int) -> bool:
    """Return whether a layer has experts: of those after the dense ones, each `every`-th."""
    experts = model.experts
    if experts is None or layer < experts.first_dense_layers:
        return False
    return (layer - experts.first_dense_layers + 1) % experts.every == 0


class Block(nn.Module):
    """One layer: attention, then a dense MLP or experts, each after a norm and added back."""

    def __init__(self, model: Model, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(model.hidden_size, NORM_EPSILON)
        self.attention = Attention(model)
        self.feed_forward_norm = nn.RMSNorm(model.hidden_size, NORM_EPSILON)
        self.feed_forward: nn.Module = (
            MixtureOfExperts(model)
            if has_experts(model, layer)
            else FeedForward(model.hidden_size, model.ffn_hidden_size, gated=model.gated)
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return hidden states `[batch, seq, hidden]` after this layer."""
        x = x + self.attention(self.attention_norm(x), cos, sin)
        out: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return out


class Transformer(nn.Module):
    """The model, or the part of it that one pipeline stage holds.

    Attributes:
        sequence_split: Ranks that the tokens of a sequence are split over between layers.
    """

    def __init__(self, model: Model, *, recompute: str = "none", part: Part | None = None) -> None:
        super().__init__()
        self.spec, self.part = model, part or whole(model)
        self.recompute = recompute
        self.sequence_split = 1
        if self.part.first:
            self.embedding = nn.Embedding(model.vocab_size, model.hidden_size)
            if model.positions == "learned":
                self.positions = nn.Embedding(model.context_length, model.hidden_size)
        self.layers = nn.ModuleDict({str(i): Block(model, i) for i in self.part.layers})
        if self.part.last:
            self.norm = nn.RMSNorm(model.hidden_size, NORM_EPSILON, elementwise_affine=False)
            self.output = nn.Linear(model.hidden_size, model.vocab_size, bias=False)
        self.tie()

    def tie(self) -> None:
        """Make both ends one matrix where the spec says so and this part has both."""
        if self.spec.tied_embeddings and self.part.first and self.part.last:
            self.output.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[batch, seq, vocab]`, or hidden states where this is not the last part.

        Args:
            x: Tokens `[batch, seq]`, or hidden states `[batch, seq, hidden]` of the part before.
        """
        if self.part.first:
            x = self._embedded(x)
        length = x.shape[1] * self.sequence_split
        cos, sin = rotations(self.spec, length, x.device)
        keep = self.recompute == "none" or not torch.is_grad_enabled()
        for block in self.layers.values():
            x = block(x, cos, sin) if keep else recomputed(self.recompute, block, x, cos, sin)
        if not self.part.last:
            return x
        logits: Tensor = self.output(self.norm(x))
        return logits

    def _embedded(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.embedding(tokens)
        if self.spec.positions == "learned":
            places = torch.arange(tokens.shape[1], device=tokens.device)
            x = x + self.positions(places.expand_as(tokens))
        return x


def parameter_name(model: Model, name: str) -> str:
    """Return the name under which a parameter is kept, whichever stage holds it.

    The last stage's copy of a tied matrix is the first stage's embedding.
    """
    if model.tied_embeddings and name == "output.weight":
        return "embedding.weight"
    return name
