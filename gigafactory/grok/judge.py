"""Which posts answer: what the rules of evidence say, and how likely it is by what was learned.

Rules know when a passage says what is asked for; they do not know how people put it in other words.
A logistic model of a few signals, fitted on questions with known answers, refuses what rules let
through by chance, and where rules find nothing lets the likeliest post through.

Source: fitted by `python -m tests.grok_quality.fit_judge` on `tests/grok_quality/learning`.
"""

from __future__ import annotations

import tomllib
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.grok.evidence import MAX_SENTENCES, Evidence, Found
from gigafactory.grok.passages import Passage, passages
from gigafactory.grok.signals import SIGNALS, signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.grok.question import Question
    from gigafactory.spec.post import Post

WEIGHTS: Final = Path(__file__).parent / "data" / "judge.toml"
UNLIKELY: Final = 0.3  # what rules let through is refused below
LIKELY: Final = 0.5  # and without any rule a post is let through from here
TRIED: Final = 3  # of the likeliest posts, for a passage that agrees: long posts delay no answer
SCORE: Final = 0.3  # of such a post: behind all that rules find


class Judge:
    """Judges the posts found for one question, the best hit first."""

    def __init__(self, question: Question, posts: Sequence[Post]) -> None:
        self.question = question
        self.posts = posts
        self.rules = Evidence(question, posts)

    def best(self, post: Post) -> Found | None:
        """Return the passage of a post that answers best; None if none does."""
        found = self.rules.best(post)
        if found is None or self.likelihoods.get(post, 1.0) < UNLIKELY:
            return None
        return found

    def score(self, passage: Passage) -> float:
        """Return how well a passage answers, 0 for not at all."""
        if self.likelihoods.get(passage.post, 1.0) < UNLIKELY:
            return 0.0
        if score := self.rules.score(passage):
            return score
        found = self.likeliest
        is_that = found is not None and (passage.post.key, passage.start, passage.end) == (
            found.passage.post.key, found.passage.start, found.passage.end,
        )  # fmt: skip
        return SCORE if is_that else 0.0

    @cached_property
    def likelihoods(self) -> dict[Post, float]:
        """How likely each post answers, 0 to 1."""
        if not self.posts:
            return {}
        return dict(zip(self.posts, map(float, likelihoods(self.signals)), strict=True))

    @cached_property
    def signals(self) -> NDArray[np.float64]:
        """What can be counted of each post, [post, signal]."""
        return signals(self.rules, self.posts)

    @cached_property
    def likeliest(self) -> Found | None:
        """The likeliest post's passage, for where no post passes the rules; None if none may."""
        ordered = sorted(self.posts, key=lambda post: -self.likelihoods[post])
        for post in ordered[:TRIED]:
            if self.likelihoods[post] < LIKELY:
                return None
            if self.rules.may_answer(post) and (passage := self._quote(post)):
                return Found(passage, SCORE)
        return None

    def _quote(self, post: Post) -> Passage | None:
        """Return the shortest passage that tells most of what is asked; None if none agrees."""
        agreeing = [one for one in passages(post, MAX_SENTENCES) if self.rules.agrees(one)]
        return max(agreeing, key=lambda one: round(self.rules.told(one), 3), default=None)


def likelihoods(
    found: NDArray[np.float64], by: Path = WEIGHTS, names: tuple[str, ...] = SIGNALS
) -> NDArray[np.float64]:
    """Return the likelihood that each post answers, of its signals [post, signal].

    Args:
        found: The signals.
        by: File of the weights.
        names: Of the signals.
    """
    weights, bias = learned(by, names)
    return np.asarray(1.0 / (1.0 + np.exp(-(found @ weights + bias))))


@cache
def learned(
    by: Path = WEIGHTS, names: tuple[str, ...] = SIGNALS
) -> tuple[NDArray[np.float64], float]:
    """Return the weight of each signal, and the bias."""
    told = tomllib.loads(by.read_text(encoding="utf-8"))
    return np.array([told["weights"][name] for name in names]), float(told["bias"])
