"""AdamW on this rank's pieces, the learning rate of each step, and the norm of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
import torch.distributed as dist

from gigafactory.run.trainer.model import parameter_name
from gigafactory.run.trainer.pieces import gradient, held, like, num_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from gigafactory.run.trainer.model import Transformer
    from gigafactory.spec.run import Training

EPSILON: Final = 1e-8
WARMUP_SHARE: Final = 0.02


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Return the rate of a step, counted from 1: a linear rise, then half a cosine.

    Source: Loshchilov and Hutter, arXiv 1608.03983, equation 5, one period.

    >>> from gigafactory.spec.run import Training
    >>> asked = Training(learning_rate=1.0, final_learning_rate=0.0, warmup_steps=10)
    >>> [round(learning_rate(asked, step, 110), 2) for step in (1, 10, 60, 110)]
    [0.1, 1.0, 0.5, 0.0]
    """
    warmup = training.warmup_steps
    if warmup is None:
        warmup = math.ceil(WARMUP_SHARE * steps)
    if step <= warmup:
        return training.learning_rate * step / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    low = training.final_learning_rate
    return training.learning_rate * (low + (1 - low) * (1 + math.cos(math.pi * done)) / 2)


@dataclass(slots=True)
class _Piece:
    """One parameter: its name, itself, and its piece here as the optimizer sees it.

    Attributes:
        share: What this rank adds of the piece's squares to the norm: 1 over its copies.
    """

    name: str
    parameter: nn.Parameter
    here: nn.Parameter
    share: float


class Optimizer:
    """AdamW over all stages of this rank; element-wise, so a piece needs no other rank."""

    def __init__(
        self, stages: Iterable[Transformer], training: Training, *, ranks_of_stage: int
    ) -> None:
        self.training = training
        self.pieces = [
            _piece(stage, name, parameter, ranks_of_stage)
            for stage in stages
            for name, parameter in stage.named_parameters()
        ]
        matrices = [p.here for p in self.pieces if p.parameter.ndim > 1]
        vectors = [p.here for p in self.pieces if p.parameter.ndim <= 1]
        self.adam = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": training.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=training.learning_rate,
            betas=(training.beta1, training.beta2),
            eps=EPSILON,
            fused=True,
        )
        self.clear()

    def clear(self) -> None:
        """Forget all moments."""
        for piece in self.pieces:
            self.adam.state[piece.here] = {
                "step": torch.zeros((), dtype=torch.float32, device=piece.here.device),
                "exp_avg": torch.zeros_like(piece.here),
                "exp_avg_sq": torch.zeros_like(piece.here),
            }

    def take_gradients(self) -> Tensor:
        """Point the optimizer at this step's gradients; return this rank's part of their squares.

        Summed over all ranks it is the square of the global norm.
        """
        for piece in self.pieces:
            piece.here.grad = gradient(piece.parameter)
        told = [(p.here.grad, p.share) for p in self.pieces if p.here.grad is not None]
        if not told:
            return torch.zeros((), device=self.pieces[0].here.device)
        norms = torch.stack(torch._foreach_norm([grad for grad, _ in told]))
        shares = norms.new_tensor([share for _, share in told])
        return (norms.square() * shares).sum()

    def step(self, rate: float, norm: float) -> None:
        """Clip the gradients, which have this global norm, and take one step at this rate."""
        scale = min(1.0, self.training.clip_norm / (norm + 1e-6))
        grads = [p.here.grad for p in self.pieces if p.here.grad is not None]
        if scale < 1.0:
            torch._foreach_mul_(grads, scale)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()

    def forget_gradients(self) -> None:
        """Drop all gradients."""
        for piece in self.pieces:
            piece.here.grad = piece.parameter.grad = None

    def state(self, *, copies: bool) -> dict[str, Tensor]:
        """Return weights and moments by name, cut as the weights are.

        Args:
            copies: Whether to list what another stage holds as well, such as a tied matrix.
        """
        told: dict[str, Tensor] = {}
        for piece in self.pieces:
            if piece.share == 0.0 and not copies:
                continue
            moments = self.adam.state[piece.here]
            told[f"model.{piece.name}"] = piece.parameter.detach()
            told[f"optimizer.{piece.name}.step"] = moments["step"]
            for key in ("exp_avg", "exp_avg_sq"):
                told[f"optimizer.{piece.name}.{key}"] = like(piece.parameter.detach(), moments[key])
        return told


def _piece(stage: Transformer, name: str, parameter: nn.Parameter, ranks_of_stage: int) -> _Piece:
    kept = parameter_name(stage.spec, name)
    copy = kept != name  # the first stage holds it as well, and answers for it
    share = 0.0 if copy else num_pieces(parameter) / ranks_of_stage
    return _Piece(kept, parameter, torch.nn.Parameter(held(parameter)), share)


def share_tied_gradient(stages: Iterable[Transformer], group: dist.ProcessGroup | None) -> None:
    """Add up the gradients of a tied matrix that the first and the last stage hold a copy of."""
    if group is None:
        return
    for stage in stages:
        ends = {"embedding.weight": stage.part.first, "output.weight": stage.part.last}
        for name, parameter in stage.named_parameters():
            if ends.get(name) and parameter.grad is not None:
                mine = gradient(parameter)
                assert mine is not None
                dist.all_reduce(mine, group=group)
                parameter.grad = like(parameter.detach(), mine)
