"""Passages in other words than the question: what may be missing, and what may not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gigafactory.grok.evidence import Evidence
from gigafactory.grok.query import narrowed, split
from gigafactory.grok.question import question
from gigafactory.grok.tongues import englished
from gigafactory.spec.post import Query
from tests.small_feed import NOW, post


def answers(asked: str, text: str) -> bool:
    one = post("1", "harwick_news", 2, text)
    return Evidence(question(asked, NOW), [one]).best(one) is not None


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("How many homes were left without power in Harwick?",
         "Blackout in Harwick: about 900 households are offline."),
        ("How much do I pay for a return trip to Moss Island?",
         "A return ticket to Moss Island costs 14 crowns."),
        ("Which bird breeds in Harwick Park?", "A crane is nesting in Harwick Park."),
        ("What delayed the Harwick ferry?", "The Harwick ferry is late because of fog."),
        ("Who will conduct the Harwick choir?",
         "Mia Berg cannot conduct the Harwick choir; Tom Hall takes over."),
        ("How high was unemployment in Harwick?", "Unemployment in Harwick was 3.1%."),
    ],
)  # fmt: skip
def test_other_words_of_the_same_field_answer(asked: str, text: str) -> None:
    assert answers(asked, text)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("When does the Harwick museum reopen?", "The Harwick library reopens on Monday."),
        ("How many oak trees were cut in Mill Park?", "We planted 40 oak trees in Mill Park."),
        ("Who arrested Lena Park?", "Qubix hires Lena Park as chief scientist."),
        ("Why did the Harwick pump fail?", "The Harwick pump failed at 9:10."),
        ("What was the final loss of mini-9?", "mini-9: loss spike at step 300 (2.1 to 3.0)."),
        ("What is the otter called?", "Our otter Maja gave birth on Friday."),
        ("How long is Harwick bridge in metres?", "Harwick bridge is shut, a detour of 14 min."),
        ("What raise did the dockers get?", "We ask for a 7 percent raise for dockers."),
        ("How much are tickets for the harbor festival?",
         "The bowl in Harbor Park opened. It cost 640,000 dollars."),
    ],
)  # fmt: skip
def test_what_is_told_of_something_else_does_not(asked: str, text: str) -> None:
    assert not answers(asked, text)


@pytest.mark.parametrize(
    ("text", "lang", "english"),
    [("Le 3 juin", "fr", "Le 3 Jun "), ("am 3. Juni", "de", "am 3  Jun "),
     ("el 3 de mayo", "es", "el 3 of May "), ("mars is red", "en", "mars is red")],
)  # fmt: skip
def test_names_of_times_keep_their_places(text: str, lang: str, english: str) -> None:
    assert englished(text, lang) == english
    assert len(english) == len(text)


def test_filters_of_a_question_narrow_what_may_be_read() -> None:
    text, given, notes = split("who won? from:@Ada -from:bob since:2026-03-01 lang:e1", NOW)
    assert (text, given.authors, given.excluded_authors) == ("who won?", ("Ada",), ("bob",))
    assert given.since == datetime(2026, 3, 1, tzinfo=UTC)
    assert len(notes) == 1, "a bad filter is told of, and left out"
    assert narrowed(Query(authors=("ada", "eve")), given).authors == ("Ada",)
    shut = narrowed(Query(authors=("eve",)), given)
    assert set(shut.authors) <= set(shut.excluded_authors)
    assert split("is it open at 12:30?", NOW) == ("is it open at 12:30?", Query(), [])
