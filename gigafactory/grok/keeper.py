"""The log and its index, written together: first the truth, then what finds it.

All of it runs on one thread at a time. A fault of the index never holds up the log: the index is
opened again, and follows from the place it had committed.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from gigafactory.errors import CatalogError
from gigafactory.grok import generations
from gigafactory.grok.index import catch_up
from gigafactory.grok.upkeep import Retention, Upkeep
from gigafactory.grok.writing import LogWriter, Standing, Written
from gigafactory.spec.post import Incident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from gigafactory.grok.home import FeedHome
    from gigafactory.grok.index import TantivyIndex
    from gigafactory.spec.post import Batch

SLICE_S: Final = 0.2  # of catching up between two writes to the log
REOPEN_S: Final = 5.0
HOPELESS: Final = 3  # failures in a row, the disk not being full: then it is made anew
FULL: Final = "No space left"
INDEX: Final = "index"  # the source of incidents that are the index's own
_log = logging.getLogger(__name__)


class Keeper:
    """Writes one feed; the caller holds its lock.

    Raises:
        CatalogError: The log is damaged, of another version, or cannot be written.
    """

    def __init__(
        self,
        home: FeedHome,
        now: Callable[[], datetime],
        retention: Retention | None = None,
    ) -> None:
        self._home, self._now = home, now
        self.log = LogWriter(home.posts)
        self._upkeep = Upkeep(self.log, home.index, retention or Retention(), now)
        self._index: TantivyIndex | None = None
        self._applied = self._committed = 0
        self._open_again_s = 0.0
        self._failures = 0  # since the last commit
        self._faults: list[tuple[Incident, int]] = []
        self._open()

    def write(
        self,
        batches: Sequence[Batch],
        standings: dict[str, Standing] | None = None,
        incidents: Iterable[tuple[Incident, int]] = (),
    ) -> Written:
        """Write to the log, durably, and give the index what it has to follow.

        Raises:
            sqlite3.OperationalError: The disk is full or fails; nothing was written.
        """
        told = [*incidents, *self._faults]
        written = self.log.write(batches, self._now(), standings=standings, incidents=told)
        self._faults = []
        self._follow(written)
        return written

    def commit(self) -> None:
        """Make searchable what was written; bring up an index that is behind, a slice of time."""
        if self._index is None and time.monotonic() >= self._open_again_s:
            self._open()
        if self._index is None:
            return
        try:
            if self._applied < self.log.sequence():
                catch_up(self._index, self.log, budget_s=SLICE_S)
                self._applied = self._index.sequence()
            elif self._applied > self._committed:
                self._index.commit(self._applied)
            self._committed, self._failures = self._applied, 0
        except CatalogError as error:
            self._failed(error)

    def level(self) -> bool:
        """Return whether all that the log holds is searchable, or the index cannot be had."""
        return self._index is None or self._committed >= self.log.sequence()

    def tend(self) -> None:
        """Do a little of what keeps the feed small and clean: see `Upkeep`."""
        for written in self._upkeep.expire():
            self._follow(written)
        self._upkeep.checkpoint(self._committed)
        if self._index is None or not self.level():
            return
        try:
            self._index = self._upkeep.renew(self._index)
        except CatalogError as error:
            self._failed(error)

    def close(self) -> None:
        """Commit, empty the WAL, and let go of the files."""
        self.commit()
        if self._index is not None:
            self._index.close()
        self._upkeep.close()
        self.log.checkpoint()
        self.log.close()

    def _follow(self, written: Written) -> None:
        if self._index is None or not written.changes:
            return
        if self._applied != written.sequence - len(written.changes):
            return  # it is behind, and `commit` brings it up
        try:
            self._index.apply(written.changes, written.fresh)
            self._applied = written.sequence
        except CatalogError as error:
            self._failed(error)

    def _open(self) -> None:
        if self._failures >= HOPELESS:
            generations.abandon(self._home.index)
            self._failures = 0
        try:
            self._index = generations.current_or_new(
                self._home.index, self.log.id(), sequence=self.log.sequence()
            )
            self._applied = self._committed = self._index.sequence()
        except CatalogError as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Close an index that failed, say so, and try again in a while; the log goes on."""
        _log.warning("the index failed and is opened again in %g s: %s", REOPEN_S, error)
        full = FULL in str(error)
        kind = "disk_full" if full else "damaged"
        incident = Incident(source=INDEX, kind=kind, detail=str(error), at=self._now())
        self._faults.append((incident, 1))
        self._failures += not full
        failed, self._index = self._index, None
        self._open_again_s = time.monotonic() + REOPEN_S
        if failed is not None:
            failed.close()
