"""One optimizer step's passes: microbatch after microbatch, or through a pipeline of stages."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleInterleaved1F1B
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import loss_parallel

from gigafactory.run.trainer import replicas, spans
from gigafactory.run.trainer.experts import BALANCE, MixtureOfExperts
from gigafactory.run.trainer.model import Part, Transformer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from torch import Tensor, nn
    from torch.distributed import ProcessGroup

    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Model


class Passes(Protocol):
    """Runs a step's microbatches forwards and backwards."""

    def train(self, batch: Tensor) -> Tensor:
        """Add up gradients of the mean loss of `batch`; return the loss as this rank sees it.

        Ranks that see no loss, before the last stage, return 0.
        """

    def evaluate(self, batch: Tensor) -> Tensor:
        """Return the mean loss of `batch` as this rank sees it."""


def parts(model: Model, layout: Layout, stage: int) -> list[Part]:
    """Return what a pipeline rank holds: each `pipeline_parallel`-th of all chunks of layers.

    Where layers do not divide evenly the first chunks have one more.
    """
    ranks, chunks = layout.pipeline_parallel, layout.pipeline_parallel * layout.virtual_pipeline
    each, more = divmod(model.num_layers, chunks)
    begins = [i * each + min(i, more) for i in range(chunks + 1)]
    return [
        Part(range(begins[i], begins[i + 1]), first=i == 0, last=i == chunks - 1)
        for i in range(stage, chunks, ranks)
    ]


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy in nats."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def passes(
    modules: list[nn.Module], layout: Layout, device: torch.device, group: ProcessGroup | None
) -> Passes:
    """Return what runs this rank's stages, given the group of ranks of its pipeline."""
    context = _Context(layout, device)
    if layout.pipeline_parallel == 1:
        return Accumulated(modules[0], layout, context)
    assert group is not None
    return Pipelined(modules, layout, device, group, context)


class _Context:
    """Autocast where weights are not cast already, and losses of logits that are cut."""

    def __init__(self, layout: Layout, device: torch.device) -> None:
        cast = layout.precision == "bf16" and not replicas.by_fsdp(layout)
        self.device_type, self.cast, self.cut = device.type, cast, layout.tensor_parallel > 1

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        return torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=self.cast)

    def losses(self) -> AbstractContextManager[Any]:
        """Return the context of forward and backward passes."""
        return loss_parallel() if self.cut else nullcontext()


class Accumulated:
    """Without a pipeline: gradients of microbatches are added up."""

    def __init__(self, module: nn.Module, layout: Layout, context: _Context) -> None:
        self.module, self.layout, self.context = module, layout, context
        weigh_balance([module], BALANCE / layout.num_microbatches)

    def train(self, batch: Tensor) -> Tensor:
        """See `Passes`."""
        total = torch.zeros((), device=batch.device)
        microbatches = torch.split(batch, self.layout.micro_batch_size)
        for index, microbatch in enumerate(microbatches):
            replicas.prepare(self.module, self.layout, last=index == len(microbatches) - 1)
            with self.context.losses():
                loss = self._loss(microbatch) / len(microbatches)
                loss.backward()  # type: ignore[no-untyped-call]
            total += _plain(loss)
        replicas.count_waiting(self.module)
        return total

    @torch.no_grad()
    def evaluate(self, batch: Tensor) -> Tensor:
        """See `Passes`."""
        microbatches = torch.split(batch, self.layout.micro_batch_size)
        with self.context.losses():
            losses = [_plain(self._loss(m)) for m in microbatches]
        return torch.stack(losses).mean()

    def _loss(self, microbatch: Tensor) -> Tensor:
        with self.context.autocast():
            logits = self.module(microbatch[:, :-1])
        return loss_of(logits, microbatch[:, 1:])


class Pipelined:
    """Through the stages of a pipeline, by a schedule of `torch.distributed.pipelining`."""

    def __init__(
        self,
        modules: list[nn.Module],
        layout: Layout,
        device: torch.device,
        group: ProcessGroup,
        context: _Context,
    ) -> None:
        self.layout, self.device, self.context = layout, device, context
        self.first, self.last = group.rank() == 0, group.rank() == group.size() - 1
        # A schedule that trains and one that evaluates: one alone would look for shapes anew
        # each time it changes over.
        self.training = _schedule(modules, layout, device, group)
        self.evaluating = _schedule(modules, layout, device, group)
        weigh_balance(modules, BALANCE)  # the schedule divides gradients by the microbatches

    def train(self, batch: Tensor) -> Tensor:
        """See `Passes`."""
        with self.context.losses(), self.context.autocast():
            return self._through(self.training.step, batch)

    @torch.no_grad()
    def evaluate(self, batch: Tensor) -> Tensor:
        """See `Passes`."""
        with self.context.losses(), self.context.autocast():
            return self._through(self.evaluating.eval, batch)

    def _through(self, run: Any, batch: Tensor) -> Tensor:
        losses: list[Tensor] = []
        inputs = (batch[:, :-1],) if self.first else ()
        with spans.inside("pipeline"):
            if self.last:
                run(*inputs, target=batch[:, 1:], losses=losses, return_outputs=False)
            else:
                run(*inputs, return_outputs=False)
        if not losses:
            return torch.zeros((), device=self.device)
        return torch.stack([_plain(loss.detach()) for loss in losses]).mean()


def _schedule(
    modules: list[nn.Module], layout: Layout, device: torch.device, group: ProcessGroup
) -> Any:
    ranks = group.size()
    stages = [
        PipelineStage(module, group.rank() + i * ranks, ranks * len(modules), device, group=group)
        for i, module in enumerate(modules)
    ]
    if layout.virtual_pipeline == 1:
        return Schedule1F1B(stages[0], layout.num_microbatches, loss_fn=loss_of)
    return ScheduleInterleaved1F1B(list(stages), layout.num_microbatches, loss_fn=loss_of)


def weigh_balance(modules: Iterable[nn.Module], weight: float) -> None:
    """Set the weight of the experts' balancing term in one microbatch's backward pass."""
    for module in modules:
        for layer in module.modules():
            if isinstance(layer, MixtureOfExperts):
                layer.balance = weight


def stages_of(modules: Iterable[nn.Module]) -> list[Transformer]:
    """Return the transformers inside what wraps them."""
    return [m if isinstance(m, Transformer) else m.module for m in modules]  # type: ignore[misc]


def _plain(x: Tensor) -> Tensor:
    x = x.detach()
    return x.to_local() if isinstance(x, DTensor) else x
