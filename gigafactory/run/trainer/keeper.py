"""Saves where training stands, and goes back to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from gigafactory.run.record import CHECKPOINTS
from gigafactory.run.trainer import restore, spans, weights
from gigafactory.run.trainer.checkpoint import Checkpoints, Saved

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from gigafactory.run.trainer.build import Built
    from gigafactory.run.trainer.progress import Progress
    from gigafactory.run.trainer.recorder import Recorder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Training


class Keeper:
    """What this rank saves and restores; every method is called by all ranks."""

    def __init__(
        self,
        plan: Plan,
        training: Training,
        *,
        built: Built,
        progress: Progress,
        recorder: Recorder,
    ) -> None:
        self.plan, self.training = plan, training
        self.built, self.progress, self.recorder = built, progress, recorder
        self.interval_s = training.checkpoint_interval_s or plan.checkpoint.interval_s
        self.checkpoints = Checkpoints(
            recorder.folder.path / CHECKPOINTS, training.keep_checkpoints, self._ended
        )
        self.failed: Saved | None = None
        self._write_s = _last_write_s(recorder, self.interval_s)
        self._saved_at = self._looked_at = time.perf_counter()

    @property
    def first(self) -> bool:
        """Whether this is the rank that speaks for all."""
        return self.built.place.rank == 0

    def restart_clock(self) -> None:
        """Count the interval to the next checkpoint from now."""
        self._saved_at = time.perf_counter()

    def is_due(self) -> bool:
        """Return whether the first rank wants a checkpoint after this step.

        One counts when it is written, so it begins as much before the interval is over as a step
        and the writing take, at most half of it: a failure loses no more than one interval.
        """
        now = time.perf_counter()
        step_s, self._looked_at = now - self._looked_at, now
        ahead_s = min(step_s + self._write_s, self.interval_s / 2)
        due = now - self._saved_at + ahead_s >= self.interval_s
        return self.first and due and not self.checkpoints.busy

    def save(self, *, wait: bool = False) -> None:
        """Begin a checkpoint of the state after this step, unless it was begun already."""
        step = self.progress.step
        with spans.inside("checkpoint"):
            if self.checkpoints.begun != step:
                self.recorder.sync()
                if self.first:
                    self.recorder.event("checkpoint_begin", step=step)
                state = self.built.optimizer.state(copies=False) | restore.generators()
                self.checkpoints.begin(step, state, self.progress.saved())
            if wait or not self.plan.checkpoint.asynchronous:
                self.checkpoints.wait()
        self.restart_clock()

    def must_stop(self) -> str:
        """Return why training must stop: a checkpoint could not be written, and the policy."""
        if self.training.checkpoint_failure != "stop":
            return ""
        told: list[str] = [self.failed.error if self.failed else ""]
        if dist.get_world_size() > 1:
            dist.broadcast_object_list(told, src=0)
        return f"a checkpoint could not be written: {told[0]}" if told[0] else ""

    def restore(self) -> restore.Found | None:
        """Go back to the newest whole checkpoint; return it, None where there is none."""
        self.checkpoints.begun = None
        found = restore.newest(self.checkpoints.folder, self._passed_over, together=True)
        if found is None:
            return None
        generators = restore.generators()
        state: dict[str, Tensor] = self.built.optimizer.state(copies=True) | generators
        restore.load(found, state, together=True)
        for generator in generators.values():
            torch.set_rng_state(generator)
        self.progress.go_back(found.extra)
        return found

    def begin_anew(self) -> None:
        """Go back to the weights before the first step."""
        for stage in self.built.stages:
            weights.begin(stage, self.training.seed)
        self.built.optimizer.clear()
        self.progress.go_to_start()

    def _passed_over(self, path: Path, wrong: str) -> None:
        detail = f"{path.name} is not whole and is put aside: {wrong}"
        self.recorder.event("fallback", detail=detail, step=int(path.name[5:]))
        restore.put_aside(path)

    def _ended(self, saved: Saved) -> None:
        """Tell how a checkpoint ended; called from the thread that wrote it."""
        if saved.error:
            self.failed = saved
            self.recorder.event(
                "checkpoint_failed",
                step=saved.step,
                detail=f"checkpoint of step {saved.step} was not written: {saved.error}",
                duration_s=saved.duration_s,
            )
            return
        self.failed, self._write_s = None, saved.duration_s
        self.recorder.event(
            "checkpoint_end",
            step=saved.step,
            duration_s=saved.duration_s,
            values={"bytes": float(saved.bytes)},
        )


def _last_write_s(recorder: Recorder, unknown_s: float) -> float:
    """Return what the run's last checkpoint took to be written; of the first one nobody knows."""
    ended = (e for e in reversed(recorder.folder.events()) if e.kind == "checkpoint_end")
    return next((e.duration_s for e in ended if e.duration_s is not None), unknown_s)
