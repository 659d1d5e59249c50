"""One seed of a run, told: every failure, restart and stop in order, and what the grid saw.

Walks state by state (restart, training, copy in memory, checkpoint) where the Monte Carlo
(`montecarlo`, `elastic`) jumps from event to event in closed form, and keeps exact days of repair
where that keeps bins. The two share the laws of failures and stages only, and are tested against
each other.
"""

from __future__ import annotations

import datetime as dt
import heapq
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.simulate.failures import SLOW
from gigafactory.simulate.growth import begins
from gigafactory.simulate.power import Grid, GridTrace
from gigafactory.simulate.recovery import drawn_restart_s, drawn_within
from gigafactory.spec.outcome import LOSSES
from gigafactory.spec.run import Event
from gigafactory.units import J_PER_MWH, SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.simulate.growth import Scenario
    from gigafactory.simulate.power import Levels, Smoothing

Floats = NDArray[np.float64]

TRAIN, MEMORY, STORE, RESTART = "train", "memory", "store", "restart"


@dataclass(slots=True, kw_only=True)
class Told:
    """What happened in one seed.

    Attributes:
        first_s: The first day of training, after the job's start.
        lost_s: Seconds by kind of loss.
        events: In order of time.
        begin_s: Begins of times of constant power.
        busy: Share of the whole job's GPUs that train in each.
        present: Share of them that are there.
    """

    first_s: float
    wall_s: float = 0.0
    productive_s: float = 0.0
    interruptions: int = 0
    most_out: int = 0
    finished: bool = False
    lost_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LOSSES, 0.0))
    events: list[Event] = field(default_factory=list)
    begin_s: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    present: list[float] = field(default_factory=list)
    struck_s: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Share of the time whose training counted."""
        return self.productive_s / max(self.wall_s, 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothed:
    """The grid's view of a story.

    Attributes:
        largest_load_step_w: Largest change of the load at once.
        largest_grid_step_w: Largest change of the grid's power within a second.
        steps_passed: Steps that neither battery nor ramp could hold back.
        largest_battery_w: Most the battery gave or took.
        filler_mwh: Energy of work that only fills.
    """

    mean_w: float
    largest_load_step_w: float
    largest_grid_step_w: float
    steps_passed: int
    largest_battery_w: float
    filler_mwh: float


class Teller:
    """What both kinds of training share: clock, phases, failures, servers under repair."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator, start: dt.date) -> None:
        self.run, self.rng, self.policy, self.model = (
            scenario, rng, scenario.policy, scenario.failures,
        )  # fmt: skip
        self.start = dt.datetime.combine(start, dt.time(), dt.UTC)
        self.begin = [*begins(scenario, rng, 1)[0].tolist(), np.inf]
        self.clock = self.begin[0]
        self.era = sum(one <= self.clock for one in self.begin) - 1
        self.horizon = self.clock + scenario.horizon_s
        self.planned = self.clock + scenario.planned_every_s
        self.young_until = self.clock + self._bring_up_s
        self.hazard = self._gap_draw()
        self.saved = 0.0
        self.back: list[tuple[float, int]] = []
        self.out = 0
        self.lemons = {index: 0 for index in range(self._lemons)} if self.policy.evict_after else {}
        self.told = Told(first_s=self.clock)
        self.note("start", f"training begins on {self.gpus:,} GPUs")

    @property
    def gpus(self) -> int:
        """GPUs of the job now."""
        return self.run.eras[self.era].num_gpus

    @property
    def _lemons(self) -> int:
        profile = self.model.profile
        nodes = self.run.last.num_gpus / profile.gpus_per_node
        return round(nodes * (profile.lemon_node_share or 0.0))

    @property
    def _bring_up_s(self) -> float:
        young = self.model.profile.bring_up
        return young.days * SECONDS_PER_DAY if young else -np.inf

    def _gap_draw(self) -> float:
        return float(self.model.gaps(self.rng, 1)[0])

    def gap_s(self) -> float:
        """Return the mean seconds between events now."""
        gap, young = self.run.eras[self.era].gap_s, self.model.profile.bring_up
        return gap / young.factor if young and self.clock < self.young_until else gap

    def boundary(self) -> float:
        """Return when the next phase, planned stop, end of bring-up or the horizon comes."""
        found = min(self.begin[self.era + 1], self.planned, self.horizon)
        return min(found, self.young_until) if self.clock < self.young_until else found

    def note(
        self, kind: str, detail: str, duration_s: float | None = None, **values: float
    ) -> None:
        """Write an event down."""
        time = self.start + dt.timedelta(seconds=self.clock)
        step = int((self.saved) / self.run.step_s)
        self.told.events.append(Event(
            time=time.isoformat(timespec="microseconds"), kind=kind, detail=detail, step=step,
            duration_s=duration_s, values=values,
        ))  # fmt: skip

    def mark(self, busy: float) -> None:
        """Say what share of this phase's GPUs trains from now on."""
        share = self.gpus / self.run.last.num_gpus
        self.told.begin_s.append(self.clock)
        self.told.busy.append(busy * share)
        self.told.present.append(share)

    def quiet(self, kind: str, seconds: float) -> None:
        """Let time pass in which nothing trains and nothing fails, to the horizon at most."""
        if seconds <= 0:
            return
        self.mark(0.0)
        spent = min(seconds, self.horizon - self.clock)
        self.told.lost_s[kind] += spent
        self.clock += spent

    def taken_out(self, cause: int) -> tuple[float, int]:
        """Take failed servers out; return the seconds to wait for others, and their number."""
        if not self.model.drains[cause]:
            return 0.0, 0
        number = int(self.model.group(self.rng, 1)[0])
        while self.back and self.back[0][0] <= self.clock:
            self.out -= heapq.heappop(self.back)[1]
        until = self.clock + float(self.model.repair_s(self.rng, 1)[0])
        heapq.heappush(self.back, (until, number))
        self.out += number
        self.told.most_out = max(self.told.most_out, self.out)
        missing, until = self.out - self.policy.spares, self.clock
        for when, some in sorted(self.back):
            if missing <= 0:
                break
            missing, until = missing - some, when
        return until - self.clock, number

    def drawn_cause(self) -> int | None:
        """Return what strikes; None for a slow spell, or a lemon that is long gone."""
        self.hazard = self._gap_draw()
        cause = int(self.model.cause(self.rng, 1)[0])
        spell = self.model.profile.slow
        if self.model.causes[cause] == SLOW and spell:
            lasted = spell.duration_s * float(self.rng.standard_exponential())
            self.mark(1.0 / spell.slowdown)
            spent = min(lasted * (1.0 - 1.0 / spell.slowdown), self.horizon - self.clock)
            self.told.lost_s["degraded"] += spent
            self.clock += spent
            return None
        if self.lemons and self.rng.random() < (self.model.profile.lemon_failure_share or 0.0):
            which = int(self.rng.integers(0, len(self.lemons)))
            if self.lemons[which] >= self.policy.evict_after:
                return None
            self.lemons[which] += bool(self.model.drains[cause])
        return cause

    def counted(self, cause: int) -> str:
        """Count an unexpected interruption; return the name of its cause."""
        self.told.interruptions += 1
        self.told.struck_s.append(self.clock)
        return self.model.causes[cause]

    def thrown_away(self, lost_s: float) -> None:
        """Turn training that counted into training to be done again."""
        self.told.productive_s -= lost_s
        self.told.lost_s["rework"] += lost_s

    def restart_s(self, mean_s: float) -> float:
        """Return a drawn restart."""
        return float(drawn_restart_s(
            np.array([mean_s]), self.model.profile.restart_cv, self.rng
        )[0])  # fmt: skip

    def closed(self) -> Told:
        """End the story."""
        self.told.wall_s = self.clock - self.told.first_s
        detail = "training is done" if self.told.finished else "the simulated time is over"
        self.note("finish", detail, goodput=self.told.goodput)
        return self.told


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
            self.note("hang", f"waiting {wait:.0f} s for a server to come back", duration_s=wait)
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


