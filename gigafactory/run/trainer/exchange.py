"""Rows of tokens that travel to the ranks of their experts, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from gigafactory.run.trainer import spans
from gigafactory.run.trainer.rows import inverse, ordered

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.distributed import ProcessGroup


def visited(
    rows: Tensor,
    counts: Tensor,
    experts: Callable[[Tensor, Tensor], Tensor],
    group: ProcessGroup,
) -> Tensor:
    """Return each row after its expert, which one of the group's ranks holds.

    Args:
        rows: `[row, hidden]`, sorted by expert.
        counts: Rows of each of all experts.
        experts: The experts held here, given rows sorted by expert and the counts of each.
        group: Ranks that hold consecutive, equal shares of the experts.
    """
    here = torch.empty_like(counts)
    with spans.inside("expert_comm"):
        dist.all_to_all_single(here, counts, group=group)
    by_rank = here.view(group.size(), -1)
    sent, got = counts.view(group.size(), -1).sum(1).tolist(), by_rank.sum(1).tolist()
    came = _Exchanged.apply(rows, got, sent, group)  # type: ignore[no-untyped-call]
    order = _by_expert(by_rank)
    done = experts(ordered(came, order), by_rank.sum(0))
    out: Tensor = _Exchanged.apply(  # type: ignore[no-untyped-call]
        ordered(done, inverse(order)), sent, got, group
    )
    return out


def _by_expert(by_rank: Tensor) -> Tensor:
    """Return the order that sorts rows by expert which came sorted by rank, then by expert."""
    experts = torch.arange(by_rank.shape[1], device=by_rank.device).repeat(by_rank.shape[0])
    return experts.repeat_interleave(by_rank.flatten()).argsort(stable=True)


class _Exchanged(torch.autograd.Function):
    """An all-to-all whose gradient goes the way back."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, got: list[int], sent: list[int], group: ProcessGroup
    ) -> Tensor:
        ctx.got, ctx.sent, ctx.group = got, sent, group
        return _exchanged(rows, got, sent, group)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _exchanged(grad, ctx.sent, ctx.got, ctx.group), None, None, None


def _exchanged(rows: Tensor, got: list[int], sent: list[int], group: ProcessGroup) -> Tensor:
    out = rows.new_empty(sum(got), rows.shape[1])
    with spans.inside("expert_comm"):
        dist.all_to_all_single(out, rows.contiguous(), got, sent, group=group)
    return out
