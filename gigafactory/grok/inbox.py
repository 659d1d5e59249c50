"""What waits to be written: bounded, so a source is held up before memory is."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

from gigafactory.spec.post import Post

if TYPE_CHECKING:
    from gigafactory.spec.post import Batch

MOST_CHANGES: Final = 10_000
MOST_CHARS: Final = 20_000_000


class Inbox:
    """Batches of all sources in the order of their arrival, for one who writes them.

    A batch is taken in whole while there is any room, so one larger than all the room still passes.
    """

    def __init__(self, *, most_changes: int = MOST_CHANGES, most_chars: int = MOST_CHARS) -> None:
        self._most = (most_changes, most_chars)
        self._waiting: deque[Batch] = deque()
        self._changes = self._chars = 0
        self._altered = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def num_changes(self) -> int:
        """How many changes wait."""
        return self._changes

    @property
    def full(self) -> bool:
        """Whether sources have to wait."""
        return self._changes >= self._most[0] or self._chars >= self._most[1]

    async def put(self, batch: Batch) -> None:
        """Add a batch, as soon as there is room."""
        async with self._altered:
            await self._altered.wait_for(lambda: not self.full)
            self._waiting.append(batch)
            self._changes += len(batch.changes)
            self._chars += _chars(batch)
            self._altered.notify_all()

    async def arrival(self, wait_s: float) -> None:
        """Return once anything waits, or after `wait_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(wait_s, 0)), self._altered:
                await self._altered.wait_for(lambda: bool(self._waiting))

    async def take(self, most_changes: int) -> list[Batch]:
        """Return the batches that wait, up to so many changes, but at least one batch."""
        taken: list[Batch] = []
        number = 0
        async with self._altered:
            while self._waiting and number < most_changes:
                batch = self._waiting.popleft()
                number += len(batch.changes)
                self._chars -= _chars(batch)
                taken.append(batch)
            self._changes -= number
            self._altered.notify_all()
        return taken


def _chars(batch: Batch) -> int:
    return sum(len(change.text) for change in batch.changes if isinstance(change, Post))
