"""A run folder made by hand, of a plan made by hand: the same bytes on every machine."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog import loader
from gigafactory.run import lines
from gigafactory.run.record import EVENTS, STEPS, RunFolder
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.spec.run import Event, RunResult, StepRecord, Training

if TYPE_CHECKING:
    from pathlib import Path

BEGIN: Final = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def plan(**changes: Any) -> Plan:
    """Return Llama 3.1 8B on 64 H100, 200 steps."""
    layout = Layout(data_parallel=16, tensor_parallel=4, sequence_parallel=True,
                    global_batch_size=128, seq_len=8192)  # fmt: skip
    tokens = 200 * layout.tokens_per_step
    made = Plan(
        model=loader.model("llama-3.1-8b"),
        cluster=loader.cluster_of("h100-sxm", 64),
        job=Job(tokens=float(tokens), seq_len=8192, global_batch_size=128,
                start=dt.date(2026, 1, 1)),
        layout=layout,
        checkpoint=CheckpointPolicy(interval_s=600.0),
    )  # fmt: skip
    return replace(made, **changes)


def at(seconds: float) -> str:
    """Return the time so many seconds after the run's begin, as records hold it."""
    when = BEGIN + dt.timedelta(seconds=seconds)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Made:
    """A run folder written record by record, its clock set by hand."""

    folder: RunFolder
    clock_s: float = 0.0
    step: int = 0

    def event(self, kind: str, after_s: float = 0.0, **fields: Any) -> None:
        """Let time pass, then write an event."""
        self.clock_s += after_s
        lines.append(self.folder.path / EVENTS, Event(time=at(self.clock_s), kind=kind, **fields))

    def steps(self, number: int, took_s: float, **fields: Any) -> None:
        """Write steps, one after the other."""
        for _ in range(number):
            self.step += 1
            self.clock_s += took_s
            record = StepRecord(
                step=self.step, loss=2.0 + 8.0 / (1.0 + self.step / 20.0), tokens=128 * 8192,
                step_time_s=took_s, time=at(self.clock_s), memory_bytes=6.2e10, **fields,
            )  # fmt: skip
            lines.append(self.folder.path / STEPS, record)

    def evaluate(self, loss: float, took_s: float) -> None:
        """Write an evaluation."""
        self.event("evaluate", took_s, duration_s=took_s, step=self.step, values={"loss": loss})

    def crash(self, to_step: int, *, detect_s: float, restart_s: float, ready_s: float) -> None:
        """Write an outage after which training goes on behind `to_step`."""
        self.event("failure", detect_s, rank=3, step=self.step, detail="exit code -9")
        self.event("restart", restart_s)
        self.folder.rewind(to_step)
        self.step = to_step
        values = {"initialisation_s": 0.4 * ready_s, "restore_s": 0.6 * ready_s}
        self.event("resume", ready_s, duration_s=ready_s, step=to_step, pid=1, values=values)

    def finish(self) -> None:
        """Write the end of a run that went well."""
        self.event("finish", 0.5)
        self.folder.finish(
            RunResult(state="finished", steps=self.step, final_loss=2.7, goodput=0.9, restarts=1)
        )


def begun(path: Path, training: Training | None = None, **changes: Any) -> Made:
    """Return a run that is ready to train after ten seconds."""
    folder = RunFolder(path)
    folder.create(plan(**changes), training or Training())
    made = Made(folder)
    made.event("start", 10.0, duration_s=10.0, pid=1,
               values={"initialisation_s": 4.0, "preparation_s": 4.0, "data_s": 2.0})  # fmt: skip
    return made
