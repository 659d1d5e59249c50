"""What a worker tells the run folder; a full disk delays the telling, and loses none of it."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from gigafactory.run.record import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.run.record import RunFolder
    from gigafactory.spec.run import Event, StepRecord

LOG = logging.getLogger(__name__)


class Recorder:
    """Writes steps and events of one rank, in order; what cannot be written is kept for later.

    Args:
        folder: The run.
        rank: Of this process; only the first one's steps are written.
    """

    def __init__(self, folder: RunFolder, rank: int) -> None:
        self.folder, self.rank = folder, rank
        self._waiting: deque[Callable[[], None]] = deque()
        self._writing = threading.Lock()  # the thread that writes a checkpoint tells of it as well

    def step(self, record: StepRecord) -> None:
        """Append a step."""
        if self.rank == 0:
            self._write(lambda: self.folder.add_step(record))

    def event(self, kind: str, **fields: Any) -> None:
        """Append an event that happens now."""
        self._write(lambda: self.folder.add_event(kind, rank=self.rank, **fields))

    def sync(self) -> None:
        """Put the steps told so far on disk, before a checkpoint that builds on them stands."""
        if self.rank:
            return
        self._flush()
        path = self.folder.path / STEPS
        if path.exists():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _write(self, write: Callable[[], None]) -> None:
        self._waiting.append(write)
        self._flush()

    def _flush(self) -> None:
        with self._writing:
            while self._waiting:
                try:
                    self._waiting[0]()
                except OSError as error:
                    waiting = len(self._waiting)
                    LOG.warning("%s: %s; %d lines wait", self.folder.path, error, waiting)
                    return
                self._waiting.popleft()


def lost(events: list[Event], steps: list[StepRecord]) -> int:
    """Return the highest step that was ever trained, whether or not it still counts."""
    told = [int(e.values["highest_step"]) for e in events if "highest_step" in e.values]
    return max(told + [s.step for s in steps], default=0)
