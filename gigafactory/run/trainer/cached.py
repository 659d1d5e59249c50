"""The model token after token: keys and values of earlier tokens are kept, not computed again.

The same weights and the same arithmetic as `model.Transformer`, for one sequence in one process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812

from gigafactory.run.trainer.attention import rotate, rotations
from gigafactory.run.trainer.model import Block

if TYPE_CHECKING:
    from torch import Tensor

    from gigafactory.run.trainer.attention import Attention
    from gigafactory.run.trainer.model import Transformer


class Cache:
    """Keys and values of one sequence, `[layer, kv head, place, head_dim]` each.

    Attributes:
        room: Most tokens it holds.
        length: Tokens it holds.
    """

    def __init__(self, transformer: Transformer, room: int) -> None:
        spec, weight = transformer.spec, transformer.embedding.weight
        shape = (spec.num_layers, spec.num_kv_heads, room, spec.head_dim)
        self.keys = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        self.values = torch.empty_like(self.keys)
        self.room, self.length = room, 0


@torch.inference_mode()
def extended(transformer: Transformer, cache: Cache, tokens: list[int]) -> Tensor:
    """Return the logits `[vocab]` of what follows, after tokens that are added to the cache."""
    begin, end = cache.length, cache.length + len(tokens)
    assert tokens
    assert end <= cache.room
    device = cache.keys.device
    x = transformer.embedding(torch.tensor(tokens, device=device)[None])
    if transformer.spec.positions == "learned":
        x = x + transformer.positions.weight[begin:end]
    cos, sin = (part[begin:end] for part in rotations(transformer.spec, cache.room, device))
    # Of the row i of what is new, everything up to its own place is seen.
    seen = torch.ones(len(tokens), end, dtype=torch.bool, device=device).tril(begin)
    for layer, block in enumerate(transformer.layers.values()):
        assert isinstance(block, Block)
        keys, values = cache.keys[layer], cache.values[layer]
        attend = _Attend(block.attention, keys, values, begin, seen)
        x = x + attend(block.attention_norm(x), cos, sin)
        x = x + block.feed_forward(block.feed_forward_norm(x))
    cache.length = end
    logits: Tensor = transformer.output(transformer.norm(x[:, -1:]))
    return logits[0, 0].float()


class _Attend:
    """Attention of new tokens to all tokens; writes the keys and values of the new ones."""

    def __init__(
        self, attention: Attention, keys: Tensor, values: Tensor, begin: int, seen: Tensor
    ) -> None:
        self._layer, self._keys, self._values = attention, keys, values
        self._new = slice(begin, seen.shape[1])
        self._seen = seen

    def __call__(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Return `[1, new, hidden]`."""
        layer, width = self._layer, self._layer.head_dim
        query, key, value = (
            part(x).unflatten(-1, (-1, width)) for part in (layer.query, layer.key, layer.value)
        )
        if layer.rotary:
            query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        self._keys[:, self._new] = key[0].transpose(0, 1)
        self._values[:, self._new] = value[0].transpose(0, 1)
        mixed = F.scaled_dot_product_attention(
            query.transpose(1, 2),
            self._keys[None, :, : self._new.stop],
            self._values[None, :, : self._new.stop],
            attn_mask=self._seen,
            enable_gqa=True,
        )
        out: Tensor = layer.out(mixed.transpose(1, 2).flatten(2))
        return out
