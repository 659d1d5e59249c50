"""What the grid sees of one told seed: its power, with filler work, battery and ramp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gigafactory.simulate.power import Grid, GridTrace
from gigafactory.units import J_PER_MWH

if TYPE_CHECKING:
    from gigafactory.simulate.power import Levels, Smoothing
    from gigafactory.simulate.teller import Told


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
