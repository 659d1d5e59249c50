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

from gigafactory.run.record import CHECKPOINTS, now
from gigafactory.run.trainer import restore, spans
from gigafactory.run.trainer.checkpoint import Checkpoints, Saved
from gigafactory.run.trainer.optimizer import learning_rate, share_tied_gradient
from gigafactory.run.trainer.policy import LossWatch
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
MOST_WRONG: Final = 10  # wrong steps in a row, after which skipping them helps nobody


class Data(Protocol):
    """Where sequences come from."""

    def sequences(
        self, step: int, global_batch_size: int, *, rank: int, ranks: int
    ) -> np.ndarray[Any, Any]:
        """Return this rank's sequences of a step, `[sequence, seq + 1]`."""

    def evaluation(self, index: int, count: int) -> np.ndarray[Any, Any]:
        """Return held-out sequences, `[count, seq + 1]`."""


class TrainingStopped(Exception):  # noqa: N818
    """Training must not go on, and trying again would not help."""


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


@dataclass(slots=True)
class Progress:
    """Where training stands; saved with every checkpoint.

    Attributes:
        step: Steps that are done.
        batch: The next batch of the data; ahead of `step` where batches were passed over.
        highest: The highest step that was ever trained; up to it steps are done again.
        evaluation_loss: The last one.
    """

    step: int = 0
    batch: int = 0
    highest: int = 0
    evaluation_loss: float | None = None


