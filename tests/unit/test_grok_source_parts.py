"""The parts that all sources share."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.grok.sources import backoff, reconnect, text
from gigafactory.grok.sources.backoff import Backoff
from gigafactory.grok.sources.bluesky_events import event_of
from gigafactory.grok.sources.markup import text_of
from gigafactory.grok.sources.streaming import wait_asked_s
from gigafactory.grok.sources.telling import Teller
from gigafactory.grok.sources.watch import gathered, merged
from gigafactory.spec.post import Deletion, Post

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gigafactory.spec.post import Incident

FIXTURES = Path(
    os.environ.get("GIGA_JETSTREAM_EVENTS")
    or Path(__file__).parents[3] / "shared" / "grok" / "fixtures"
)


def test_backoff_counts_each_kind_of_failure_by_itself_and_begins_anew() -> None:
    waits = Backoff(backoff.X)
    assert [waits.network_s() for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert [waits.server_s() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 320, 320]
    assert [waits.rate_s() for _ in range(3)] == [60, 120, 240]
    waits.reset()
    assert (waits.network_s(), waits.server_s(), waits.rate_s()) == (0.0, 5.0, 60.0)


@pytest.mark.parametrize(
    ("header", "value", "wait_s"),
    [
        ("Retry-After", "17", 17.0),
        ("Retry-After", "Fri, 02 Jan 2026 03:05:09 GMT", 9.0),
        ("x-rate-limit-reset", "1767323160", 60.0),
        ("RateLimit-Reset", "1767323160", 60.0),
        ("X-RateLimit-Reset", "2026-01-02T03:06:00Z", 60.0),
        ("X-RateLimit-Reset", "2026-01-02T03:00:00Z", 0.0),
        ("Retry-After", "soon", None),
        ("Retry-After", "9" * 400, None),
        ("x-rate-limit-reset", "-1", None),
        ("Server", "1", None),
    ],
)
def test_what_a_server_asks_to_wait_is_understood_in_every_form(
    header: str, value: str, wait_s: float | None
) -> None:
    now = datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
    assert wait_asked_s({header: value}, now) == wait_s


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a\u202eb\u2066c", "abc"),
        ("\x1b[31mred\x07", "[31mred"),
        ("one\r\ntwo\u2028three\rfour", "one\ntwo\nthree\nfour"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("hi\U000e0069\U000e0067\U000e006e", "hi"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",) * 2,
        ("sp\u200blit\u00ad", "split"),
        ("half \ud83d", "half \ufffd"),
        ("שלום world", "שלום world"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_what_cannot_be_seen_or_lies_is_taken_out(said: str, kept: str) -> None:
    assert text.plain(said) == kept


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("<p>a</p><p>b<br/>c</p>", "a\n\nb\nc"),
        ("<script>alert(1)</script>x", "x"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ('<a href="javascript:x">link</a>', "link"),
        ("no\nmarkup", "no markup"),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, plain: str) -> None:
    assert text_of(html) == plain


def test_a_secret_that_a_server_repeats_is_blackened() -> None:
    told: list[Incident] = []
    Teller("x", told.append, secrets=("s3cret", ""))("refused", "bad token s3cret\nat s3cret")
    assert told[0].detail == "bad token *** at ***"


async def _never() -> AsyncGenerator[int, None]:
    yield 1
    await asyncio.sleep(3600)
    yield 2


def test_a_silent_stream_is_stalled_after_what_it_said() -> None:
    found: list[int] = []

    async def main() -> None:
        async for part in gathered(_never(), 0.05):
            found.extend(part)

    with pytest.raises(reconnect.Stalled):
        asyncio.run(main())
    assert found == [1]


def test_a_slow_user_is_no_silence() -> None:
    async def steady() -> AsyncGenerator[int, None]:
        for n in range(6):
            yield n

    async def main() -> list[int]:
        found = []
        async for part in gathered(steady(), 0.05, most=1):
            await asyncio.sleep(0.1)
            found += part
        return found

    assert asyncio.run(main()) == list(range(6))


def test_merged_streams_end_with_the_first_and_pass_its_error_on() -> None:
    closed = []

    async def failing() -> AsyncGenerator[int, None]:
        yield 10
        raise SpecError("refused")

    async def endless() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 0
                await asyncio.sleep(0.001)
        finally:
            closed.append(True)

    found: list[int] = []

    async def main() -> None:
        async for one in merged(failing(), endless()):
            found.append(one)  # noqa: PERF401  (what came before the error counts)

    with pytest.raises(SpecError, match="refused"):
        asyncio.run(main())
    assert 10 in found
    assert closed == [True]


def test_real_events_of_the_network_are_read_as_what_they_are() -> None:
    path = FIXTURES / "expected_v1.jsonl"
    if not path.is_file():
        pytest.skip("the captured events of Jetstream are not on this machine")
    incidents: list[Incident] = []
    tell = Teller("bluesky", incidents.append, lambda: datetime(2026, 7, 5, tzinfo=UTC))
    events = [event_of(line, tell) for line in path.read_bytes().splitlines()]
    changes: list[Any] = [one.change for one in events if one.change]
    assert len(events) == 152
    assert all(one.time_us for one in events)
    assert incidents == []
    posts = [one for one in changes if isinstance(one, Post)]
    deleted = [one for one in changes if isinstance(one, Deletion)]
    assert len(deleted) == 1
    assert 0 < len(posts) <= 17  # of 17 written, those without a word (pictures alone) are left out
    for one in posts:
        age_s = (datetime(2026, 7, 5, tzinfo=UTC) - one.created_at).total_seconds()
        assert age_s > 0
        seen_s = one.revision / 1024 / 1e6
        assert abs(seen_s - 1783175888) < 600
