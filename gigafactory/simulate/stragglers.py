"""What slows a recorded run down, asked by replaying it with other durations.

Ideal is the step in which every operation takes its kind's typical time: the mean for work that a
worker does alone, the median for what it does with others once waiting is taken off (transfers are
heavy-tailed; a flap of one link says nothing about the others). Slowdown S = replayed / ideal.

Of each suspect two questions: how long is the step with the suspect alone made ideal (`removed_s`),
and with all the rest made ideal (`added_s`)? The share of the slowdown that it explains is
(replayed - removed) / (replayed - ideal). Shares do not add up to one: a wait has more than one
cause, and taking one away may uncover another.

A pass is long because its stage holds more of the model, its worker is slow, or its data are more:

    pass = stage mean x (worker mean / stage mean) x (pass / worker mean)

`uneven` asks the two questions of each factor. A stage's mean is the median of its workers', so one
slow machine does not count as a long stage; a worker's is drawn to it as far as chance explains the
difference (random effects, by moments), so unequal data do not count as slow machines.
Source: Lin et al., "Understanding Stragglers in Large Model Training Using What-if Analysis",
OSDI 2025; the three factors are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from gigafactory.cost.operation_replay import COMPUTE, replayed_steps_s
from gigafactory.cost.schedule import KINDS
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from gigafactory.simulate.traces import Trace

    Floats = NDArray[np.float64]
    Seconds = Mapping[str, Floats]
    Chosen = Callable[[str], NDArray[np.bool_]]

Factor = Literal["stages", "workers", "passes"]
ALONE: Final = (*COMPUTE.values(), "gc", "optimizer")  # all else is done together with others
STRAGGLING: Final = 1.1  # slowdown from which the source calls a job straggling
EXPLAINED: Final = 0.5  # share from which it calls a suspect the cause
WORST_SHARE: Final = 0.03  # of the workers: the source's measure for "a few slow machines"
FACTORS: Final[tuple[Factor, ...]] = ("stages", "workers", "passes")
NAMED: Final = 10  # workers that are told one by one
Cause = Literal["stages", "workers", "passes", "none", "unexplained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """What one part of a run does to its step.

    Attributes:
        removed_s: Seconds of the step with this part ideal, the rest as recorded.
        added_s: Seconds of the step with this part as recorded, the rest ideal.
        share: Part of the slowdown that goes with it; 0 where there is no slowdown.
        slowdown: What it does alone: added_s over the ideal step.
    """

    removed_s: float
    added_s: float
    share: float
    slowdown: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A recorded run taken apart; all seconds are means over its steps.

    Attributes:
        replayed_s: The step replayed as recorded, without the host's gaps between operations.
        ideal_s: The step with every operation at its typical time.
        step_slowdowns: S of every step.
        typical_s: Typical seconds by operation.
        operations: By kind of operation.
        stages: By stage.
        replica_slowdowns: What each replica alone does.
        workers: The slowest, (stage, replica), by what each does alone.
        worst_workers: The worst `WORST_SHARE` of the workers together, `worst_count` of them.
        uneven: What it does that stages, workers of a stage, passes of a worker are not alike.
        last_stage: The last stage; None where there is one only.
        forward_backward_correlation: Of the seconds of a microbatch's two passes, less their
            worker's means; near 1 where the data, not the machine, makes them long.
    """

    name: str
    steps: int
    recorded_s: float
    replayed_s: float
    ideal_s: float
    clock_skew_s: float
    step_slowdowns: tuple[float, ...]
    typical_s: dict[str, float] = field(hash=False)
    operations: dict[str, Suspect] = field(hash=False)
    stages: tuple[Suspect, ...]
    replica_slowdowns: tuple[float, ...]
    workers: dict[tuple[int, int], Suspect] = field(hash=False)
    worst_workers: Suspect
    worst_count: int
    uneven: dict[Factor, Suspect] = field(hash=False)
    last_stage: Suspect | None
    forward_backward_correlation: float

    @property
    def slowdown(self) -> float:
        """S, the replayed step over the ideal one."""
        return self.replayed_s / self.ideal_s

    @property
    def cause(self) -> Cause:
        """Which factor explains most, where the run straggles and one explains half of it."""
        if self.slowdown < STRAGGLING:
            return "none"
        best = max(self.uneven, key=lambda factor: self.uneven[factor].share)
        return best if self.uneven[best].share >= EXPLAINED else "unexplained"


