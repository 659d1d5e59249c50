"""Judging with a reader: which posts are read, which answer, and what of them is quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.grok.judge import learned
from gigafactory.grok.ordering import order
from gigafactory.grok.question import question
from gigafactory.grok.reading import PART_CHARS, PARTS, READ, WEIGHTS, Reading, parts
from gigafactory.grok.signals import READ_SIGNALS, SIGNALS, read_signals
from tests.small_feed import NOW, post

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.grok.passages import Passage

SURE, UNSURE = 8.0, -8.0
KNEE = "Fog again. He left the band because of his knee. See you on Friday."
TEXTS = (KNEE, "The choir sings on Friday.", "Fog again, the ferry is late.")


class Finds:
    """A reader that is sure of what holds some words, and tells what it was shown."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.shown: list[str] = []

    def __call__(self, read: Sequence[Passage], /) -> NDArray[np.float64]:
        self.shown += [one.text for one in read]
        return np.array([SURE if self.words in one.text else UNSURE for one in read])


def judged(asked: str, finds: Finds, *texts: str) -> Reading:
    posts = [post(str(n), f"writer{n}", 2 + n, text) for n, text in enumerate(texts)]
    return Reading(question(asked, NOW), posts, finds)


def test_a_post_answers_that_the_reader_is_sure_of_whatever_its_words() -> None:
    judge = judged("Why did the drummer quit?", Finds("his knee"), *TEXTS)
    (found,) = order(judge)
    assert found.passage.text == "He left the band because of his knee."
    assert found.score > 0.9
    assert judge.score(found.passage) == found.score
    assert judge.likeliest is None


def test_no_post_answers_where_the_reader_is_sure_of_none() -> None:
    judge = judged("When does the choir sing?", Finds("nothing of this"), *TEXTS)
    assert order(judge) == []
    assert [judge.best(one) for one in judge.posts] == [None] * 3


def test_as_many_posts_are_read_as_may_be_and_the_likeliest_ones() -> None:
    finds = Finds("no such words")
    texts = [f"Remark {n} about the weather." for n in range(READ + 20)]
    judge = judged("When does the choir sing?", finds, *texts, TEXTS[1])
    posts, table = judge.read
    assert len(posts) == len(finds.shown) == READ
    assert TEXTS[1] in finds.shown
    assert table.shape == (READ, len(READ_SIGNALS))
    assert [judge.posts.index(one) for one in posts] == sorted(map(judge.posts.index, posts))


def test_only_those_who_were_asked_for_answer() -> None:
    asked = "What does @writer1 say about the choir?"
    judge = judged(asked, Finds("choir"), "The choir is out of tune.", "The choir sings well.")
    assert [one.passage.post.author for one in order(judge)] == ["writer1"]


def test_without_posts_nothing_is_read() -> None:
    finds = Finds("choir")
    judge = judged("When does the choir sing?", finds)
    assert (order(judge), finds.shown) == ([], [])
    assert judge.read[1].shape == (0, len(READ_SIGNALS))


def test_what_the_reader_says_is_told_by_itself_and_beside_the_others() -> None:
    counted = np.zeros((3, len(SIGNALS)))
    table = read_signals(counted, np.array([1.0, 4.0, -2.0]), np.array([1.0, 0.0, 0.0]))
    assert table[:, len(SIGNALS) :] == pytest.approx(
        np.array([[1.0, -3.0, -3.0, 1.0], [4.0, 0.0, 3.0, 0.0], [-2.0, -6.0, -6.0, 0.0]])
    )


def test_the_weight_of_what_the_reader_says_is_fitted() -> None:
    weights, _ = learned(WEIGHTS, READ_SIGNALS)
    assert weights[READ_SIGNALS.index("read")] > 0


def test_a_long_post_is_read_in_parts_and_counts_by_its_surest() -> None:
    long = "Fog again over the bay. " * 30 + "He left because of his knee. " + "More fog. " * 30
    finds = Finds("his knee")
    (found,) = order(judged("Why did the drummer quit?", finds, long))
    assert "his knee" in found.passage.text
    read = [text for text in finds.shown[:4] if "knee" in text or "Fog" in text]
    assert len(read) > 2
    assert max(map(len, read)) <= PART_CHARS
    (whole_post,) = parts(post("1", "a", 1, "Short. " * 20))
    assert (whole_post.start, whole_post.end) == (0, 139)
    assert len(parts(post("1", "a", 1, "Very long remarks on fog. " * 2000))) == PARTS
    assert [one.text for one in parts(post("1", "a", 1, "\U0001f600"))] == ["\U0001f600"]
