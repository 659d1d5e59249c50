"""The one writer of the feed: many sources at once into the log and its index.

Batches of all sources are written in groups, each group with the cursors behind it in one
transaction; the index is committed every 0.3 s. A full disk, a failing index or a source that
breaks holds up nothing but itself, and what could not be written yet waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.grok.fold import Effect
from gigafactory.grok.inbox import Inbox
from gigafactory.grok.standing import Standings
from gigafactory.spec.post import Incident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gigafactory.grok.doors import Source
    from gigafactory.grok.keeper import Keeper
    from gigafactory.spec.post import Batch

GATHER_S: Final = 0.05  # a group is gathered for so long before it is written
GROUP: Final = 4_000  # changes of a group, about
COMMIT_S: Final = 0.3  # between commits of the index
RETRY_S: Final = (0.5, 30.0)  # a failing disk: first wait, doubling up to the second
BROKEN_S: Final = (5.0, 300.0)  # a source that raised what it must not: likewise
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Totals:
    """What became of all changes, what was met, and which sources only the user can mend."""

    effects: dict[Effect, int] = field(default_factory=lambda: dict.fromkeys(Effect, 0))
    incidents: Counter[str] = field(default_factory=Counter)
    refused: list[SpecError] = field(default_factory=list)

    def add(self, more: Totals) -> None:
        """Count what became of others too."""
        for one, number in more.effects.items():
            self.effects[one] += number
        self.incidents += more.incidents
        self.refused += more.refused


class Ingest:
    """Reads sources into a feed until they end or `stop` is called.

    Args:
        keeper: Writes the feed; closed at the end.
        sources: Whose posts are read, each by its own name.
        now: The clock.
        commit_s: Between two commits of the index; a bulk load wants fewer.
        written: Called with every group of batches once it is durable: they are acknowledged.
    """

    def __init__(
        self,
        keeper: Keeper,
        sources: Sequence[Source],
        *,
        now: Callable[[], datetime] = utc_now,
        written: Callable[[Sequence[Batch]], None] | None = None,
        commit_s: float = COMMIT_S,
    ) -> None:
        self._sources, self._now, self._written = sources, now, written
        self.keeper = keeper
        self._inbox = Inbox()
        self._standings = Standings(now)
        self._stopping = asyncio.Event()
        self._over = False  # no source will put anything any more
        self._commit_s, self._commit_at = commit_s, 0.0
        self.totals = Totals()

    def stop(self) -> None:
        """End soon: what has arrived is written and committed first."""
        self._stopping.set()

    async def run(self) -> Totals:
        """Read until all sources have ended or `stop` was called; return what was done.

        Raises:
            OSError: The disk could not be written until the end; nothing acknowledged is lost.
        """
        with _rarely_collecting():
            return await self._run()

    async def _run(self) -> Totals:
        readers = [asyncio.create_task(self._read(source)) for source in self._sources]
        writer = asyncio.create_task(self._write_on())
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(_all(readers))
        try:
            await asyncio.wait({ended, stopping, writer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*readers, ended, stopping):
                task.cancel()
            await asyncio.gather(*readers, ended, stopping, return_exceptions=True)
            self._over = True
            try:
                await writer
            finally:
                await asyncio.to_thread(self.keeper.close)
        return self.totals

    async def _read(self, source: Source) -> None:
        """Read one source to its end; a fault of its own is told, and it is begun again."""
        wait_s = BROKEN_S[0]
        while True:
            try:
                await self._follow(source)
            except SpecError as error:
                self._tell(source.name, "refused", str(error))
                self.totals.refused.append(error)
            except Exception as error:
                _log.exception("%s broke and is begun again in %g s", source.name, wait_s)
                self._tell(source.name, "disconnected", f"{type(error).__name__}: {error}")
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, BROKEN_S[1])
                continue
            return

    async def _follow(self, source: Source) -> None:
        cursor = await asyncio.to_thread(self.keeper.log.cursor, source.name)
        async for batch in source.batches(cursor, self._told):
            await self._inbox.put(batch)
            self._standings.arrived(batch)
        self._standings.stand(source.name, "stopped")

    async def _write_on(self) -> None:
        loop = asyncio.get_running_loop()
        self._commit_at = loop.time() + self._commit_s
        while not (self._over and not len(self._inbox)):
            await self._inbox.arrival(self._commit_at - loop.time())
            if self._inbox.num_changes < GROUP and not self._over:
                await asyncio.sleep(GATHER_S)
            await self._persist(await self._inbox.take(GROUP))
            if (begun := loop.time()) >= self._commit_at:
                self._commit_at = begun + self._commit_s
                await self._housekeep()
        for source in self._sources:
            self._standings.stand(source.name, "stopped")
        await self._persist([])

    async def _housekeep(self) -> None:
        await asyncio.to_thread(self.keeper.commit)
        try:
            await asyncio.to_thread(self.keeper.tend)
        except sqlite3.OperationalError as error:
            self._disk_failed(error)

    async def _persist(self, batches: Sequence[Batch]) -> None:
        """Write a group, however long the disk takes to have room for it."""
        if not batches and not self._standings.anything_new:
            return
        states, incidents = self._standings.taken()
        wait_s = RETRY_S[0]
        while True:
            try:
                done = await asyncio.to_thread(self.keeper.write, batches, states, incidents)
                break
            except sqlite3.OperationalError as error:
                self._disk_failed(error)
                if self._stopping.is_set():
                    raise OSError(f"the feed could not be written: {error}") from error
            await self._pause(wait_s)
            wait_s = min(2 * wait_s, RETRY_S[1])
        for (_, one), number in done.counts.items():
            self.totals.effects[one] += number
        if self._written is not None and batches:
            self._written(batches)

    async def _pause(self, wait_s: float) -> None:
        """Wait, but not once the end was asked for."""
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({waiting}, timeout=wait_s)
        waiting.cancel()

    def _disk_failed(self, error: sqlite3.OperationalError) -> None:
        self._tell("log", "disk_full", f"not written, tried again: {error}")

    def _tell(self, source: str, kind: str, detail: str) -> None:
        self._told(Incident(source=source, kind=kind, detail=detail, at=self._now()))

    def _told(self, incident: Incident) -> None:
        self.totals.incidents[incident.kind] += 1
        self._standings.tell(incident)


@contextlib.contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Look for cycles of objects a hundred times more rarely.

    No post is in any; looking took a tenth of the time of reading them in bulk.
    """
    before = gc.get_threshold()
    gc.set_threshold(100 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)
