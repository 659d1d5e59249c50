"""The loop people write by hand, after nanoGPT's train.py: one process, nothing but training.

It stands for what a trainer costs nothing beside: same model, same batch, AdamW, clipping,
autocast, compiled layers, a learning rate by cosine, the loss read every step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from gigafactory.run.trainer import weights
from gigafactory.run.trainer.model import Transformer

if TYPE_CHECKING:
    from torch import Tensor

    from gigafactory.spec.plan import Plan


class PlainLoop:
    """A model, an optimizer, and tokens drawn at random."""

    def __init__(self, plan: Plan, tokens: np.ndarray[tuple[int], np.dtype[np.uint16]], *,
                 compiled: bool) -> None:  # fmt: skip
        self.plan, self.tokens, self.done = plan, tokens, 0
        self.model = Transformer(plan.model)
        weights.begin(self.model, seed=0)
        if compiled:
            for block in self.model.layers.values():
                block.compile()
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim == 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=1e-3, betas=(0.9, 0.95), fused=True,
        )  # fmt: skip
        self.random = np.random.default_rng(0)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self._step()

    def _step(self) -> None:
        layout = self.plan.layout
        for group in self.optimizer.param_groups:
            group["lr"] = 1e-3 * (0.55 + 0.45 * math.cos(math.pi * self.done / 1000))
        total = 0.0
        for _ in range(layout.num_microbatches):
            x, y = self._batch(layout.micro_batch_size, layout.seq_len)
            with torch.autocast("cpu", torch.bfloat16, enabled=layout.precision == "bf16"):
                logits = self.model(x)
                loss = F.cross_entropy(logits.flatten(0, 1).float(), y.flatten())
            (loss / layout.num_microbatches).backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1

    def _batch(self, rows: int, length: int) -> tuple[Tensor, Tensor]:
        begins = self.random.integers(0, len(self.tokens) - length - 1, rows)
        taken = np.stack([self.tokens[b : b + length + 1] for b in begins]).astype(np.int64)
        both = torch.from_numpy(taken)
        return both[:, :-1], both[:, 1:]
