"""From a question over HTTP to its first cited sentence, beside a feed of many posts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.made_posts import zipf_posts
from tests.served_feed import LIBRARY, HomeFeed, served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

NUM_POSTS: Final = int(os.environ.get("GIGA_BENCH_API_POSTS", "100000"))
AT_ONCE: Final = 10_000

pytestmark = pytest.mark.skipif(
    "not config.getoption('--benchmark-enable')", reason="a minute long; make bench runs it"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    feed = HomeFeed(tmp_path_factory.mktemp("home"))
    for seed in range(NUM_POSTS // AT_ONCE):
        feed.write(*zipf_posts(AT_ONCE, seed))
    with served(feed.fill(), "--max-rate", "0") as (url, _):
        yield url


def test_the_first_cited_sentence_of_a_stream(benchmark: BenchmarkFixture, url: str) -> None:
    asked = {"model": "extractive", "input": LIBRARY, "stream": True}
    with httpx.Client() as client:

        def first() -> str:
            with client.stream("POST", f"{url}/responses", json=asked) as stream:
                lines = stream.iter_lines()
                return next(line for line in lines if '"delta":' in line)

        told = benchmark.pedantic(first, rounds=30, warmup_rounds=2)  # type: ignore[no-untyped-call]
        assert "[1]" in told
