"""The run folder: appended so that a crash costs at most the line being written.

    RUN/plan.toml  training.toml  steps.jsonl  events.jsonl  result.json  checkpoints/  lock

One process writes steps (rank 0), every rank and the launcher may write events: a line is one
`write` to a file opened for appending, which the kernel does not interleave.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.spec.run import Event, RunResult, StepRecord, Training

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.plan import Plan

PLAN: Final = "plan.toml"
TRAINING: Final = "training.toml"
STEPS: Final = "steps.jsonl"
EVENTS: Final = "events.jsonl"
RESULT: Final = "result.json"
CHECKPOINTS: Final = "checkpoints"
LOCK: Final = "lock"

RecordT = TypeVar("RecordT", StepRecord, Event)


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

    def plan(self) -> Plan:
        """Return the plan of the run."""
        return files.read_plan(self.path / PLAN)

    def training(self) -> Training:
        """Return what was asked of the run beside its plan."""
        return files.loads(Training, (self.path / TRAINING).read_text(encoding="utf-8"))

    def add_step(self, record: StepRecord) -> None:
        """Append a step."""
        append_line(self.path / STEPS, _fields(record))

    def add_event(self, kind: str, **fields: Any) -> None:
        """Append an event that happens now."""
        append_line(self.path / EVENTS, _fields(Event(time=now(), kind=kind, **fields)))

    def steps(self) -> list[StepRecord]:
        """Return the steps written so far, a torn last line left out."""
        return read_lines(self.path / STEPS, StepRecord)

    def events(self) -> list[Event]:
        """Return the events written so far, a torn last line left out."""
        return read_lines(self.path / EVENTS, Event)

    def rewind(self, step: int) -> list[StepRecord]:
        """Forget the steps after `step`, which are trained again; return them."""
        steps = self.steps()
        kept = "".join(_line(_fields(s)) for s in steps if s.step <= step)
        files.write_whole(self.path / STEPS, kept)
        return [s for s in steps if s.step > step]

    def finish(self, result: RunResult) -> None:
        """Write how the run ended."""
        files.write_whole(self.path / RESULT, _line({"schema": 1, **asdict(result)}))

    def result(self) -> RunResult | None:
        """Return how the run ended, None while it goes on."""
        path = self.path / RESULT
        if not path.is_file():
            return None
        told = json.loads(path.read_text(encoding="utf-8"))
        told.pop("schema")
        return RunResult(**told)

    def lock(self) -> int:
        """Take the folder for this process until it ends; return the file descriptor.

        Raises:
            SpecError: A live run has it.
        """
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            raise SpecError(
                f"{self.path}: out must not be in use by a live run, process {holder} has it",
                field="out",
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        return handle


def append_line(path: Path, fields: dict[str, Any]) -> None:
    """Append one JSON line; a torn line left by a crash is closed first."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, (("\n" if torn else "") + _line(fields)).encode())
    finally:
        os.close(handle)


def read_lines(path: Path, cls: type[RecordT]) -> list[RecordT]:
    """Return the records of a file; lines that a crash tore are left out."""
    if not path.is_file():
        return []
    told = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            told.append(cls(**json.loads(line)))
        except (json.JSONDecodeError, TypeError):
            continue
    return told


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, allow_nan=True) + "\n"


def _fields(record: StepRecord | Event) -> dict[str, Any]:
    """Return what is set of a record; a step's `redo` only where it is true."""
    return {k: v for k, v in asdict(record).items() if v is not None and v != {} and v is not False}
