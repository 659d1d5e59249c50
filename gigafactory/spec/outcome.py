"""What a simulated run came to, over many seeds: the other half of a promise."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from gigafactory.spec.base import Spec

LOSSES = ("detect", "restart", "rework", "checkpoint", "degraded", "waiting", "idle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution(Spec):
    """A number over all seeds."""

    mean: float
    p05: float
    p10: float
    p50: float
    p90: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointOutcome(Spec):
    """How the run saves its state.

    Attributes:
        interval_s: From one checkpoint to the next, its blocking part included.
        optimal_interval_s: The best one under exponential failures.
        blocking_s: Training stands still this long for one.
        total_bytes: Of one checkpoint.
        rule: Where the interval comes from.
    """

    interval_s: float
    optimal_interval_s: float
    blocking_s: float
    total_bytes: float
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareOutcome(Spec):
    """Servers that stand in for those under repair.

    Attributes:
        given: Servers beside the job's own; None for as many as it took.
        left_over: Servers of the cluster that the layout does not use.
        used: Most that were out at once, over the seeds, at most those given.
        enough_p99: With so many, 99 of 100 runs never wait for a repair.
    """

    given: int | None
    left_over: int
    used: Distribution
    enough_p99: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOutcome(Spec):
    """Facility power over the whole run.

    Attributes:
        mean_w: Over time and seeds.
        p99_w: Reached or passed in one second of a hundred.
        swing_w: Step of the IT power when the whole job stops or starts.
        step_swing_w: The same within one training step.
        step_frequency_hz: How often that comes.
    """

    mean_w: float
    p99_w: float
    swing_w: float
    step_swing_w: float
    step_frequency_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing(Spec):
    """The end of the run when one assumption alone takes its low and its high value."""

    what: str
    low: str
    high: str
    low_days: float
    high_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Spec):
    """One plan, simulated.

    Attributes:
        days: Longest simulated time: what was asked for, or until the last seed ended.
        interruptions: Unexpected ones.
        causes: The same by cause.
        rates: Failures per 1,000 node-days by part of the machine, at the size they were counted.
        mtbf_s: Simulated time over unexpected interruptions.
        goodput: Share of the time since the start whose training counted.
        lost_fraction: Mean shares that did not; with the mean goodput they sum to 1.
        finish: P10, P50, P90 of the last day of training.
        finish_days: The same of every seed, in days after the start.
        power: None where nobody published the servers' power.
        assumptions: What was taken for granted, and where from.
    """

    seeds: int
    days: float
    num_gpus: int
    start: dt.date
    policy: str
    profile: str
    interruptions: Distribution
    causes: dict[str, Distribution] = field(hash=False)
    rates: dict[str, float] = field(hash=False)
    mtbf_s: float
    goodput: Distribution
    lost_fraction: dict[str, float] = field(hash=False)
    checkpoint: CheckpointOutcome
    spares: SpareOutcome
    finish: tuple[dt.date, dt.date, dt.date]
    finish_days: tuple[float, ...] = field(repr=False)
    power: PowerOutcome | None
    swings: tuple[Swing, ...] = ()
    assumptions: tuple[tuple[str, str], ...] = ()
