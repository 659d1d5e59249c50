"""The run folder: what a run leaves on disk, and what a crash at any moment may cost of it.

    RUN/plan.toml  training.toml  steps.jsonl  lost.jsonl  events.jsonl  result.json
        checkpoints/  lock

One process writes steps (rank 0), every rank and the launcher may write events.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog import files
from gigafactory.errors import CatalogError, SpecError
from gigafactory.run import lines
from gigafactory.spec.run import Event, RunResult, StepRecord, Training

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.plan import Plan

PLAN: Final = "plan.toml"
TRAINING: Final = "training.toml"
STEPS: Final = "steps.jsonl"
LOST: Final = "lost.jsonl"
EVENTS: Final = "events.jsonl"
RESULT: Final = "result.json"
CHECKPOINTS: Final = "checkpoints"
LOCK: Final = "lock"
LOCK_TRIES: Final = 10  # somebody who looks whether the run is live holds the lock for a moment
LOCK_WAIT_S: Final = 0.05


def now() -> str:
    """Return the time, ISO 8601 with microseconds, UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder at `path`."""

    path: Path

    def create(self, plan: Plan, training: Training) -> None:
        """Make the folder and write what was asked.

        Raises:
            CatalogError: A file cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / CHECKPOINTS).mkdir(exist_ok=True)
        files.write_plan(plan, self.path / PLAN)
        files.write_whole(self.path / TRAINING, files.dumps(training))

    def require(self) -> None:
        """Refuse a folder that holds no run.

        Raises:
            SpecError: There is no such folder, or no plan in it.
        """
        if not (self.path / PLAN).is_file():
            what = f"has no {PLAN}" if self.path.is_dir() else "does not exist"
            raise SpecError(f"{self.path}: must be a run folder, {what}", field="run")

    def plan(self) -> Plan:
        """Return the plan of the run."""
        return files.read_plan(self.path / PLAN)

    def training(self) -> Training:
        """Return what was asked of the run beside its plan; the defaults where nothing was.

        Raises:
            CatalogError: The file cannot be read or breaks rules.
        """
        path = self.path / TRAINING
        if not path.is_file():
            return Training()
        return files.loads(Training, path.read_text(encoding="utf-8"))

    def add_step(self, record: StepRecord) -> None:
        """Append a step, whole or not at all.

        Raises:
            OSError: It cannot be written (a full disk).
        """
        lines.append(self.path / STEPS, record)

    def add_event(self, kind: str, **fields: Any) -> None:
        """Append an event that happens now, whole or not at all.

        Raises:
            OSError: It cannot be written (a full disk).
        """
        lines.append(self.path / EVENTS, Event(time=now(), kind=kind, **fields))

    def steps(self) -> list[StepRecord]:
        """Return the steps that count, each number once; a torn line is left out."""
        return lines.read(self.path / STEPS, StepRecord)

    def events(self) -> list[Event]:
        """Return the events written so far, a torn line left out."""
        return lines.read(self.path / EVENTS, Event)

    def lost_steps(self) -> list[StepRecord]:
        """Return the steps that a restart threw away, in the order of their time."""
        return kept_apart(lines.read(self.path / LOST, StepRecord), self.steps())

    def rewind(self, step: int) -> list[StepRecord]:
        """Move the steps after `step`, which are trained again, to the lost ones; return them.

        The lost ones are written first: a crash between the two leaves a step in both files,
        which readers take as one that counts until the next rewind.

        Raises:
            OSError: The lost steps cannot be written; nothing is changed.
            CatalogError: The others cannot; a step may then stand in both files.
        """
        steps = self.steps()
        lost = [s for s in steps if s.step > step]
        if lost:
            known = {(s.step, s.time) for s in lines.read(self.path / LOST, StepRecord)}
            for one in lost:
                if (one.step, one.time) not in known:
                    lines.append(self.path / LOST, one)
            kept = "".join(lines.encode(s) for s in steps if s.step <= step)
            files.write_whole(self.path / STEPS, kept)
        return lost

    def finish(self, result: RunResult) -> None:
        """Write how the run ended, whole or not at all.

        Raises:
            CatalogError: It cannot be written.
        """
        told = {"schema": 1, **asdict(result)}
        if not isfinite(told["final_loss"] or 0.0):
            told["final_loss"] = None  # JSON has no word for it
        files.write_whole(self.path / RESULT, json.dumps(told, allow_nan=False) + "\n")

    def result(self) -> RunResult | None:
        """Return how the run ended, None while it goes on.

        Raises:
            CatalogError: The file is no result.
        """
        path = self.path / RESULT
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            known = {one.name for one in fields(RunResult)}
            return RunResult(**{key: value for key, value in told.items() if key in known})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError) as error:
            raise CatalogError(f"{path}: is no result of a run: {error}") from None

    def lock(self) -> int:
        """Take the folder for this process until it ends; return the file descriptor.

        The lock is the kernel's: it ends with the process, however that ends. The file stays.

        Raises:
            SpecError: A live run has it.
        """
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        for _ in range(LOCK_TRIES):
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
                return handle
            time.sleep(LOCK_WAIT_S)
        holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise SpecError(
            f"{self.path}: out must not be in use by a live run, process {holder} has it",
            field="out",
        )

    def is_live(self) -> bool | None:
        """Return whether a process has the folder; None where none ever took it.

        Asks the kernel, not the file: a stale file, or a number that another process has by now,
        deceives nobody. A process on another machine is seen where the file system tells.
        """
        try:
            handle = os.open(self.path / LOCK, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return None
        finally:
            os.close(handle)
        return False


def kept_apart(lost: list[StepRecord], kept: list[StepRecord]) -> list[StepRecord]:
    """Return the lost steps that are not among those that count."""
    if not lost:
        return []
    counted = {(s.step, s.time) for s in kept}
    return [s for s in lost if (s.step, s.time) not in counted]
