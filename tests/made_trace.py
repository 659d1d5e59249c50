"""A run recorded operation by operation, made from the seconds that its operations take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gigafactory.cost.operation_replay import ENDING
from gigafactory.cost.schedule import KINDS, order

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COLUMNS = ("optype", "dp_rank", "stage", "step", "start_ts", "duration", "seq_id", "mc", "mb_id")
FIRST_STEP = 7


def made_seconds(
    shape: tuple[int, int, int, int, int], rng: np.random.Generator | None = None
) -> dict[str, Floats]:
    """Return durations of [stage, chunk, microbatch, step, replica], even ones or drawn ones."""
    stages, chunks, microbatches, steps, replicas = shape
    lanes = (steps, replicas)
    long: Any = (lambda size: rng.uniform(0.5, 1.5, size)) if rng else np.ones
    seconds = {
        "params-all-gather": 0.3 * long((stages, chunks, *lanes)),
        "forward-compute": long((stages, chunks * microbatches, *lanes)),
        "backward-compute": 2.0 * long((stages, chunks * microbatches, *lanes)),
        "layernorm-grads-all-reduce": 0.01 * long((stages, 1, *lanes)),
        "embedding-grads-all-reduce": 0.1 * long((stages, 1, *lanes)),
        "grads-reduce-scatter": 0.2 * long((stages, chunks, *lanes)),
        "optimizer-clip-main-grad": 0.02 * long((stages, 1, *lanes)),
        "optimizer": 0.05 * long((stages, 1, *lanes)),
    }
    seconds["embedding-grads-all-reduce"][1:-1] = np.nan
    if stages > 1:
        for kind in KINDS:
            seconds[f"{kind}-recv"] = np.zeros((stages, chunks * microbatches, *lanes))
    return seconds


class Recorder:
    """Plays one step of one kind of pipeline and notes every operation of every worker."""

    def __init__(self, seconds: dict[str, Floats], chunks: int, unpaired: bool) -> None:
        self.seconds, self.chunks, self.unpaired = seconds, chunks, unpaired
        self.stages, passes, self.steps, self.replicas = seconds["forward-compute"].shape
        self.microbatches = passes // chunks
        self.rows: list[tuple[Any, ...]] = []
        self.counted: dict[tuple[Any, ...], int] = {}

    def note(
        self, name: str, at: tuple[int, int, int], span: tuple[float, float], mc: int, mb: int
    ) -> None:
        """Note an operation of the worker `at` (stage, step, replica)."""
        stage, step, replica = at
        place = self.counted.get((name, *at), 0)
        self.counted[name, *at] = place + 1
        start, end = span
        self.rows.append(
            (name, replica, stage, FIRST_STEP + step, start, end - start, place, mc, mb)
        )

    def play(self, step: int) -> None:
        """Note one step."""
        self.clock = np.zeros((self.stages, self.replicas))
        self.ready = self._meet("params-all-gather", step, (1,))
        self.clock = np.zeros((self.stages, self.replicas))
        for replica in range(self.replicas):
            self._pipeline(step, replica)
        for name, axes in ENDING.items():
            if name in self.seconds:
                self._meet(name, step, tuple(1 if axis == -1 else axis for axis in axes))

    def _meet(self, name: str, step: int, axes: tuple[int, ...]) -> list[Floats]:
        ended = []
        for slot in range(self.seconds[name].shape[1]):
            took = self.seconds[name][:, slot, step]
            came = np.where(np.isnan(took), -np.inf, self.clock).max(axis=axes, keepdims=True)
            for stage, replica in np.argwhere(~np.isnan(took)):
                end = np.broadcast_to(came, took.shape)[stage, replica] + took[stage, replica]
                self.note(name, (stage, step, replica), (self.clock[stage, replica], end), slot, -1)
            self.clock = np.where(np.isnan(took), self.clock, came + took)
            ended.append(self.clock)
        return ended

    def _pipeline(self, step: int, replica: int) -> None:
        """Play the passes: a transfer begins when both sides have come."""
        todo = [order(self.stages, self.chunks, self.microbatches, s) for s in range(self.stages)]
        sent: dict[tuple[str, int, int], float] = {}
        while any(todo):
            before = sum(map(len, todo))
            for stage, tasks in enumerate(todo):
                while tasks and self._pass(tasks[0], (stage, step, replica), sent):
                    tasks.pop(0)
            assert sum(map(len, todo)) < before

    def _pass(
        self, task: tuple[str, int, int], at: tuple[int, int, int], sent: dict[Any, float]
    ) -> bool:
        kind, chunk, microbatch = task
        stage, step, replica = at
        depth, deepest = chunk * self.stages + stage, self.chunks * self.stages - 1
        source, target = (depth - 1, depth + 1) if kind == "forward" else (depth + 1, depth - 1)
        slot, clock = chunk * self.microbatches + microbatch, float(self.clock[stage, replica])
        if 0 <= source <= deepest:
            if (kind, source, microbatch) not in sent:
                return False
            hop = self.seconds[f"{kind}-recv"][stage, slot, step, replica]
            came = max(clock, sent[kind, source, microbatch]) + hop
            self.note(f"{kind}-recv", at, (clock, came), -1, -1)
            clock = came
        elif self.unpaired:
            self.note(f"{kind}-recv", at, (clock, clock), -1, -1)
        if kind == "forward":
            clock = max(clock, float(self.ready[chunk][stage, replica]))
        end = clock + self.seconds[f"{kind}-compute"][stage, slot, step, replica]
        self.note(f"{kind}-compute", at, (clock, end), chunk, microbatch)
        sent[kind, depth, microbatch] = self.clock[stage, replica] = end
        if 0 <= target <= deepest or self.unpaired:
            self.note(f"{kind}-send", at, (end, end), -1, -1)
        return True


def recorded(
    seconds: dict[str, Floats], chunks: int = 1, unpaired: bool = False
) -> dict[str, NDArray[Any]]:
    """Return the columns of a trace; `unpaired`: with transfers that have no partner."""
    recorder = Recorder(seconds, chunks, unpaired)
    for step in range(recorder.steps):
        recorder.play(step)
    return {
        name: np.array(column)
        for name, column in zip(COLUMNS, zip(*recorder.rows, strict=True), strict=True)
    }


def write_csv(columns: dict[str, NDArray[Any]], path: Path) -> Path:
    """Write columns as a CSV table."""
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
