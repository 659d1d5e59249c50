"""What is found for the questions of a world, in its feed as users would have it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from gigafactory.grok.conversation import standalone
from gigafactory.grok.feed import Feed
from gigafactory.grok.home import feed_home
from gigafactory.grok.question import Question as Parsed
from gigafactory.grok.question import question as read
from gigafactory.grok.retrieve import retrieve, searches
from gigafactory.spec.answer import Turn
from gigafactory.spec.post import Post, Query
from tests.grok_quality.question_set import Question, questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Found(NamedTuple):
    """The posts found for a question.

    Attributes:
        question: Of the set.
        text: The question as it stands alone.
        parsed: Its parts.
        posts: The best hit first.
    """

    question: Question
    text: str
    parsed: Parsed
    posts: list[Post]


@contextmanager
def feed_of(folder: Path) -> Iterator[Feed]:
    """Yield the feed of a world, added by the program itself to a home of its own."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-c", "from gigafactory.cli import main; main()"]
        subprocess.run(
            [*command, "feed", "add", str(folder / "feed.jsonl")],
            env={**os.environ, "GIGA_HOME": home},
            check=True,
            capture_output=True,
        )
        yield Feed(feed_home({"GIGA_HOME": home}))


def found_in(folder: Path, asked: Sequence[Question] | None = None) -> list[Found]:
    """Return what is found for the questions of a world, without those for which nothing is."""
    with feed_of(folder) as feed:
        told = questions(folder=folder) if asked is None else asked
        return [one for question in told if (one := _found(feed, question)).posts]


def _found(feed: Feed, one: Question) -> Found:
    turns = [Turn(role=turn.role, text=turn.text) for turn in one.turns]
    text = standalone(one.question, turns, one.now)
    parsed = read(text, one.now)
    hits = retrieve(feed, [] if parsed.is_empty else searches(parsed, Query(as_of=one.now)))
    return Found(one, text, parsed, [hit.post for hit in hits])
