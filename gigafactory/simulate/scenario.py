"""From a plan and what is asked of it to a run in numbers, refused where it cannot be simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.goodput import mtbf_s, optimal_interval_s
from gigafactory.errors import DoesNotFit, SpecError
from gigafactory.plan.promise import checkpoint_of
from gigafactory.simulate.failures import Failures, failures
from gigafactory.simulate.growth import Era, Scenario
from gigafactory.simulate.policy import Policy, interval_of
from gigafactory.simulate.recovery import stages
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.cost.storage import CheckpointCost
    from gigafactory.spec.faults import FaultProfile
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.prediction import Prediction

Floats = NDArray[np.float64]

ENDLESS: Final = 100_000_000  # spare servers that no run uses up
MOST_EVENTS: Final = 300_000  # of one seed: more would take minutes and say nothing new


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One size of a growing machine, with the best layout on it.

    Attributes:
        num_gpus: GPUs of that layout.
        speed: Its tokens per second over those of the last phase.
        starts_s: P10, P50, P90 of its begin after the job's start.
    """

    num_gpus: int
    speed: float
    starts_s: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a plan.

    Attributes:
        days: Simulated time; None for until the end of the run.
        interval: A rule (`policy.RULES`) or seconds from one checkpoint to the next.
        spares: Servers beside the job's own; None for as many as it takes.
        memory_every: Copies in memory for one checkpoint in storage; 1 for none.
        growth: Sizes the machine grows through; empty for one size.
        planned_every_days: Between planned stops; None for the profile's, 0 for none.
        blocking_factor: Times the computed blocking of a checkpoint.
        step_factor: Times the expected step time.
        restart_factor: Times the published restart.
        repair_factor: Times the published repair.
    """

    plan: Plan
    prediction: Prediction
    profile: FaultProfile
    days: float | None = None
    policy: str = "restart"
    interval: str | float = "plan"
    spares: int | None = None
    arrivals: str = "profile"
    memory_every: int = 1
    memory_blocking_s: float = 0.04
    evict_after: int = 0
    growth: tuple[Phase, ...] = ()
    planned_every_days: float | None = None
    planned_s: float | None = None
    blocking_factor: float = 1.0
    step_factor: float = 1.0
    restart_factor: float = 1.0
    repair_factor: float = 1.0

    @property
    def num_gpus(self) -> int:
        """GPUs of the job."""
        return self.plan.layout.num_gpus

    @property
    def step_s(self) -> float:
        """Seconds of one step."""
        return self.prediction.step_time_s.expected * self.step_factor

    @property
    def work_s(self) -> float:
        """Seconds of training of the whole run."""
        steps = ceil(self.plan.job.tokens / self.plan.layout.tokens_per_step)
        return steps * self.step_s

    @property
    def given_spares(self) -> int:
        """Servers beside the job's own, as a number."""
        return ENDLESS if self.spares is None else self.spares

    @property
    def left_over(self) -> int:
        """Servers of the cluster that the layout does not use."""
        left = self.plan.cluster.num_gpus - self.num_gpus
        return left // self.profile.gpus_per_node

    def saved(self) -> CheckpointCost:
        """Return what one checkpoint costs."""
        return checkpoint_of(self.plan.model, self.plan.layout)

    @property
    def blocking_s(self) -> float:
        """Seconds that one checkpoint stops training."""
        saved = self.saved()
        written = 0.0 if self.plan.checkpoint.asynchronous else float(saved.write_s)
        return (float(saved.blocking_s) + written) * self.blocking_factor


def scenario(asked: Asked) -> Scenario:
    """Return the run in numbers.

    Raises:
        SpecError: What is asked makes no sense.
        DoesNotFit: It fails before it has restarted: it never progresses.
    """
    model = _repaired(failures(asked.profile, asked.num_gpus, asked.arrivals), asked.repair_factor)
    phases = asked.growth or (Phase(num_gpus=asked.num_gpus, speed=1.0, starts_s=(0.0,) * 3),)
    eras = tuple(_era(asked, model, one) for one in phases)
    for era in eras:
        require_progress(asked, era)
    found = Scenario(
        failures=model,
        policy=_policy(asked, eras[-1]),
        eras=eras,
        starts=np.array([one.starts_s for one in phases]),
        work_s=asked.work_s,
        horizon_s=np.inf if asked.days is None else asked.days * SECONDS_PER_DAY,
        step_s=asked.step_s,
        planned_every_s=_planned_every_s(asked),
        planned_s=asked.profile.planned_s if asked.planned_s is None else asked.planned_s,
    )
    _require_an_end(found)
    return found


def _repaired(model: Failures, factor: float) -> Failures:
    return model if factor == 1 else replace(model, repair=model.repair * factor)


def _era(asked: Asked, model: Failures, phase: Phase) -> Era:
    saved = asked.saved()
    load_s = float(saved.write_s) * asked.num_gpus / phase.num_gpus  # read as fast as written
    found = stages(asked.profile, phase.num_gpus, load_s, warm=asked.policy == "warm")
    if asked.restart_factor != 1:
        found = replace(found, launch=found.launch * asked.restart_factor)
    return Era(
        num_gpus=phase.num_gpus,
        gap_s=model.gap_s(phase.num_gpus),
        stages=found,
        speed=phase.speed,
    )


