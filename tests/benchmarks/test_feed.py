"""The feed under load: bulk, live beside readers, killed, re-ranked. Posts are made up by rule.

`GIGA_BENCH_POSTS` and `GIGA_BENCH_LIVE_S` shorten it; the numbers that are claimed are of 1,000,000
posts and 60 s.
"""

from __future__ import annotations

import asyncio
import bisect
import json
import os
import pydoc_data.topics
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from gigafactory.grok.fold import Effect
from gigafactory.grok.home import FeedHome, writing
from gigafactory.grok.ingest import Ingest, Totals, utc_now
from gigafactory.grok.keeper import Keeper
from gigafactory.grok.sources.lines import LinesSource
from gigafactory.spec.post import Query
from tests.feed_killed import check, killed
from tests.made_posts import NUM_FUNCTION_WORDS, Zipf, at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

NUM_POSTS: Final = int(os.environ.get("GIGA_BENCH_POSTS", "1000000"))
LIVE_S: Final = float(os.environ.get("GIGA_BENCH_LIVE_S", "60"))
RATE_PER_S: Final = 2000
READERS: Final = 4
KILLS: Final = 20
BULK_COMMIT_S: Final = 5.0  # as `giga feed add` does

pytestmark = pytest.mark.skipif(
    "not config.getoption('--benchmark-enable')", reason="minutes long; make bench runs it"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feed")


def test_adding_a_file(benchmark: BenchmarkFixture, folder: Path) -> None:
    path = folder.parent / "posts.jsonl"
    _write_file(path)
    home = FeedHome(folder)

    async def go() -> Totals:
        keeper = Keeper(home, utc_now)
        source = LinesSource(path, find=keeper.log.post)
        return await Ingest(keeper, [source], commit_s=BULK_COMMIT_S).run()

    def add() -> Totals:
        with writing(home):
            return asyncio.run(go())

    totals = _once(benchmark, add)
    assert totals.effects[Effect.NEW] == NUM_POSTS
    assert benchmark.stats
    _told(benchmark, posts_per_s=NUM_POSTS / benchmark.stats.stats.min)


def test_live_posts_beside_readers(benchmark: BenchmarkFixture, folder: Path) -> None:
    """2,000 posts a second into the feed above, while four processes ask 40 times a second."""
    parts = ["write", *["read"] * READERS, "watch"]

    def live() -> list[dict[str, Any]]:
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.feed_load", part, str(folder),
                 str(LIVE_S + (part == "watch") * 10), str(RATE_PER_S)],
                stdout=subprocess.PIPE,
            )
            for part in parts
        ]  # fmt: skip
        return [json.loads(child.communicate()[0]) for child in running]

    writer, *readers, watcher = _once(benchmark, live)
    waits = _waits_s(writer, watcher["seen"])
    walls = np.concatenate([reader["walls"] for reader in readers])
    assert len(writer["arrivals"]) > 0.9 * RATE_PER_S * LIVE_S
    _told(
        benchmark,
        posts_per_s=len(writer["arrivals"]) / LIVE_S,
        searchable_p50_s=np.quantile(waits, 0.5),
        searchable_p99_s=np.quantile(waits, 0.99),
        searchable_max_s=waits.max(),
        queries=len(walls),
        query_p50_s=np.quantile(walls, 0.5),
        query_p99_s=np.quantile(walls, 0.99),
        writer_memory_bytes=writer["memory_bytes"],
        reader_memory_bytes=max(reader["memory_bytes"] for reader in readers),
    )


def _waits_s(writer: dict[str, Any], seen: list[tuple[float, int]]) -> np.ndarray[Any, Any]:
    """Return, for each post, seconds from its arrival until another process could find it."""
    places = [place for _, place in seen]
    assert places[-1] >= writer["base"] + len(writer["arrivals"]), "not all became searchable"
    found = [
        seen[bisect.bisect_left(places, writer["base"] + number)][0]
        for number in range(1, len(writer["arrivals"]) + 1)
    ]
    waits: np.ndarray[Any, Any] = np.array(found) - np.array(writer["arrivals"])
    return waits


@pytest.mark.parametrize("beyond", [0, NUM_FUNCTION_WORDS], ids=["any words", "telling words"])
def test_queries_of_a_feed_at_rest(benchmark: BenchmarkFixture, folder: Path, beyond: int) -> None:
    from gigafactory.grok.feed import Feed

    feed = Feed(FeedHome(folder))
    texts = iter(Zipf(5).texts(100_000, 3, beyond=beyond))
    benchmark(lambda: feed.search(Query(words=next(texts))))


def test_reranking_fifty_posts_never_seen(benchmark: BenchmarkFixture) -> None:
    from gigafactory.grok.embedding import Embedder

    embedder = Embedder()
    prose = " ".join(" ".join(pydoc_data.topics.topics.values()).split())
    posts = iter([prose[begin : begin + 280] for begin in range(0, 280 * 51 * 6, 280)])
    _once(
        benchmark,
        embedder.vectors,
        rounds=5,
        setup=lambda: (([next(posts) for _ in range(51)],), {}),
    )


def test_killed_twenty_times(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)  # noqa: S311

    def rounds() -> int:
        cursor = 0
        for _ in range(KILLS):
            cursor = check(tmp_path, seed, killed(tmp_path, seed, chance))
        return cursor

    batches = _once(benchmark, rounds)
    _told(benchmark, seed=seed, kills=KILLS, batches=batches)


def _once(benchmark: BenchmarkFixture, run: Callable[..., Any], **how: Any) -> Any:
    """Run something long once, or as often as told, without rounds to warm up."""
    return benchmark.pedantic(run, **{"rounds": 1, **how})  # type: ignore[no-untyped-call]


def _write_file(path: Path) -> None:
    zipf = Zipf(1)
    with path.open("w", encoding="utf-8") as file:
        for begin in range(0, NUM_POSTS, 10_000):
            texts = zipf.texts(min(10_000, NUM_POSTS - begin))
            for number, text in enumerate(texts, begin):
                made = {"id": f"p{number}", "author": f"author{number * 7919 % 1000}",
                        "created_at": at(number / 10 - NUM_POSTS / 10).isoformat(),
                        "text": text, "lang": "en"}  # fmt: skip
                file.write(json.dumps(made) + "\n")


def _told(benchmark: BenchmarkFixture, **numbers: float) -> None:
    benchmark.extra_info.update({name: float(number) for name, number in numbers.items()})
    shown = ", ".join(f"{name} {number:.4g}" for name, number in numbers.items())
    print(f"\n{benchmark.name}: {shown}")  # noqa: T201 - what `make bench` is for
