"""Parts of the API that need no server: rates, bodies, kept answers, spans."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gigafactory.grok import api_gate
from gigafactory.grok.answering import Answering
from gigafactory.grok.api_desk import Desk
from gigafactory.grok.api_gate import Buckets, body_of, client_of
from gigafactory.grok.api_kept import GONE, without_deleted
from gigafactory.grok.api_refusal import RequestError
from gigafactory.grok.api_x_search import XSearch
from gigafactory.grok.marking import mark
from tests.small_feed import NOW, SmallFeed, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Message

from starlette.requests import Request


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_ten_seconds_worth_and_fills_at_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(2.0, clock)
    assert [buckets.take("a") for _ in range(20)] == [0.0] * 20
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0.0
    clock.now = 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") == 0.5
    clock.now = 1e6
    assert [buckets.take("a") for _ in range(21)] == [0.0] * 20 + [0.5]


def test_no_rate_is_no_limit() -> None:
    buckets = Buckets(0.0, Clock())
    assert not any(buckets.take("a") for _ in range(1000))


def test_many_clients_cost_no_more_memory_and_those_who_asked_most_stay_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_gate, "MAX_CLIENTS", 10)
    buckets = Buckets(1.0, Clock())
    assert not any(buckets.take("greedy") for _ in range(10))
    for number in range(50):
        buckets.take(f"client {number}")
    assert len(buckets._left) == 10
    assert buckets.take("greedy") == 1.0


def asking(receive: Callable[[], Message] | None, host: str = "127.0.0.1") -> Request:
    async def received() -> Message:
        if receive is None:
            await asyncio.Event().wait()
        assert receive is not None
        return receive()

    scope = {"type": "http", "method": "POST", "headers": [], "client": (host, 1)}
    return Request(scope, received)


def test_a_body_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_gate, "BODY_S", 0.01)
    with pytest.raises(RequestError, match="within") as told:
        asyncio.run(body_of(asking(None)))
    assert told.value.status == 408


def test_a_body_without_end_is_cut_off_where_it_is_too_long() -> None:
    def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}

    with pytest.raises(RequestError, match="1048576") as told:
        asyncio.run(body_of(asking(receive)))
    assert told.value.status == 413


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    one, other = asking(None, "2001:db8:1:2::1"), asking(None, "2001:db8:1:2:ffff::9")
    assert client_of(one) == client_of(other) == "2001:db8:1:2::/64"
    assert client_of(asking(None, "2001:db8:1:3::1")) != client_of(one)
    assert client_of(asking(None, "192.0.2.7")) == "192.0.2.7"


def test_the_last_day_counts_in_whole_and_handles_lose_their_at() -> None:
    tool = XSearch(
        type="x_search", from_date="2026-11-01", to_date="2026-11-02", allowed_x_handles=("@nasa",)
    )
    assert tool.within.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert tool.within.until == datetime(2026, 11, 3, tzinfo=UTC)
    assert tool.within.authors == ("nasa",)
    exact = XSearch(type="x_search", to_date="2026-11-02T10:00:00+02:00")
    assert exact.within.until == datetime(2026, 11, 2, 8, tzinfo=UTC)


def test_of_a_deleted_post_an_answer_keeps_only_the_mark() -> None:
    feed = SmallFeed()
    feed.add(
        post("a", "ann", 1, "The Harwick bridge reopens on Friday."),
        post("b", "bob", 2, "The Harwick bridge reopens on Friday, says the mayor."),
    )
    answer = Answering(feed, lambda: NOW).answer("When does the Harwick bridge reopen?")
    assert len(answer.citations) == 2
    assert without_deleted(mark(answer, feed)) == answer
    first = answer.citations[0]
    del feed.posts[first.post.key]
    now = without_deleted(mark(answer, feed))
    assert now.text.startswith(f"{GONE} [1] ")
    assert first.post.text not in now.text
    assert [now.text[one.start : one.end][-3:] for one in now.citations] == ["[1]", "[2]"]
    assert now.citations[1].post.text in now.text


def test_a_desk_frees_its_places_whatever_becomes_of_an_answer() -> None:
    def failing(_: Callable[[], bool]) -> Iterator[int]:
        yield 1
        raise OSError("disk")

    def endless(stopped: Callable[[], bool]) -> Iterator[int]:
        while not stopped():
            yield 1

    async def tried() -> list[int]:
        desk = Desk(1, 0)
        with desk.place():
            with pytest.raises(RequestError), desk.place():
                pass
            with pytest.raises(OSError, match="disk"):
                [one async for one in desk.parts(failing)]
        parts = desk.parts(endless)
        assert await anext(parts) == 1
        await parts.aclose()
        with desk.place():
            return [one async for one in desk.parts(lambda _: iter([1, 2, 3]))]

    assert asyncio.run(tried()) == [1, 2, 3]
