"""Starting a run: what is checked first, and the one interface of all that can run it.

A launcher (this machine, Slurm) is an `Executor`: it takes a run folder and gives a `Job`, as
Submitit does. Everything else about a run is read from its folder.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from gigafactory.catalog import files, read
from gigafactory.errors import MissingExtra, SpecError
from gigafactory.run import record
from gigafactory.run.supported import require_supported
from gigafactory.spec.run import Training

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult

DATA = "data"
STOP = "stop"  # a file in the run folder that asks all ranks to stop
MOST_DIFFERENCES = 6


class Job(Protocol):
    """A run that was started."""

    @property
    def job_id(self) -> str:
        """What the launcher calls it."""

    def poll(self) -> bool:
        """Return whether it goes on."""

    def wait(self, timeout_s: float | None = None) -> RunResult | None:
        """Return how it ended; None where it did not within `timeout_s`."""

    def cancel(self, *, now: bool = False) -> None:
        """Ask it to save its state and stop, or end it now."""

    def output(self) -> str:
        """Return what its processes printed."""


class Executor(Protocol):
    """Something that can run a plan."""

    def require_room(self, plan: Plan) -> None:
        """Refuse a plan that does not fit; raises SpecError, saying what would."""

    def submit(self, folder: RunFolder) -> Job:
        """Start, or start again, the run in a folder that was made ready."""


def require_trainer() -> None:
    """Refuse to go on without PyTorch.

    Raises:
        MissingExtra: It is not installed.
    """
    for package in ("torch", "tokenizers"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"run: {package} is needed: pip install 'gigafactory[train]'")


def make_ready(
    folder: RunFolder, plan: Plan, asked: dict[str, Any], executor: Executor, *, resume: bool
) -> Training:
    """Check everything that can be checked, and write what the workers need.

    The folder must be locked by the caller.

    Args:
        folder: Where the run is kept.
        plan: What is trained.
        asked: Fields of `Training` that were asked for.
        executor: What will run it.
        resume: Go on with the run that the folder holds.

    Raises:
        SpecError: The plan cannot be trained or does not fit, the folder holds another run, or
            the data is at fault.
        MissingExtra: PyTorch is not installed.
    """
    require_trainer()
    require_supported(plan)
    executor.require_room(plan)
    training = _resumed(folder, plan, asked) if resume else _new(folder, asked)
    if not resume:
        folder.create(plan, training)
    for name in (record.RESULT, STOP):
        (folder.path / name).unlink(missing_ok=True)
    _prepare_data(folder, plan, training)
    return training


def _new(folder: RunFolder, asked: dict[str, Any]) -> Training:
    if (folder.path / record.PLAN).exists() and folder.events():
        raise SpecError(
            f"{folder.path}: out must be a new folder, it holds a run; --resume goes on with it",
            field="out",
        )
    return Training(**asked)


def _resumed(folder: RunFolder, plan: Plan, asked: dict[str, Any]) -> Training:
    """Return what was asked at the start, where nothing else is asked now."""
    if not (folder.path / record.PLAN).exists():
        raise SpecError(f"{folder.path}: out must hold a run to resume", field="out")
    started = folder.training()
    changed = differences(_flat(folder.path / record.PLAN), _flat_text(files.dumps(plan)))
    now = _flat_text(files.dumps(replace(started, **asked)))
    changed += differences(_flat_text(files.dumps(started)), now)
    if changed:
        raise SpecError(
            f"{folder.path}: a run resumes with the plan and options it started with; changed: "
            f"{'; '.join(changed)}",
            field="resume",
        )
    return started


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what differs between two flat tables, one line each, not more than a few.

    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3})
    ['b was 2, is 3']
    """
    told = [
        f"{key} was {old.get(key, 'absent')}, is {new.get(key, 'absent')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    more = len(told) - MOST_DIFFERENCES
    return told if more <= 0 else [*told[:MOST_DIFFERENCES], f"and {more} more"]


def _flat(path: Path) -> dict[str, Any]:
    return _flattened(read.toml_table(path))


def _flat_text(text: str) -> dict[str, Any]:
    return _flattened(read.parsed_toml(text, "options"))


def _flattened(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


def _prepare_data(folder: RunFolder, plan: Plan, training: Training) -> None:
    """Prepare the data unless an earlier start did."""
    from gigafactory.run.trainer import data, shards

    target = folder.path / DATA
    if (target / shards.MANIFEST).exists():
        return
    data.prepare(training.data, vocab_size=plan.model.vocab_size, seed=training.seed, folder=target)
