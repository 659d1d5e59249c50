"""Activations that are computed again in the backward pass instead of kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

# "selective" keeps what is dear to compute, products and attention, and computes the rest again.
KEPT: Final = frozenset(
    {
        torch.ops.aten.mm.default,
        torch.ops.aten.bmm.default,
        torch.ops.aten.addmm.default,
        torch.ops.aten._grouped_mm.default,
        torch.ops.aten._scaled_dot_product_flash_attention.default,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
        torch.ops.aten._scaled_dot_product_efficient_attention.default,
        torch.ops._c10d_functional.all_to_all_single.default,
        torch.ops._c10d_functional.reduce_scatter_tensor.default,
    }
)


def recomputed(how: str, block: nn.Module, *inputs: Tensor) -> Tensor:
    """Return a block's output; its activations are computed again when gradients need them.

    Args:
        how: "full" keeps the block's input only, "selective" also products and attention.
        block: A layer.
        inputs: Its inputs.
    """
    contexts: dict[str, Any] = (
        {}
        if how == "full"
        else {"context_fn": partial(create_selective_checkpoint_contexts, _policy)}
    )
    out: Tensor = checkpoint(
        block, *inputs, use_reentrant=False, preserve_rng_state=False, **contexts
    )
    return out


def _policy(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:  # noqa: ARG001
    if operator in KEPT:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
