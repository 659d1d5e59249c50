"""A conversation with the feed on a terminal: what was said, and how answers are printed."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from gigafactory.errors import SpecError
from gigafactory.grok import shown
from gigafactory.grok.answering import Answering
from gigafactory.grok.marking import mark
from gigafactory.grok.modelled import Modelled
from gigafactory.grok.plain import visible
from gigafactory.grok.query import moment
from gigafactory.grok.told import answer_table
from gigafactory.spec.answer import Answer, Sentence, Turn
from gigafactory.spec.post import Query

if TYPE_CHECKING:
    from gigafactory.grok.doors import Searchable
    from gigafactory.grok.modelled import ChatModel
    from gigafactory.grok.reader import Reader

MAX_QUESTION_CHARS: Final = 4_096
MAX_ANSWERS: Final = 20  # that are watched for changes of the posts they cite


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Talk:
    """Questions and answers, one after the other.

    Args:
        feed: What is searched.
        model: Who drafts; None quotes posts.
        reader: Reads question and posts together; None for nobody.
        as_json: Print each answer as one line of JSON.
        as_of: The moment as of which the feed is seen; empty for now.
    """

    def __init__(
        self, feed: Searchable, model: ChatModel | None, *,
        reader: Reader | None = None, as_json: bool = False, as_of: str = "",
    ) -> None:  # fmt: skip
        self.as_json = as_json
        self._feed = feed
        self._within = Query(as_of=moment(as_of, utc_now(), "as_of") if as_of else None)
        drafting = Modelled(model) if model else None
        self._answering = Answering(feed, utc_now, drafting, reader=reader)
        self._turns: list[Turn] = []
        self._answers: list[Answer] = []

    def take(self, line: str) -> bool:
        """Ask what a line says, or do what it commands; return whether to go on."""
        words = line.strip()
        if words in {"/quit", "/exit"}:
            return False
        if words == "/new":
            self._turns.clear()
            self._answers.clear()
        elif words.startswith("/"):
            raise SpecError(f"no command {words.split()[0][:80]}: there are /new and /quit")
        elif words:
            self._tell_changes()
            self.ask(words)
        return True

    def ask(self, question: str) -> None:
        """Ask a question, and print its answer as it comes.

        Raises:
            SpecError: It asks nothing, or is too long.
        """
        if not question.strip():
            raise SpecError("chat: the question is empty", field="once")
        if len(question) > MAX_QUESTION_CHARS:
            rule = f"must have at most {MAX_QUESTION_CHARS} characters, has {len(question)}"
            raise SpecError(f"chat: the question {rule}", field="once")
        begun = time.perf_counter()
        parts = self._answering.stream(question, tuple(self._turns), self._within)
        answer = self._printed(parts)
        if self.as_json:
            told = {"schema": 1, **answer_table(answer), "wall_s": time.perf_counter() - begun}
            typer.echo(json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        self._remember(question, answer)

    def _remember(self, question: str, answer: Answer) -> None:
        self._turns += [
            Turn(role="user", text=question), Turn(role="assistant", text=answer.text)
        ]  # fmt: skip
        self._answers = [*self._answers, answer][-MAX_ANSWERS:]

    def _printed(self, parts: Iterator[Sentence | Answer]) -> Answer:
        """Print sentences as they come, then what stands below; return the answer."""
        flow = Flow()
        with closing(parts):  # type: ignore[type-var]  # what streams answers is a generator
            for part in parts:
                if isinstance(part, Answer):
                    if not self.as_json:
                        _print_end(part, flow)
                    return part
                if not self.as_json:
                    flow.write(part.text)
        raise AssertionError("answers end with an Answer")

    def _tell_changes(self) -> None:
        """Say which posts that earlier answers cite were edited or deleted since."""
        for place, answer in enumerate(self._answers):
            now = mark(answer, self._feed)
            before = {one.number: one.state for one in answer.citations}
            for one in shown.cited(now):
                if one.state != before[one.number]:
                    words = f"the post behind [{one.number}] was {one.state} since"
                    typer.echo(f'{words} the answer to "{clean(answer.question)}"', err=True)
            self._answers[place] = now


class Flow:
    """Writes sentences one behind the other, broken between words at the terminal's edge."""

    def __init__(self) -> None:
        self._column = 0
        self._width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0

    def write(self, text: str) -> None:
        """Write a sentence as soon as it is there."""
        lead = " " if self._column else ""
        words = clean(text)
        if self._width > 1:
            lines = textwrap.wrap(
                words, self._width - 1, initial_indent="-" * self._column + lead,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
            words = "\n".join(lines)[self._column :].removeprefix(lead)
        typer.echo(lead + words, nl=False)
        last = words.rpartition("\n")[2]
        begins = 0 if "\n" in words else self._column + len(lead)
        self._column = begins + len(last)


def clean(text: str) -> str:
    """Return a text as one line without what could command a terminal."""
    return " ".join(visible(text).split())


def _print_end(answer: Answer, flow: Flow) -> None:
    """Print what stands below an answer: its posts, how the feed stood, what else to know."""
    if not answer.citations:
        flow.write(answer.text)
    typer.echo()
    if answer.citations:
        typer.echo()
    for line in (*shown.listed(answer), f"({shown.standing(answer.freshness)})"):
        typer.echo(clean(line))
    for note in answer.notes:
        typer.echo(f"! {clean(note)}")
    if answer.freshness.newest_at is None:
        typer.echo("the feed holds no post: giga feed start, giga feed add POSTS.jsonl", err=True)
