"""The layers that are measured, as models without PyTorch."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gigafactory.spec.model import Experts, Model

LAYER_SEQUENCE: Final = 256
HEAD: Final = 32
TINY: Final = {"hidden": 32.0, "batch": 1.0, "seq": 4.0}  # a layer that is all launching


def layer_model(hidden: int, *, experts: Experts | None = None, layers: int = 1) -> Model:
    """Return a model whose layer has a hidden size, heads of 32 and the usual proportions."""
    heads = max(hidden // HEAD, 1)
    return Model(
        name="probe", num_layers=layers, hidden_size=hidden, ffn_hidden_size=hidden * 8 // 3,
        num_heads=heads, num_kv_heads=heads // 2 if heads % 2 == 0 else heads,
        head_dim=hidden // heads, vocab_size=256, context_length=LAYER_SEQUENCE, experts=experts,
    )  # fmt: skip


def tensor_model(heads: int, *, layers: int) -> Model:
    """Return a model of so many heads of 32 whose every matrix is cut evenly, head by head."""
    return replace(
        layer_model(HEAD * heads, layers=layers), num_heads=heads, num_kv_heads=heads // 2,
        ffn_hidden_size=HEAD * heads * 5 // 2,
    )  # fmt: skip
