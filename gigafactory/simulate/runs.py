"""Many seeds of one run at once, from event to event: what all policies share.

Every seed has its own clock; one turn takes each to its next event (a failure, a phase, a planned
stop, the end), however far that is. So time costs nothing, memory does not grow with the days, and
a turn is some dozens of operations on arrays of `[seed]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.simulate.failures import SLOW
from gigafactory.simulate.growth import begins
from gigafactory.simulate.recovery import drawn_restart_s
from gigafactory.simulate.spares import Depot
from gigafactory.spec.outcome import LOSSES
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.simulate.growth import Scenario

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Bools = NDArray[np.bool_]

TURNS_BETWEEN_REPORTS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What became of every seed.

    Attributes:
        wall_s: From the first day of training to the end of the run or of the simulation.
        finish_s: End of the run after the job's start; beyond the simulation at the seed's own
            goodput.
        productive_s: Training that counted.
        lost_s: Seconds lost by kind of loss.
        counts: Interruptions by cause, `[seed, cause]`.
        most_out: Most servers that were out at once.
        gpu_s: GPUs of the job times the seconds it held them.
        busy_gpu_s: The same while they trained, whether or not it counted.
    """

    wall_s: Floats
    finish_s: Floats
    productive_s: Floats
    lost_s: dict[str, Floats] = field(repr=False)
    counts: Index = field(repr=False)
    most_out: Floats = field(repr=False)
    gpu_s: Floats = field(repr=False)
    busy_gpu_s: Floats = field(repr=False)

    @property
    def goodput(self) -> Floats:
        """Share of the time whose training counted, `[seed]`."""
        share: Floats = self.productive_s / np.maximum(self.wall_s, 1e-9)
        return share

    @property
    def interruptions(self) -> Index:
        """Unexpected ones, `[seed]`."""
        found: Index = self.counts.sum(axis=1)
        return found


