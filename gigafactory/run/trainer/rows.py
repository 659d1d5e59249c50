"""Rows put in another order, so that both directions only gather.

A gather's own backward adds into place, which is slow on a CPU and in any order on a GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor


def ordered(x: Tensor, order: Tensor, copies: int = 1) -> Tensor:
    """Return rows of which the i-th is row order[i] // copies of `x`.

    Args:
        x: `[row, width]`.
        order: A permutation of `copies` times as many places.
        copies: Times that each row is taken.
    """
    rows: Tensor = _Ordered.apply(x, order, copies)  # type: ignore[no-untyped-call]
    return rows


def inverse(order: Tensor) -> Tensor:
    """Return the permutation that undoes another."""
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places


class _Ordered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, copies: int) -> Tensor:
        ctx.save_for_backward(order)
        ctx.copies = copies
        return x[order // copies if copies > 1 else order]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (order,) = ctx.saved_tensors
        rows = grad[inverse(order)]
        if ctx.copies > 1:
            rows = rows.view(-1, ctx.copies, rows.shape[-1]).sum(dim=1)
        return rows, None, None
