"""The default answerer: the sentences of posts that answer, in the posts' own words.

No model: exact, fast, and the same every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.grok import loosely
from gigafactory.grok.doors import Draft
from gigafactory.grok.ordering import order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gigafactory.grok.evidence import Found
    from gigafactory.grok.judge import Judge
    from gigafactory.spec.answer import Turn

MAX_FACTS: Final = 2  # sentences that give the one fact asked for
MAX_REPORTS: Final = 5  # sentences on "what did @x say", "what is new with..."
_AS_GOOD: Final = 0.99  # of the best one's score: says the fact as fully
_AS_NEAR: Final = 0.85  # is as much about the thing


class Extractive:
    """Quotes posts."""

    name = "extractive"

    def drafts(
        self,
        question: str,  # noqa: ARG002
        turns: Sequence[Turn],  # noqa: ARG002
        judge: Judge,
    ) -> Iterator[Draft]:
        """Yield the passages that answer, the best first."""
        asked, found = judge.question, order(judge)
        is_open = asked.asked.kind == "open"
        most, least = (MAX_REPORTS, _AS_NEAR) if is_open else (MAX_FACTS, _AS_GOOD)
        best = max((one.score for one in found), default=0.0)
        if best <= loosely.RANK or (asked.newest and not is_open):
            most, least = 1, _AS_GOOD
        if asked.is_either:
            most, least = MAX_FACTS, _AS_NEAR
        for one in as_good(found, least)[:most]:
            yield Draft(one.passage.text, one.passage.post.key)


def as_good(found: Sequence[Found], least: float) -> list[Found]:
    """Return those about as good as the best, without what was said before in the same words."""
    best = max((one.score for one in found), default=0.0)
    kept: dict[str, Found] = {}
    for one in found:
        if one.score >= least * best:
            kept.setdefault(" ".join(one.passage.text.lower().split()), one)
    return list(kept.values())
