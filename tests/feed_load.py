"""Processes of the live benchmark of the feed: one that writes, some that read, one that looks on.

Run as `python -m tests.feed_load write|read|watch FOLDER SECONDS RATE`; each prints JSON.
Times are of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gigafactory.grok.feed import Feed
from gigafactory.grok.home import FeedHome, writing
from gigafactory.grok.ingest import Ingest, utc_now
from gigafactory.grok.keeper import Keeper
from gigafactory.spec.post import Batch, Change, Post, Query
from tests.made_posts import NUM_FUNCTION_WORDS, Zipf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from gigafactory.spec.post import Incident

TICK_S: Final = 0.02
THINK_S: Final = 0.1  # of a reader between two queries: four of them ask 40 times a second
LOOK_S: Final = 0.01


class Steady:
    """Yields posts at a rate, in batches of one, and remembers when each arrived."""

    name = "live"

    def __init__(self, seconds: float, rate: float) -> None:
        self.seconds, self.rate = seconds, rate
        self.arrivals: list[float] = []
        self._texts = Zipf(77).texts(20_000)

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncIterator[Batch]:
        del cursor, tell
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < self.seconds:
            while len(self.arrivals) < passed * self.rate:
                number = len(self.arrivals)
                self.arrivals.append(time.monotonic())
                made: tuple[Change, ...] = (self._post(number),)
                yield Batch(source=self.name, changes=made, cursor=str(number))
            await asyncio.sleep(TICK_S)

    def _post(self, number: int) -> Post:
        return Post(
            id=str(number), source=self.name, author=f"author{number % 1000}", lang="en",
            created_at=datetime.now(UTC), text=f"{self._texts[number % 20_000]} unique{number}x",
        )  # fmt: skip


def write(home: FeedHome, seconds: float, rate: float) -> dict[str, Any]:
    source = Steady(seconds, rate)

    async def go() -> int:
        keeper = Keeper(home, utc_now)
        base = keeper.log.sequence()
        await Ingest(keeper, [source]).run()
        return base

    with writing(home):
        base = asyncio.run(go())
    return {"base": base, "arrivals": source.arrivals, "memory_bytes": _memory_bytes()}


def read(home: FeedHome, seconds: float, rate: float) -> dict[str, Any]:
    del rate
    feed, zipf = Feed(home), Zipf(time.time_ns() % 1000)
    queries = [Query(words=text) for text in zipf.texts(2000, 3, beyond=NUM_FUNCTION_WORDS)]
    walls: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.perf_counter()
        feed.search(queries[len(walls) % len(queries)])
        walls.append(time.perf_counter() - begun)
        time.sleep(THINK_S)
    return {"walls": walls, "memory_bytes": _memory_bytes()}


def watch(home: FeedHome, seconds: float, rate: float) -> dict[str, Any]:
    """Note when each place of the log is first searchable from another process."""
    del rate
    feed = Feed(home)
    seen: list[tuple[float, int]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        place = feed.indexed()
        if not seen or place > seen[-1][1]:
            seen.append((time.monotonic(), place))
        time.sleep(LOOK_S)
    return {"seen": seen}


def _memory_bytes() -> int:
    """Return the most memory this program had; what its parent had at the fork is not counted."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    return int(told.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    part = {"write": write, "read": read, "watch": watch}[sys.argv[1]]
    print(json.dumps(part(FeedHome(Path(sys.argv[2])), float(sys.argv[3]), float(sys.argv[4]))))  # noqa: T201
