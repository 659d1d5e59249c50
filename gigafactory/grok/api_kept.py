"""Answers that are kept for a while, so that one can be gone on from, and marked when posts change.

Kept in memory, the newest so many. Of a post that was deleted at its source an earlier answer
keeps nothing but the mark.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.grok.marking import mark
from gigafactory.spec.answer import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.grok.api_responses import ResponseReply
    from gigafactory.grok.doors import Searchable
    from gigafactory.spec.answer import Answer, Citation

MOST: Final = 1_000
MAX_TURNS: Final = 16  # that a conversation is understood by
GONE: Final = "(This post was deleted.)"


class Kept(NamedTuple):
    """An answer, and what it takes to tell it again."""

    reply: ResponseReply
    turns: tuple[Turn, ...]
    answer: Answer

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """All that was said, this answer included."""
        said = (Turn(role="user", text=self.answer.question),
                Turn(role="assistant", text=self.answer.text))  # fmt: skip
        return (*self.turns, *said)[-MAX_TURNS:]


class Shelf:
    """The newest answers, by their names."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def put(self, name: str, kept: Kept) -> None:
        """Keep an answer; the oldest makes way."""
        self._kept[name] = kept
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, name: str) -> Kept | None:
        """Return an answer as it was given; None if it is not kept."""
        return self._kept.get(name)

    def marked(self, name: str, feed: Searchable) -> Kept | None:
        """Return an answer as its posts stand now, which from now on is how it is kept."""
        kept = self._kept.get(name)
        if kept is None:
            return None
        now = kept._replace(answer=without_deleted(mark(kept.answer, feed)))
        if name in self._kept:
            self._kept[name] = now
        return now

    def remove(self, name: str) -> bool:
        """Forget an answer; return whether it was kept."""
        return self._kept.pop(name, None) is not None


def without_deleted(answer: Answer) -> Answer:
    """Return an answer whose sentences on deleted posts are replaced, their marks left."""
    if all(one.state != "deleted" for one in answer.citations):
        return answer
    text, citations = "", []
    for _, marks in groupby(answer.citations, key=lambda one: (one.start, one.end)):
        cited = list(marks)
        start = len(text) + bool(text)
        sentence = _sentence(answer, cited)
        text = f"{text} {sentence}" if text else sentence
        citations += [replace(one, start=start, end=len(text)) for one in cited]
    return replace(answer, text=text, citations=tuple(citations))


def _sentence(answer: Answer, cited: Sequence[Citation]) -> str:
    if all(one.state != "deleted" for one in cited):
        return answer.text[cited[0].start : cited[0].end]
    return " ".join([GONE, *(f"[{one.number}]" for one in cited)])