class Runs:
    """State of all seeds, and what happens to them whatever the policy does."""

    def __init__(self, scenario: Scenario, seeds: int, rng: np.random.Generator) -> None:
        self.scenario, self.policy, self.model = scenario, scenario.policy, scenario.failures
        self.seeds, self.rng = seeds, rng
        self.gap = np.array([era.gap_s for era in scenario.eras])
        self.restart = np.array([era.stages.total for era in scenario.eras])
        self.speed = np.array([era.speed for era in scenario.eras])
        self.gpus = np.array([float(era.num_gpus) for era in scenario.eras])
        self.busy_gpu_s, self.gpu_s = np.zeros(seeds), np.zeros(seeds)
        begin = begins(scenario, rng, seeds)
        self.begin = np.hstack([begin, np.full((seeds, 1), np.inf)])
        self.first = begin[:, 0].copy()
        self.clock = self.first.copy()
        self.era: Index = (begin <= self.clock[:, None]).sum(axis=1) - 1
        self.horizon = self.first + scenario.horizon_s
        self.earliest_horizon = float(self.horizon.min())
        self.planned = self.first + scenario.planned_every_s
        self.young_until = self.first + self._bring_up_s
        self.hazard = self.model.gaps(rng, seeds)
        self.live: Bools = np.ones(seeds, dtype=np.bool_)
        self.left = np.zeros(seeds)
        self.stopped: Bools = np.zeros(seeds, dtype=np.bool_)
        self.productive, self.saved = np.zeros(seeds), np.zeros(seeds)
        self.lost = {name: np.zeros(seeds) for name in LOSSES}
        self.counts: Index = np.zeros((seeds, len(self.model.causes)), dtype=np.int64)
        longest_s = float(self.model.repair[-1])
        self.depot = Depot(seeds, self.policy.spares, float(self.gap.min()), longest_s)
        self.lemons = Lemons(scenario, seeds)

    @property
    def _bring_up_s(self) -> float:
        young = self.model.profile.bring_up
        return young.days * SECONDS_PER_DAY if young else -np.inf

    def gap_now(self) -> Floats:
        """Return the mean seconds between events now, `[seed]`."""
        gap: Floats = self.gap[self.era]
        young = self.model.profile.bring_up
        if young:
            gap = np.where(self.clock < self.young_until, gap / young.factor, gap)
        return gap

    def boundary_s(self) -> Floats:
        """Return the seconds to the next phase, planned stop, end of bring-up or horizon."""
        at = np.minimum(self.begin[np.arange(self.seeds), self.era + 1], self.planned)
        at = np.minimum(at, self.horizon)
        young = np.where(self.clock < self.young_until, self.young_until, np.inf)
        left: Floats = np.minimum(at, young) - self.clock
        return np.maximum(left, 0.0)

    def pass_boundary(self, rows: Index) -> None:
        """Take seeds over their boundary: grow, stop for maintenance, or end."""
        clock = self.clock[rows]
        over = clock >= self.horizon[rows]
        self.live[rows[over]] = False
        grown = rows[~over & (clock >= self.begin[rows, self.era[rows] + 1])]
        if len(grown):
            self.save(grown)
            self.era[grown] += 1
            self.young_until[grown] = self.clock[grown] + self._bring_up_s
            self._stop(grown, 0.0)
        due = rows[~over & (clock >= self.planned[rows])]
        if len(due):
            self.save(due)
            self.planned[due] = self.clock[due] + self.scenario.planned_every_s
            self._stop(due, self.scenario.planned_s)

    def _stop(self, rows: Index, extra_s: float) -> None:
        """Begin a planned stop; what is left of an unplanned one is overtaken by it."""
        self.left[rows] = self.restart[self.era[rows]] + extra_s
        self.stopped[rows] = True

    def save(self, rows: Index) -> None:
        """Keep all training of these seeds, as before a planned stop."""
        raise NotImplementedError

    def strike(self, rows: Index) -> None:
        """Let an event happen to each of these seeds."""
        self.hazard[rows] = self.model.gaps(self.rng, len(rows))
        cause = self.model.cause(self.rng, len(rows))
        if self.model.slow_share:
            rows, cause = self._slowed(rows, cause)
        rows, cause = self.lemons.thinned(self, rows, cause)
        if len(rows):
            self.counts[rows, cause] += 1
            self.fail(rows, cause)
        self._cut()

    def _slowed(self, rows: Index, cause: Index) -> tuple[Index, Index]:
        """Take the time that slow spells cost; return the seeds that fail."""
        slow = self.model.causes[-1] == SLOW and cause == len(self.model.causes) - 1
        hit = rows[slow]
        spell = self.model.profile.slow
        if len(hit) and spell:
            lasted = spell.duration_s * self.rng.standard_exponential(len(hit))
            self.spend("degraded", hit, lasted * (1.0 - 1.0 / spell.slowdown))
        return rows[~slow], cause[~slow]

    def fail(self, rows: Index, cause: Index) -> None:
        """Let seeds be interrupted, each by one cause."""
        raise NotImplementedError

    def replaced(self, rows: Index, cause: Index) -> tuple[Floats, Index]:
        """Take failed servers out; return seconds to wait for others, and servers lost."""
        number = np.where(self.model.drains[cause], self.model.group(self.rng, len(rows)), 0)
        wait = np.zeros(len(rows))
        out = np.flatnonzero(number)
        if len(out):
            repair = self.model.repair_s(self.rng, len(out))
            wait[out] = self.depot.take(rows[out], self.clock[rows[out]], repair, number[out])
        return wait, number

    def restart_s(self, rows: Index) -> Floats:
        """Return drawn seconds of a restart, `[row]`."""
        mean = self.restart[self.era[rows]]
        return drawn_restart_s(mean, self.model.profile.restart_cv, self.rng)

    def spend(self, kind: str, rows: Index, seconds: Floats) -> None:
        """Let time pass in which nothing trains and nothing fails."""
        self.lost[kind][rows] += seconds
        self.clock[rows] += seconds
        self.gpu_s[rows] += seconds * self.gpus[self.era[rows]]

    def lose(self, rows: Index, seconds: Floats) -> None:
        """Turn training that counted into training that must be done again."""
        self.productive[rows] -= seconds
        self.lost["rework"][rows] += seconds

    def _cut(self) -> None:
        """End what passed the horizon, and take back the time beyond it."""
        if self.clock.max() <= self.earliest_horizon:
            return
        over = np.where(self.live, self.clock - self.horizon, 0.0)
        rows = np.flatnonzero(over > 0)
        if not len(rows):
            return
        rest = over[rows]
        for kind in ("waiting", "detect", "degraded"):
            back = np.minimum(rest, self.lost[kind][rows])
            self.lost[kind][rows] -= back
            rest = rest - back
        self.gpu_s[rows] -= over[rows] * self.gpus[self.era[rows]]
        self.clock[rows] = self.horizon[rows]
        self.live[rows] = False

    def turn(self) -> None:
        """Take every seed to its next event."""
        raise NotImplementedError

    def progress(self) -> Floats:
        """Return training done in seconds of the last era's speed, `[seed]`."""
        raise NotImplementedError

    def course(self) -> Course:
        """Return what became of every seed so far."""
        wall = self.clock - self.first
        left = np.maximum(self.scenario.work_s - self.progress(), 0.0)
        share = np.maximum(self.productive / np.maximum(wall, 1e-9), 1e-6)
        return Course(
            wall_s=wall,
            finish_s=self.clock + left / share,
            productive_s=self.productive,
            lost_s=self.lost,
            counts=self.counts,
            most_out=self.depot.most,
            gpu_s=self.gpu_s,
            busy_gpu_s=self.busy_gpu_s,
        )


