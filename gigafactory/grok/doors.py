"""The interfaces between the rooms of Grok: who may be put in another's place.

A `Source` yields what happens on a platform, a `PostIndex` finds posts, a `Searchable` is all that
answering knows of the feed, an `Answerer` drafts sentences (which are checked by others).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from gigafactory.grok.judge import Judge
    from gigafactory.spec.answer import Turn
    from gigafactory.spec.post import (
        Batch,
        Change,
        Freshness,
        Hit,
        Incident,
        Post,
        PostKey,
        Query,
    )


class Source(Protocol):
    """A platform's posts as they are written, edited and deleted.

    It reconnects by itself with the platform's own backoff, tells what it meets by `tell`, and
    ends only when it is cancelled, when a finite source (a file) is at its end, or with a
    `SpecError` that only the user can mend (a refused token).
    """

    @property
    def name(self) -> str:
        """Its name: the source of its posts, and the key of its cursor."""
        ...

    def batches(self, cursor: str | None, tell: Callable[[Incident], None]) -> AsyncIterator[Batch]:
        """Yield changes from behind `cursor` on; None for as far back as the platform tells."""
        ...


class PostIndex(Protocol):
    """Finds posts by words and filters; made anew from the log whenever it is lost."""

    def apply(self, changes: Iterable[Change], fresh: frozenset[PostKey] = frozenset()) -> None:
        """Add, replace or remove; searchable after the next `commit`.

        Keys in `fresh` are surely not held, so nothing has to be looked for to be replaced.
        """
        ...

    def commit(self, sequence: int) -> None:
        """Make all that was applied searchable and durable, as of place `sequence` of the log."""
        ...

    def sequence(self) -> int:
        """Place of the log up to which all is committed; 0 of an empty index."""
        ...

    def search(self, query: Query) -> Sequence[tuple[PostKey, float]]:
        """Return the best keys with their scores, best first; the log holds the posts."""
        ...


class Searchable(Protocol):
    """What answering knows of the feed."""

    def search(self, query: Query) -> Sequence[Hit]:
        """Return the best posts, best first, none that was deleted."""
        ...

    def post(self, key: PostKey) -> Post | None:
        """Return a post as it stands now; None if it was deleted or never read."""
        ...

    def freshness(self, now: datetime) -> Freshness:
        """Return how far behind the platforms the feed is."""
        ...


class Draft(NamedTuple):
    """A sentence before its check; an extractive answerer says which post it is from."""

    text: str
    key: PostKey | None = None


class Answerer(Protocol):
    """Drafts sentences from posts. What it says counts for nothing before it is checked."""

    @property
    def name(self) -> str:
        """As answers and the API call it."""
        ...

    def drafts(self, question: str, turns: Sequence[Turn], judge: Judge) -> Iterator[Draft]:
        """Yield sentences from the posts that were judged, as soon as each is whole."""
        ...
