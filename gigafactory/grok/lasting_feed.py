"""The feed as it is read for hours: opened when there is one, be it made after the reader began."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from gigafactory.grok.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gigafactory.grok.home import FeedHome
    from gigafactory.spec.post import Freshness, Hit, Post, PostKey, Query


class LastingFeed:
    """A feed that is opened as soon as there is one."""

    def __init__(self, home: FeedHome) -> None:
        self._home = home
        self._feed = Feed(home)
        self._one_at_a_time = Lock()

    def search(self, query: Query) -> Sequence[Hit]:
        """Return the best posts, best first."""
        return self._now().search(query)

    def post(self, key: PostKey) -> Post | None:
        """Return a post as it stands now."""
        return self._now().post(key)

    def freshness(self, now: datetime) -> Freshness:
        """Return how far behind the platforms the feed is."""
        return self._now().freshness(now)

    def _now(self) -> Feed:
        if self._feed.log is None and self._home.posts.exists():
            with self._one_at_a_time:
                if self._feed.log is None:
                    self._feed = Feed(self._home)
        return self._feed
