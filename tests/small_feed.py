"""A feed in memory, and small sets of posts and questions that answering was developed by.

Written for this; the examination in tests/grok_quality has other posts and other questions. Each
set was answered once before any rule was changed for it: docs/explanation/answering.md.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import log
from pathlib import Path
from typing import Final, NamedTuple

from gigafactory.grok.words import is_plain, words
from gigafactory.spec.post import Freshness, Hit, Post, PostKey, Query, SourceStatus

_DATA: Final = Path(__file__).parent / "data" / "answering"
NOW: Final = datetime(2026, 3, 12, 15, 0, tzinfo=UTC)  # a Thursday


@dataclass
class SmallFeed:
    """Posts found by counted words: a stand-in for the feed that needs no index."""

    posts: dict[PostKey, Post] = field(default_factory=dict)
    down: tuple[SourceStatus, ...] = ()
    asked: list[Query] = field(default_factory=list)

    def add(self, *posts: Post) -> None:
        for post in posts:
            self.posts[post.key] = post

    def search(self, query: Query) -> list[Hit]:
        self.asked.append(query)
        among = [post for post in self.posts.values() if _passes(post, query)]
        bags = [Counter(part for word in words(post.text) for part in word.parts) for post in among]
        wanted = {word.stem for word in words(query.words) if not is_plain(word)}
        spread = {one: sum(one in bag for bag in bags) for one in wanted}
        scored = [
            Hit(
                post=post,
                score=sum(log(1 + len(bags) / spread[one]) for one in wanted if one in bag),
            )
            for post, bag in zip(among, bags, strict=True)
        ]
        found = [hit for hit in scored if hit.score > 0 or not wanted]
        found.sort(key=lambda hit: (-hit.score, hit.post.id))
        if query.newest_first or not wanted:
            found.sort(key=lambda hit: hit.post.created_at, reverse=True)
        return found[: query.limit]

    def post(self, key: PostKey) -> Post | None:
        return self.posts.get(key)

    def freshness(self, now: datetime) -> Freshness:
        newest = max((post.created_at for post in self.posts.values()), default=None)
        return Freshness(as_of=now, newest_at=newest, sources=self.down)


def _passes(post: Post, query: Query) -> bool:
    handle = post.author.lower()
    return (
        (not query.authors or any(handle == one.lower() for one in query.authors))
        and handle not in {one.lower() for one in query.excluded_authors}
        and (query.since is None or post.created_at >= query.since)
        and (query.until is None or post.created_at < query.until)
        and (query.as_of is None or post.created_at <= query.as_of)
    )


def post(id: str, author: str, hours_ago: float, text: str) -> Post:
    created_at = NOW - timedelta(hours=hours_ago)
    url = f"https://example.org/{author}/{id}"
    return Post(id=id, source="file", author=author, created_at=created_at, text=text, url=url)


class Asked(NamedTuple):
    """A question, and the posts that answer it; none if nothing does."""

    text: str
    gold: tuple[str, ...] = ()


def made(name: str) -> tuple[SmallFeed, list[Asked]]:
    """Return one of the feeds in tests/data/answering, with its questions."""
    told = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    feed = SmallFeed()
    feed.add(*(post(**one) for one in told["posts"]))
    return feed, [Asked(one["text"], tuple(one["gold"])) for one in told["questions"]]
