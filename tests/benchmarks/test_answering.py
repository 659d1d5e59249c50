"""How soon the first cited sentence is there, and what a question costs: by pytest-benchmark.

The feed is in memory, so that answering alone is measured: reading the question, judging 50 posts,
checking, marking. `make bench` prints the table; nothing is asserted of a time. The packaged
model's time to its first piece of text is printed beside.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.grok.answering import Answering
from gigafactory.grok.judge import Judge
from gigafactory.grok.ordering import order
from gigafactory.grok.question import question
from gigafactory.grok.reader import Reader
from gigafactory.grok.retrieve import DEPTH
from gigafactory.spec.answer import Sentence
from tests.small_feed import NOW, SmallFeed, made, post

if TYPE_CHECKING:
    from gigafactory.spec.post import Post

ASKED = "When does the Tarnbrook library reopen?"


def crowd(size: int, text: str) -> list[Post]:
    return [post(str(at), "citydesk", at + 1, f"{text} No {at}.") for at in range(size)]


@pytest.mark.benchmark(group="first cited sentence, extractive")
@pytest.mark.parametrize("judge", ["counted", "read"])
def test_first_cited_sentence(benchmark: Any, judge: str) -> None:
    """With the reader, 16 of the posts go through it."""
    feed, _ = made("small")
    if judge == "read":
        pytest.importorskip("onnxruntime", reason="the reader needs gigafactory[reader]")
    reader = Reader() if judge == "read" else None

    def first() -> object:
        return next(iter(Answering(feed, lambda: NOW, reader=reader).stream(ASKED)))

    assert isinstance(benchmark(first), Sentence)


@pytest.mark.benchmark(group="50 posts judged", timer=time.process_time)
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("near misses", "The Tarnbrook museum reopens on Monday 16 March at 10am after repairs."),
        ("all answer", "The Tarnbrook library reopens on Monday 16 March at 10am after repairs."),
        ("long posts", "The Tarnbrook library reopens. It rained on Monday at 10am. " * 80),
    ],
)
def test_fifty_posts_judged(benchmark: Any, kind: str, text: str) -> None:
    posts = crowd(DEPTH, text)
    asked = question(ASKED, NOW)

    def judged() -> int:
        return len(order(Judge(asked, posts)))

    found = benchmark.pedantic(judged, rounds=1 if kind == "long posts" else 10)
    assert (found == 0) == (kind == "near misses")


@pytest.mark.benchmark(group="whole questions of the development sets", timer=time.process_time)
def test_whole_questions(benchmark: Any) -> None:
    feed, questions = SmallFeed(), []
    for name in ("small", "second", "third", "fourth") if benchmark.enabled else ("small",):
        part, asked = made(name)
        feed.add(*(replace(one, id=f"{name}{one.id}") for one in part.posts.values()))
        questions += asked
    answering = Answering(feed, lambda: NOW)
    benchmark.pedantic(lambda: [answering.answer(one.text) for one in questions], rounds=1)
    benchmark.extra_info["questions"] = len(questions)


@pytest.mark.benchmark(group="first piece of the packaged model's text")
def test_first_piece_of_the_model(benchmark: Any) -> None:
    pytest.importorskip("xllamacpp")
    from gigafactory.grok.embedded import Embedded, load

    load()
    text = "Text: The Tarnbrook library reopens on Monday 16 March.\n\nQuestion: "
    count = iter(range(1000))  # another prompt each time, or the engine remembers it

    def first() -> str:
        asked = f"{next(count)} {text}{ASKED}"
        return next(iter(Embedded().chat([{"role": "user", "content": asked}])))

    benchmark.pedantic(first, rounds=5, iterations=1)
