"""The training loop: one agreement of all ranks a step, and what follows from it."""

from __future__ import annotations

import os
import resource
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
import torch.distributed as dist

from gigafactory.run.record import now
from gigafactory.run.trainer import spans
from gigafactory.run.trainer.keeper import Keeper
from gigafactory.run.trainer.mender import Mender, TrainingStopped
from gigafactory.run.trainer.optimizer import learning_rate, share_tied_gradient
from gigafactory.run.trainer.policy import LossWatch
from gigafactory.run.trainer.progress import Progress, num_steps
from gigafactory.spec.run import StepRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from gigafactory.run.trainer.build import Built
    from gigafactory.run.trainer.recorder import Recorder
    from gigafactory.run.trainer.watchdog import Watchdog
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Training

EVALUATIONS: Final = 10  # in a run, where no interval is asked for


class Data(Protocol):
    """Where sequences come from."""

    def sequences(
        self, step: int, global_batch_size: int, *, rank: int, ranks: int
    ) -> np.ndarray[Any, Any]:
        """Return this rank's sequences of a step, `[sequence, seq + 1]`."""

    def evaluation(self, index: int, count: int) -> np.ndarray[Any, Any]:
        """Return held-out sequences, `[count, seq + 1]`."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What all ranks know of a step before its update.

    Attributes:
        stop: A rank was asked to stop.
        save: It is time for a checkpoint.
    """

    loss: float
    norm: float
    stop: bool
    save: bool


class Loop:
    """Trains from where `progress` stands to the last step.

    Attributes:
        asked_to_stop: Returns whether this rank was.
    """

    def __init__(
        self,
        plan: Plan,
        training: Training,
        built: Built,
        *,
        data: Data,
        recorder: Recorder,
        watchdog: Watchdog,
    ) -> None:
        self.plan, self.training, self.built, self.data = plan, training, built, data
        self.recorder, self.watchdog = recorder, watchdog
        self.steps = num_steps(plan)
        self.progress = Progress(LossWatch(training.spike_sigmas))
        self.keeper = Keeper(plan, training, built=built, progress=self.progress, recorder=recorder)
        self.mender = Mender(self.keeper)
        self.asked_to_stop: Callable[[], bool] = lambda: False
        self._device = next(built.stages[0].parameters()).device
        self._stepped_at = time.perf_counter()

    def run(self) -> str:
        """Train; return "finished", or "stopped" where a signal asked for it.

        Raises:
            TrainingStopped: A policy says that it must not go on.
        """
        self.keeper.restart_clock()
        self._stepped_at = time.perf_counter()
        while self.progress.step < self.steps:
            self._drill()
            agreed = self._step()
            self.watchdog.alive()
            if agreed.save:
                self.keeper.save()
            if self._time_to_evaluate():
                self.evaluate()
            if agreed.stop:
                return "stopped"
            if reason := self.keeper.must_stop():
                raise TrainingStopped(reason)
        return "finished"

    def _step(self) -> Agreed:
        """Train one step."""
        progress = self.progress
        with spans.inside("data"):
            batch = self._batch()
        with spans.inside("forward_backward"):
            loss = self.built.passes.train(batch)
        with spans.inside("data_comm"):
            share_tied_gradient(self.built.stages, self.built.tied)
            agreed = self._agree(loss)
        wrong = progress.losses.wrong(agreed.loss, agreed.norm)
        rate = learning_rate(self.training, progress.step + 1, self.steps)
        with spans.inside("optimizer"):
            if not wrong:
                self.built.optimizer.step(rate, agreed.norm)
            self.built.optimizer.forget_gradients()
        if not wrong:
            progress.losses.add(agreed.loss)
            self.mender.good()
        elif not self.mender.mend(wrong):
            return agreed
        progress.step, progress.batch = progress.step + 1, progress.batch + 1
        self._record(agreed, rate)
        return agreed

    def _batch(self) -> Tensor:
        layout, place = self.plan.layout, self.built.place
        sequences = self.data.sequences(
            self.progress.batch,
            layout.global_batch_size,
            rank=place.data,
            ranks=layout.data_parallel,
        )
        return torch.from_numpy(sequences).to(self._device, non_blocking=True)

    def _agree(self, loss: Tensor) -> Agreed:
        """Return the loss and the gradient's norm over all ranks, and what any of them wants."""
        squares = self.built.optimizer.take_gradients()
        told = torch.stack((squares.double(), loss.double() * self.built.seen))
        wishes = told.new_tensor([self.asked_to_stop(), self.keeper.is_due()])
        told = _sum(torch.cat((told, wishes)))
        squares_, loss_, stop, save = told.tolist()
        return Agreed(loss_, squares_**0.5, stop=stop > 0, save=save > 0)

    def _record(self, agreed: Agreed, rate: float) -> None:
        ended = time.perf_counter()
        took, self._stepped_at = ended - self._stepped_at, ended
        step = self.progress.step
        self.recorder.step(
            StepRecord(
                step=step,
                loss=agreed.loss,
                tokens=self.plan.layout.tokens_per_step,
                step_time_s=took,
                time=now(),
                redo=step <= self.progress.highest,
                learning_rate=rate,
                gradient_norm=agreed.norm,
                spans_s=spans.taken(took),
                memory_bytes=peak_memory_bytes(self._device),
            )
        )

    def _time_to_evaluate(self) -> bool:
        every = self.training.evaluate_every or -(-self.steps // EVALUATIONS)
        step = self.progress.step
        return step > 0 and (step % every == 0 or step == self.steps)

    def evaluate(self) -> float:
        """Return the mean loss of held-out text, and tell it."""
        begun = time.perf_counter()
        layout, place = self.plan.layout, self.built.place
        each = -(-self.training.evaluation_batches // layout.data_parallel)
        together = layout.num_microbatches if layout.pipeline_parallel > 1 else each
        rounds, count = -(-each // together), together * layout.micro_batch_size
        losses = []
        with spans.inside("evaluate"):
            for index in range(place.data * rounds, (place.data + 1) * rounds):
                rows = torch.from_numpy(self.data.evaluation(index, count))
                losses.append(self.built.passes.evaluate(rows.to(self._device)))
                self.watchdog.alive()
            loss = float(_sum(torch.stack(losses).mean().double() * self.built.seen))
        self.progress.evaluation_loss = loss
        if place.rank == 0:
            took = time.perf_counter() - begun
            step = self.progress.step
            self.recorder.event("evaluate", step=step, values={"loss": loss}, duration_s=took)
        return loss

    def _drill(self) -> None:
        """Die before the step that is asked for, once in a run."""
        step = self.progress.step + 1
        if self.training.crash_at != step or self.built.place.rank != dist.get_world_size() - 1:
            return
        if any(e.values.get("drill") for e in self.recorder.folder.events()):
            return
        detail = f"drill: killed before step {step}"
        self.recorder.event(
            "failure", detail=detail, step=step - 1, pid=os.getpid(), values={"drill": 1.0}
        )
        os.kill(os.getpid(), signal.SIGKILL)


def peak_memory_bytes(device: torch.device) -> float:
    """Return the most memory this process ever held: the GPU's, or resident without one."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _sum(x: Tensor) -> Tensor:
    """Return the sum over all ranks, in place."""
    if dist.get_world_size() > 1:
        dist.all_reduce(x)
    return x
