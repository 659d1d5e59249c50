"""What the grid sees: watts by what the job does, swings, and what smooths them.

A job that trains draws its servers' training power; in detection, restart, waiting, checkpoints and
exposed communication they fall near idle. Against a limit on how fast the grid's power may change,

    |dP/dt| <= r,   battery = load - grid,   |battery| <= P_b,   stored energy in 0..E_b,

a step of size D takes a battery of power D for the first moment and D^2 / (2 r) of energy. What is
above its power reaches the grid at once; when it runs out, sqrt(D^2 - 2 r E) does. While the grid
carries the load alone the battery is brought back to half full, by a twentieth of its power at
most, which is left out of the grid's own trace. Filler work keeps healthy servers at a share of
their training power while they wait. Ignored: conversion losses, and transients below the length
of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost import power
from gigafactory.plan.promise import server_share
from gigafactory.spec.base import Spec, fault, require_positive
from gigafactory.spec.outcome import PowerOutcome

if TYPE_CHECKING:
    from gigafactory.simulate.runs import Course
    from gigafactory.simulate.scenario import Asked
    from gigafactory.spec.site import Site

Floats = NDArray[np.float64]

EXPOSED: Final = ("tensor_comm", "context_comm", "expert_comm", "pipeline_comm", "data_comm",
                  "pipeline_bubble", "jitter")  # fmt: skip
SMALL_STEP: Final = 1e-6  # of the load; below it a step is rounding
TRIM_SHARE: Final = 0.05  # of the battery's power, to bring it back to half full


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Facility power of the whole cluster by what the job does.

    Attributes:
        training_w: Mean over a step.
        quiet_w: Every server of the job near idle.
        it_swing_w: IT power between compute and quiet, all servers of the job.
        step_swing_w: IT power between compute and exposed communication within a step.
        step_s: One step.
    """

    training_w: float
    quiet_w: float
    it_swing_w: float
    step_swing_w: float
    step_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing(Spec):
    """What stands between the machine and the grid.

    Attributes:
        ramp_w_per_s: Fastest change the grid is given; None for any.
        battery_w: Power of the battery.
        battery_j: Its energy; half full at the start.
        filler_share: Share of training power that waiting servers keep up; 0 for none.
    """

    ramp_w_per_s: float | None = None
    battery_w: float = 0.0
    battery_j: float = 0.0
    filler_share: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "ramp_w_per_s")
        require_positive(self, "battery_w", "battery_j", "filler_share", zero=True)
        if self.filler_share > 1:
            raise fault(self, "filler_share", self.filler_share, "must be at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridTrace:
    """Power as straight lines between points.

    Attributes:
        time_s: Points in time; a step stands as two of the same.
        load_w: What the machine draws.
        grid_w: What the grid gives; the battery the rest.
        steps_w: Steps that passed the battery, absolute.
        largest_battery_w: Highest power of the battery, either way.
    """

    time_s: Floats
    load_w: Floats
    grid_w: Floats
    steps_w: Floats
    largest_battery_w: float


def levels(asked: Asked, site: Site) -> Levels | None:
    """Return the power of the cluster by what the job does; None where no figure is published."""
    server = server_share(asked.plan.cluster)
    if server is None:
        return None
    total, used = asked.plan.cluster.num_gpus, asked.num_gpus
    overhead, pue = power.NETWORK_AND_STORAGE.expected, site.pue.expected

    def facility(busy_w: float) -> float:
        drawn = power.servers_w(total, used, busy_w, server.idle_w)
        return float(power.facility_power_w(drawn, overhead, pue))

    parts = asked.prediction.breakdown_s
    exposed = sum(getattr(parts, name) for name in EXPOSED) / parts.total_s
    # The mean of a step is the training power, so compute lies above it: at most the nameplate.
    computing = min(
        (server.training_w - exposed * server.idle_w) / max(1.0 - exposed, 1e-9), server.nameplate_w
    )
    return Levels(
        training_w=facility(server.training_w),
        quiet_w=facility(server.idle_w),
        it_swing_w=float(power.swing_w(used, server.training_w, server.idle_w)),
        step_swing_w=float(power.swing_w(used, computing, server.idle_w)) if exposed else 0.0,
        step_s=asked.step_s,
    )


def power_outcome(found: Levels, course: Course, num_gpus: int) -> PowerOutcome:
    """Return mean, 99th percentile and swings over all seeds.

    GPUs that a phase has not delivered yet draw nothing.

    Args:
        found: Power by what the job does.
        course: What became of the seeds.
        num_gpus: GPUs of the whole job.
    """
    busy = float(course.busy_gpu_s.sum() / num_gpus)
    there = float(course.gpu_s.sum() / num_gpus)
    passed = float(course.wall_s.sum())
    mean = (busy * found.training_w + max(there - busy, 0.0) * found.quiet_w) / max(passed, 1e-9)
    return PowerOutcome(
        mean_w=mean,
        p99_w=found.training_w if busy > 0.01 * passed else found.quiet_w,
        swing_w=found.it_swing_w,
        step_swing_w=found.step_swing_w,
        step_frequency_hz=1.0 / found.step_s,
    )


class Grid:
    """Follows a load within its ramp, from one constant load to the next.

    >>> grid = Grid(100.0, Smoothing(ramp_w_per_s=10.0, battery_w=1e3, battery_j=1e6))
    >>> grid.hold(0.0, 5.0, 40.0)
    >>> grid.now_w
    50.0
    """

    def __init__(self, load_w: float, smoothing: Smoothing) -> None:
        self.now_w = load_w
        self.smoothing = smoothing
        self.stored_j = smoothing.battery_j / 2.0
        self.time: list[float] = []
        self.load: list[float] = []
        self.grid: list[float] = []
        self.steps: list[float] = []
        self.largest_battery_w = 0.0

    def hold(self, begin_s: float, end_s: float, load_w: float) -> None:
        """Let the load be constant for a time, and the grid follow it."""
        ramp = self.smoothing.ramp_w_per_s
        gap = load_w - self.now_w
        if ramp is None:
            self.now_w = load_w
            self._point(begin_s, load_w)
        elif gap:
            self._follow(begin_s, end_s, load_w, ramp)
        else:
            self._point(begin_s, load_w)
            self._trim(end_s - begin_s)
        self._point(end_s, load_w)

    def _trim(self, seconds: float) -> None:
        most = TRIM_SHARE * self.smoothing.battery_w * seconds
        missing = self.smoothing.battery_j / 2.0 - self.stored_j
        self.stored_j += min(max(missing, -most), most)

    def _follow(self, begin_s: float, end_s: float, load_w: float, ramp: float) -> None:
        """Ramp towards the load; what the battery cannot give is a step."""
        gap = load_w - self.now_w
        sign = 1.0 if gap > 0 else -1.0
        room = max(self.stored_j if gap > 0 else self.smoothing.battery_j - self.stored_j, 0.0)
        borne = min(abs(gap), self.smoothing.battery_w) if room > 0 else 0.0
        self._step(abs(gap) - borne, load_w)
        self.now_w = load_w - sign * borne
        self._point(begin_s, load_w)
        self.largest_battery_w = max(self.largest_battery_w, borne)
        unspent = borne**2 - 2.0 * ramp * room  # watts squared; above 0 the battery runs out
        lasts = (borne - sqrt(max(unspent, 0.0))) / ramp
        took = min(lasts, end_s - begin_s)
        left = borne - ramp * took
        self.stored_j -= sign * (borne + left) / 2.0 * took
        self.now_w = load_w - sign * left
        if took < end_s - begin_s:
            self._point(begin_s + took, load_w)
            self._step(left, load_w)
            self.now_w = load_w
            self._point(begin_s + took, load_w)
            self._trim(end_s - begin_s - took)

    def _step(self, watts: float, load_w: float) -> None:
        if watts > SMALL_STEP * max(abs(load_w), 1.0):
            self.steps.append(watts)

    def _point(self, time_s: float, load_w: float) -> None:
        self.time.append(time_s)
        self.load.append(load_w)
        self.grid.append(self.now_w)

    def trace(self) -> GridTrace:
        """Return all that was held so far."""
        return GridTrace(
            time_s=np.array(self.time),
            load_w=np.array(self.load),
            grid_w=np.array(self.grid),
            steps_w=np.array(self.steps),
            largest_battery_w=self.largest_battery_w,
        )


def sampled(trace: GridTrace, at_s: Floats) -> tuple[Floats, Floats]:
    """Return load and grid power at some times, by straight lines between the points."""
    load = np.interp(at_s, trace.time_s, trace.load_w)
    return load, np.interp(at_s, trace.time_s, trace.grid_w)


def around(
    events_s: Floats, end_s: float, before_s: float = 30.0, after_s: float = 300.0
) -> Floats:
    """Return every second around some events, and every hour between them."""
    hours = np.arange(0.0, end_s, 3600.0)
    if not len(events_s):
        return np.append(hours, end_s)
    seconds = (np.floor(events_s)[:, None] + np.arange(-before_s, after_s)[None, :]).ravel()
    found = np.concatenate([hours, seconds[(seconds >= 0) & (seconds <= end_s)], [end_s]])
    return np.unique(found)
