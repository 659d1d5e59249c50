"""How a run goes, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from gigafactory.run.launch import Job
    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult, StepRecord

LOOK_S: Final = 0.25
LINES: Final = 10  # in a run, where there is no terminal


def shown(folder: RunFolder, plan: Plan, job: Job) -> RunResult:
    """Return how a job ended, showing its steps meanwhile."""
    steps = math.ceil(plan.job.tokens / plan.layout.tokens_per_step)
    return _bar(folder, steps, job) if sys.stderr.isatty() else _lines(folder, steps, job)


def _bar(folder: RunFolder, steps: int, job: Job) -> RunResult:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=steps)
        while True:
            result = job.wait(LOOK_S)
            last = _last(folder)
            if last is not None:
                progress.update(task, completed=last.step, description=f"loss {last.loss:.4f}")
            if result is not None:
                return result


def _lines(folder: RunFolder, steps: int, job: Job) -> RunResult:
    due = every = max(steps // LINES, 1)
    while True:
        result = job.wait(LOOK_S)
        last = _last(folder)
        if last is not None and last.step >= due:
            typer.echo(f"step {last.step:,} of {steps:,}, loss {last.loss:.4f}", err=True)
            due = last.step // every * every + every
        if result is not None:
            return result


def _last(folder: RunFolder) -> StepRecord | None:
    steps = folder.steps()
    return steps[-1] if steps else None
