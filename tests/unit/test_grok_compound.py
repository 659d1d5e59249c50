"""A question of several parts becomes several questions; one of one part stays as it is."""

from __future__ import annotations

import pytest

from gigafactory.grok.compound import MOST, parts
from tests.small_feed import NOW


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Why did curlew-7b crash, and how long was it down?",
        ["Why did curlew-7b crash", "how long was curlew-7b down?"]),
        ("Who won the Brell Cup and how many came?",
        ["Who won the Brell Cup", "how many came at Brell Cup?"]),
        ("Why was the parade moved and how many people came to the parade?",
        ["Why was the parade moved", "how many people came to the parade?"]),
        ("When and where is the debate?", ["When is the debate?", "where is the debate?"]),
        ("Is the pool open and are the saunas heated?",
        ["Is the pool open", "are the saunas heated?"]),
        ("At what time did Ubaru erupt, and which villages of Pell had to leave?",
        ["At what time did Ubaru erupt", "which villages of Pell had to leave?"]),
        ("how did the dam vote end and what was the turnout?",
        ["how did the dam vote end", "what was the turnout at dam vote?"]),
    ],
)  # fmt: skip
def test_each_part_stands_by_itself(text: str, meant: list[str]) -> None:
    assert parts(text, NOW) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "and",
        "and why?",
        "Who won the Brell Cup?",
        "What did Anna and Ben say about trams?",
        "The ferry is late and what now?",
        "Which bridges are closed for bikes and cars?",
    ],
)
def test_what_is_one_question_stays_as_it_is(text: str) -> None:
    assert parts(text, NOW) == [text]


def test_of_many_parts_the_last_one_takes_the_rest() -> None:
    text = "Who won" + " and who won the Lakeside 10k" * 9
    assert len(parts(text, NOW)) == MOST
