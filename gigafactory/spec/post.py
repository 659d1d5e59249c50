"""Posts of a platform and what happens to them: written, edited, deleted.

What a source yields, what the log keeps, what the index finds. A post is known by its `key`; the
platform's own identifiers stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from gigafactory.spec.base import Spec, fault

MAX_TEXT_CHARS = 100_000  # far above any platform's limit; what is longer is cut by the source


class PostKey(NamedTuple):
    """What tells one post from every other: the source's name and the platform's identifier."""

    source: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post(Spec):
    """One post as it stands after its latest known edit.

    Attributes:
        id: The platform's identifier; of an edited post, that of its first version.
        source: Where it was read: "x", "bluesky", "mastodon:HOST", "file", "run:NAME".
        author: Handle without the leading @.
        created_at: When its first version was written, by the platform's clock, with a time zone.
        text: Plain text: no markup, no control characters but line feeds and tabs.
        url: Page of the post; empty if it has none.
        lang: BCP 47 tag; empty if not told.
        revision: Orders the versions of a post; the platform's own order where it has one
            (microseconds of the edit). A change with a lower one than the log holds is late.
        edited_at: When this version was written; None for the first.
    """

    id: str
    source: str
    author: str
    created_at: datetime
    text: str
    url: str = ""
    lang: str = ""
    revision: int = 0
    edited_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.source:
            raise fault(self, "id" if self.source else "source", "", "must not be empty")
        if self.created_at.tzinfo is None:
            raise fault(self, "created_at", self.created_at, "must state its time zone")
        if len(self.text) > MAX_TEXT_CHARS:
            raise fault(
                self, "text", f"{len(self.text)} characters", f"must hold at most {MAX_TEXT_CHARS}"
            )

    @property
    def key(self) -> PostKey:
        """What tells this post from every other."""
        return PostKey(self.source, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion(Spec):
    """A post that its platform no longer shows: log and index must forget its text.

    Attributes:
        revision: As of `Post`; a version of a higher one (the same record written again) revives.
    """

    id: str
    source: str
    revision: int

    @property
    def key(self) -> PostKey:
        """What tells the post from every other."""
        return PostKey(self.source, self.id)


Change = Post | Deletion


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Spec):
    """Changes of one source and the place after them: kept together, or not at all.

    Attributes:
        source: Whose cursor it is: the name of the source that yielded it.
        cursor: Where to go on after `changes`; in the words of the source.
        last_event_at: Platform's time of the newest event seen, one that changed nothing too.
    """

    source: str
    changes: tuple[Change, ...]
    cursor: str
    last_event_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Spec):
    """Something a source met that a user of the feed should know: counted, and logged.

    Attributes:
        kind: "connected", "disconnected", "stalled", "rate_limited", "refused", "malformed",
            "oversized", "late", "clock_skew", "gap", "caught_up", "disk_full".
        detail: One line for people, without secrets.
    """

    source: str
    kind: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus(Spec):
    """How one source stands, as any process may ask.

    Attributes:
        state: "live", "catching_up", "down" or "stopped" (nobody reads it now).
        since: When it came into this state.
        last_event_at: Platform's time of the newest event seen.
        last_arrival_at: Our time of the newest batch.
        lag_s: Seconds from an event's platform time to its arrival, of the newest one; None
            before any.
        posts: Posts of it in the log.
        detail: Why it is down, in one line.
        incidents: How many of each kind since the feed was made.
    """

    source: str
    state: str
    since: datetime
    last_event_at: datetime | None = None
    last_arrival_at: datetime | None = None
    lag_s: float | None = None
    posts: int = 0
    detail: str = ""
    incidents: dict[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Spec):
    """What is looked for among the posts.

    Attributes:
        words: Free words; empty finds the newest that pass the filters.
        authors: Only these handles, if any; without @.
        excluded_authors: None of these.
        sources: Only these, if any; "mastodon" means all its hosts, "run" all runs.
        since: Written at this time or later.
        until: Written before this time.
        langs: Only these languages, if any.
        as_of: As the feed stood then: later posts are not seen. None for now.
        newest_first: The question asks for what is recent; else by relevance alone.
        limit: Hits at most.
    """

    words: str = ""
    authors: tuple[str, ...] = ()
    excluded_authors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    langs: tuple[str, ...] = ()
    as_of: datetime | None = None
    newest_first: bool = False
    limit: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Spec):
    """A post that was found, and how well it fits."""

    post: Post
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness(Spec):
    """How far behind the platforms the feed is at a moment; every answer states it.

    Attributes:
        as_of: The moment.
        newest_at: Platform's time of the newest post; None of an empty feed.
        sources: Each source that was ever read.
    """

    as_of: datetime
    newest_at: datetime | None
    sources: tuple[SourceStatus, ...] = ()
