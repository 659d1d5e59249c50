"""Texts to stop at, whatever the parts a text comes in."""

from hypothesis import given
from hypothesis import strategies as st

from gigafactory.run.trainer.stops import Stops

LETTERS = st.text(alphabet="ab", max_size=30)


def passed(parts: list[str], texts: tuple[str, ...]) -> tuple[str, bool]:
    stops = Stops(texts)
    text = "".join([stops.passed(part) for part in parts]) + stops.rest()
    return text, stops.stopped


@given(st.lists(LETTERS, max_size=8), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_however_it_comes(
    parts: list[str], texts: list[str]
) -> None:
    whole = "".join(parts)
    ends = [(whole.find(text) + len(text), whole.find(text)) for text in texts if text in whole]
    wanted = (whole[: min(ends)[1]], True) if ends else (whole, False)
    assert passed(parts, tuple(texts)) == wanted


def test_what_may_begin_a_stop_is_held_back_until_it_is_known() -> None:
    stops = Stops(("\nUser:",))
    assert stops.passed("Hello\nUs") == "Hello"
    assert stops.passed("eful") == "\nUseful"
    assert stops.passed("\nUser") == ""
    assert stops.passed(": more") == ""
    assert stops.stopped
    assert stops.passed("ignored") + stops.rest() == ""
