"""One seed of a run, told: every failure, restart and stop in order.

Walks state by state (restart, training, copy in memory, checkpoint) where the Monte Carlo
(`montecarlo`, `elastic`) jumps from event to event in closed form. The two share the laws of
failures and stages only, and are tested against each other.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from gigafactory.simulate.recovery import drawn_within
from gigafactory.simulate.teller import Teller, Told

if TYPE_CHECKING:
    import datetime as dt

    from gigafactory.simulate.growth import Scenario

TRAIN, MEMORY, STORE, RESTART = "train", "memory", "store", "restart"


class SynchronousTeller(Teller):
    """All replicas stop and go together."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator, start: dt.date) -> None:
        super().__init__(scenario, rng, start)
        self.state, self.left = TRAIN, self.policy.training_s
        self.stopped = False
        self.in_cycle = 0.0  # seconds trained in this cycle
        self.copied = 0.0  # of these, held by the last copy in memory
        self.periods = 0
        self.pending: tuple[float, float] | None = None  # end and training of a write under way

    def tell(self) -> Told:
        """Return the whole story."""
        self.mark(1.0)
        while self.clock < self.horizon:
            speed = self.run.eras[self.era].speed
            gap, bound = self.gap_s(), self.boundary()
            span = self.left
            if self.state == TRAIN:
                missing = (self.run.work_s - self.saved) / speed - self.in_cycle
                span = min(span, missing)
            strike = self.hazard * gap
            took = min(span, strike, bound - self.clock)
            self._pass(max(took, 0.0), gap)
            if (
                self.state == TRAIN
                and took == span
                and span < self.left + took
                and (self._is_done(speed))
            ):
                self.told.finished = True
                break
            if strike <= took:
                self._strike()
            elif took >= span:
                self._next_state()
            else:
                self._boundary()
        return self.closed()

    def _is_done(self, speed: float) -> bool:
        done = self.saved + self.in_cycle * speed
        return done >= self.run.work_s * (1.0 - 1e-12)

    def _pass(self, took: float, gap: float) -> None:
        self.clock += took
        self.hazard -= took / gap
        self.left -= took
        if self.state == TRAIN:
            self.in_cycle += took
            self.told.productive_s += took
        elif self.state == RESTART:
            self.told.lost_s["idle" if self.stopped else "restart"] += took
        else:
            self.told.lost_s["checkpoint"] += took

    def _next_state(self) -> None:
        """Go from training to saving to training, or from the restart back to it."""
        policy = self.policy
        if self.state == RESTART:
            self.note("resume", f"training goes on, on {self.gpus:,} GPUs")
            self._train()
            return
        if self.state == TRAIN and policy.two_levels:
            self.state, self.left = MEMORY, policy.memory_block_s
            self.mark(0.0)
            return
        if self.state != STORE:
            self.periods += 1
            self.copied = self.in_cycle if policy.two_levels else 0.0
            if self.periods >= policy.memory_every:
                self.state, self.left = STORE, policy.blocking_s
                self.mark(0.0)
                return
            self._train()
            return
        self._stored()
        self._train()

    def _train(self) -> None:
        self.state, self.left, self.stopped = TRAIN, self.policy.training_s, False
        self.mark(1.0)

    def _stored(self) -> None:
        """Close a cycle: its checkpoint is being written, the one before is durable."""
        trained = self.in_cycle * self.run.eras[self.era].speed
        self.saved += trained
        self.pending = (self.clock + self.policy.write_s, trained)
        self.in_cycle = self.copied = 0.0
        self.periods = 0

    def _strike(self) -> None:
        cause = self.drawn_cause()
        if cause is None:
            self.mark(1.0 if self.state == TRAIN else 0.0)
            return
        struck, at = self.clock, self._position_s()
        name = self.counted(cause)
        detect = float(drawn_within(self.model.profile.detect_s, self.rng, 1)[0])
        self.quiet("detect", detect)
        wait, number = self.taken_out(cause)
        lost = self._throw_back(cause, number, struck, at)
        self.note(
            "failure",
            f"{name}: noticed after {detect:.0f} s, {number} servers out, {lost:.0f} s of "
            "training to do again",
            duration_s=detect, lost_s=lost, servers=float(number),
        )  # fmt: skip
        if wait > 0:
            self.note(
                "restart", f"no spare server: {wait:.0f} s until one is back", duration_s=wait
            )
        self.quiet("waiting", wait)
        self._restart(self.restart_s(self.run.eras[self.era].stages.total), stopped=False)

    def _position_s(self) -> float:
        """Return the seconds since the cycle began."""
        policy = self.policy
        full = self.periods * (policy.training_s + policy.memory_block_s)
        length = {TRAIN: policy.training_s, MEMORY: policy.memory_block_s, STORE: policy.blocking_s}
        if self.state == RESTART:
            return 0.0
        before = policy.training_s if self.state == MEMORY else 0.0
        return full + before + length[self.state] - self.left

    def _throw_back(self, cause: int, number: int, struck: float, at: float) -> float:
        """Fall back to what is durable; return the seconds of training lost."""
        speed = self.run.eras[self.era].speed
        kept = self.copied if number <= 1 else 0.0
        thrown = 0.0
        if self.pending and struck < self.pending[0] and kept == 0 and at < self.policy.write_s:
            thrown = self.pending[1] / speed
        latency = self.model.profile.sdc_latency_s
        if latency and self.model.silent[cause]:
            since = latency * float(self.rng.standard_exponential())
            back = np.ceil(max(since - at, 0.0) / self.policy.cycle_s)
            kept, thrown = 0.0, max(thrown, float(back) * self.policy.cycle_training_s)
        thrown = min(thrown, self.saved / speed)
        lost = min(self.in_cycle - kept + thrown, self.told.productive_s)
        self.saved += (kept - thrown) * speed
        self.thrown_away(lost)
        return lost

    def _restart(self, seconds: float, *, stopped: bool) -> None:
        self.in_cycle = self.copied = 0.0
        self.periods, self.pending = 0, None
        self.state, self.left, self.stopped = RESTART, seconds, stopped
        self.mark(0.0)
        self.note("restart", f"restart, {seconds:.0f} s", duration_s=seconds)

    def _boundary(self) -> None:
        if self.clock >= self.horizon:
            return
        grows = self.clock >= self.begin[self.era + 1]
        stops = self.clock >= self.planned
        if not grows and not stops:
            return
        self.saved += self.in_cycle * self.run.eras[self.era].speed
        extra = 0.0
        if grows:
            self.era += 1
            self.young_until = self.clock + self._bring_up_s
        if stops:
            self.planned = self.clock + self.run.planned_every_s
            extra = self.run.planned_s
        why = f"grown to {self.gpus:,} GPUs" if grows else "a planned stop"
        self.note("checkpoint_end", f"{why}: the state is saved")
        self._restart(self.run.eras[self.era].stages.total + extra, stopped=True)


