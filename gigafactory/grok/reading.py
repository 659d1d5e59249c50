"""Which posts answer, where a reader is at hand: what it makes of them beside what can be counted.

The posts that are likeliest by what can be counted are read together with the question. A second
logistic model weighs what the reader says with the same signals, and with whether the rules of
evidence let a post pass. Posts that were not read answer nothing.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from gigafactory.grok.evidence import Found
from gigafactory.grok.judge import Judge, likelihoods
from gigafactory.grok.passages import MAX_READ_CHARS, Passage, passages, sentence_spans
from gigafactory.grok.signals import READ_SIGNALS, read_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.grok.question import Question
    from gigafactory.spec.post import Post

WEIGHTS: Final = Path(__file__).parent / "data" / "reading.toml"
READ: Final = 16  # posts
LIKELY: Final = 0.5  # a post answers from here
ALIKE: Final = 0.9  # of the best one's likelihood: answers as well, if both pass the rules
QUOTED: Final = 12  # passages of a post among which the one to quote is chosen
PART_CHARS: Final = 280  # a longer post is read in parts
PARTS: Final = 4
NEARLY: Final = 1.0  # log odds: a shorter passage is quoted that answers nearly as surely


class Reads(Protocol):
    """Tells how surely passages answer the question at hand, as log odds."""

    def __call__(self, read: Sequence[Passage], /) -> NDArray[np.float64]:
        """Return one number a passage."""
        ...


class Reading(Judge):
    """Judges the posts found for one question, the best hit first.

    Args:
        question: What is asked.
        posts: Those found for it.
        reads: The reader, with the question before it.
    """

    likeliest = None

    def __init__(self, question: Question, posts: Sequence[Post], reads: Reads) -> None:
        super().__init__(question, posts)
        self._reads = reads
        self._parts: dict[Post, Passage] = {}

    def best(self, post: Post) -> Found | None:
        """Return the passage of a post that answers best; None if none does."""
        return self._found.get(post)

    def score(self, passage: Passage) -> float:
        """Return how likely a passage answers, 0 for not at all."""
        found = self._found.get(passage.post)
        if found is None:
            return 0.0
        is_in = passage.start < found.passage.end and found.passage.start < passage.end
        return found.score if is_in or self.rules.score(passage) else 0.0

    @cached_property
    def read(self) -> tuple[list[Post], NDArray[np.float64]]:
        """The posts that were read, the best hit first, and their signals [post, signal]."""
        if not self.posts:
            return [], np.zeros((0, len(READ_SIGNALS)))
        order = np.argsort(-likelihoods(self.signals), kind="stable")
        rows = sorted(int(row) for row in order[:READ])
        posts = [self.posts[row] for row in rows]
        margins = self._margins(posts)
        passed = [self.rules.best(post) is not None for post in posts]
        return posts, read_signals(self.signals[rows], margins, np.array(passed, dtype=float))

    def _margins(self, posts: Sequence[Post]) -> NDArray[np.float64]:
        """Return the log odds of posts: of a long one, those of its surest part, which is kept."""
        read = [part for post in posts for part in parts(post)]
        surest: dict[Post, float] = {}
        for part, margin in zip(read, map(float, self._reads(read)), strict=True):
            if margin > surest.get(part.post, -np.inf):
                surest[part.post], self._parts[part.post] = margin, part
        return np.array([surest[post] for post in posts])

    @cached_property
    def _found(self) -> dict[Post, Found]:
        posts, signals = self.read
        told = zip(posts, likelihoods(signals, WEIGHTS, READ_SIGNALS), strict=True)
        likely = {
            post: float(score)
            for post, score in told
            if score >= LIKELY and self.rules.is_by_those_asked_for(post)
        }
        best = max(likely, key=likely.__getitem__, default=None)
        if best is not None and self.rules.best(best):
            alike = [one for one in likely if likely[one] >= ALIKE * likely[best]]
            likely |= {one: likely[best] for one in alike if self.rules.best(one)}
        return {post: Found(self._quote(post), score) for post, score in likely.items()}

    def _quote(self, post: Post) -> Passage:
        """Return the shortest passage of a post that answers about as surely as any."""
        if found := self.rules.best(post):
            return found.passage
        part = self._parts[post]
        inside = [one for one in passages(post) if part.start <= one.start and one.end <= part.end]
        tried = inside[:QUOTED] or [part]
        if len(tried) == 1:
            return tried[0]
        margins = self._reads(tried)
        sure = [one for one, margin in zip(tried, margins, strict=True)
                if margin >= margins.max() - NEARLY]  # fmt: skip
        return min(sure, key=lambda one: (one.sentences, one.start))


def parts(post: Post) -> list[Passage]:
    """Return what is read of a post: all of it, or its first parts, cut between sentences."""
    spans = sentence_spans(post.text[:MAX_READ_CHARS])
    found: list[tuple[int, int]] = []
    for start, end in spans or [(0, len(post.text))]:
        if found and end - found[-1][0] <= PART_CHARS:
            found[-1] = found[-1][0], end
        elif len(found) < PARTS:
            found.append((start, end))
        else:
            break
    return [Passage(post, start, end, 1, False) for start, end in found]
