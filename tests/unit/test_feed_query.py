"""What a user types: filters, phrases, recency, and mistakes told in one line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gigafactory.errors import SpecError
from gigafactory.grok.query import parse, written
from gigafactory.spec.post import Query

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_words_phrases_and_every_filter_are_read() -> None:
    found = parse(
        'artemis "second stage" from:@NASA -from:spam source:mastodon since:2d until:2026-11-20'
        " lang:en as-of:2026-11-20T11:00+01:00",
        NOW,
    )
    assert found == Query(
        words='artemis "second stage"', authors=("NASA",), excluded_authors=("spam",),
        sources=("mastodon",), since=datetime(2026, 11, 18, 12, tzinfo=UTC),
        until=datetime(2026, 11, 20, tzinfo=UTC), langs=("en",),
        as_of=datetime(2026, 11, 20, 10, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words", "newest_first"),
    [
        ("latest artemis news", "artemis news", True),
        ("the most recent launch", "launch", True),
        ("what happened today in Oslo?", "what happened in Oslo?", True),
        ("artemis", "artemis", False),
        ('"breaking bad"', '"breaking bad"', False),
        ("the latest", "", True),
        ("translatest", "translatest", False),
    ],
)
def test_recency_counts_only_where_it_is_asked_for(
    text: str, words: str, newest_first: bool
) -> None:
    found = parse(text, NOW)
    assert (found.words, found.newest_first) == (words, newest_first)


@pytest.mark.parametrize(
    "text", ["12:30", "https://example.org/a?b", "note: hello", "AC/DC: live", "a:b", ":", "--"]
)
def test_colons_that_belong_to_no_filter_are_words(text: str) -> None:
    assert parse(text, NOW) == Query(words=text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from:", "from: must be followed by a handle"),
        ("from:@", "from: must be followed by a handle"),
        ("form:@nasa", "form: is no filter, from: is one"),
        ("untill:2026-01-01", "untill: is no filter, until: is one"),
        ("since:tomorrow", "since: must be a date"),
        ("since:2026-13-01", "since: must be a date"),
        ("since:999999w", "since: must be a date"),
        ("since:1d since:2d", "since: must be given once"),
        ("since:1d until:2d", "since: must be before until:"),
        ("lang:e", "lang: must be followed by a language"),
        ("-lang:en", "only from: can be excluded"),
        ("source:", "source: must be followed by a source"),
        ("x" * 5000, "at most 4096 characters"),
    ],
)
def test_a_bad_filter_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(SpecError, match=told) as error:
        parse(text, NOW)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_bounds_is_refused(limit: int) -> None:
    with pytest.raises(SpecError, match="limit must be between 1 and 1000"):
        parse("x", NOW, limit=limit)


@given(st.text(max_size=80))
def test_any_text_is_a_query_or_one_clear_mistake(text: str) -> None:
    try:
        found = parse(text, NOW)
    except SpecError:
        return
    assert len(found.words) <= len(text)


HANDLES = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=2).map(tuple)
TIMES = st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1)).map(
    lambda time: time.replace(tzinfo=UTC)
)


QUERIES = st.builds(
    Query,
    words=HANDLES.map(" ".join), authors=HANDLES, excluded_authors=HANDLES, since=TIMES,
    as_of=TIMES, newest_first=st.booleans(),
)  # fmt: skip


@given(query=QUERIES)
def test_a_query_that_is_written_out_is_read_as_the_same(query: Query) -> None:
    assume(not {"latest", "newest", "today", "breaking"} & set(query.words.split()))
    assert parse(written(query), NOW) == query