def _planned_every_s(asked: Asked) -> float:
    every = asked.planned_every_days
    if every is not None:
        return every * SECONDS_PER_DAY if every else np.inf
    per_day = asked.profile.planned_per_day
    return SECONDS_PER_DAY / per_day if per_day else np.inf


def cycle_s(asked: Asked, era: Era) -> float:
    """Return the seconds from one checkpoint to the next, as asked for.

    A rule's is never shorter than the storage bears; the plan's is its own training time.
    """
    blocking = asked.blocking_s
    if asked.interval in ("plan", "search"):
        return asked.plan.checkpoint.interval_s + blocking
    if isinstance(asked.interval, float | int):
        return float(asked.interval)
    found = interval_of(
        asked.interval,
        gap_s=era.gap_s,
        blocking_s=blocking,
        restart_s=era.stages.total,
        detect_s=asked.profile.detect_s.expected,
    )
    return max(found, float(asked.saved().least_interval_s), blocking * (1.0 + 1e-6))


def best_cycle_s(asked: Asked, era: Era) -> float:
    """Return the best period under exponential failures, by the closed form."""
    return float(optimal_interval_s(era.gap_s, asked.blocking_s))


def _policy(asked: Asked, era: Era) -> Policy:
    blocking, period = asked.blocking_s, cycle_s(asked, era)
    if period <= blocking:
        raise SpecError(
            f"checkpoint: interval_s must be longer than the {blocking:g} s that it stops training,"
            f" got {period:g}",
            field="interval",
        )
    several = asked.memory_every > 1
    training = period - (asked.memory_blocking_s if several else blocking)
    if training <= 0:
        raise SpecError(
            f"--interval must be longer than the {asked.memory_blocking_s:g} s of a copy in memory,"
            f" got {period:g}",
            field="interval",
        )
    total = asked.memory_every * period + (blocking if several else 0.0)
    return Policy(
        kind=asked.policy,
        training_s=training,
        blocking_s=blocking,
        write_s=min(float(asked.saved().write_s), total),
        memory_every=asked.memory_every,
        memory_blocking_s=asked.memory_blocking_s if several else 0.0,
        spares=asked.given_spares,
        evict_after=asked.evict_after,
    )


def down_s(asked: Asked, num_gpus: int) -> float:
    """Return the seconds a failure must not come again in, for a job of a size to go on."""
    elastic = asked.profile.elastic
    if asked.policy == "elastic" and elastic:
        return elastic.stall_s
    load_s = float(asked.saved().write_s) * asked.num_gpus / num_gpus
    found = stages(asked.profile, num_gpus, load_s, warm=asked.policy == "warm")
    return found.total


def require_progress(asked: Asked, era: Era) -> None:
    """Refuse a job whose failures come faster than it restarts.

    Raises:
        DoesNotFit: Says so, with the largest size that would progress.
    """
    gap = mtbf_s(asked.profile, era.num_gpus).expected
    down = down_s(asked, era.num_gpus)
    if gap > down:
        return
    largest = largest_that_progresses(asked, era.num_gpus)
    told = f"at most {largest:,} GPUs would" if largest else "no smaller size would either"
    raise DoesNotFit(
        f"the job never progresses: {era.num_gpus:,} GPUs fail every {gap:.0f} s and take "
        f"{down:.0f} s to restart; {told} (profile {asked.profile.name}, policy {asked.policy})"
    )


def largest_that_progresses(asked: Asked, num_gpus: int) -> int:
    """Return the largest size in whole servers that fails less often than it restarts; 0: none."""
    per_node = asked.profile.gpus_per_node
    low, high = 0, num_gpus // per_node
    while high - low > 1:
        middle = (low + high) // 2
        size = middle * per_node
        if mtbf_s(asked.profile, size).expected > down_s(asked, size):
            low = middle
        else:
            high = middle
    return low * per_node


def _require_an_end(found: Scenario) -> None:
    """Refuse a run that planned stops never let train, or with more events than anyone waits for.

    Raises:
        DoesNotFit: A planned stop takes longer than the time to the next one.
        SpecError: Asks for fewer days.
    """
    last, every = found.last, found.planned_every_s
    stop = found.planned_s + max(era.stages.total for era in found.eras)
    if every <= stop:
        raise DoesNotFit(
            f"the job never progresses: a planned stop every {every:.0f} s takes {stop:.0f} s"
        )
    share = np.exp(-last.stages.total / last.gap_s) * (1.0 - stop / every)
    span = min(found.horizon_s, found.work_s / max(float(share), 1e-3) + float(found.starts.max()))
    events = span / min(last.gap_s, found.planned_every_s)
    if events > MOST_EVENTS:
        raise SpecError(
            f"--days must be smaller: {span / SECONDS_PER_DAY:,.0f} days hold {events:,.0f} events "
            f"for each seed, at most {MOST_EVENTS:,} can be simulated",
            field="days",
        )
