"""Question to answer: look up, read, draft, check; each sentence is shown only after its check.

A draft of whatever answerer counts for nothing until a passage of a post that was read says all
that it says, and that passage answers the question. Marks are put in here, never by a model.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from gigafactory.grok import kinds, shown
from gigafactory.grok.compound import parts
from gigafactory.grok.conversation import standalone
from gigafactory.grok.extractive import Extractive
from gigafactory.grok.judge import Judge
from gigafactory.grok.modelled import ModelError
from gigafactory.grok.ordering import order
from gigafactory.grok.passages import Passage
from gigafactory.grok.plain import plain
from gigafactory.grok.query import narrowed, split, written
from gigafactory.grok.question import question as read
from gigafactory.grok.reading import Reading
from gigafactory.grok.retrieve import retrieve, searches
from gigafactory.grok.support import supporting
from gigafactory.spec.answer import NOTHING_FOUND, Answer, Citation, Sentence
from gigafactory.spec.post import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from gigafactory.grok.doors import Answerer, Draft, Searchable
    from gigafactory.grok.reader import Reader
    from gigafactory.spec.answer import Turn
    from gigafactory.spec.post import Hit, Post, PostKey

MAX_SENTENCES: Final = 8
ANYTHING: Final = Query()

log = logging.getLogger(__name__)


@dataclass
class _Written:
    """An answer while it is written: its text so far, the number of each post, what to tell."""

    text: str = ""
    citations: list[Citation] = field(default_factory=list)
    numbers: dict[PostKey, int] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    dropped: int = 0
    model: str = ""
    notes: list[str] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        """The notes, and of an answer the parts of the question that it leaves open."""
        left = self.unanswered if self.citations else []
        return self.notes + [f"I found nothing in the feed on: {part}" for part in left]

    def add(self, sentence: str, passage: Passage) -> Sentence:
        """Return the sentence with its mark, put behind what is written."""
        number = self.numbers.setdefault(passage.post.key, len(self.numbers) + 1)
        start = len(self.text) + bool(self.text)
        shown_text = f"{sentence} [{number}]"
        self.text = f"{self.text} {shown_text}" if self.text else shown_text
        citation = Citation(
            number=number, post=passage.post, start=start, end=start + len(shown_text),
            quote_start=passage.start, quote_end=passage.end,
        )  # fmt: skip
        self.citations.append(citation)
        self.said.add(sentence.lower())
        return Sentence(text=shown_text, citations=(citation,))


class Answering:
    """Answers questions from a feed.

    Args:
        feed: What is searched.
        clock: The time, aware; of questions, answers and ages.
        answerer: Who drafts; by default posts are quoted.
        rerank: Orders hits by another measure of how well they fit the question.
        reader: Reads question and posts together; None judges by what can be counted.
    """

    def __init__(
        self,
        feed: Searchable,
        clock: Callable[[], datetime],
        answerer: Answerer | None = None,
        rerank: Callable[[str, Sequence[Hit]], Sequence[Hit]] | None = None,
        reader: Reader | None = None,
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._answerer = answerer
        self._rerank = rerank
        self._reader = reader

    def answer(self, question: str, turns: Sequence[Turn] = (), within: Query = ANYTHING) -> Answer:
        """Return the whole answer to a question."""
        *_, last = self.stream(question, turns, within)
        assert isinstance(last, Answer)
        return last

    def stream(
        self, question: str, turns: Sequence[Turn] = (), within: Query = ANYTHING
    ) -> Iterator[Sentence | Answer]:
        """Yield each sentence as soon as it is checked, then the answer they make.

        Args:
            question: As the user asked it.
            turns: The conversation before it.
            within: Filters; with `as_of`, the feed as it stood then is asked.
        """
        text, given, notes = split(question, self._clock())
        within = narrowed(within, given)
        now = within.as_of or self._clock()
        asked = standalone(text, turns, now)
        asked_for = parts(asked, now)
        is_reworded = (bool(turns) and asked != text) or len(asked_for) > 1
        freshness = self._feed.freshness(now)
        notes += [f"understood as: {'; '.join(asked_for)}"] if is_reworded else []
        writing = _Written(notes=notes + shown.down(freshness))
        for part in asked_for:
            yield from self._part(part, turns, within, now, writing)
        yield Answer(
            id=uuid.uuid4().hex,
            question=question,
            text=writing.text or NOTHING_FOUND,
            citations=tuple(writing.citations),
            abstained=not writing.citations,
            model=writing.model or (self._answerer or Extractive()).name,
            asked_at=self._clock(),
            freshness=freshness,
            dropped=writing.dropped,
            searches=tuple(written(query) for query in writing.queries),
            notes=tuple(writing.told),
        )

    def _part(
        self, asked: str, turns: Sequence[Turn], within: Query, now: datetime, writing: _Written
    ) -> Iterator[Sentence]:
        """Yield the checked sentences that answer one part of a question."""
        judge, queries = self._looked_up(asked, within, now)
        writing.queries += queries
        check = _Check(self._feed, judge)
        yield from self._sentences(asked, turns, check, writing)
        writing.dropped += check.dropped
        writing.unanswered += [] if check.is_answered else [asked]

    def _looked_up(self, asked: str, within: Query, now: datetime) -> tuple[Judge, list[Query]]:
        """Return the judge of the posts found for a question, and what was looked for."""
        parsed = read(asked, now)
        queries = [] if parsed.is_empty else searches(parsed, within)
        hits: Sequence[Hit] = retrieve(self._feed, queries)
        if self._rerank is not None and hits and not parsed.newest:
            hits = self._rerank(asked, hits)
        posts = [hit.post for hit in hits]
        if self._reader is None:
            return Judge(parsed, posts), queries
        return Reading(parsed, posts, partial(self._reader.margins, asked, now)), queries

    def _sentences(
        self, asked: str, turns: Sequence[Turn], check: _Check, writing: _Written
    ) -> Iterator[Sentence]:
        """Yield checked sentences of the answerer; quote posts if it says nothing that holds."""
        quoting = Extractive()
        answerer = self._answerer or quoting
        try:
            yield from check.kept(answerer.drafts(asked, turns, check.judge), writing)
        except ModelError as error:
            log.warning("model unavailable: %s", error)
            writing.notes.append(f"the model is unavailable ({error}); posts are quoted instead")
        if check.is_answered:
            writing.model = answerer.name
        if check.is_answered or answerer is quoting:
            return
        if check.dropped:
            writing.notes.append("no post supports what the model wrote; posts are quoted instead")
        yield from check.kept(quoting.drafts(asked, turns, check.judge), writing)
        if check.is_answered:
            writing.model = writing.model or quoting.name


class _Check:
    """Lets through what posts that were read support, and that answers the question.

    Attributes:
        is_answered: Something was let through.
        dropped: Drafts that were not.
    """

    def __init__(self, feed: Searchable, judge: Judge) -> None:
        self._feed = feed
        self._posts = {post.key: post for post in judge.posts}
        self.judge = judge
        self.is_answered = False
        self.dropped = 0

    def kept(self, drafts: Iterator[Draft], writing: _Written) -> Iterator[Sentence]:
        """Yield the drafts that hold, with their marks; count the others."""
        for draft in drafts:
            if len(writing.citations) >= MAX_SENTENCES:
                return
            text = plain(draft.text)
            passage = self._passage(draft, text) if text else None
            if passage is None:
                self.dropped += 1
                continue
            self.is_answered = True
            if text.lower() not in writing.said:
                yield writing.add(text, passage)

    def _passage(self, draft: Draft, text: str) -> Passage | None:
        """Return the passage a draft rests on; None if there is none, or its post has changed."""
        if draft.key is not None:
            post = self._posts.get(draft.key)
            exact = post is not None and draft.text in post.text
            said = draft.text if exact else text
            found = self._supported(said, post, exact=exact) if post else None
        else:
            found = next(
                (one for post in self._answering() if (one := self._supported(text, post))), None
            )
        if found is None:
            return None
        current = self._feed.post(found.post.key)
        return found if current is not None and current.text == found.post.text else None

    def _answering(self) -> list[Post]:
        return [one.passage.post for one in order(self.judge)]

    def _supported(self, text: str, post: Post, *, exact: bool = False) -> Passage | None:
        """Return what supports a text and answers.

        A text that is not the post's own must besides hold what is asked for.
        """
        passage = supporting(text, post)
        if passage is None or not self.judge.score(passage):
            return None
        said = Passage(replace(post, text=text), 0, len(text), 1, False)
        return passage if exact or kinds.bears(self.judge.question, said) else None
