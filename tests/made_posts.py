"""Posts made up by rule, for tests and benchmarks of the feed: words as frequent as Zipf says."""

from __future__ import annotations

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gigafactory.spec.post import Batch, Change, Deletion, Post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from gigafactory.spec.post import Incident

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NUM_WORDS = 60_000
SYLLABLES = "ba ce di fo gu ha ke li mo nu pa re si to vu ya ze bri cla dro".split()


def at(seconds: float) -> datetime:
    """Return a time so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def post(
    one: str, text: str = "The rocket flew.", *, seconds: float = 0, source: str = "file",
    author: str = "ada", revision: int = 0, lang: str = "en", edited: float | None = None,
) -> Post:  # fmt: skip
    return Post(
        id=one, source=source, author=author, text=text, revision=revision, lang=lang,
        created_at=at(seconds), url=f"https://example.org/{one}",
        edited_at=None if edited is None else at(edited),
    )  # fmt: skip


def deletion(one: str, *, revision: int = 0, source: str = "file") -> Deletion:
    return Deletion(id=one, source=source, revision=revision)


def batch(*changes: Change, cursor: str = "1", source: str = "file") -> Batch:
    return Batch(source=source, changes=changes, cursor=cursor, last_event_at=NOON)


def word(rank: int) -> str:
    """Return a word that no other rank has."""
    made = SYLLABLES[rank % 20]
    while rank := rank // 20:
        made += SYLLABLES[rank % 20]
    return made + "n"


class Zipf:
    """Draws words of which the r-th is 1/r as frequent as the first (Zipf's law)."""

    def __init__(self, seed: int, num_words: int = NUM_WORDS) -> None:
        self.random = random.Random(seed)
        self.words = [word(rank) for rank in range(num_words)]
        self._weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(num_words)))

    def text(self, num_words: int = 15) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self._weights, k=num_words))


def zipf_posts(number: int, seed: int, source: str = "made") -> Iterator[Post]:
    """Yield posts a tenth of a second apart, by a thousand authors."""
    zipf = Zipf(seed)
    for place in range(number):
        yield post(
            f"{seed}-{place}", zipf.text(), seconds=place / 10 - number / 10, source=source,
            author=f"author{zipf.random.randrange(1000)}", revision=1,
        )  # fmt: skip


class MadeSource:
    """A source of what a test gives it; its cursor is the number of batches that were read."""

    def __init__(self, name: str, batches: Iterable[Sequence[Change]], *, live: bool = False):
        self._name, self._batches, self._live = name, list(batches), live

    @property
    def name(self) -> str:
        return self._name

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncIterator[Batch]:
        del tell
        for place, changes in enumerate(self._batches):
            if place >= int(cursor or 0):
                yield batch(*changes, cursor=str(place + 1), source=self._name)
        while self._live:
            await asyncio.sleep(0.01)
