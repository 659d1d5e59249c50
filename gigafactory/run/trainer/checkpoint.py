"""Checkpoints written while training goes on, whole or not at all.

    RUN/checkpoints/step-00000120.part/   while it is written
    RUN/checkpoints/step-00000120/        after every file is on disk and in manifest.json

A checkpoint is PyTorch's distributed one (DCP): any layout, or one process, can load it. Each rank
hashes the files it wrote; the first rank gathers the sums, and renames the folder last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.staging import AsyncStager
from torch.distributed.checkpoint.state_dict_saver import AsyncSaveResponse, async_save

from gigafactory.run.trainer.pieces import held, like

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from torch import Tensor

MANIFEST: Final = "manifest.json"
STATE: Final = "state.json"
PART: Final = ".part"
CORRUPT: Final = ".corrupt"


def folder_name(step: int) -> str:
    """Return the name of the checkpoint after a step.

    >>> folder_name(120)
    'step-00000120'
    """
    return f"step-{step:08d}"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(path: Path) -> None:
    """Put the names in a folder on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, text: str) -> None:
    """Write a file and put it on disk."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Saved:
    """How the writing of a checkpoint ended.

    Attributes:
        error: Why it was given up, empty where it stands.
    """

    step: int
    duration_s: float
    bytes: int = 0
    error: str = ""


class _Writer(FileSystemWriter):
    """Writes a rank's file, and its sum beside it."""

    def write_data(self, plan: Any, planner: Any) -> Any:
        future = super().write_data(plan, planner)
        names = sorted({r.storage_data.relative_path for r in future.wait()})
        folder = Path(self.path)
        for name in names:
            write_synced(folder / f"{name}.sha256", sha256(folder / name))
        return future


class _Stager(AsyncStager):
    """Copies the state into memory that is kept from one checkpoint to the next."""

    should_synchronize_after_execute = False

    def __init__(self) -> None:
        self._copies: dict[str, Tensor] = {}

    def stage(self, state_dict: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of `state_dict` on the CPU."""
        return {name: like(x, self._copied(name, held(x))) for name, x in state_dict.items()}

    def _copied(self, name: str, piece: Tensor) -> Tensor:
        copy = self._copies.get(name)
        if copy is None or copy.shape != piece.shape:
            copy = self._copies[name] = torch.empty_like(piece, device="cpu")
        copy.copy_(piece)
        return copy

    def synchronize_staging(self) -> None:
        """Nothing is left to wait for: `stage` copies at once."""

    def close(self) -> None:
        """Give the copies' memory back."""
        self._copies.clear()


class Checkpoints:
    """Writes a run's checkpoints, one at a time.

    Args:
        folder: RUN/checkpoints.
        keep: Newest ones left on disk.
        told: Called with each one's end, from the thread that wrote it, on the first rank.
    """

    def __init__(self, folder: Path, keep: int, told: Callable[[Saved], None]) -> None:
        self.folder, self.keep, self.told = folder, keep, told
        self._group = dist.new_group(backend="gloo")
        self._stager = _Stager()
        self._writing: Future[Any] | None = None
        self._settled = threading.Event()
        self._settled.set()
        self.first = dist.get_rank() == 0
        self.begun: int | None = None  # step of the last one that was begun

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return not self._settled.is_set() or (
            self._writing is not None and not self._writing.done()
        )

    def begin(self, step: int, state: dict[str, Tensor], extra: dict[str, Any]) -> None:
        """Copy the state, and begin to write it; waits for the one before.

        Every rank must call it.

        Args:
            step: Steps that are done.
            state: Tensors by name, cut over ranks or the same on each that lists it.
            extra: What else must come back, as JSON.
        """
        self.wait()
        self.begun = step
        part = self.folder / (folder_name(step) + PART)
        begun = time.perf_counter()
        if self.first:
            shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._ended(Saved(step, 0.0, error=_reason(error)))
        writing = async_save(
            state,
            storage_writer=_Writer(part, thread_count=1, overwrite=True),
            process_group=self._group,
            async_stager=self._stager,
        )
        assert not isinstance(writing, AsyncSaveResponse)  # that is for stagers with a thread
        self._writing = writing
        if self.first:
            self._settled.clear()
            writing.add_done_callback(lambda done: self._settle(done, step, extra, begun))

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._writing is not None:
            self._writing.exception()  # which the first rank tells
            self._writing = None
        self._settled.wait()
        dist.barrier(group=self._group)

    def _settle(self, done: Future[Any], step: int, extra: dict[str, Any], begun: float) -> None:
        """Make a written checkpoint stand, or remove what is there of it."""
        try:
            self._ended(self._settled_as(done, step, extra, begun))
        finally:
            self._settled.set()

    def _settled_as(
        self, done: Future[Any], step: int, extra: dict[str, Any], begun: float
    ) -> Saved:
        part = self.folder / (folder_name(step) + PART)
        try:
            error = done.exception()
            if error is not None:
                raise error
            size = _commit(part, self.folder / folder_name(step), step, extra)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            return Saved(step, time.perf_counter() - begun, error=_reason(error))
        prune(self.folder, self.keep)
        return Saved(step, time.perf_counter() - begun, size)

    def _ended(self, saved: Saved) -> None:
        if self.first:
            self.told(saved)


def _commit(part: Path, final: Path, step: int, extra: dict[str, Any]) -> int:
    """Write the manifest of a written checkpoint and give it its name; return its bytes."""
    write_synced(part / STATE, json.dumps(extra))
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(part.iterdir()):
        if path.suffix == ".sha256":
            continue
        told = path.with_name(path.name + ".sha256")
        digest = told.read_text(encoding="utf-8") if told.exists() else sha256(path)
        files[path.name] = {"sha256": digest, "bytes": path.stat().st_size}
    write_synced(part / MANIFEST, json.dumps({"schema": 1, "step": step, "files": files}))
    for path in part.glob("*.sha256"):
        path.unlink()
    sync_folder(part)
    if final.exists():  # the step was trained again after a return to an older one
        _remove(final)
    part.rename(final)
    sync_folder(final.parent)
    return sum(file["bytes"] for file in files.values())


def standing(folder: Path) -> list[Path]:
    """Return the checkpoints that were finished, newest first."""
    names = (p for p in folder.glob("step-*") if p.name[5:].isdigit() and p.is_dir())
    return sorted(names, key=lambda p: int(p.name[5:]), reverse=True)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest checkpoints."""
    for path in standing(folder)[keep:]:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a checkpoint; half of one must not look like one."""
    doomed = path.with_name(path.name + ".old" + PART)
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def clear_parts(folder: Path) -> None:
    """Remove what a crash left of checkpoints that were being written."""
    for path in folder.glob(f"step-*{PART}"):
        shutil.rmtree(path, ignore_errors=True)


def _reason(error: BaseException) -> str:
    """Return one line that says why; of a failure on several ranks, the first one's."""
    failures = getattr(error, "failures", None)
    if failures:
        rank, (inner, _) = min(failures.items())
        return f"rank {rank}: {_reason(inner)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or ''}: {error.strerror}".lstrip(": ")
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