class ElasticTeller(Teller):
    """Replicas come and go."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator, start: dt.date) -> None:
        super().__init__(scenario, rng, start)
        found = scenario.failures.profile.elastic
        assert found is not None
        self.elastic = found
        self.away: list[float] = []
        self.stall = 0.0
        self.stopped = False

    def tell(self) -> Told:
        """Return the whole story."""
        share = self.policy.cycle_training_s / self.policy.cycle_s
        while self.clock < self.horizon:
            while self.away and self.away[0] <= self.clock:
                heapq.heappop(self.away)
                self.note("resume", f"a replica is back; {len(self.away)} are away")
            there = 1.0 - len(self.away) / self.elastic.replicas
            self.mark(0.0 if self.stall > 0 else there * share)
            strike = self.clock + self.hazard * self.gap_s() / there if there > 0 else np.inf
            rate = self.run.eras[self.era].speed * there * share
            end = np.inf
            if self.stall > 0:
                end = self.clock + self.stall
            done = end
            if self.stall <= 0 and rate > 0:
                done = self.clock + (self.run.work_s - self.saved) / rate
            until = min(strike, self.boundary(), end, done, *self.away[:1])
            self._pass(until - self.clock, there, rate, share)
            if self.stall <= 0 and until == done and done < end:
                self.told.finished = True
                break
            if until == strike:
                self._strike()
            elif until == self.boundary() or until >= self.boundary():
                self._boundary()
        return self.closed()

    def _pass(self, took: float, there: float, rate: float, share: float) -> None:
        if there > 0:
            self.hazard -= took / (self.gap_s() / there)
        self.clock += took
        if self.stall > 0:
            self.told.lost_s["idle" if self.stopped else "restart"] += took
            self.stall = max(self.stall - took, 0.0)
            if self.stall < 1e-9:
                self.stall, self.stopped = 0.0, False
            return
        self.told.productive_s += took * there * share
        self.told.lost_s["checkpoint"] += took * there * (1.0 - share)
        self.told.lost_s["degraded"] += took * (1.0 - there)
        self.saved += took * rate

    def _strike(self) -> None:
        cause = self.drawn_cause()
        if cause is None:
            return
        name = self.counted(cause)
        wait, number = self.taken_out(cause)
        lost = 0.0
        if self.stall <= 0:
            lost = self.run.step_s * float(self.rng.random())
        latency = self.model.profile.sdc_latency_s
        if latency and self.model.silent[cause]:
            since = latency * float(self.rng.standard_exponential())
            share = self.policy.cycle_training_s / self.policy.cycle_s
            lost = max(lost, since * share)
        speed = self.run.eras[self.era].speed
        lost = min(lost, self.told.productive_s, self.saved / speed)
        self.saved -= lost * speed
        self.thrown_away(lost)
        self.stall, self.stopped = max(self.stall, self.elastic.stall_s), False
        if len(self.away) >= self.elastic.replicas:
            heapq.heappop(self.away)
        absent = self.elastic.stall_s + self.elastic.absent_s + wait
        heapq.heappush(self.away, self.clock + absent)
        self.note(
            "failure",
            f"{name}: all stall {self.elastic.stall_s:.0f} s, a replica is away {absent:.0f} s, "
            f"{number} servers out",
            duration_s=self.elastic.stall_s, lost_s=lost, servers=float(number),
        )  # fmt: skip

    def _boundary(self) -> None:
        if self.clock >= self.horizon:
            return
        grows = self.clock >= self.begin[self.era + 1]
        stops = self.clock >= self.planned
        if not grows and not stops:
            return
        extra = 0.0
        if grows:
            self.era += 1
            self.young_until = self.clock + self._bring_up_s
        if stops:
            self.planned = self.clock + self.run.planned_every_s
            extra = self.run.planned_s
        self.away = []
        self.stall, self.stopped = self.run.eras[self.era].stages.total + extra, True
        why = f"grown to {self.gpus:,} GPUs" if grows else "a planned stop"
        self.note("restart", why, duration_s=self.stall)


def story(scenario: Scenario, rng: np.random.Generator, start: dt.date) -> Told:
    """Return one seed of a run, told event by event; the same generator gives the same story."""
    kind = ElasticTeller if scenario.policy.kind == "elastic" else SynchronousTeller
    return kind(scenario, rng, start).tell()