def smoothed(told: Told, levels: Levels, smoothing: Smoothing) -> tuple[Smoothed, GridTrace]:
    """Return what the grid sees of a story, second by second where something changes."""
    begin = np.array(told.begin_s)
    end = np.append(begin[1:], told.first_s + told.wall_s)
    busy, present = np.array(told.busy), np.array(told.present)
    bare = busy * levels.training_w + np.maximum(present - busy, 0.0) * levels.quiet_w
    floor = smoothing.filler_share * levels.training_w * present
    load = np.maximum(bare, floor)
    kept = end > begin
    grid = Grid(float(load[0]), smoothing)
    for one in zip(begin[kept].tolist(), end[kept].tolist(), load[kept].tolist(), strict=True):
        grid.hold(*one)
    trace = grid.trace()
    steps = np.abs(np.diff(load[kept]))
    passed = float(trace.steps_w.max()) if len(trace.steps_w) else 0.0
    ramp = smoothing.ramp_w_per_s
    largest = float(steps.max()) if len(steps) else 0.0
    return Smoothed(
        mean_w=float((load * (end - begin)).sum() / max(told.wall_s, 1e-9)),
        largest_load_step_w=largest,
        largest_grid_step_w=largest if ramp is None else min(passed + ramp, largest),
        steps_passed=len(trace.steps_w),
        largest_battery_w=trace.largest_battery_w,
        filler_mwh=float(((load - bare) * (end - begin)).sum()) / J_PER_MWH,
    ), trace


def event_lines(told: Told) -> str:
    """Return the events as JSON Lines, in the format of a run folder's events.jsonl."""
    import json

    lines = []
    for event in told.events:
        held = {key: value for key, value in asdict(event).items() if value not in (None, {})}
        lines.append(json.dumps(held, separators=(",", ":")))
    return "\n".join(lines) + "\n"
