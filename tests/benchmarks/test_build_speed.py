"""How fast a building project is sampled, on one core: CPU seconds, by pytest-benchmark.

122 activities of the shape of PSPLIB's j120 (a start, an end, one to three successors each) and
100,000 courses, criticality of every activity included. `make bench` prints the table; under
`make test` each runs once, and nothing is asserted of a time.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any, Final

import numpy as np
import pytest

from gigafactory.build.montecarlo import courses
from gigafactory.spec.duration import Duration, fixed
from gigafactory.spec.project import Milestone, Project, Task

ACTIVITIES: Final = 122
SAMPLES: Final = 100_000
REACH: Final = 15  # how far on, in the order of time, a successor stands


def duration(rng: np.random.Generator, kind: str) -> Duration:
    low, mode, high = np.cumsum(rng.uniform(1.0, 10.0, 3))
    if kind == "lognormal":
        return Duration(kind=kind, mean_days=float(mode), sd_days=float(mode) / 3)
    return Duration(kind=kind, low_days=float(low), mode_days=float(mode), high_days=float(high))


def made(kinds: tuple[str, ...]) -> Project:
    """Return a project of 122 activities, of these kinds in turn."""
    rng = np.random.default_rng(120)
    before: dict[int, set[int]] = {node: set() for node in range(ACTIVITIES)}
    for node in range(1, ACTIVITIES - 1):
        last = min(node + REACH, ACTIVITIES - 1)
        for _ in range(int(rng.integers(1, 4))):
            before[int(rng.integers(node + 1, last + 1))].add(node)
        before[node] = before[node] or {0}
    tasks = {
        f"t{node}": Task(
            duration=duration(rng, kinds[node % len(kinds)])
            if 0 < node < ACTIVITIES - 1
            else fixed(0.0),
            after=tuple(f"t{one}" for one in sorted(before[node])),
        )
        for node in range(ACTIVITIES)
    }
    end = Milestone(num_gpus=1, when=f"t{ACTIVITIES - 1}")
    start = dt.date(2024, 1, 1)
    return Project(name="made", title="Made", start=start, phases=(end,), tasks=tasks)


@pytest.mark.benchmark(group="122 activities x 100,000 courses", timer=time.process_time)
@pytest.mark.parametrize(
    "kinds", [("triangular", "pert", "lognormal"), ("triangular",), ("pert",)], ids="-".join
)
def test_courses_of_a_large_project(benchmark: Any, kinds: tuple[str, ...]) -> None:
    project = made(kinds)
    found = benchmark(lambda: courses(project, SAMPLES, np.random.default_rng(0)))
    assert found.end.shape == (SAMPLES,)
    assert found.criticality[found.network.end] == 1.0
