"""Building projects made for tests: a task is `name: (duration, what it waits for)`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from gigafactory.spec.duration import Duration, fixed
from gigafactory.spec.project import Milestone, Project, Task

START = dt.date(2024, 1, 1)  # a Monday
Tasks = Mapping[str, tuple[float | Duration, Sequence[str]]]


def project(work: Tasks, /, done: str = "", **more: Any) -> Project:
    """Return a project that ends with its last task, or with `done`."""
    made = {
        name: Task(
            duration=days if isinstance(days, Duration) else fixed(float(days)), after=tuple(after)
        )
        for name, (days, after) in work.items()
    }
    made |= more.pop("tasks", {})
    end = Milestone(num_gpus=8, when=done or list(made)[-1])
    fields: dict[str, Any] = {"name": "made", "title": "Made", "start": START}
    return Project(**{**fields, "phases": (end,), "tasks": made, **more})


def ended(tasks: Tasks) -> dict[str, tuple[float | Duration, Sequence[str]]]:
    """Return the tasks with one more, `end`, that waits for all."""
    return {**tasks, "end": (0.0, tuple(tasks))}