class Loop:
    """Trains from where `progress` stands to the last step."""

    def __init__(
        self,
        plan: Plan,
        training: Training,
        built: Built,
        data: Data,
        recorder: Recorder,
        watchdog: Watchdog,
    ) -> None:
        self.plan, self.training, self.built, self.data = plan, training, built, data
        self.recorder, self.watchdog = recorder, watchdog
        self.steps = num_steps(plan)
        self.progress = Progress()
        self.watch = LossWatch(training.spike_sigmas)
        self.asked_to_stop: Callable[[], bool] = lambda: False
        self.failed_save: Saved | None = None
        self.checkpoints = Checkpoints(
            recorder.folder.path / CHECKPOINTS, training.keep_checkpoints, self._saved
        )
        self._device = next(built.stages[0].parameters()).device
        self._saved_at = self._stepped_at = time.perf_counter()
        self._wrong_in_a_row = self._rollbacks = 0

    def run(self) -> str:
        """Train; return "finished", or "stopped" where a signal asked for it.

        Raises:
            TrainingStopped: A policy says that it must not go on.
        """
        self._saved_at = self._stepped_at = time.perf_counter()
        while self.progress.step < self.steps:
            self._drill()
            agreed = self._step()
            self.watchdog.alive()
            if agreed.save:
                self.save()
            if self._time_to_evaluate():
                self.evaluate()
            if agreed.stop:
                return "stopped"
            self._mind_full_disk()
        return "finished"

    def _step(self) -> Agreed:
        """Train one step."""
        step = self.progress.step + 1
        with spans.inside("data"):
            batch = self._batch()
        with spans.inside("forward_backward"):
            loss = self.built.passes.train(batch)
        with spans.inside("data_comm"):
            share_tied_gradient(self.built.stages, self.built.tied)
            agreed = self._agree(loss)
        wrong = self.watch.wrong(agreed.loss, agreed.norm)
        rate = learning_rate(self.training, step, self.steps)
        with spans.inside("optimizer"):
            if not wrong:
                self.built.optimizer.step(rate, agreed.norm)
            self.built.optimizer.forget_gradients()
        if wrong and not self._mend(wrong, agreed):
            return agreed
        if not wrong:
            self.watch.add(agreed.loss)
            self._wrong_in_a_row = 0
        self.progress.step, self.progress.batch = step, self.progress.batch + 1
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
        wishes = told.new_tensor([self.asked_to_stop(), self._should_save()])
        told = torch.cat((told, wishes))
        if dist.get_world_size() > 1:
            dist.all_reduce(told)
        squares_, loss_, stop, save = told.tolist()
        return Agreed(loss_, squares_**0.5, stop=stop > 0, save=save > 0)

    def _should_save(self) -> bool:
        """Return whether the first rank wants a checkpoint after this step."""
        interval_s = self.training.checkpoint_interval_s or self.plan.checkpoint.interval_s
        due = time.perf_counter() - self._saved_at >= interval_s
        return self.built.place.rank == 0 and due and not self.checkpoints.busy

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

    def save(self, *, wait: bool = False) -> None:
        """Begin a checkpoint of the state after this step; every rank must call it."""
        with spans.inside("checkpoint"):
            if self.checkpoints.begun != self.progress.step:
                self.recorder.sync()
                if self.built.place.rank == 0:
                    self.recorder.event("checkpoint_begin", step=self.progress.step)
                self.checkpoints.begin(self.progress.step, self.state(), self._extra())
            if wait or not self.plan.checkpoint.asynchronous:
                self.checkpoints.wait()
        self._saved_at = time.perf_counter()

    def state(self) -> dict[str, Tensor]:
        """Return all tensors of this rank that a checkpoint holds."""
        return self.built.optimizer.state(copies=False) | restore.generators()

    def _extra(self) -> dict[str, Any]:
        progress = self.progress
        return {
            "schema": 1,
            "step": progress.step,
            "batch": progress.batch,
            "evaluation_loss": progress.evaluation_loss,
            "loss": self.watch.state(),
        }

    def _saved(self, saved: Saved) -> None:
        """Tell how a checkpoint ended; called from the thread that wrote it."""
        if saved.error:
            self.failed_save = saved
            detail = f"checkpoint of step {saved.step} was not written: {saved.error}"
            self.recorder.event("checkpoint_failed", step=saved.step, detail=detail,
                                duration_s=saved.duration_s)  # fmt: skip
            return
        self.recorder.event("checkpoint_end", step=saved.step, duration_s=saved.duration_s,
                            values={"bytes": float(saved.bytes)})  # fmt: skip

    def _mind_full_disk(self) -> None:
        """Stop where a checkpoint could not be written and that is the policy."""
        if self.training.checkpoint_failure != "stop":
            return
        failed = torch.tensor(float(self.failed_save is not None))
        if dist.get_world_size() > 1:
            dist.all_reduce(failed)
        if failed.item():
            error = self.failed_save.error if self.failed_save else "see the events"
            raise TrainingStopped(f"a checkpoint could not be written: {error}")

    def restore(self) -> restore.Found | None:
        """Go back to the newest whole checkpoint; return it, None where there is none."""

        def passed_over(path: Any, wrong: str) -> None:
            detail = f"{path.name} is not whole and is put aside: {wrong}"
            self.recorder.event("fallback", detail=detail, step=int(path.name[5:]))
            restore.put_aside(path)

        found = restore.newest(self.checkpoints.folder, passed_over)
        if found is None:
            return None
        state = self.built.optimizer.state(copies=True) | restore.generators()
        restore.load(found, state)
        key = f"rng.{self.built.place.rank}"
        torch.set_rng_state(state[key])
        self.progress.step, self.progress.batch = found.step, found.extra["batch"]
        self.progress.evaluation_loss = found.extra["evaluation_loss"]
        self.watch = LossWatch(**found.extra["loss"])
        return found

    def _mend(self, wrong: str, agreed: Agreed) -> bool:
        """Do what the policy says about a wrong step; return whether the step counts.

        Raises:
            TrainingStopped: The policy is to stop, or nothing else helped.
        """
        self._wrong_in_a_row += 1
        step, batch = self.progress.step + 1, self.progress.batch
        policy = self.training.spike_policy
        if policy == "stop" or self._wrong_in_a_row > MOST_WRONG:
            self._tell_spike(f"step {step}: {wrong}", {"batch": batch})
            raise TrainingStopped(f"step {step}: {wrong}")
        if policy == "skip":
            self._tell_spike(f"step {step}: {wrong}; no update", {"batch": batch})
            return True
        self._roll_back(f"step {step}: {wrong}", batch)
        return False

    def _roll_back(self, wrong: str, batch: int) -> None:
        self._rollbacks += 1
        if self._rollbacks > max(self.training.max_restarts, 1):
            raise TrainingStopped(f"{wrong}, after {self._rollbacks - 1} returns to a checkpoint")
        self.checkpoints.wait()
        self.checkpoints.begun = None
        highest = max(self.progress.highest, self.progress.step)
        found = self.restore()
        if found is None:
            self.begin_anew()
        self.progress.highest, self.progress.batch = highest, batch + 1
        back = self.progress.step
        if self.built.place.rank == 0:
            self.recorder.folder.rewind(back)
        values = {"batch": batch, "back_to_step": back, "highest_step": highest}
        self._tell_spike(f"{wrong}; back to step {back}, on with batch {batch + 1}", values)

    def begin_anew(self) -> None:
        """Go back to the weights before the first step."""
        from gigafactory.run.trainer import weights

        for stage in self.built.stages:
            weights.begin(stage, self.training.seed)
        self.built.optimizer.clear()
        self.progress = Progress(highest=self.progress.highest)
        self.watch = LossWatch(self.training.spike_sigmas)

    def _tell_spike(self, detail: str, values: dict[str, int]) -> None:
        if self.built.place.rank == 0:
            numbers = {key: float(value) for key, value in values.items()}
            self.recorder.event("spike", detail=detail, step=self.progress.step, values=numbers)

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
        with spans.inside("evaluate"):
            losses = [
                self.built.passes.evaluate(
                    torch.from_numpy(self.data.evaluation(place.data * rounds + i, count))
                    .to(self._device)
                )
                for i in range(rounds)
            ]  # fmt: skip
            told = torch.stack(losses).mean().double() * self.built.seen
            if dist.get_world_size() > 1:
                dist.all_reduce(told)
        loss = float(told)
        self.progress.evaluation_loss = loss
        self.watchdog.alive()
        if place.rank == 0:
            self.recorder.event("evaluate", step=self.progress.step, values={"loss": loss},
                                duration_s=time.perf_counter() - begun)  # fmt: skip
        return loss

    def _drill(self) -> None:
        """Die before the step that is asked for, once in a run."""
        step = self.progress.step + 1
        if self.training.crash_at != step or self.built.place.rank != dist.get_world_size() - 1:
            return
        if any(e.values.get("drill") for e in self.recorder.folder.events()):
            return
        self.recorder.event("failure", detail=f"drill: killed before step {step}",
                            step=step - 1, pid=os.getpid(), values={"drill": 1.0})  # fmt: skip
        os.kill(os.getpid(), signal.SIGKILL)


def num_steps(plan: Plan) -> int:
    """Return the optimizer steps of a plan: its tokens over those of a step, rounded up."""
    return int(-(-plan.job.tokens // plan.layout.tokens_per_step))


def peak_memory_bytes(device: torch.device) -> float:
    """Return the most memory this process ever held: of the GPU, or resident where there is none."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
