"""Whatever a platform says: changes and incidents, never an exception, never text that lies."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.grok.sources import mastodon_statuses, run_records, run_words, text, tid, x_posts
from gigafactory.grok.sources.bluesky_events import event_of
from gigafactory.grok.sources.bluesky_place import place_of
from gigafactory.grok.sources.byte_lines import Splitter
from gigafactory.grok.sources.lines import LinesSource
from gigafactory.grok.sources.markup import text_of
from gigafactory.grok.sources.sse import Event as Sse
from gigafactory.grok.sources.sse import Parser
from gigafactory.grok.sources.telling import Teller
from gigafactory.grok.sources.watch import gathered
from gigafactory.spec.post import MAX_TEXT_CHARS, Post
from gigafactory.spec.run import Event, RunResult, StepRecord
from tests.grok_platforms.jetstream import rev
from tests.grok_platforms.mastodon_platform import status
from tests.grok_platforms.x_platform import tweet

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from gigafactory.spec.post import Incident

NOW = datetime(2026, 7, 4, 15, tzinfo=UTC)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str)
    | st.datetimes().map(lambda one: one.isoformat() + "Z")
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3)
)
TID = rev(1_783_175_888_000_000)
V1: dict[str, Any] = {
    "did": "did:plc:ann", "time_us": 1_783_175_888_000_000, "kind": "commit",
    "commit": {"rev": TID, "operation": "create", "collection": "app.bsky.feed.post",
               "rkey": "r1", "record": {"text": "hi", "langs": ["en"]}},
}  # fmt: skip
V2: dict[str, Any] = {
    "$type": "message",
    "payload": {"$type": "x#commit", "seq": 1, "did": "did:plc:ann", "time": "2026-07-04T14:38:08Z",
                **V1["commit"]},
}  # fmt: skip


def teller(incidents: list[Incident]) -> Teller:
    return Teller("mastodon:a.example", incidents.append, lambda: NOW)


def x(data: bytes, tell: Teller) -> list[Any]:
    return [x_posts.line_of(data, tell).post]


def bluesky(data: bytes, tell: Teller) -> list[Any]:
    return [event_of(data, tell).change]


def mastodon(data: bytes, tell: Teller) -> list[Any]:
    names = ("update", "status.update", "delete", "notification")
    return [mastodon_statuses.status_of(Sse(name, data), tell).change for name in names]


PARSERS = pytest.mark.parametrize("parse", [x, bluesky, mastodon])


def require_sound(changes: list[Any], data: bytes, incidents: list[Incident]) -> None:
    """Check that what came out may go into the log, and that incidents are one line each."""
    del data
    for one in changes:
        if isinstance(one, Post):
            assert len(one.text) <= MAX_TEXT_CHARS
            assert one.created_at.tzinfo is not None
            assert one.created_at <= NOW or (one.created_at - NOW).total_seconds() <= 300
            one.text.encode()
            for field in (one.text.replace("\n", "").replace("\t", ""), one.author, one.url):
                assert not [c for c in field if unicodedata.category(c) in ("Cc", "Cs")]
        if one is not None:
            assert one.id
            assert 0 <= one.revision < 2**63
    assert all("\n" not in one.detail and len(one.detail) <= 300 for one in incidents)


@PARSERS
@given(data=st.binary())
def test_any_bytes_are_changes_or_incidents(
    parse: Callable[[bytes, Teller], list[Any]], data: bytes
) -> None:
    incidents: list[Incident] = []
    require_sound(parse(data, teller(incidents)), data, incidents)


@PARSERS
@given(value=VALUES)
def test_any_json_is_changes_or_incidents(
    parse: Callable[[bytes, Teller], list[Any]], value: Any
) -> None:
    data, incidents = json.dumps(value).encode(), list[Any]()
    require_sound(parse(data, teller(incidents)), data, incidents)


def changed(value: Any, path: list[int], new: Any) -> Any:
    """Return JSON with one place of it, found by walking along `path`, replaced or taken out."""
    if not path or not isinstance(value, (dict, list)) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, copy = keys[path[0] % len(keys)], value.copy()
    copy[key] = changed(value[key], path[1:], new)
    return copy


ALMOST = pytest.mark.parametrize(
    ("parse", "told"),
    [
        (x, {"data": tweet(7, "hi", (5, 7)), "includes": {"users": [{"id": "12"}]}}),
        (bluesky, V1),
        (bluesky, V2),
        (bluesky, {**V1, "kind": "account", "account": {"active": False, "status": "deleted"}}),
        (mastodon, status(7, "<p>hi</p>")),
    ],
)


@ALMOST
@given(path=st.lists(st.integers(0, 20), min_size=1, max_size=4), new=VALUES)
def test_an_event_with_any_one_place_changed_is_changes_or_incidents(
    parse: Callable[[bytes, Teller], list[Any]], told: Any, path: list[int], new: Any
) -> None:
    data, incidents = json.dumps(changed(told, path, new)).encode(), list[Any]()
    require_sound(parse(data, teller(incidents)), data, incidents)


@given(data=st.binary() | VALUES.map(lambda one: json.dumps(one).encode()))
@pytest.mark.parametrize("cls", [Event, StepRecord, RunResult])
def test_any_line_of_a_run_is_a_record_or_an_incident(data: bytes, cls: Any) -> None:
    incidents: list[Incident] = []
    found = run_records.record(data, cls, teller(incidents), "line 1")
    assert (found is None) == bool([one for one in incidents if "is no UTF-8" not in one.detail])


STEP = st.fixed_dictionaries(dict.fromkeys(("loss", "step", "tokens", "step_time_s"), SCALARS))
EVENT = st.fixed_dictionaries({"values": VALUES, "duration_s": SCALARS})


@given(step=STEP, event=EVENT)
def test_any_number_of_a_run_can_be_said(step: dict[str, Any], event: dict[str, Any]) -> None:
    tell, time = teller([]), "2026-01-01T00:00:00Z"
    told = json.dumps(step | {"time": time}).encode()
    found = run_records.record(told, StepRecord, tell, "line 1")
    assert found is None or run_words.steps_text("tiny", [found])
    told = json.dumps(event | {"time": time, "kind": "spike"}).encode()
    spike = run_records.record(told, Event, tell, "line 1")
    assert spike is None or run_words.event_text("tiny", spike)


@given(said=st.text())
def test_plain_text_stays_plain_and_can_be_stored(said: str) -> None:
    once = text.plain(said)
    assert text.plain(once) == once
    once.encode()
    assert not set(once) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\r\x00\x1b")


@given(html=st.text() | st.text(alphabet="<>/pbra &;#x27!-'\"=\n"))
def test_any_html_has_a_text(html: str) -> None:
    assert isinstance(text_of(html), str)


@given(cursor=st.text() | VALUES.map(json.dumps))
def test_any_cursor_is_a_place_or_none(cursor: str) -> None:
    place = place_of(cursor, teller([]))
    assert place is None or place_of(place.cursor(), teller([])) == place


@given(value=st.integers(0, 2**63 - 1))
def test_timestamp_identifiers_round_trip(value: int) -> None:
    from tests.grok_platforms.jetstream import tid as written

    assert tid.number(written(value)) == value


@given(data=st.lists(st.binary(max_size=9) | st.just(b"\n"), max_size=20))
def test_lines_do_not_depend_on_how_bytes_arrive(data: list[bytes]) -> None:
    whole, parts = Splitter(8), Splitter(8)
    at_once = whole.feed(b"".join(data))
    assert [line for piece in data for line in parts.feed(piece)] == at_once
    assert parts.oversized == whole.oversized


@given(lines=st.lists(st.binary(max_size=30).filter(lambda one: b"\n" not in one)))
def test_any_lines_are_server_sent_events_or_none(lines: list[bytes]) -> None:
    parser = Parser()
    for one in (parser.feed(line) for line in lines):
        assert one is None or one.data is not None


@given(items=st.lists(st.integers(), max_size=40), most=st.integers(1, 9))
def test_what_is_gathered_is_all_of_it_in_order(items: list[int], most: int) -> None:
    async def told() -> AsyncGenerator[int, None]:
        for item in items:
            yield item

    async def main() -> list[list[int]]:
        return [part async for part in gathered(told(), 5.0, most)]

    parts = asyncio.run(main())
    assert [one for part in parts for one in part] == items
    assert all(0 < len(part) <= most for part in parts)


@given(
    data=st.binary(max_size=300) | st.lists(VALUES.map(json.dumps)).map("\n".join).map(str.encode)
)
def test_any_file_is_read_to_its_end(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_bytes(data)
    incidents: list[Incident] = []

    async def main() -> list[Any]:
        source = LinesSource(path, now=lambda: NOW)
        return [batch async for batch in source.batches(None, incidents.append)]

    for batch in asyncio.run(main()):
        require_sound(list(batch.changes), data, incidents)
