"""The source of X against a server that speaks API v2 on loopback."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.grok.sources.stored import Kept
from gigafactory.grok.sources.x import XSource
from gigafactory.grok.sources.x_rules import Rule
from gigafactory.spec.post import Deletion, Post
from tests.grok_platforms.loopback import Act, served
from tests.grok_platforms.reading import Reading, Waits, at_once, read
from tests.grok_platforms.x_platform import CROWDED, DISCONNECT, TOKEN, XPlatform, tweet

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
STREAM = "/2/tweets/search/stream"
SEARCH = "/2/tweets/search/recent"


@contextmanager
def source(platform: XPlatform, **more: Any) -> Iterator[XSource]:
    told: dict[str, Any] = {
        "token": TOKEN,
        "rules": (Rule("artemis lang:en", "space"),),
        "recheck_every_s": None,
        "silence_s": 5.0,
        "now": lambda: NOW,
        "sleep": at_once,
    }
    with served(platform.app()) as url:
        yield XSource(base_url=url, **(told | more))


def posted(count: int) -> XPlatform:
    return XPlatform(posts=[tweet(n, f"post {n}") for n in range(1, count + 1)])


def all_of(count: int) -> Any:
    return lambda reading: len(reading.standing()) >= count


def test_posts_come_with_author_page_and_language() -> None:
    platform = XPlatform(posts=[tweet(7, "Tom &amp; Ann &lt;3")])
    with source(platform) as x:
        [post] = read(x, all_of(1)).changes
    assert post == Post(
        id="7", source="x", author="ann", created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        text="Tom & Ann <3", url="https://x.com/ann/status/7", lang="en", revision=7,
    )  # fmt: skip


def test_rules_of_the_token_become_those_that_are_asked_for() -> None:
    platform = posted(1)
    platform.rules = {
        "1": {"id": "1", "value": "cats", "tag": "old"},
        "2": {"id": "2", "value": "artemis lang:en", "tag": "space"},
    }
    with source(platform, rules=(Rule("artemis lang:en", "space"), Rule("mars"))) as x:
        read(x, all_of(1))
    assert sorted(one["value"] for one in platform.rules.values()) == ["artemis lang:en", "mars"]
    assert "2" in platform.rules  # one that is right already is left alone


def test_a_rule_that_x_does_not_understand_is_the_users_to_mend() -> None:
    with source(posted(1), rules=(Rule("(artemis"),)) as x, pytest.raises(
        SpecError, match=r"x: rule '\(artemis' is refused by X: missing a closing parenthesis"
    ):  # fmt: skip
        read(x, all_of(1))


def test_a_refused_token_ends_the_source_and_is_shown_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reading = Reading()
    secret = "another-secret"  # noqa: S105
    with source(posted(1), token=secret) as x, pytest.raises(SpecError) as refused:
        read(x, all_of(1), into=reading)
    assert "401" in str(refused.value)
    shown = f"{refused.value} {x!r} {reading.incidents} {caplog.text}"
    assert secret not in shown


@pytest.mark.parametrize(
    ("field", "value"), [("token", ""), ("rules", ()), ("rules", (Rule(" "),))]
)
def test_without_token_or_rules_there_is_no_source(field: str, value: Any) -> None:
    told: dict[str, Any] = {"token": TOKEN, "rules": (Rule("mars"),)} | {field: value}
    with pytest.raises(SpecError, match=rf"^x: {field} must"):
        XSource(**told)


def test_a_token_is_sent_as_a_bearer_and_its_posts_ask_for_what_is_needed() -> None:
    platform = posted(1)
    with source(platform) as x:
        read(x, all_of(1))
    [asked] = [one for one in platform.asked if one.path == STREAM]
    assert asked.authorization == f"Bearer {TOKEN}"
    assert "edit_history_tweet_ids" in asked.params["tweet.fields"]
    assert "backfill_minutes" not in asked.params  # there is nothing to come back to


@pytest.mark.parametrize("end", ["cut", "close"])
@pytest.mark.parametrize("after", range(6))
def test_killed_anywhere_every_post_comes_and_the_cursor_leaves_no_gap(
    after: int, end: str
) -> None:
    platform = posted(6)
    platform.acts = [Act(after=after, end=end), Act(after=1, end=end)]
    with source(platform) as x:
        reading = read(x, all_of(6))
    assert reading.standing() == {str(n): f"post {n}" for n in range(1, 7)}
    again = [one.params for one in platform.asked if one.path == STREAM][1:]
    if after:
        assert all(one["backfill_minutes"] == "1" for one in again)
    assert "disconnected" in reading.kinds


def test_a_later_process_asks_the_stream_for_the_minutes_that_it_missed() -> None:
    platform = posted(3)
    with source(platform) as x:
        cursor = read(x, all_of(3)).cursor
    platform.posts.append(tweet(4, "post 4"))
    platform.delivered = 4  # it was streamed while nobody listened
    with source(platform, now=lambda: NOW + timedelta(minutes=2)) as x:
        reading = read(x, lambda one: "4" in one.standing(), cursor)
    assert reading.standing()["4"] == "post 4"
    assert platform.asked[-1].params["backfill_minutes"] == "3"  # two, and one for those on the way


def test_after_more_than_five_minutes_search_recovers_all_pages() -> None:
    platform = posted(5)
    platform.delivered = 5
    cursor = f'{{"heard": "{NOW.isoformat()}"}}'
    with source(platform, now=lambda: NOW + timedelta(hours=1)) as x:
        reading = read(x, all_of(5), cursor)
    assert set(reading.standing()) == {"1", "2", "3", "4", "5"}
    searched = [one.params for one in platform.asked if one.path == SEARCH]
    assert [one["query"] for one in searched] == ["artemis lang:en"] * 3
    assert searched[0]["start_time"] == "2026-01-02T03:04:00Z"
    assert "gap" not in reading.kinds
    assert all(batch.cursor == reading.batches[0].cursor for batch in reading.batches)


def test_an_access_level_without_backfill_recovers_by_search() -> None:
    platform = posted(2)
    platform.delivered, platform.has_backfill = 2, False
    with source(platform) as x:
        reading = read(x, all_of(2), f'{{"heard": "{NOW.isoformat()}"}}')
    assert set(reading.standing()) == {"1", "2"}


def test_more_than_seven_days_is_a_gap() -> None:
    platform = posted(1)
    with source(platform, now=lambda: NOW + timedelta(days=9)) as x:
        reading = read(x, all_of(1), f'{{"heard": "{NOW.isoformat()}"}}')
    assert "gap" in reading.kinds


def test_a_cursor_of_something_else_is_a_gap_and_no_more() -> None:
    with source(posted(1)) as x:
        reading = read(x, all_of(1), "{'heard'")
    assert reading.kinds[:2] == ["malformed", "gap"]


def test_silence_is_noticed_and_the_stream_asked_for_again() -> None:
    platform = posted(2)
    platform.acts = [Act(after=1, end="stall")]
    with source(platform, silence_s=0.3) as x:
        reading = read(x, all_of(2))
    assert "stalled" in reading.kinds
    assert set(reading.standing()) == {"1", "2"}


def test_keep_alives_alone_are_no_silence() -> None:
    platform = XPlatform()
    with source(platform, silence_s=1.0) as x:
        reading = read(x, lambda one: len(one.batches) >= 30)
    assert reading.kinds == ["connected"]
    assert reading.changes == []


def test_backoff_is_what_x_asks_for() -> None:
    platform = posted(1)
    refused = [Act(status=503, body={"title": "Service Unavailable"}) for _ in range(8)]
    limited = [Act(status=429, body=CROWDED) for _ in range(3)]
    platform.acts = refused + limited
    waits = Waits()
    with source(platform, sleep=waits) as x:
        reading = read(x, all_of(1))
    assert waits.asked_s == [5, 10, 20, 40, 80, 160, 320, 320, 60, 120, 240]
    assert reading.kinds.count("refused") == 8
    assert reading.kinds.count("rate_limited") == 3


def test_network_errors_wait_a_quarter_of_a_second_longer_each_time() -> None:
    platform = posted(1)
    platform.acts = [Act(end="cut") for _ in range(70)]
    waits = Waits()
    with source(platform, sleep=waits) as x:
        read(x, all_of(1))
    assert waits.asked_s[:3] == [0.0, 0.25, 0.5]
    assert waits.asked_s[-1] == 16.0
    assert waits.asked_s == sorted(waits.asked_s)


def test_a_reset_that_x_names_is_waited_for() -> None:
    platform = posted(1)
    until = str(int((NOW + timedelta(seconds=500)).timestamp()))
    platform.acts = [Act(status=429, headers={"x-rate-limit-reset": until})]
    waits = Waits()
    with source(platform, sleep=waits) as x:
        read(x, all_of(1))
    assert waits.asked_s == [500.0]


def test_an_end_told_in_the_stream_keeps_what_stood_before_it() -> None:
    platform = posted(3)
    platform.rules = {"1": {"id": "1", "value": "artemis lang:en", "tag": "space"}}
    first = platform.line(platform.posts[0])
    platform.acts = [Act(raw=first + json.dumps(DISCONNECT).encode() + b"\r\n", end="stall")]
    platform.delivered = 1
    with source(platform) as x:
        reading = read(x, all_of(3))
    assert set(reading.standing()) == {"1", "2", "3"}
    assert any("operational-disconnect" in one.detail for one in reading.incidents)


def test_garbage_between_posts_is_told_and_passed_over() -> None:
    platform = posted(2)
    junk = [
        b'{"data": 3}',
        b"not json",
        b"\xff\xfe\x00",
        b"[1]",
        b'{"data":{"id":"x"}}',
        b"{}",
        b"",
    ]
    platform.acts = [Act(raw=b"\r\n".join(junk))]
    with source(platform) as x:
        reading = read(x, all_of(2))
    assert set(reading.standing()) == {"1", "2"}
    assert reading.kinds.count("malformed") >= 6


def test_a_line_without_end_is_passed_over_not_kept() -> None:
    platform = posted(1)
    platform.acts = [Act(raw=b'{"data":"' + b"x" * (5 << 20) + b'"}\r\n')]
    with source(platform) as x:
        reading = read(x, all_of(1))
    assert reading.kinds.count("oversized") == 1
    assert reading.standing() == {"1": "post 1"}


def test_edits_are_versions_of_one_post_in_whatever_order_they_come() -> None:
    versions = [
        tweet(30, "second edit", (10, 20, 30), created_at="2026-01-02T03:04:30Z"),
        tweet(10, "first words", (10,)),
        tweet(20, "first edit", (10, 20)),
    ]
    with source(XPlatform(posts=versions)) as x:
        reading = read(x, lambda one: len(one.changes) >= 3)
    assert reading.standing() == {"10": "second edit"}
    assert [one.revision for one in reading.changes] == [30, 10, 20]
    first = reading.changes[0]
    assert isinstance(first, Post)
    assert first.edited_at == datetime(2026, 1, 2, 3, 4, 30, tzinfo=UTC)


def test_kept_posts_are_looked_up_again_for_deletions_and_edits() -> None:
    platform = posted(3)
    platform.deleted = {"2"}
    platform.posts[2] = tweet(3, "post 3", (3, 33))
    platform.posts.append(tweet(33, "post 3, edited", (3, 33)))
    platform.delivered = 4
    kept = [Kept("1", 1), Kept("2", 2), Kept("3", 3)]
    with source(platform, recheck_every_s=0.01, kept=lambda *_: kept) as x:
        reading = read(x, lambda one: bool(one.deleted()))
    assert reading.deleted() == {"2"}
    assert reading.standing() == {"3": "post 3, edited"}
    [gone] = [one for one in reading.changes if isinstance(one, Deletion)]
    assert gone.revision == 2**63 - 1  # nothing brings it back
