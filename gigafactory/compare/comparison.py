"""A plan and its run side by side: own run folders, or logs of other engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gigafactory.catalog import files
from gigafactory.compare.gap import Gap, step_gap, wall_gap
from gigafactory.compare.measured import Measured, measure_log, measure_run
from gigafactory.compare.promised import Promised, promised
from gigafactory.errors import SpecError
from gigafactory.run.ledger import history
from gigafactory.run.logs import read_log
from gigafactory.run.record import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was promised against what happened.

    Attributes:
        name: Of the run or its logs.
        engine: "gigafactory", or the format of the logs.
        step: The gap of the step time.
        wall: The gap of wall time per step that counted; None of a log.
    """

    name: str
    engine: str
    promised: Promised
    measured: Measured
    step: Gap
    wall: Gap | None

    @property
    def relative_error(self) -> float:
        """Predicted over measured step time, less 1."""
        return self.promised.step_time_s.expected / self.measured.pace.mean_s - 1.0

    @property
    def inside(self) -> bool:
        """Whether the measured step lies in the plan's interval."""
        step_s = self.promised.step_time_s
        return step_s.low <= self.measured.pace.mean_s <= step_s.high


def of_run(path: Path) -> Comparison:
    """Return a run folder beside its plan.

    Raises:
        SpecError: No run, no step to measure, or a plan that cannot be priced.
    """
    folder = RunFolder(path)
    folder.require()
    steps = folder.steps()
    if not steps:
        raise SpecError(f"{path}: run has no step yet", field="run")
    ours = promised(folder.plan(), folder.training())
    events = folder.events()
    told = history(steps, events, folder.lost_steps())
    try:
        measured = measure_run(steps, events, told)
    except SpecError as error:
        raise SpecError(f"{path}: {error}", field="run") from None
    return _compared(path.resolve().name, "gigafactory", ours, measured)


def of_log(plan: Path, logs: Sequence[Path]) -> Comparison:
    """Return the logs of another engine beside a plan.

    Raises:
        SpecError: A file at fault, or a run that is not the plan's.
    """
    ours = promised(files.read_plan(plan))
    log = read_log(logs)
    return _compared(log.name, log.format, ours, measure_log(log, ours))


def _compared(name: str, engine: str, ours: Promised, measured: Measured) -> Comparison:
    return Comparison(
        name=name,
        engine=engine,
        promised=ours,
        measured=measured,
        step=step_gap(ours, measured),
        wall=wall_gap(ours, measured),
    )
