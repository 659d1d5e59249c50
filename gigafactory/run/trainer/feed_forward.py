"""The dense MLP: SwiGLU with three matrices, or GELU with two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F  # noqa: N812
from torch import nn

from gigafactory.run.trainer.pieces import local

if TYPE_CHECKING:
    from torch import Tensor


class FeedForward(nn.Module):
    """down(silu(gate x) * up x), or down(gelu(up x)) without a gate.

    Source: Shazeer, arXiv 2002.05202, section 2.
    """

    def __init__(self, hidden_size: int, width: int, *, gated: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(hidden_size, width, bias=False) if gated else None
        self.up = nn.Linear(hidden_size, width, bias=False)
        self.down = nn.Linear(width, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return `[batch, seq, hidden]`."""
        up = self.up(x)
        out: Tensor = self.down(F.gelu(up) if self.gate is None else F.silu(self.gate(x)) * up)
        return out


class SharedExpert(FeedForward):
    """The expert that every token visits, on this rank's pieces of its matrices."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `[token, hidden]`, this rank's part of it where the matrices are cut."""
        up = F.linear(x, local(self.up.weight))
        if self.gate is None:
            inner = F.gelu(up)
        else:
            inner = F.silu(F.linear(x, local(self.gate.weight))) * up
        return F.linear(inner, local(self.down.weight))