def what_if(trace: Trace) -> WhatIf:
    """Return what a recorded run would be without its stragglers, and who they are.

    Replays: two per stage, kind of operation and named worker, one per replica.

    Raises:
        SpecError: Operations that take no time.
    """
    study = _Study(trace)
    stages = tuple(study.suspect(_at(study, stage=s)) for s in range(trace.stages))
    replicas = tuple(study.slowdown(_at(study, replica=r)) for r in range(trace.replicas))
    ranked = _ranked_workers(stages, replicas)
    worst = ranked[: -int(-len(ranked) * WORST_SHARE // 1)]
    return WhatIf(
        name=trace.name,
        steps=len(trace.steps),
        recorded_s=float(trace.recorded_s.mean()),
        replayed_s=study.replayed_s,
        ideal_s=study.ideal_s,
        clock_skew_s=trace.clock_skew_s,
        step_slowdowns=study.step_slowdowns,
        typical_s=study.typical_s,
        operations={name: study.suspect(_of(name)) for name in trace.seconds},
        stages=stages,
        replica_slowdowns=replicas,
        workers=_named(study, ranked[:NAMED]),
        worst_workers=study.suspect(_at_any(study, worst)),
        worst_count=len(worst),
        uneven=_uneven(study),
        last_stage=stages[-1] if trace.stages > 1 else None,
        forward_backward_correlation=_correlation(trace),
    )


class _Study:
    """A trace beside its ideal."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.recorded = trace.seconds
        self.typical_s = {name: _typical_s(name, x) for name, x in trace.seconds.items()}
        self.ideal = {
            name: np.where(np.isnan(x), np.nan, self.typical_s[name])
            for name, x in trace.seconds.items()
        }
        ideal = replayed_steps_s(self.ideal, trace.orders)
        replayed = replayed_steps_s(self.recorded, trace.orders)
        self.ideal_s, self.replayed_s = float(ideal.mean()), float(replayed.mean())
        if not self.ideal_s > 0.0:
            raise SpecError(f"{trace.name}: duration: operations must take time, all take none")
        self.step_slowdowns = tuple(float(x) for x in replayed / ideal)

    def step_s(self, seconds: Seconds) -> float:
        """Return the mean seconds of a step with other durations."""
        return float(replayed_steps_s(seconds, self.trace.orders).mean())

    def suspect(self, chosen: Chosen) -> Suspect:
        """Return what the chosen operations do."""
        return self.between(
            _mixed(self.ideal, self.recorded, chosen), _mixed(self.recorded, self.ideal, chosen)
        )

    def between(self, removed: Seconds, added: Seconds) -> Suspect:
        """Return what a change does, by the run without it and the ideal run with it."""
        removed_s, added_s = self.step_s(removed), self.step_s(added)
        lost_s = self.replayed_s - self.ideal_s
        return Suspect(
            removed_s=removed_s,
            added_s=added_s,
            share=(self.replayed_s - removed_s) / lost_s if lost_s > 0.0 else 0.0,
            slowdown=added_s / self.ideal_s,
        )

    def slowdown(self, chosen: Chosen) -> float:
        """Return what the chosen operations do alone."""
        return self.step_s(_mixed(self.recorded, self.ideal, chosen)) / self.ideal_s


def _typical_s(name: str, seconds: Floats) -> float:
    return float(np.nanmean(seconds) if name in ALONE else np.nanmedian(seconds))


def _mixed(these: Seconds, others: Seconds, chosen: Chosen) -> dict[str, Floats]:
    """Return durations, of the chosen operations from `these`, of all else from `others`."""
    return {name: np.where(chosen(name), x, others[name]) for name, x in these.items()}


def _of(operation: str) -> Chosen:
    return lambda name: np.array(name == operation)


def _at(study: _Study, stage: int | None = None, replica: int | None = None) -> Chosen:
    """Choose all operations of a stage, of a replica, or of the worker that both make."""
    mask = np.ones((study.trace.stages, 1, 1, study.trace.replicas), dtype=np.bool_)
    if stage is not None:
        mask &= (np.arange(study.trace.stages) == stage)[:, None, None, None]
    if replica is not None:
        mask &= np.arange(study.trace.replicas) == replica
    return lambda _: mask


def _at_any(study: _Study, workers: list[tuple[int, int]]) -> Chosen:
    mask = np.zeros((study.trace.stages, 1, 1, study.trace.replicas), dtype=np.bool_)
    for stage, replica in workers:
        mask[stage, ..., replica] = True
    return lambda _: mask


def _ranked_workers(
    stages: tuple[Suspect, ...], replicas: tuple[float, ...]
) -> list[tuple[int, int]]:
    """Return all workers, the slowest first, by the lesser of their stage's and replica's slowdown.

    A slow worker slows its stage and its replica; a replay for each would take hours where there
    are thousands.
    """
    score = {
        (s, r): min(stage.slowdown, replica)
        for s, stage in enumerate(stages)
        for r, replica in enumerate(replicas)
    }
    return sorted(score, key=lambda worker: (-score[worker], worker))


def _named(study: _Study, workers: list[tuple[int, int]]) -> dict[tuple[int, int], Suspect]:
    found = {(s, r): study.suspect(_at(study, stage=s, replica=r)) for s, r in workers}
    return dict(sorted(found.items(), key=lambda item: -item[1].slowdown))


def _uneven(study: _Study) -> dict[Factor, Suspect]:
    """Return what each of a pass's three factors does."""
    factors = {name: _factors(study.trace, study.recorded[name]) for name in COMPUTE.values()}
    return {one: _without(study, {name: x[one] for name, x in factors.items()}) for one in FACTORS}


def _without(study: _Study, factors: Seconds) -> Suspect:
    """Return what a factor of the passes does: the run divided by it, the ideal times it."""
    even, uneven = dict(study.recorded), dict(study.ideal)
    for name, factor in factors.items():
        even[name] = np.where(factor > 0.0, even[name] / np.where(factor > 0.0, factor, 1.0), 0.0)
        uneven[name] = uneven[name] * factor
    return study.between(even, uneven)


def _factors(trace: Trace, seconds: Floats) -> dict[Factor, Floats]:
    """Return what each pass takes by its stage, its worker and itself, each [stage, slot, ...]."""
    split = _by_chunk(trace, seconds)
    means = split.mean(axis=(2, 3), keepdims=True)
    stage = np.median(means, axis=4, keepdims=True)
    chance = split.var(axis=(2, 3), keepdims=True) / (split.shape[2] * split.shape[3])
    between = np.square(means - stage).mean(axis=4, keepdims=True)
    real = np.clip(1.0 - _ratio(chance.mean(axis=4, keepdims=True), between), 0.0, 1.0)
    worker = stage + real * (means - stage)
    found: dict[Factor, Floats] = {
        "stages": _ratio(stage, stage.mean()),
        "workers": _ratio(worker, stage),
        "passes": _ratio(split, worker),
    }
    return {
        name: np.broadcast_to(x, split.shape).reshape(seconds.shape) for name, x in found.items()
    }


def _ratio(above: Floats, below: Floats | np.floating[Any]) -> Floats:
    """Return above / below, 1 where below is 0."""
    below = np.broadcast_to(below, above.shape)
    return np.divide(above, below, out=np.ones_like(above), where=below > 0.0)


def _by_chunk(trace: Trace, seconds: Floats) -> Floats:
    """Return passes by [stage, chunk, microbatch, step, replica]."""
    chunks = 1 + max(chunk for _, chunk, _ in trace.orders[0])
    return seconds.reshape(trace.stages, chunks, -1, *seconds.shape[2:])


def _correlation(trace: Trace) -> float:
    """Return how far a microbatch's forward and backward pass are long together, -1 to 1."""
    apart = []
    for kind in KINDS:
        seconds = _by_chunk(trace, trace.seconds[COMPUTE[kind]])
        apart.append((seconds - seconds.mean(axis=(2, 3), keepdims=True)).ravel())
    norm = float(np.linalg.norm(apart[0]) * np.linalg.norm(apart[1]))
    return float(apart[0] @ apart[1]) / norm if norm > 0.0 else 0.0
