"""An answer over posts: sentences that posts support, numbered citations, or an abstention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gigafactory.spec.base import Spec
from gigafactory.spec.post import Freshness, Post

NOTHING_FOUND = "I found nothing on this in the feed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn(Spec):
    """What one side said in a conversation; role is "user", "assistant" or "system"."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation(Spec):
    """One mark in an answer: sentence [start, end) of its text rests on [quote_start, quote_end).

    Attributes:
        number: As printed inline, in the list and in the API; one number per post of an answer.
        post: As it stood when it was read.
        start: First character of the supported sentence in the answer's text.
        end: One behind its last, the mark "[number]" included.
        quote_start: First character of the supporting words in the post's text.
        quote_end: One behind their last.
        state: "current", or "edited" or "deleted" when the post was since.
    """

    number: int
    post: Post
    start: int
    end: int
    quote_start: int
    quote_end: int
    state: str = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence(Spec):
    """A checked sentence, ready to be shown: text with its marks, and what they point at."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Spec):
    """All that was said to one question.

    Attributes:
        id: To find it again, and to mark it when a cited post changes.
        text: Sentences, each with its marks; `NOTHING_FOUND` when abstained.
        citations: In order of their place in the text.
        abstained: Too little evidence.
        model: "extractive", or the name of the language model.
        freshness: How the feed stood.
        dropped: Sentences of the model that no post supported.
        searches: What was looked for, in the query syntax.
        notes: Lines for people, such as which source is down.
    """

    id: str
    question: str
    text: str
    citations: tuple[Citation, ...]
    abstained: bool
    model: str
    asked_at: datetime
    freshness: Freshness
    dropped: int = 0
    searches: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
