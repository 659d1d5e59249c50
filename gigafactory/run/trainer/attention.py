"""Grouped-query attention with rotary positions, causal."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from gigafactory.run.trainer.pieces import local

if TYPE_CHECKING:
    from torch import Tensor

    from gigafactory.spec.model import Model

ROTARY_BASE: Final = 10_000.0  # Grok-1's and Su et al.'s


@lru_cache(maxsize=8)
def _table(head_dim: int, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    pairs = torch.arange(0, head_dim, 2, device=device, dtype=torch.float64) / head_dim
    places = torch.arange(length, device=device, dtype=torch.float64)
    angles = torch.outer(places, ROTARY_BASE**-pairs)
    return angles.cos().float(), angles.sin().float()


def rotations(model: Model, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines `[seq, head_dim / 2]` of a sequence's rotary angles.

    Without rotary positions every angle is 0.

    Source: Su et al., arXiv 2104.09864, equation 34.
    """
    if model.positions != "rope":
        return _table(model.head_dim, 1, device)
    with torch.inference_mode(mode=False), torch.no_grad():
        return _table(model.head_dim, length, device)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return `[batch, seq, heads, head_dim]` with each pair of halves turned by its angle."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.type_as(x)


class Attention(nn.Module):
    """Causal attention whose query heads share fewer key-value heads.

    Attributes:
        kv_heads: First and number of the key-value heads this rank's queries need, where its
            projections give all of them; None where they give just those.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.head_dim = model.head_dim
        self.rotary = model.positions == "rope"
        self.kv_heads: tuple[int, int] | None = None
        queries, keys = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
        self.query = nn.Linear(model.hidden_size, queries, bias=False)
        self.key = nn.Linear(model.hidden_size, keys, bias=False)
        self.value = nn.Linear(model.hidden_size, keys, bias=False)
        self.out = nn.Linear(queries, model.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return `[batch, seq, hidden]`."""
        query = self._heads(self.query(x))
        key, value = (self._shared(local(m(x))) for m in (self.key, self.value))
        if self.rotary:
            query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        groups = query.shape[2] // key.shape[2]
        mixed = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            _repeated(key.transpose(1, 2), groups),
            _repeated(value.transpose(1, 2), groups),
            is_causal=True,
        )
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], -1, self.head_dim)

    def _shared(self, x: Tensor) -> Tensor:
        heads = self._heads(x)
        return heads if self.kv_heads is None else heads.narrow(2, *self.kv_heads)


def _repeated(x: Tensor, groups: int) -> Tensor:
    """Return `[batch, kv heads * groups, seq, head_dim]`, each head seen `groups` times."""
    if groups == 1:
        return x
    batch, heads, length, width = x.shape
    return (
        x[:, :, None]
        .expand(batch, heads, groups, length, width)
        .reshape(batch, heads * groups, length, width)
    )
