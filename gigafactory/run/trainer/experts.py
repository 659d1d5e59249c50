"""Mixture of experts as Grok-1 has it: a softmax router, the best k of gated experts, dropless.

Rows (one per token and chosen expert) are sorted by expert, and each expert multiplies its run of
rows. Under expert parallelism rows travel to the rank of their expert and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from gigafactory.run.trainer import exchange
from gigafactory.run.trainer.feed_forward import SharedExpert
from gigafactory.run.trainer.pieces import local
from gigafactory.run.trainer.rows import inverse, ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.distributed import ProcessGroup

    from gigafactory.spec.model import Model

# Weight of the term that keeps experts evenly loaded; Fedus et al., arXiv 2101.03961, section 2.2.
BALANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Spread:
    """How a layer's tokens and experts are spread over ranks.

    Attributes:
        experts: Ranks that hold different experts; None where each holds all.
        tokens: Ranks that hold different tokens of one microbatch; None where one has all.
        copies: Ranks that route the same tokens.
    """

    experts: ProcessGroup | None = None
    tokens: ProcessGroup | None = None
    copies: int = 1


class Experts(nn.Module):
    """The matrices of all experts of a layer, `[expert, in, out]`."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        assert model.experts is not None
        count, width, hidden = (
            model.experts.num_experts, model.experts.ffn_hidden_size, model.hidden_size,
        )  # fmt: skip
        self.gate = nn.Parameter(torch.empty(count, hidden, width)) if model.gated else None
        self.up = nn.Parameter(torch.empty(count, hidden, width))
        self.down = nn.Parameter(torch.empty(count, width, hidden))

    def forward(self, rows: Tensor, counts: Tensor) -> Tensor:
        """Return each row after its expert.

        Args:
            rows: `[row, hidden]`, sorted by expert.
            counts: Rows of each expert held here.
        """
        up, down = local(self.up), local(self.down)
        gate = None if self.gate is None else local(self.gate)
        return _products(rows, counts, gate, up, down)


class MixtureOfExperts(nn.Module):
    """Router, experts, and the expert that every token visits where the spec has one.

    The weights of a token's experts are their softmax probabilities, not normalised again.

    Source: xai-org/grok-1, model.py, class MoELayer.

    Attributes:
        spread: Set by whoever spreads the layer over ranks.
        balance: Weight of the balancing term in the sum that is differentiated.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        assert model.experts is not None
        self.num_experts, self.top_k = model.experts.num_experts, model.experts.top_k
        self.router = nn.Linear(model.hidden_size, self.num_experts, bias=False)
        self.experts = Experts(model)
        width = model.experts.shared_ffn_hidden_size
        self.shared = SharedExpert(model.hidden_size, width, gated=model.gated) if width else None
        self.spread = Spread()
        self.balance = BALANCE

    def forward(self, x: Tensor) -> Tensor:
        """Return `[batch, seq, hidden]`."""
        tokens = x.flatten(0, -2)
        weights, chosen = self._routed(tokens)
        out = self._visited(tokens, weights, chosen)
        if self.shared is not None:
            out = out + self.shared(tokens)
        return out.view_as(x)

    def _routed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight and the number of each token's experts, `[token, k]` both."""
        with torch.autocast(tokens.device.type, enabled=False):
            logits = F.linear(tokens.float(), local(self.router.weight).float())
            chances = logits.softmax(dim=-1)
        weights, chosen = chances.topk(self.top_k, dim=-1)
        if torch.is_grad_enabled():
            term = self._imbalance(chances, chosen)
            weights = _WithGradientOf.apply(weights, term)  # type: ignore[no-untyped-call]
        return weights, chosen

    def _imbalance(self, chances: Tensor, chosen: Tensor) -> Tensor:
        """Return this rank's part of `experts x sum(share of rows x mean chance)`; 1 is even.

        Source: Fedus et al., arXiv 2101.03961, equation 4.
        """
        rows = torch.bincount(chosen.flatten(), minlength=self.num_experts).to(chances.dtype)
        if self.spread.tokens is not None:
            torch.distributed.all_reduce(rows, group=self.spread.tokens)
        tokens = rows.sum() / self.top_k
        sums = (rows / rows.sum() * chances.sum(dim=0)).sum()
        return sums * (self.num_experts * self.balance / self.spread.copies) / tokens

    def _visited(self, tokens: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Return the weighted sum of each token's experts, `[token, hidden]`."""
        order = chosen.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=self.num_experts)
        rows = ordered(tokens, order, self.top_k)
        if self.spread.experts is None:
            rows = self.experts(rows, counts)
        else:
            rows = exchange.visited(rows, counts, self.experts, self.spread.experts)
        back = ordered(rows, inverse(order)).view(-1, self.top_k, tokens.shape[-1])
        return (back * weights[..., None].to(back.dtype)).sum(dim=1)


def _products(
    rows: Tensor, counts: Tensor, gate: Tensor | None, up: Tensor, down: Tensor
) -> Tensor:
    """Return down(silu(gate rows) * up rows) of each row's expert.

    On a GPU one grouped product serves all experts; on a CPU one product per expert is as fast.
    """
    if rows.is_cuda and torch.is_autocast_enabled("cuda"):
        kind = torch.get_autocast_dtype("cuda")
        rows, up, down = rows.to(kind), up.to(kind), down.to(kind)
        gate = None if gate is None else gate.to(kind)
    if rows.is_cuda and rows.dtype == torch.bfloat16:
        ends = counts.cumsum(0).to(torch.int32)
        inner = F.grouped_mm(rows, up, offs=ends)
        opened = None if gate is None else F.silu(F.grouped_mm(rows, gate, offs=ends))
        return F.grouped_mm(F.gelu(inner) if opened is None else opened * inner, down, offs=ends)
    runs = torch.split(rows, counts.tolist())
    gates: Sequence[Tensor | None] = [None] * len(up) if gate is None else gate.unbind()
    experts = zip(runs, gates, up.unbind(), down.unbind(), strict=True)
    return torch.cat([_expert(*matrices) for matrices in experts])


def _expert(rows: Tensor, gate: Tensor | None, up: Tensor, down: Tensor) -> Tensor:
    inner = rows @ up
    return (F.gelu(inner) if gate is None else F.silu(rows @ gate) * inner) @ down


class _WithGradientOf(torch.autograd.Function):
    """The first input, with the gradient of the second added to what is differentiated.

    So a term of one layer needs no way to the end of the pipeline, where the loss is.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, term: Tensor) -> Tensor:
        ctx.save_for_backward(term)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (term,) = ctx.saved_tensors
        return grad, torch.ones_like(term)
