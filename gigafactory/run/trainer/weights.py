"""Weights at the start: the same for every layout, whichever rank holds which piece."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Final

import torch

from gigafactory.run.trainer.model import parameter_name
from gigafactory.run.trainer.pieces import held, window

if TYPE_CHECKING:
    from torch import Tensor

    from gigafactory.run.trainer.model import Transformer

SPREAD: Final = 0.02  # GPT-2's; section 2.3 of its report scales what adds to the residual stream
INTO_RESIDUAL: Final = ("attention.out.weight", "feed_forward.down.weight", "experts.down",
                        "shared.down.weight")  # fmt: skip


@torch.no_grad()
def begin(transformer: Transformer, seed: int) -> None:
    """Fill a stage's parameters; each depends on the seed and its name alone."""
    for name, parameter in transformer.named_parameters():
        if name.endswith("norm.weight"):
            held(parameter).fill_(1.0)
            continue
        kept = parameter_name(transformer.spec, name)
        spread = SPREAD
        if name.endswith(INTO_RESIDUAL):
            spread /= math.sqrt(2 * transformer.spec.num_layers)
        _fill(parameter, kept, seed, spread)


def _fill(parameter: Tensor, name: str, seed: int, spread: float) -> None:
    source = torch.Generator().manual_seed((seed * 0x9E3779B1 + zlib.crc32(name.encode())) % 2**63)
    whole = torch.randn(parameter.shape, generator=source).mul_(spread)
    piece = held(parameter)
    piece.copy_(whole[window(parameter)].view(piece.shape))
