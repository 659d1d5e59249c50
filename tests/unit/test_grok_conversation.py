"""Follow-up questions become questions that stand by themselves."""

from __future__ import annotations

import pytest

from gigafactory.grok.conversation import standalone
from gigafactory.spec.answer import Turn
from tests.small_feed import NOW

LIBRARY = "When does the Riverside library reopen?"


def after(earlier: str, text: str, answer: str = "") -> str:
    turns = [Turn(role="user", text=earlier), Turn(role="assistant", text=answer)]
    return standalone(text, turns, NOW)


@pytest.mark.parametrize(
    ("earlier", "text", "meant"),
    [
        ("What did @x say about trams today?", "and yesterday?",
        "What did @x say about trams yesterday?"),
        ("What did @x say about trams?", "what about @y?", "What did @y say about trams?"),
        ("What did @x say about trams?", "and yesterday?",
        "What did @x say about trams yesterday?"),
        (LIBRARY, "and the Elm museum?", "When does the Elm museum reopen?"),
        ("How did Athletic play against Rovers on 3 March?", "and a week later?",
        "How did Athletic play against Rovers on 10 March 2026?"),
        ("How did Athletic play against Rovers?", "how many spectators were there?",
        "how many spectators were at Athletic and Rovers?"),
        (LIBRARY, "And why?", "And why does the Riverside library reopen?"),
        ("How many bikes did Harlow order?", "and scooters?",
        "How many scooters did Harlow order?"),
        ("Is the pool in Leith open?", "and in Fairview?", "Is the pool in Fairview open?"),
        (LIBRARY, "Who runs it?", "Who runs the Riverside library?"),
        (LIBRARY, "What is its address?", "What is the Riverside library's address?"),
    ],
)  # fmt: skip
def test_a_follow_up_takes_what_it_leaves_out_from_before(
    earlier: str, text: str, meant: str
) -> None:
    assert after(earlier, text).lower().removeprefix("and ") == meant.lower().removeprefix("and ")


def test_she_is_who_the_answer_named() -> None:
    asked = after("Who won the Lakeside 10k?", "How old is she?", "Maria Ortega won it. [1]")
    assert asked == "How old is Maria Ortega?"


def test_a_question_that_stands_by_itself_stays_as_it_is() -> None:
    assert after(LIBRARY, "Who won the Lakeside 10k?") == "Who won the Lakeside 10k?"


def test_follow_ups_of_follow_ups_are_understood() -> None:
    turns = [
        Turn(role="user", text="What did @x say about trams today?"),
        Turn(role="user", text="and yesterday?"),
    ]
    assert standalone("what about @y?", turns, NOW) == "What did @y say about trams yesterday?"


@pytest.mark.parametrize("text", ["", "?", "and", "it", "and?", "what about", "why?"])
def test_fragments_without_anything_before_them_do_no_harm(text: str) -> None:
    assert isinstance(standalone(text, (), NOW), str)
    assert isinstance(after(LIBRARY, text), str)
