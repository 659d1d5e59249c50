"""Elastic training under failures: the replica that was hit is dropped, the others go on.

With k of R replicas away training runs at (R - k) / R of its speed, and failures strike only those
that are there. Each failure stops all replicas for the stall, costs the step under way, and keeps
its replica away for the time it takes to come back, longer where no spare server is there. The
state lives in the other replicas, so nothing else is trained again; checkpoints still stop training
for their blocking part. Silent data corruption is in every replica by the time it is noticed: all
fall back to a checkpoint from before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gigafactory.errors import SpecError
from gigafactory.simulate.runs import Floats, Index, Runs

if TYPE_CHECKING:
    from gigafactory.simulate.growth import Scenario


class Elastic(Runs):
    """Replicas come and go."""

    def __init__(self, scenario: Scenario, seeds: int, rng: np.random.Generator) -> None:
        super().__init__(scenario, seeds, rng)
        found = scenario.failures.profile.elastic
        if found is None:
            raise SpecError(
                f"--policy elastic: profile {scenario.failures.profile.name} times no elastic "
                "recovery ([elastic] replicas, stall_s, absent_s)",
                field="policy",
            )
        self.elastic = found
        self.back: Floats = np.full((seeds, found.replicas), -np.inf)
        policy = scenario.policy
        self.efficiency = policy.cycle_training_s / policy.cycle_s

    def turn(self) -> None:
        """Take every seed to its next event."""
        away = self.back > self.clock[:, None]
        there = 1.0 - away.mean(axis=1)
        with np.errstate(divide="ignore"):
            gap = self.gap_now() / there
        strike, bound = self.hazard * gap, self.boundary_s()
        comes = np.where(away, self.back, np.inf).min(axis=1) - self.clock
        rate = self.speed[self.era] * there * self.efficiency
        with np.errstate(divide="ignore"):
            end = self.left + np.maximum(self.scenario.work_s - self.saved, 0.0) / rate
        stalled = np.where(self.left > 0, self.left, np.inf)
        took = np.minimum(np.minimum(strike, bound), np.minimum(np.minimum(comes, stalled), end))
        took *= self.live
        self._advance(took, there, rate)
        self.hazard -= took / gap
        self.live &= ~(end <= took)
        rows = np.flatnonzero(self.live & (bound <= took))
        if len(rows):
            self.pass_boundary(rows)
        rows = np.flatnonzero(self.live & (strike <= took) & (bound > took))
        if len(rows):
            self.strike(rows)

    def _advance(self, took: Floats, there: Floats, rate: Floats) -> None:
        down = np.where(self.left > 0, took, 0.0)
        self.lost["idle"] += down * self.stopped
        self.lost["restart"] += down * ~self.stopped
        self.left = np.maximum(self.left - down, 0.0)
        self.stopped &= self.left > 0
        ran = took - down
        self.productive += ran * there * self.efficiency
        self.lost["checkpoint"] += ran * there * (1.0 - self.efficiency)
        self.lost["degraded"] += ran * (1.0 - there)
        self.saved += ran * rate
        self.clock += took
        gpus = self.gpus[self.era]
        self.gpu_s += took * gpus
        self.busy_gpu_s += ran * there * self.efficiency * gpus

    def save(self, rows: Index) -> None:
        """Keep all training of these seeds; every replica starts again with the others."""
        self.back[rows] = -np.inf

    def progress(self) -> Floats:
        """Return training done in seconds of the last era's speed, `[seed]`."""
        return self.saved

    def fail(self, rows: Index, cause: Index) -> None:
        """Stall all, drop one replica, take back the step under way."""
        wait, _ = self.replaced(rows, cause)
        self._throw_back(rows, cause)
        self.left[rows] = np.maximum(self.left[rows], self.elastic.stall_s)
        self.stopped[rows] = False
        slot = self.back[rows].argmin(axis=1)
        absent = self.elastic.stall_s + self.elastic.absent_s + wait
        self.back[rows, slot] = self.clock[rows] + absent

    def _throw_back(self, rows: Index, cause: Index) -> None:
        running = self.left[rows] <= 0
        lost = self.scenario.step_s * self.rng.random(len(rows)) * running
        silent = self.model.silent[cause]
        if silent.any():
            latency = self.model.profile.sdc_latency_s
            since = latency * self.rng.standard_exponential(len(rows))
            lost = np.where(silent, np.maximum(lost, since * self.efficiency), lost)
        lost = np.minimum(lost, self.productive[rows])
        speed = self.speed[self.era[rows]]
        lost = np.minimum(lost, self.saved[rows] / speed)
        self.saved[rows] -= lost * speed
        self.lose(rows, lost)
