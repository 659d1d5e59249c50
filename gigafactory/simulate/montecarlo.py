"""Synchronous training under failures, many seeds at once, in closed form between two events.

Between events a seed restarts for what is left of that, then runs through whole checkpoint cycles
and a part of one: how many, and how much of it trained, is arithmetic (`Policy`). A failure throws
the run back to what is durable; detection, a wait for servers and the restart follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.simulate.recovery import drawn_within
from gigafactory.simulate.runs import Bools, Course, Floats, Index, Runs, simulated

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.simulate.growth import Scenario

BLOCK: Final = 1024  # seeds that run together: their state stays in cache


class Synchronous(Runs):
    """All replicas stop and go together."""

    def __init__(self, scenario: Scenario, seeds: int, rng: np.random.Generator) -> None:
        super().__init__(scenario, seeds, rng)
        self.at = np.zeros(seeds)  # position in the checkpoint cycle, seconds
        self.writing: Bools = np.zeros(seeds, dtype=np.bool_)  # a checkpoint since the last start

    def turn(self) -> None:
        """Take every seed to its next event."""
        policy, gap, speed = self.policy, self.gap_now(), self.speed[self.era]
        strike, bound = self.hazard * gap, self.boundary_s()
        trained = policy.trained_s(self.at)
        missing = (self.scenario.work_s - self.saved) / speed - trained
        end = self.left + policy.run_s(self.at, np.maximum(missing, 0.0))
        took = np.minimum(np.minimum(strike, bound), end) * self.live
        self._advance(took, trained, speed)
        self.hazard -= took / gap
        done = self.live & (end <= took)
        self.live &= ~done
        struck = self.live & (strike <= took)
        bounded = np.flatnonzero(self.live & ~struck)
        if len(bounded):
            self.pass_boundary(bounded)
        rows = np.flatnonzero(struck)
        if len(rows):
            self.strike(rows)

    def _advance(self, took: Floats, trained: Floats, speed: Floats) -> None:
        """Let time pass: first what is left of the restart, then training and checkpoints."""
        policy = self.policy
        down = np.minimum(took, self.left)
        self.left -= down
        self.lost["idle"] += down * self.stopped
        self.lost["restart"] += down * ~self.stopped
        self.stopped &= self.left > 0
        ran = took - down
        total = self.at + ran
        cycles = np.floor(total / policy.cycle_s)
        self.at = total - cycles * policy.cycle_s
        whole = cycles * policy.cycle_training_s
        gained = whole + policy.trained_s(self.at) - trained
        self.productive += gained
        self.lost["checkpoint"] += ran - gained
        self.saved += whole * speed
        self.writing |= cycles > 0
        self.clock += took
        gpus = self.gpus[self.era]
        self.gpu_s += took * gpus
        self.busy_gpu_s += gained * gpus

    def save(self, rows: Index) -> None:
        """Keep all training of these seeds."""
        self.saved[rows] += self.policy.trained_s(self.at[rows]) * self.speed[self.era[rows]]
        self.at[rows] = 0.0
        self.writing[rows] = False

    def progress(self) -> Floats:
        """Return training done in seconds of the last era's speed, `[seed]`."""
        done: Floats = self.saved + self.policy.trained_s(self.at) * self.speed[self.era]
        return done

    def fail(self, rows: Index, cause: Index) -> None:
        """Throw seeds back to what is durable, and begin their recovery."""
        self.spend("detect", rows, drawn_within(self.model.profile.detect_s, self.rng, len(rows)))
        wait, number = self.replaced(rows, cause)
        self._throw_back(rows, cause, number)
        self.spend("waiting", rows, wait)
        self.left[rows] = self.restart_s(rows)
        self.stopped[rows] = False
        self.at[rows] = 0.0
        self.writing[rows] = False

    def _throw_back(self, rows: Index, cause: Index, number: Index) -> None:
        policy, at = self.policy, self.at[rows]
        speed = self.speed[self.era[rows]]
        kept = np.where(number > 1, 0.0, policy.in_memory_s(at)) if policy.two_levels else 0.0
        cycles_back = (self.writing[rows] & (at < policy.write_s)).astype(np.float64)
        if policy.two_levels:
            cycles_back *= kept == 0.0
        silent = self.model.silent[cause]
        latency_s = self.model.profile.sdc_latency_s
        if latency_s and silent.any():
            since = latency_s * self.rng.standard_exponential(len(rows))
            back = np.ceil(np.maximum(since - at, 0.0) / policy.cycle_s)
            kept = np.where(silent, 0.0, kept)
            cycles_back = np.where(silent, np.maximum(cycles_back, back), cycles_back)
        durable = np.maximum(self.saved[rows] / speed, 0.0)
        thrown = np.minimum(cycles_back * policy.cycle_training_s, durable)
        self.saved[rows] += (kept - thrown) * speed
        lost = policy.trained_s(at) - kept + thrown
        self.lose(rows, np.minimum(lost, self.productive[rows]))


def courses(
    scenario: Scenario,
    seeds: int,
    rng: np.random.Generator,
    progress: Callable[[float], None] | None = None,
) -> Course:
    """Return the courses of a run over seeds; the same generator state gives the same bytes.

    Args:
        scenario: The run in numbers.
        seeds: How many.
        rng: Every block of seeds draws from a child of its own.
        progress: Is told the share that is done.
    """
    from gigafactory.simulate.elastic import Elastic

    kind: type[Runs] = Elastic if scenario.policy.kind == "elastic" else Synchronous
    sizes = [min(BLOCK, seeds - first) for first in range(0, seeds, BLOCK)]
    parts = []
    for index, (size, child) in enumerate(zip(sizes, rng.spawn(len(sizes)), strict=True)):
        tell = _scaled(progress, index, len(sizes)) if progress else None
        parts.append(simulated(kind(scenario, size, child), tell))
    return _joined(parts)


def _scaled(progress: Callable[[float], None], index: int, number: int) -> Callable[[float], None]:
    return lambda share: progress((index + share) / number)


def _joined(parts: list[Course]) -> Course:
    return Course(
        wall_s=np.concatenate([one.wall_s for one in parts]),
        finish_s=np.concatenate([one.finish_s for one in parts]),
        productive_s=np.concatenate([one.productive_s for one in parts]),
        lost_s={
            kind: np.concatenate([one.lost_s[kind] for one in parts]) for kind in parts[0].lost_s
        },
        counts=np.concatenate([one.counts for one in parts]),
        most_out=np.concatenate([one.most_out for one in parts]),
        gpu_s=np.concatenate([one.gpu_s for one in parts]),
        busy_gpu_s=np.concatenate([one.busy_gpu_s for one in parts]),
    )
