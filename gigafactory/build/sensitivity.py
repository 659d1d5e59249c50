"""What decides the end of a project: what a day is worth in each task, and how far each swings it.

    buys     mean days by which the end moves when a task takes one day less
    swing    mean end with the task at the tenth of its own days, and at nine tenths
    risk     mean end if the risk never happens, and if it always does
    choice   mean end of the courses that took the best branch, and of those that took the worst

But for choices all else is drawn alike in both, so nothing of a difference is chance.
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
    decisive = [
        (node, name)
        for node, name in enumerate(courses.network.names)
        if courses.criticality[node] and np.ptp(courses.days[node]) > 0
    ]
    found = [_task_swing(project, courses, node, name) for node, name in decisive]
    number = {name: node for node, name in enumerate(courses.network.names)}
    for row, (name, risk) in enumerate(project.risks.items()):
        nodes = [number[task] for task in risk.tasks]
        found.append(_risk_swing(project, courses, row, nodes, name))
    found += [
        _choice_swing(courses, node, name)
        for node, name in enumerate(courses.network.names)
        if name in project.alternatives and project.alternatives[name].weights
    ]
    return sorted(found, key=lambda swing: -swing.days)


def _task_swing(project: Project, courses: Courses, node: int, name: str) -> Swing:
    ends = []
    for days in np.quantile(courses.days[node], [TENTH, 1 - TENTH]):
        changed = courses.days.copy()
        changed[node] = days
        ends.append(float(end_with(project, courses, changed).mean()))
    return Swing(name=name, low_days=ends[0], high_days=ends[1])


def _risk_swing(project: Project, courses: Courses, row: int, nodes: list[int], name: str) -> Swing:
    hit, delay = courses.hit[row], courses.delay[row]
    without, certain = courses.days.copy(), courses.days.copy()
    for node in nodes:
        without[node] -= delay * hit
        certain[node] += delay * ~hit
    ends = [float(end_with(project, courses, days).mean()) for days in (without, certain)]
    return Swing(name=f"risk: {name}", low_days=ends[0], high_days=ends[1])


def _choice_swing(courses: Courses, node: int, name: str) -> Swing:
    end, finish = courses.finish[courses.network.end], courses.finish
    taken = [finish[branch] == finish[node] for branch in courses.network.before[node]]
    means = [float(end[mask].mean()) for mask in taken if mask.any()]
    return Swing(name=f"choice: {name}", low_days=min(means), high_days=max(means))
