"""What can be counted of a question and the posts found for it: the signals a judge weighs.

Of each post as a whole, for what a sentence leaves out another one of the same post says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.grok import kinds, loosely
from gigafactory.grok.agreement import has_numbers, is_dated
from gigafactory.grok.passages import Passage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.grok.evidence import Evidence
    from gigafactory.spec.post import Post

READ_CHARS: Final = 1500  # of a post
SIGNALS: Final = (
    "rank", "told", "told_exactly", "bears", "dated", "numbers", "missing_names", "age",
    "told_behind_best", "told_ahead_of_next", "told_exactly_behind_best", "asks_time", "terms",
    "asks_reason", "asks_present",
)  # fmt: skip
# Of a post that was read: the reader's log odds, behind the best, ahead of the next; and rules.
READ_SIGNALS: Final = (*SIGNALS, "read", "read_behind_best", "read_ahead_of_next", "passed")
_DAY_S: Final = 86_400.0


class Counted(NamedTuple):
    """Of one post by itself.

    Attributes:
        told: Share of the question's weight that it tells, words of the same field included.
        told_exactly: The same of the question's own words, or words that mean the same.
        bears: Whether it holds such a thing as is asked for.
        dated: Whether it is of the times that the question names.
        numbers: Whether it gives the question's numbers.
        missing_names: How many of the question's names it lacks.
    """

    told: float
    told_exactly: float
    bears: float
    dated: float
    numbers: float
    missing_names: float


def signals(evidence: Evidence, posts: Sequence[Post]) -> NDArray[np.float64]:
    """Return the signals of posts, the best hit first, as [post, signal]."""
    question = evidence.question
    counted = np.array([_counted(evidence, post) for post in posts])
    told, exactly = counted[:, 0], counted[:, 1]
    times = np.array([post.created_at.timestamp() for post in posts])
    asked = [
        bool(question.whens),
        sum(term.kind != "light" for term in question.terms),
        question.asked.kind == "reason",
        question.is_present,
    ]
    return np.column_stack([
        np.log1p(np.arange(len(posts))),
        counted,
        np.log1p((times.max() - times) / _DAY_S),
        told - told.max(),
        told - _best_other(told),
        exactly - exactly.max(),
        np.tile(np.array(asked, dtype=float), (len(posts), 1)),
    ])  # fmt: skip


def read_signals(
    found: NDArray[np.float64], margins: NDArray[np.float64], passed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the signals of posts that were read, as [post, signal].

    Args:
        found: What `signals` gives of them.
        margins: What the reader makes of each.
        passed: Whether the rules of evidence let each pass.
    """
    behind = margins - margins.max()
    return np.column_stack([found, margins, behind, margins - _best_other(margins), passed])


def whole(post: Post) -> Passage:
    """Return all of a post that is read, as one passage."""
    return Passage(post, 0, min(len(post.text), READ_CHARS), 1, False)


def _counted(evidence: Evidence, post: Post) -> Counted:
    question = evidence.question
    text = whole(post)
    places = {term: evidence.places(term, text) for term in question.terms}
    shares = loosely.shares(question, text, places)
    total = sum(evidence.weights[term.stem] for term in places) or 1.0
    missing = [
        term for term, at in places.items()
        if at is None and term.kind == "name" and not evidence.is_implied(term)
    ]  # fmt: skip
    return Counted(
        told=sum(evidence.weights[term.stem] * share for term, share in shares.items()) / total,
        told_exactly=sum(evidence.weights[t.stem] for t, at in places.items() if at is not None)
        / total,
        bears=float(kinds.bears(question, text)),
        dated=float(is_dated(question, text)),
        numbers=float(has_numbers(question, text)),
        missing_names=float(len(missing)),
    )


def _best_other(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each value the largest of the others; 0 where there is none."""
    if len(values) < 2:
        return np.zeros_like(values)
    second, first = np.sort(values)[-2:]
    return np.asarray(np.where(values == first, second, first))
