"""Whatever stands in posts and questions, answering neither fails nor lets anything break out."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.grok.answering import Answering
from gigafactory.grok.conversation import standalone
from gigafactory.grok.passages import MAX_QUOTE_CHARS, passages, sentence_spans
from gigafactory.grok.plain import plain
from gigafactory.grok.quantities import quantities
from gigafactory.grok.support import supporting
from gigafactory.grok.times import times
from gigafactory.grok.words import words
from gigafactory.spec.answer import Turn
from tests.small_feed import NOW, SmallFeed, post

_PIECES = st.sampled_from(
    [
        "<script>", "</b>", "[1]", "](javascript:x)", "![", "`", "**", "\u202e", "\x1b[31m",
        "\x00", "?", "!",
        ". ", "\n", "#tag", "@user", "12:61", "31 Feb", "99th", "1,2,3", "£9e9", "%", "if",
        "not", "may",
        "Tay", "bridge", "closed", "ice", "because", "yesterday", "in 999999999999 years",
        "3-1", "🚲", "\ud83d",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=300), st.lists(_PIECES, max_size=40).map(" ".join))


@given(text=TEXTS, question=TEXTS)
@settings(max_examples=150)
def test_no_post_and_no_question_breaks_an_answer(text: str, question: str) -> None:
    feed = SmallFeed()
    feed.add(
        post("1", "eve", 1, text), post("2", "bob", 2, "The Tay bridge is closed because of ice.")
    )
    for asked in (question, f"Why is the Tay bridge closed {question}"):
        answer = Answering(feed, lambda: NOW).answer(asked, [Turn(role="user", text=text)])
        shown = answer.text
        assert "<s" not in shown.lower()
        assert "](" not in shown
        assert not any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in shown)
        for citation in answer.citations:
            assert shown[citation.start : citation.end].endswith(f"[{citation.number}]")
            assert 0 <= citation.quote_start < citation.quote_end <= len(citation.post.text)


@given(TEXTS)
def test_plain_text_stays_plain(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert not set("[]\n\x00\u202e") & set(once)


@given(TEXTS)
def test_places_lie_inside_the_text(text: str) -> None:
    for word in words(text):
        assert text[word.start : word.end] == word.text
    for when in times(text, NOW):
        assert 0 <= when.start < when.end <= len(text)
    for number in quantities(text):
        assert 0 <= number.start < number.end <= len(text)
    for start, end in sentence_spans(text):
        assert end - start <= MAX_QUOTE_CHARS
        assert text[start:end].strip() == text[start:end] != ""


@given(TEXTS)
def test_a_passage_supports_itself(text: str) -> None:
    one = post("1", "eve", 1, text)
    for passage in passages(one):
        assert supporting(passage.text, one) is not None


@given(st.lists(TEXTS, max_size=5), TEXTS)
def test_any_conversation_has_a_reading(earlier: list[str], text: str) -> None:
    assert isinstance(standalone(text, [Turn(role="user", text=one) for one in earlier], NOW), str)
