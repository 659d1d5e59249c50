"""Posts made up by rule, for tests and benchmarks of the feed: words as frequent as Zipf says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from gigafactory.spec.post import Batch, Change, Deletion, Post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from gigafactory.spec.post import Incident

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NUM_WORDS = 60_000
NUM_FUNCTION_WORDS = 100  # the most frequent words stand for those that a search leaves out
SYLLABLES = tuple("ba ce di fo gu ha ke li mo nu pa re si to vu ya ze bri cla dro".split())  # noqa: SIM905


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
        self.random = np.random.default_rng(seed)
        self.words = np.array([word(rank) for rank in range(num_words)], dtype=object)
        shares = 1 / np.arange(1, num_words + 1)
        self._below = np.cumsum(shares) / shares.sum()

    def texts(self, number: int, num_words: int = 15, *, beyond: int = 0) -> list[str]:
        """Return so many texts, without the `beyond` most frequent words."""
        least = self._below[beyond - 1] if beyond else 0.0
        chance = self.random.uniform(least, 1.0, (number, num_words))
        return [" ".join(row) for row in self.words[np.searchsorted(self._below, chance)]]


def zipf_posts(number: int, seed: int, source: str = "made") -> Iterator[Post]:
    """Yield posts a tenth of a second apart, by a thousand authors."""
    zipf = Zipf(seed)
    for begin in range(0, number, 1000):
        for place, text in enumerate(zipf.texts(min(1000, number - begin)), begin):
            yield post(
                f"{seed}-{place}", text, seconds=place / 10 - number / 10, source=source,
                author=f"author{place * 7919 % 1000}", revision=1,
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
