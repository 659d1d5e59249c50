"""What decides the end of a project: what a day is worth in each task, and how far each swings it.

    buys     mean days by which the end moves when a task takes one day less
    swing    mean end where the task is among its shortest tenth, and among its longest tenth
    risk     mean end where the risk does not happen, and where it does

Swings hold all else as it falls, so tasks with a common risk share what it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.build.montecarlo import Courses, end_with

if TYPE_CHECKING:
    from gigafactory.spec.project import Project

Floats = NDArray[np.float64]

TENTH: Final = 0.1
CUT_DAYS: Final = 1.0
FEWEST: Final = 20  # courses of either kind, below which a risk's swing would be noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """How far one task or risk moves the mean end.

    Attributes:
        low_days: Mean end, in days after the start, where it goes well.
        high_days: The same where it goes badly.
    """

    name: str
    low_days: float
    high_days: float

    @property
    def days(self) -> float:
        """Width of the swing."""
        return self.high_days - self.low_days


def day_bought(project: Project, courses: Courses) -> dict[str, float]:
    """Return by how many days the mean end moves when each task takes one day less, by name."""
    base, bought = courses.finish[courses.network.end], {}
    for node, name in enumerate(courses.network.names):
        if courses.network.alternative[node]:
            continue
        if not courses.criticality[node]:
            bought[name] = 0.0
            continue
        days = courses.days.copy()
        days[node] = np.maximum(days[node] - CUT_DAYS, 0.0)
        bought[name] = float((base - end_with(project, courses, days)).mean())
    return bought


def swings(project: Project, courses: Courses) -> list[Swing]:
    """Return how far each task and risk moves the mean end, widest first."""
    end = courses.finish[courses.network.end]
    found = [
        _task_swing(name, courses.days[node], end)
        for node, name in enumerate(courses.network.names)
        if courses.days[node].min() < courses.days[node].max() and courses.criticality[node]
    ]
    for row, name in enumerate(project.risks):
        hit = courses.hit[row]
        if FEWEST <= hit.sum() <= len(hit) - FEWEST:
            means = float(end[~hit].mean()), float(end[hit].mean())
            found.append(Swing(name=f"risk: {name}", low_days=means[0], high_days=means[1]))
    return sorted(found, key=lambda swing: -abs(swing.days))


def _task_swing(name: str, days: Floats, end: Floats) -> Swing:
    low, high = np.quantile(days, [TENTH, 1 - TENTH])
    return Swing(
        name=name,
        low_days=float(end[days <= low].mean()),
        high_days=float(end[days >= high].mean()),
    )
