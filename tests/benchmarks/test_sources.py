"""How fast posts pass through parsing, on one core: what a file of posts costs before the log."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING

from gigafactory.grok.sources.bluesky_events import event_of
from gigafactory.grok.sources.lines import LinesSource
from gigafactory.grok.sources.telling import Teller
from tests.grok_platforms.jetstream import Jetstream

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

POSTS = 20_000
WORDS = ("artemis", "launch", "Zürich", "delay", "the", "a", "orbit", "moon", "🚀", "gpu", "👩‍🚀")


def test_posts_of_a_file(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path, draw = tmp_path / "posts.jsonl", Random(1)  # noqa: S311
    with path.open("w", encoding="utf-8") as file:
        for n in range(POSTS):
            text = " ".join(draw.choices(WORDS, k=25))
            told = {
                "id": str(n),
                "author": "ann",
                "created_at": "2026-01-02T03:04:05Z",
                "text": text,
            }
            file.write(json.dumps(told, ensure_ascii=False) + "\n")

    async def main() -> int:
        source = LinesSource(path)
        return sum([len(batch.changes) async for batch in source.batches(None, print)])

    assert benchmark(lambda: asyncio.run(main())) == POSTS
    if benchmark.stats:
        benchmark.extra_info["posts_per_s"] = POSTS / benchmark.stats["min"]


def test_events_of_jetstream(benchmark: BenchmarkFixture) -> None:
    jetstream, tell = Jetstream(), Teller("bluesky", print)
    seq = jetstream.commit("did:plc:ann", "r1", "create", "words of the moon " * 9)
    frame = jetstream.frame(seq, "v2").encode()
    assert benchmark(lambda: event_of(frame, tell)).change is not None
    if benchmark.stats:
        benchmark.extra_info["events_per_s"] = 1 / benchmark.stats["mean"]
