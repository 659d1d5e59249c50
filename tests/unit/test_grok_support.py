"""The check of a sentence: a passage must say all that it says, as surely, of the same things."""

from __future__ import annotations

import pytest

from gigafactory.grok.support import supporting
from tests.small_feed import post


def is_supported(sentence: str, text: str) -> bool:
    return supporting(sentence, post("1", "citydesk", 2, text)) is not None


LIBRARY = "The Tarnbrook library reopens on Monday 16 March at 10am after the flood repairs."


@pytest.mark.parametrize(
    "sentence",
    [
        LIBRARY,
        "The Tarnbrook library reopens on Monday.",
        "The library in Tarnbrook will open again on 16 March.",
        "@citydesk says the Tarnbrook library reopens on Monday 16 March.",
    ],
)
def test_what_the_passage_says_is_supported(sentence: str) -> None:
    assert is_supported(sentence, LIBRARY)


@pytest.mark.parametrize(
    "sentence",
    [
        "The Tarnbrook museum reopens on Monday.",
        "The Tarnbrook library reopens on Tuesday.",
        "The Tarnbrook library reopens on 17 March.",
        "The Tarnbrook library does not reopen on Monday.",
        "The Tarnbrook library closes on Monday.",
        "The Tarnbrook library reopens until Monday.",
        "The beloved Tarnbrook library reopens on Monday.",
        "All libraries in Tarnbrook reopen on Monday.",
        "See https://evil.example for the Tarnbrook library.",
    ],
)
def test_what_adds_to_the_passage_or_bends_it_is_not(sentence: str) -> None:
    assert not is_supported(sentence, LIBRARY)


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("30 people died.", "12 people died and 30 people were injured in the fire."),
        ("12 people were injured.", "12 people died and 30 people were injured in the fire."),
        ("More than 300 people came.", "300 people came."),
        ("300 people came.", "Fewer than 300 people came."),
        ("Tom Baker beat Maria Ortega.", "Maria Ortega beat Tom Baker in the final."),
        ("Maria Ortega was beaten by Tom Baker.", "Maria Ortega beat Tom Baker in the final."),
        ("The bridge will open.", "The bridge may open."),
        ("The bridge is closed.", "Is the bridge closed?"),
        ("The cinema closes in April.", "Rumour has it the cinema closes in April."),
        ("The trams are free.", "If I were mayor the trams would be free."),
        ("The council approved the plan.", "The council has not approved the plan."),
    ],
)
def test_numbers_roles_doubt_and_denial_must_agree(sentence: str, text: str) -> None:
    assert not is_supported(sentence, text)


def test_the_passive_with_names_turned_round_says_the_same() -> None:
    assert is_supported("Tom Baker was beaten by Maria Ortega.", "Maria Ortega beat Tom Baker.")


def test_a_doubt_that_is_kept_is_supported() -> None:
    assert is_supported("The bridge may open on Friday.", "The bridge may open on Friday, we hear.")


def test_the_quote_is_the_shortest_passage_that_supports() -> None:
    text = "Morning all! The Tay bridge is closed. Take the ferry instead."
    passage = supporting("The Tay bridge is closed.", post("1", "citydesk", 2, text))
    assert passage is not None
    assert passage.text == "The Tay bridge is closed."
