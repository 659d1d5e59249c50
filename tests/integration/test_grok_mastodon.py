"""The source of Mastodon against a server that speaks its streaming and REST on loopback."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.grok.sources.mastodon import MastodonSource
from gigafactory.grok.sources.mastodon_statuses import id_of
from gigafactory.grok.sources.stored import Kept
from gigafactory.spec.post import Post
from tests.grok_platforms.loopback import Act, served
from tests.grok_platforms.mastodon_platform import TOKEN, MastodonPlatform
from tests.grok_platforms.reading import Reading, Waits, at_once, read

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
FIRST = id_of(NOW - timedelta(minutes=5))
STREAM = "/api/v1/streaming/public"
TIMELINE = "/api/v1/timelines/public"


@contextmanager
def source(platform: MastodonPlatform, **more: Any) -> Iterator[MastodonSource]:
    told: dict[str, Any] = {
        "host": "social.example",
        "token": TOKEN,
        "silence_s": 5.0,
        "now": lambda: NOW,
        "sleep": at_once,
    }
    with served(platform.app()) as url:
        yield MastodonSource(base_url=url, **(told | more))


def posted(count: int) -> MastodonPlatform:
    platform = MastodonPlatform()
    for n in range(1, count + 1):
        platform.write(FIRST + n, f"<p>post {n}</p>")
    return platform


def expected(count: int) -> dict[str, str]:
    return {str(FIRST + n): f"post {n}" for n in range(1, count + 1)}


def all_of(count: int) -> Any:
    return lambda reading: len(reading.standing()) >= count


def test_a_status_comes_as_plain_text_with_a_handle_that_is_one_author() -> None:
    platform = MastodonPlatform()
    platform.write(FIRST, '<p>Tom &amp; <a href="x">@Ann</a></p><p>bye</p>', spoiler_text="cw")
    with source(platform) as mastodon:
        [post, *_] = read(mastodon, all_of(1)).changes
    assert post == Post(
        id=str(FIRST), source="mastodon:social.example", author="ann@social.example",
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), text="cw\n\nTom & @Ann\n\nbye",
        url=f"http://127.0.0.1/@ann/{FIRST}", lang="en",
    )  # fmt: skip


@pytest.mark.parametrize("end", ["cut", "close"])
@pytest.mark.parametrize("after", range(6))
def test_killed_anywhere_every_status_comes_and_the_cursor_leaves_no_gap(
    after: int, end: str
) -> None:
    platform = posted(6)
    platform.acts = [Act(after=after, end=end), Act(after=1, end=end)]
    with source(platform) as mastodon:
        reading = read(mastodon, all_of(6))
    assert reading.standing() == expected(6)


def test_what_was_written_while_nobody_listened_is_asked_for_page_by_page() -> None:
    platform = posted(3)
    with source(platform) as mastodon:
        cursor = read(mastodon, all_of(3)).cursor
        for n in range(4, 101):
            platform.write(FIRST + n, f"<p>post {n}</p>")
        platform.delivered = len(platform.events)
        reading = read(mastodon, lambda one: "caught_up" in one.kinds, cursor)
    assert reading.standing() == expected(100)
    pages = [one for one in platform.asked if one.path == TIMELINE]
    assert {one.params["limit"] for one in pages} == {"40"}
    before = [batch.cursor for batch in reading.batches[:-1]]
    assert set(before) == {cursor}  # a crash in the middle asks for all of it again


def test_the_stream_is_open_before_what_was_missed_is_asked_for() -> None:
    platform = posted(1)
    with source(platform) as mastodon:
        read(mastodon, all_of(1))
    paths = [one.path for one in platform.asked]
    assert paths.index(STREAM) < paths.index(TIMELINE)


def test_a_status_that_arrives_late_and_dated_back_is_not_missed() -> None:
    platform = posted(2)
    with source(platform) as mastodon:
        cursor = read(mastodon, all_of(2)).cursor
        platform.write(FIRST - 7, "<p>from a slow server</p>")
        platform.delivered = len(platform.events)
        reading = read(mastodon, lambda one: "caught_up" in one.kinds, cursor)
    assert reading.standing()[str(FIRST - 7)] == "from a slow server"


def test_edits_and_deletions_take_effect_in_whatever_order_they_come() -> None:
    platform = posted(2)
    platform.edit(FIRST + 1, "<p>second edit</p>", "2026-01-02T03:04:30Z")
    platform.events.append(("update", platform.events[0][1]))
    platform.delete(FIRST + 2)
    platform.events.append(("update", platform.events[1][1]))
    with source(platform, lookback_s=0.0) as mastodon:
        reading = read(mastodon, lambda one: len(one.changes) >= 6)
    assert reading.standing() == {str(FIRST + 1): "second edit"}


def test_deletions_and_edits_while_nobody_listened_are_found_by_looking_up() -> None:
    platform = posted(3)
    with source(platform) as mastodon:
        first = read(mastodon, all_of(3))
    platform.delete(FIRST + 1)
    platform.edit(FIRST + 2, "<p>edited</p>", "2026-01-02T03:04:30Z")
    platform.delivered = len(platform.events)
    kept = [Kept(one.id, one.revision) for one in first.changes]
    with source(platform, kept=lambda *_: kept) as mastodon:
        reading = read(mastodon, lambda one: "caught_up" in one.kinds, first.cursor)
    reading.batches = first.batches + reading.batches
    assert reading.standing() == {str(FIRST + 2): "edited", str(FIRST + 3): "post 3"}


def test_a_server_too_old_to_be_asked_for_deletions_is_told_and_deletes_nothing() -> None:
    platform = posted(1)
    platform.can_look_up = False
    kept = [Kept(str(FIRST + 1), 0)]
    with source(platform, kept=lambda *_: kept) as mastodon:
        reading = read(mastodon, all_of(1), f'{{"id": "{FIRST}"}}')
        read(mastodon, lambda one: "caught_up" in one.kinds, f'{{"id": "{FIRST}"}}', reading)
    assert "gap" in reading.kinds
    assert reading.deleted() == set()


def test_boosts_and_private_statuses_are_not_for_us() -> None:
    platform = MastodonPlatform()
    platform.write(FIRST + 1, "<p>to followers</p>", visibility="private")
    platform.write(FIRST + 2, "<p>boost</p>", reblog={"id": "1"})
    platform.write(FIRST + 3, "<p>to all</p>")
    with source(platform) as mastodon:
        reading = read(mastodon, all_of(1))
    assert set(reading.standing().values()) == {"to all"}


def test_a_refused_token_ends_the_source_and_is_shown_nowhere() -> None:
    reading, secret = Reading(), "another-secret"
    with source(posted(1), token=secret) as mastodon, pytest.raises(SpecError) as refused:
        read(mastodon, all_of(1), into=reading)
    assert "401" in str(refused.value)
    assert secret not in f"{refused.value} {mastodon!r} {reading.incidents}"


def test_a_window_that_mastodon_names_is_waited_for() -> None:
    platform = posted(1)
    until = (NOW + timedelta(seconds=200)).isoformat().replace("+00:00", "Z")
    platform.acts = [Act(status=429, headers={"X-RateLimit-Reset": until}), Act(status=503)]
    waits = Waits()
    with source(platform, sleep=waits) as mastodon:
        reading = read(mastodon, all_of(1))
    assert waits.asked_s == [200.0, 2.0]
    assert {"rate_limited", "refused"} <= set(reading.kinds)


def test_silence_is_noticed_and_heartbeats_are_none() -> None:
    platform = posted(2)
    platform.acts = [Act(after=1, end="stall")]
    with source(platform, silence_s=0.5, lookback_s=0.0) as mastodon:
        reading = read(mastodon, all_of(2))
        assert reading.kinds.count("stalled") == 1
        quiet = read(mastodon, lambda one: len(one.batches) >= 20)
    assert "stalled" not in quiet.kinds


def test_garbage_is_told_and_passed_over() -> None:
    platform = posted(1)
    junk = (b"event: update", b"data: not json", b"", b"\xff\xfe", b"event: delete", b"data: a b",
            b"", b"event: update", b'data: {"id": 7}', b"", b"data: 1", b"", b"")  # fmt: skip
    platform.acts = [Act(raw=b"\n".join(junk))]
    with source(platform, lookback_s=0.0) as mastodon:
        reading = read(mastodon, all_of(1))
    assert reading.kinds.count("malformed") == 3


def test_more_than_a_day_away_is_a_gap() -> None:
    long_ago = id_of(NOW - timedelta(days=3))
    with source(posted(1)) as mastodon:
        assert "gap" in read(mastodon, all_of(1), f'{{"id": "{long_ago}"}}').kinds


@pytest.mark.parametrize("host", ["", "https://a.example", "a@b", "a b"])
def test_a_host_is_a_name(host: str) -> None:
    with pytest.raises(SpecError, match="host must be a name"):
        MastodonSource(host=host)
