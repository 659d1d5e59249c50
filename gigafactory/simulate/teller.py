"""What every story shares: one seed's clock, phases and failures, and what is written down.

Works seed by seed with exact days of repair, where the Monte Carlo (`runs`, `spares`) works on all
seeds at once with bins.
"""

from __future__ import annotations

import datetime as dt
import heapq
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gigafactory.simulate.failures import SLOW
from gigafactory.simulate.growth import begins
from gigafactory.simulate.recovery import drawn_restart_s
from gigafactory.spec.outcome import LOSSES
from gigafactory.spec.run import Event
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.simulate.growth import Scenario


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


class Teller:
    """What both kinds of training share: clock, phases, failures, servers under repair."""

    def __init__(self, scenario: Scenario, rng: np.random.Generator, start: dt.date) -> None:
        self.run, self.rng, self.policy, self.model = (
            scenario, rng, scenario.policy, scenario.failures,
        )  # fmt: skip
        self.start = dt.datetime.combine(start, dt.time(), dt.UTC)
        self.begin: list[float] = [*begins(scenario, rng, 1)[0].tolist(), np.inf]
        self.clock: float = self.begin[0]
        self.era = sum(one <= self.clock for one in self.begin) - 1
        self.horizon = self.clock + scenario.horizon_s
        self.planned = self.clock + scenario.planned_every_s
        self.young_until = self.clock + self._bring_up_s
        self.hazard = self._gap_draw()
        self.saved: float = 0.0
        self.back: list[tuple[float, int]] = []
        self.out = 0
        self.lemons = dict.fromkeys(range(self._lemons if self.policy.evict_after else 0), 0)
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


def event_lines(told: Told) -> str:
    """Return the events as JSON Lines, in the format of a run folder's events.jsonl."""
    import json

    lines = []
    for event in told.events:
        held = {key: value for key, value in asdict(event).items() if value not in (None, {})}
        lines.append(json.dumps(held, separators=(",", ":")))
    return "\n".join(lines) + "\n"
