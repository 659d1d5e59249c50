"""What keeps a feed small and clean: retention, an empty WAL, an index without erased words."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.grok import generations
from gigafactory.grok.index import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from gigafactory.grok.index import TantivyIndex
    from gigafactory.grok.writing import LogWriter, Written

EXPIRE_AT_ONCE: Final = 2_000
CHECKPOINT_S: Final = 5.0
FORGET_S: Final = 3_600.0
TOMBSTONE: Final = timedelta(days=30)  # how late an edit of a deleted post may come
# X wants deleted posts gone within 24 hours of being asked (developer policy, compliance).
RENEW_AFTER: Final = timedelta(hours=20)
RENEW_SLICE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a feed keeps; None for no limit.

    Attributes:
        keep: Posts that were written longer ago are taken out.
        keep_bytes: Most bytes in use in the log; beyond them the oldest posts are taken out.
    """

    keep: timedelta | None = None
    keep_bytes: float | None = None

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep <= timedelta():
            raise SpecError(f"retention: keep must be above 0, got {self.keep}", field="keep")
        if self.keep_bytes is not None and not self.keep_bytes >= 1e6:
            raise SpecError(
                f"retention: keep_bytes must be at least 1MB, got {self.keep_bytes:g}",
                field="keep_bytes",
            )


class Upkeep:
    """Small portions of housekeeping, asked for between two writes."""

    def __init__(
        self, log: LogWriter, folder: Path, retention: Retention, now: Callable[[], datetime]
    ) -> None:
        self._log, self._folder, self._retention, self._now = log, folder, retention, now
        self._next: TantivyIndex | None = None
        self._next_begun = now()
        self._checkpoint_s = self._forget_s = time.monotonic()

    def expire(self) -> Iterator[Written]:
        """Take some posts out that are too old or too many; yield what was done."""
        now, keep = self._now(), self._retention
        keys = self._log.oldest(EXPIRE_AT_ONCE, now - keep.keep) if keep.keep else ()
        if not keys and keep.keep_bytes:
            keys = self._log.oldest(self._surplus(keep.keep_bytes))
        if keys:
            yield self._log.expire(keys, now)

    def _surplus(self, keep_bytes: float) -> int:
        """Return how many posts of mean size are too many, as far as they go at once."""
        live = self._log.live_bytes()
        if live <= keep_bytes:
            return 0
        posts = sum(status.posts for status in self._log.statuses())
        return min(EXPIRE_AT_ONCE, 1 + int(posts * (1 - keep_bytes / live)))

    def checkpoint(self, known: int) -> None:
        """Empty the WAL at intervals, so that erased words are in no file of the log.

        Tombstones that are old, and that the index `known` up to a place has followed, go too.
        """
        now_s = time.monotonic()
        if now_s - self._checkpoint_s >= CHECKPOINT_S:
            self._log.checkpoint()
            self._checkpoint_s = now_s
        if now_s - self._forget_s >= FORGET_S:
            self._log.forget(self._now() - TOMBSTONE, known)
            self._forget_s = now_s

    def renew(self, index: TantivyIndex) -> TantivyIndex:
        """Return the index to use: the next generation once it is level, else the one given.

        A generation is begun when the one in use may still hold words that were erased 20 hours
        ago. It is made in slices, so the feed stays live.
        """
        if self._next is None:
            erased = self._log.erased_since()
            if erased is None or self._now() - erased < RENEW_AFTER:
                return index
            self._next_begun = self._now()
            self._next = generations.begin(self._folder, self._log.id())
        if not catch_up(self._next, self._log, budget_s=RENEW_SLICE_S):
            return index
        made, self._next = self._next, None
        index.close()
        generations.switch(self._folder, made)
        self._log.index_made_anew(self._next_begun)
        return made

    def close(self) -> None:
        """Leave a generation that is not finished; it is made again another time."""
        if self._next is not None:
            self._next.close()
            self._next = None
