"""A question in parts: what it asks for, of what, when and by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gigafactory.grok.quantities import quantities
from gigafactory.grok.query import written
from gigafactory.grok.question import Question, question
from gigafactory.grok.retrieve import searches
from gigafactory.grok.times import times
from gigafactory.grok.words import alike, are_opposite, stem
from gigafactory.spec.post import Query
from tests.small_feed import NOW


def read(text: str) -> Question:
    return question(text, NOW)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("When does the Riverside library reopen?", "time"),
        ("At what time does the night market start?", "clock"),
        ("What year was the bridge built?", "year"),
        ("Who won the Lakeside 10k?", "person"),
        ("Where is the jazz festival?", "place"),
        ("Why did the run stop at 14:02?", "reason"),
        ("What caused the fire?", "reason"),
        ("How many bikes did Harlow order?", "count"),
        ("How much does a day ticket cost?", "money"),
        ("What is the price of a ticket?", "money"),
        ("How long did the outage last?", "duration"),
        ("How long is the bridge?", "extent"),
        ("How tall is the tower?", "height"),
        ("How old is the oak?", "age"),
        ("How often does the ferry run?", "frequency"),
        ("What percentage of voters agreed?", "percent"),
        ("What colour is the tram?", "colour"),
        ("Which airline cancelled its flights?", "name"),
        ("What breed is the dog?", "thing"),
        ("Is the bridge open?", "yes_no"),
        ("What's new with the strike?", "open"),
        ("What happened in Leith?", "open"),
        ("library opening hours", "open"),
    ],
)
def test_the_kind_of_thing_asked_for_follows_from_the_question_word(text: str, kind: str) -> None:
    assert read(text).asked.kind == kind


def test_politeness_before_a_question_changes_nothing() -> None:
    assert read("Hey grok, can you tell me who won?").terms == read("who won?").terms


def test_names_nouns_and_verbs_are_told_apart() -> None:
    kinds = {term.text: term.kind for term in read("When does the Riverside library reopen?").terms}
    assert kinds == {"Riverside": "name", "library": "noun", "reopen": "verb"}


def test_behind_an_article_a_word_is_a_noun_even_if_verbs_look_like_it() -> None:
    kinds = {term.text: term.kind for term in read("What is the latest on the ferry strike?").terms}
    assert kinds["strike"] == "noun"


def test_two_words_that_the_lexicon_knows_as_one_are_one_term() -> None:
    assert [term.stem for term in read("Why was there a power cut?").terms] == [stem("powercut")]


@pytest.mark.parametrize(
    "text",
    [
        "What did @metro_ops say about delays?",
        "Any news from @metro_ops?",
        "what does @Metro_Ops think",
    ],
)
def test_the_posts_of_a_handle_are_asked_for_by_speech_or_from(text: str) -> None:
    assert read(text).authors == ("metro_ops",)


def test_recency_is_asked_for_only_in_words_that_ask_for_it() -> None:
    assert read("What is the latest on the strike?").newest
    assert not read("When was the bridge built?").newest


@pytest.mark.parametrize(
    ("text", "newest"),
    [
        ("What was the last loss?", True),
        ("When was the last checkpoint saved?", True),
        ("Where was Rask last seen?", True),
        ("When did the run last fail?", True),
        ("How long did the last outage last?", True),
        ("What happened last week?", False),
        ("What happened in the last 3 days?", False),
        ("How long did the outage last?", False),
        ("When does the last ferry leave?", False),
        ("Who was in last place?", False),
    ],
)
def test_the_last_of_what_was_is_the_newest(text: str, *, newest: bool) -> None:
    assert read(text).newest == newest
    assert not newest or [term.text for term in read(text).terms].count("last") == ("last?" in text)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("yesterday", -1),
        ("tomorrow", 1),
        ("3 days ago", -3),
        ("in two days", 2),
        ("last Tuesday", -2),
    ],
)
def test_days_in_words_are_counted_from_the_day_of_asking(text: str, days: int) -> None:
    (when,) = times(f"What happened {text}?", NOW)
    day = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC) + timedelta(days=days)
    assert (day, day + timedelta(days=1)) in when.spans


def test_a_bare_weekday_may_be_the_last_one_or_the_next() -> None:
    (when,) = times("on Monday", NOW)
    assert sorted(low.day for low, _ in when.spans) == [9, 16]


@pytest.mark.parametrize(
    "text", ["you may march in", "it sat in the sun", "31 February", "room 1404"]
)
def test_words_and_numbers_that_only_look_like_times_are_none(text: str) -> None:
    assert not times(text, NOW)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1,200 people", "plain", 1200), ("twenty-five dogs", "plain", 25),
        ("a dozen eggs", "plain", 12),
        ("£2.4m", "money", 2.4e6), ("$5 million", "money", 5e6), ("30 %", "percent", 30),
        ("12 km", "length", 12_000), ("four hours", "duration", 14_400),
        ("-3 °C", "temperature", -3),
        ("3-1", "score", 3), ("the third", "ordinal", 3),
    ],
)  # fmt: skip
def test_numbers_are_read_with_what_they_measure(text: str, kind: str, value: float) -> None:
    (found,) = quantities(text)
    assert found.kind == kind
    assert found.value == pytest.approx(value)


def test_words_are_alike_by_stem_root_or_meaning_but_not_if_opposite() -> None:
    assert alike(stem("resigned"), stem("resignation"))
    assert alike(stem("injured"), stem("wounded"))
    assert not alike(stem("police"), stem("policy"))
    assert are_opposite(stem("opens"), stem("closed"))


def test_filters_given_from_outside_hold_for_every_search() -> None:
    within = Query(authors=("a", "b"), excluded_authors=("c",), until=NOW)
    for query in searches(read("What did @a say about trains yesterday?"), within):
        assert query.authors == ("a",)
        assert query.excluded_authors == ("c",)
        assert query.until is not None
        assert query.until <= NOW


def test_posts_of_an_excluded_handle_are_not_searched_at_all() -> None:
    assert searches(read("What did @c say?"), Query(excluded_authors=("C",))) == []


def test_a_search_is_written_as_people_would_type_it() -> None:
    query = Query(words="night train", authors=("a",), since=NOW)
    assert written(query) == "night train from:@a since:2026-03-12T15:00:00+00:00"
