"""A process that writes a feed until it is killed; the test says what must be left of it.

Run as `python -m tests.feed_child FOLDER SEED`. Each acknowledged group is told on stdout as the
cursor behind it. Which changes a batch holds follows from the seed and its number alone.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gigafactory.grok.home import FeedHome, writing
from gigafactory.grok.ingest import Ingest, utc_now
from gigafactory.grok.keeper import Keeper
from gigafactory.spec.post import Batch, Change, Post
from tests.made_posts import batch, deletion, post, word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gigafactory.spec.post import Incident

POSTS = 20  # new ones in a batch
SOURCE = "made"


def changes(seed: int, number: int) -> list[Change]:
    """Return what batch `number` changes: new posts, edits and deletions of earlier ones."""
    chance = random.Random(seed * 1_000_003 + number)  # noqa: S311
    made: list[Change] = [
        post(f"{number}-{n}", f"{text_of(number, n)} first", source=SOURCE, revision=number)
        for n in range(POSTS)
    ]
    for _ in range(4):
        if number:
            earlier = f"{chance.randrange(number)}-{chance.randrange(POSTS)}"
            gone = chance.random() < 0.5
            made.append(
                deletion(earlier, source=SOURCE, revision=number)
                if gone
                else post(earlier, f"edited in {number}", source=SOURCE, revision=number)
            )
    chance.shuffle(made)
    return made


def text_of(number: int, n: int) -> str:
    return f"{word(number)} {word(n)}"


def standing(seed: int, batches: int) -> dict[str, Post]:
    """Return what stands after so many batches, folded the slow and plain way."""
    held: dict[str, Change] = {}
    for number in range(batches):
        for change in changes(seed, number):
            before = held.get(change.id)
            higher = before is None or change.revision > before.revision
            same = before is not None and change.revision == before.revision
            if higher or (same and isinstance(before, Post)):
                held[change.id] = change
    return {one: change for one, change in held.items() if isinstance(change, Post)}


class Endless:
    """Yields batch after batch, from the cursor on, as fast as they are taken."""

    name = SOURCE

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncIterator[Batch]:
        del tell
        number = int(cursor or 0)
        while True:
            yield batch(*changes(self._seed, number), cursor=str(number + 1), source=SOURCE)
            number += 1
            await asyncio.sleep(0.002)


def told(batches: Sequence[Batch]) -> None:
    sys.stdout.write(f"{batches[-1].cursor}\n")
    sys.stdout.flush()


async def write_on(folder: Path, seed: int) -> None:
    keeper = Keeper(FeedHome(folder), utc_now)
    await Ingest(keeper, [Endless(seed)], written=told).run()


if __name__ == "__main__":
    with writing(FeedHome(Path(sys.argv[1]))):
        asyncio.run(write_on(Path(sys.argv[1]), int(sys.argv[2])))
