"""The power of one simulated seed as a table: each second around events, each hour between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gigafactory.simulate.power import around, sampled

if TYPE_CHECKING:
    from gigafactory.simulate.power import GridTrace
    from gigafactory.simulate.teller import Told


def power_table(told: Told, trace: GridTrace) -> str:
    """Return CSV with columns time_s (after the job's start), load_w, grid_w, battery_w."""
    at = times(told)
    load, grid = sampled(trace, at)
    lines = ["time_s,load_w,grid_w,battery_w"]
    columns = zip(at.tolist(), load.tolist(), grid.tolist(), (load - grid).tolist(), strict=True)
    lines += [f"{t:.0f},{a:.0f},{b:.0f},{c:.0f}" for t, a, b, c in columns]
    return "\n".join(lines) + "\n"


def times(told: Told) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the seconds at which a story's power is sampled."""
    end = told.first_s + told.wall_s
    found = around(np.array(told.struck_s), end)
    return found[found >= told.first_s]