class Lemons:
    """Servers that fail more often than others, and are taken out for good after some failures.

    Failures strike lemons at the rate of all of them; those that are gone are struck in vain, which
    is the thinning of a Poisson process. Without such a policy nothing is tracked.
    """

    def __init__(self, scenario: Scenario, seeds: int) -> None:
        profile, self.after = scenario.failures.profile, scenario.policy.evict_after
        nodes = scenario.last.num_gpus / profile.gpus_per_node
        self.number = round(nodes * (profile.lemon_node_share or 0.0))
        self.share = profile.lemon_failure_share or 0.0
        tracked = self.number if self.after else 0
        self.hits: NDArray[np.uint8] = np.zeros((seeds, tracked), dtype=np.uint8)

    def thinned(self, runs: Runs, rows: Index, cause: Index) -> tuple[Index, Index]:
        """Return the seeds that are really struck; count the failures of lemons."""
        if not self.hits.shape[1] or not len(rows):
            return rows, cause
        lemon = runs.rng.random(len(rows)) < self.share
        which = runs.rng.integers(0, self.number, len(rows))
        gone = lemon & (self.hits[rows, which] >= self.after)
        counted = lemon & ~gone & runs.model.drains[cause]
        self.hits[rows[counted], which[counted]] += 1
        return rows[~gone], cause[~gone]


def simulated(runs: Runs, progress: Callable[[float], None] | None = None) -> Course:
    """Return the courses of all seeds, run to their ends.

    Args:
        runs: Seeds at their begin.
        progress: Is told the share that is done, now and then.
    """
    turn = 0
    while runs.live.any():
        runs.turn()
        turn += 1
        if progress and turn % TURNS_BETWEEN_REPORTS == 0:
            progress(_done(runs))
    return runs.course()


def _done(runs: Runs) -> float:
    """Return the share of the simulation that is over, by time or by training."""
    scenario = runs.scenario
    trained = runs.progress() / scenario.work_s
    passed = (runs.clock - runs.first) / scenario.horizon_s
    return float(np.maximum(trained, passed).clip(max=1.0).mean())
