"""The feed as it is read: posts found by the index, told by the log, and how fresh they are."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gigafactory.errors import CatalogError, SpecError
from gigafactory.grok import generations
from gigafactory.grok.generations import IndexReader
from gigafactory.grok.home import writer_pid, writing
from gigafactory.grok.index import catch_up
from gigafactory.grok.log import Log
from gigafactory.spec.post import Freshness, Hit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gigafactory.grok.home import FeedHome
    from gigafactory.spec.post import Post, PostKey, Query, SourceStatus

SPARE: Final = 8  # found besides what was asked: some may have been deleted a moment ago
_log = logging.getLogger(__name__)


class Feed:
    """Reads one feed; any number of threads and processes may, whether or not it is written.

    A feed that does not exist is an empty one, until it does. An index that is missing, damaged or
    behind is brought up from the log first, unless a process that writes the feed does it anyhow.

    Raises:
        CatalogError: The log is damaged or of another version.
    """

    def __init__(self, home: FeedHome) -> None:
        self.home = home
        self._log: Log | None = None
        self._index: IndexReader | None = None
        self._opening = threading.Lock()
        if self.log is not None and writer_pid(home) is None:
            _bring_up(home, self.log)

    @property
    def log(self) -> Log | None:
        """The log; None as long as there is none."""
        with self._opening:
            if self._log is None and self.home.posts.exists():
                try:
                    self._log = Log(self.home.posts)
                except CatalogError:
                    if writer_pid(self.home) is None:
                        raise
                    # Otherwise it is just being made.
            return self._log

    def search(self, query: Query) -> Sequence[Hit]:
        """Return the best posts, best first, none that was deleted or is not yet to be seen."""
        log = self.log
        if log is None:
            return []
        found = self._found(replace(query, limit=query.limit + SPARE))
        posts = log.posts(key for key, _ in found)
        hits = [
            Hit(post=posts[key], score=score)
            for key, score in found
            if key in posts and stood(posts[key], query.as_of)
        ]
        return hits[: max(query.limit, 0)]

    def post(self, key: PostKey) -> Post | None:
        """Return a post as it stands now; None if it was deleted or never read."""
        log = self.log
        return None if log is None else log.post(key)

    def freshness(self, now: datetime) -> Freshness:
        """Return how far behind the platforms the feed is."""
        log = self.log
        if log is None:
            return Freshness(as_of=now, newest_at=None)
        alive = writer_pid(self.home) is not None
        sources = tuple(one if alive else _stopped(one) for one in log.statuses())
        return Freshness(as_of=now, newest_at=log.newest_at(now), sources=sources)

    def indexed(self) -> int:
        """Return the place of the log up to which posts are found; 0 without an index."""
        index = self._reader()
        return 0 if index is None else index.sequence()

    def close(self) -> None:
        """Let go of the files."""
        if self._log is not None:
            self._log.close()

    def _found(self, query: Query) -> Sequence[tuple[PostKey, float]]:
        """Ask the index; one whose damage shows only now is made anew, and asked again."""
        index = self._reader()
        if index is None:
            return []
        try:
            return index.search(query)
        except CatalogError as error:
            if self._log is None or writer_pid(self.home) is not None:
                raise
            _log.warning("the index is made anew from the log: %s", error)
        self._index = None
        generations.abandon(self.home.index)
        _bring_up(self.home, self._log)
        again = self._reader()
        return [] if again is None else again.search(query)

    def _reader(self) -> IndexReader | None:
        """Return the index; None as long as the process that writes has not made one."""
        log = self.log
        if self._index is None and log is not None:
            try:
                self._index = IndexReader(self.home.index, log.id())
            except CatalogError as error:
                _log.warning("nothing can be found yet: %s", error)
        return self._index


def stood(post: Post, as_of: datetime | None) -> bool:
    """Return whether a post read as it does now at a time.

    Of a post that was edited later nobody knows what it said then: its earlier words are erased.
    """
    return as_of is None or (post.edited_at or post.created_at) <= as_of


def _bring_up(home: FeedHome, log: Log) -> None:
    """Make the index level with the log, holding the lock of the feed meanwhile."""
    try:
        if generations.current(home.index, log.id()).sequence() == log.sequence():
            return
    except CatalogError as error:
        _log.warning("the index is made anew from the log: %s", error)
    try:
        with writing(home):
            index = generations.current_or_new(home.index, log.id(), sequence=log.sequence())
            catch_up(index, log)
            index.close()
    except SpecError as error:  # a writer has begun: it does this itself
        _log.info("the index is left to its writer: %s", error)


def _stopped(status: SourceStatus) -> SourceStatus:
    """Return how a source stands that nobody reads, whatever the last writer left behind."""
    return replace(status, state="stopped") if status.state != "stopped" else status
