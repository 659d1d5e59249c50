"""The source of Bluesky against servers that speak Jetstream, v1 and v2, on loopback."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gigafactory.errors import SpecError
from gigafactory.grok.sources import tid
from gigafactory.grok.sources.bluesky import BlueskySource
from gigafactory.grok.sources.stored import Kept
from gigafactory.spec.post import Deletion, Post
from tests.grok_platforms.jetstream import BASE_US, V2, Jetstream, rev
from tests.grok_platforms.loopback import Act, served
from tests.grok_platforms.reading import Waits, at_once, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

ANN, BOB = "did:plc:ann", "did:plc:bob"
NOW = datetime(2026, 7, 4, 15, tzinfo=UTC)
PATHS = {"v1": "/subscribe", "v2": V2}
BOTH = pytest.mark.parametrize("version", ["v1", "v2"])


@contextmanager
def source(jetstream: Jetstream, version: str = "v2", **more: Any) -> Iterator[BlueskySource]:
    with jetstream.served() as place:
        told: dict[str, Any] = {
            "endpoints": (f"ws://{place}{PATHS[version]}",),
            "appview": "",
            "silence_s": 5.0,
            "now": lambda: NOW,
            "sleep": at_once,
        }
        yield BlueskySource(**(told | more))


def posted(count: int) -> Jetstream:
    jetstream = Jetstream()
    for n in range(1, count + 1):
        jetstream.commit(ANN, f"r{n}", "create", f"post {n}")
    return jetstream


def all_of(count: int) -> Any:
    return lambda reading: len(reading.standing()) >= count


def expected(count: int) -> dict[str, str]:
    return {f"{ANN}/r{n}": f"post {n}" for n in range(1, count + 1)}


@BOTH
def test_a_post_comes_with_its_page_language_and_the_order_of_its_repository(version: str) -> None:
    with source(posted(1), version) as bluesky:
        reading = read(bluesky, all_of(1))
    assert reading.changes == [
        Post(
            id=f"{ANN}/r1", source="bluesky", author=ANN, text="post 1", lang="en",
            created_at=datetime(2026, 7, 4, 14, 38, 6, 240000, tzinfo=UTC),
            url=f"https://bsky.app/profile/{ANN}/post/r1",
            revision=tid.number(rev(BASE_US + 1_000_000)) or 0,
        )
    ]  # fmt: skip
    assert reading.batches[-1].last_event_at == datetime(2026, 7, 4, 14, 38, 9, tzinfo=UTC)


@BOTH
def test_edits_deletions_and_a_record_written_again_take_effect_in_their_order(
    version: str,
) -> None:
    jetstream = posted(3)
    jetstream.commit(ANN, "r1", "update", "post 1, edited")
    jetstream.commit(ANN, "r2", "delete")
    jetstream.commit(ANN, "r3", "delete")
    jetstream.commit(ANN, "r3", "create", "post 3 again")
    with source(jetstream, version) as bluesky:
        reading = read(bluesky, lambda one: len(one.changes) >= 7)
    assert reading.standing() == {f"{ANN}/r1": "post 1, edited", f"{ANN}/r3": "post 3 again"}


def test_both_dialects_order_versions_alike() -> None:
    jetstream = posted(2)
    with jetstream.served() as place:
        told: dict[str, Any] = {"appview": "", "now": lambda: NOW, "sleep": at_once}
        found = [
            read(BlueskySource(endpoints=(f"ws://{place}{path}",), **told), all_of(2)).changes
            for path in PATHS.values()
        ]
    assert found[0] == found[1]


@BOTH
@pytest.mark.parametrize("end", ["cut", "close", "ConsumerTooSlow"])
@pytest.mark.parametrize("after", range(6))
def test_killed_anywhere_every_post_comes_and_the_cursor_leaves_no_gap(
    version: str, after: int, end: str
) -> None:
    jetstream = posted(6)
    jetstream.acts = [Act(after=after, end=end), Act(after=1, end=end)]
    with source(jetstream, version) as bluesky:
        reading = read(bluesky, all_of(6))
    assert reading.standing() == expected(6)
    assert "disconnected" in reading.kinds
    assert ("gap" in reading.kinds) == (end == "ConsumerTooSlow")


@BOTH
@pytest.mark.parametrize("stop", range(1, 6))
def test_another_process_goes_on_from_any_cursor(version: str, stop: int) -> None:
    jetstream = posted(6)
    jetstream.acts = [Act(after=stop, end="stall")]
    with source(jetstream, version) as bluesky:
        first = read(bluesky, all_of(stop))
        assert first.standing() == expected(stop)
        second = read(bluesky, lambda one: f"{ANN}/r6" in one.standing(), first.cursor)
    assert first.standing() | second.standing() == expected(6)


def test_v2_delivers_no_event_twice_on_its_way_on() -> None:
    jetstream = posted(6)
    jetstream.acts = [Act(after=2, end="cut"), Act(after=3, end="cut")]
    with source(jetstream) as bluesky:
        reading = read(bluesky, all_of(6))
    assert len(reading.changes) == 6


@pytest.mark.parametrize("status", ["deleted", "takendown", "suspended", "deactivated"])
@BOTH
def test_posts_of_an_author_who_is_gone_are_deleted_kept_ones_and_those_on_their_way(
    version: str, status: str
) -> None:
    jetstream = posted(2)
    jetstream.commit(BOB, "b1", "create", "of somebody else")
    jetstream.account(ANN, status)
    asked: list[tuple[str, str]] = []

    def kept(name: str, prefix: str) -> list[Kept]:
        asked.append((name, prefix))
        return [Kept(f"{ANN}/old", 5)]

    with source(jetstream, version, kept=kept) as bluesky:
        reading = read(bluesky, lambda one: len(one.deleted()) >= 3)
    assert asked[0] == ("bluesky", f"{ANN}/")
    assert reading.deleted() == {f"{ANN}/old", f"{ANN}/r1", f"{ANN}/r2"}
    assert reading.standing() == {f"{BOB}/b1": "of somebody else"}


def test_an_account_that_is_only_throttled_keeps_its_posts() -> None:
    jetstream = posted(1)
    jetstream.account(ANN, "throttled")
    jetstream.commit(ANN, "r2", "create", "post 2")
    with source(jetstream) as bluesky:
        assert read(bluesky, all_of(2)).deleted() == set()


def test_a_repository_that_is_told_anew_replaces_what_was_kept() -> None:
    jetstream = posted(2)
    anew = rev(BASE_US + 3_000_000)
    jetstream.add(ANN, "sync", {"rev": anew})
    body = {"rev": anew, "operation": "create", "collection": "app.bsky.feed.post", "rkey": "r2"}
    jetstream.add(ANN, "commit", body | {"record": {"text": "post 2, as it is now"}})
    with source(jetstream) as bluesky:
        reading = read(bluesky, lambda one: "post 2, as it is now" in one.standing().values())
    assert reading.standing() == {f"{ANN}/r2": "post 2, as it is now"}


def test_a_handle_of_an_identity_event_names_the_posts_after_it() -> None:
    jetstream = posted(1)
    jetstream.identity(ANN, "ann.example")
    jetstream.commit(ANN, "r2", "create", "post 2")
    with source(jetstream) as bluesky:
        posts = read(bluesky, all_of(2)).changes
    assert posts[-1].id == f"{ANN}/r2"
    assert isinstance(posts[-1], Post)
    assert posts[-1].author == "ann.example"


def test_handles_are_looked_up_and_a_lookup_that_fails_holds_up_nothing() -> None:
    asked: list[list[str]] = []

    async def profiles(request: Request) -> JSONResponse:
        asked.append(request.query_params.getlist("actors"))
        if len(asked) > 1:
            return JSONResponse({"error": "RateLimitExceeded"}, 429)
        told = [{"did": ANN, "handle": "ann.bsky.social"}, {"did": "did:plc:x", "handle": "evil"}]
        return JSONResponse({"profiles": told})

    appview = Starlette(routes=[Route("/xrpc/app.bsky.actor.getProfiles", profiles)])
    jetstream = posted(1)
    with served(appview) as url, source(jetstream, appview=url) as bluesky:
        first = read(bluesky, all_of(1))
        jetstream.commit(ANN, "r2", "create", "post 2")
        jetstream.commit(BOB, "b1", "create", "of bob")
        second = read(bluesky, all_of(2), first.cursor)
    authors = {one.id: one.author for one in (*first.changes, *second.changes)}  # type: ignore[union-attr]
    assert asked[0] == [ANN]
    assert authors[f"{ANN}/r1"] == "ann.bsky.social"
    assert authors[f"{BOB}/b1"] == BOB
    assert "rate_limited" in second.kinds


def test_a_cursor_out_of_reach_is_a_gap_and_reading_goes_on_from_the_floor() -> None:
    jetstream = posted(6)
    with source(jetstream) as bluesky:
        cursor = read(bluesky, all_of(1), '{"host": "", "seq": 0, "time_us": 1783175889000000}')
        first = cursor.batches[0].cursor.replace('"seq": 6', '"seq": 1')
        jetstream.floor = 4
        reading = read(bluesky, all_of(3), first.replace("1783175894", "1783175889"))
    assert set(reading.standing()) == {f"{ANN}/r{n}" for n in (4, 5, 6)}
    assert reading.kinds.count("gap") == 1


def test_a_number_of_another_archive_is_not_trusted() -> None:
    jetstream = posted(3)
    cursor = f'{{"host": "elsewhere:1", "seq": 3, "time_us": {BASE_US + 1_000_000}}}'
    with source(jetstream) as bluesky:
        assert read(bluesky, all_of(3), cursor).standing() == expected(3)
    assert int(jetstream.asked[0].params["cursor"]) == BASE_US - 4_000_000


def test_an_unreadable_cursor_is_a_gap_and_no_more() -> None:
    with source(posted(1)) as bluesky:
        assert "gap" in read(bluesky, all_of(1), "42").kinds


def test_v1_is_asked_where_v2_is_not_to_be_had() -> None:
    jetstream = posted(2)
    jetstream.speaks = ("v1",)
    with jetstream.served() as place:
        bluesky = BlueskySource(
            endpoints=(f"ws://{place}{V2}", f"ws://{place}/subscribe"),
            appview="", now=lambda: NOW, sleep=at_once,
        )  # fmt: skip
        assert read(bluesky, all_of(2)).standing() == expected(2)
    assert [one.path for one in jetstream.asked] == [V2, "/subscribe"]


def test_each_dialect_is_asked_in_its_own_words() -> None:
    jetstream = posted(1)
    jetstream.commit(BOB, "b1", "create", "of bob")
    with jetstream.served() as place:
        for path in PATHS.values():
            bluesky = BlueskySource(
                endpoints=(f"ws://{place}{path}",), dids=(BOB,), appview="", now=lambda: NOW
            )
            assert set(read(bluesky, all_of(1)).standing()) == {f"{BOB}/b1"}
    v1, v2 = (one.params for one in jetstream.asked)
    assert (v1["wantedDids"], v1["wantedCollections"]) == (BOB, "app.bsky.feed.post")
    assert (v2["dids"], v2["collections"]) == (BOB, "app.bsky.feed.post")
    assert v2["kinds"] == "commit,identity,account,sync"


def test_v1_past_its_reach_is_told_as_a_gap() -> None:
    cursor = f'{{"host": "", "seq": 0, "time_us": {BASE_US}}}'
    with source(posted(1), "v1", now=lambda: NOW + timedelta(days=3)) as bluesky:
        assert "gap" in read(bluesky, all_of(1), cursor).kinds


@BOTH
def test_silence_is_noticed_and_the_stream_asked_for_again(version: str) -> None:
    jetstream = posted(2)
    jetstream.acts = [Act(after=1, end="stall")]
    with source(jetstream, version, silence_s=0.3) as bluesky:
        reading = read(bluesky, all_of(2))
    assert "stalled" in reading.kinds
    assert reading.standing() == expected(2)


@pytest.mark.parametrize(
    "raw", [b"not json", b"[]", b"\xff\xfe", b"{}", b'{"did":3,"time_us":"x","kind":"commit"}']
)
def test_garbage_is_told_and_passed_over(raw: bytes) -> None:
    jetstream = posted(2)
    jetstream.acts = [Act(raw=raw)]
    with source(jetstream) as bluesky:
        reading = read(bluesky, all_of(2))
    assert reading.standing() == expected(2)
    assert "malformed" in reading.kinds


def test_a_server_that_is_busy_is_left_alone_longer_each_time() -> None:
    jetstream = posted(1)
    jetstream.acts = [Act(status=503) for _ in range(3)]
    jetstream.acts += [Act(status=429, headers={"Retry-After": "77"})]
    waits = Waits()
    with source(jetstream, sleep=waits) as bluesky:
        read(bluesky, all_of(1))
    assert waits.asked_s == [2, 4, 8, 77]


def test_a_clock_that_is_ahead_is_put_right_and_one_that_is_behind_is_believed() -> None:
    jetstream = Jetstream()
    jetstream.commit(ANN, "r1", "create", "from the future", createdAt="2031-01-01T00:00:00Z")
    jetstream.commit(ANN, "r2", "create", "from the past", createdAt="2016-01-01T00:00:00Z")
    jetstream.commit(ANN, "r3", "create", "from nowhere", createdAt="yesterday")
    with source(jetstream) as bluesky:
        reading = read(bluesky, all_of(3))
    dates = {one.id: one.created_at for one in reading.changes}  # type: ignore[union-attr]
    assert dates[f"{ANN}/r1"] == NOW
    assert dates[f"{ANN}/r2"].year == 2016
    assert dates[f"{ANN}/r3"] == datetime(2026, 7, 4, 14, 38, 11, tzinfo=UTC)
    assert reading.kinds.count("clock_skew") == 1


def test_an_edit_that_leaves_no_text_takes_the_old_text_away() -> None:
    jetstream = posted(1)
    jetstream.commit(ANN, "r1", "update", "")
    with source(jetstream) as bluesky:
        reading = read(bluesky, lambda one: len(one.changes) >= 2)
    assert isinstance(reading.changes[-1], Deletion)


@pytest.mark.parametrize(("field", "value"), [("endpoints", ("http://a",)), ("dids", ("ann",))])
def test_an_address_or_author_of_another_kind_is_refused(field: str, value: Any) -> None:
    told: dict[str, Any] = {field: value}
    with pytest.raises(SpecError, match=r"^bluesky: "):
        BlueskySource(**told)
