"""How much of a question a passage tells of, where words of the question are missing from it.

People ask in other words than posts are written in. If all names, numbers and times agree and the
kind of thing asked for is there, a few nouns may be told by words of the same field, or not at all:
the telling ones, which few of the posts found have, must be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.grok.words import are_opposite, is_related

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gigafactory.grok.passages import Passage
    from gigafactory.grok.question import Question, Term

RANK: Final = 0.6  # of the score of a passage that has every word
_FIELD: Final = 0.75  # of a word's weight, where the passage has another of its field
_SURE: Final = {"open": 0.7, "thing": 0.65, "yes_no": 0.75, "person": 0.6, "reason": 0.6}
_ENOUGH: Final = 0.55  # for kinds of which few passages hold any: an amount, a date
_MIN_FOUND: Final = 2


def coverage(
    question: Question,
    passage: Passage,
    places: Mapping[Term, list[int] | None],
    weights: Mapping[str, float],
) -> float:
    """Return the share of the question's weight that a passage tells of; 0 if too little."""
    if any(term.kind == "name" and at is None for term, at in places.items()):
        return 0.0
    shares = {term: _share(term, passage, at) for term, at in places.items()}
    if not _has_target(question, shares):
        return 0.0
    total = sum(weights[term.stem] for term in shares)
    found = sum(share > 0 and term.kind != "light" for term, share in shares.items())
    if not total or found < min(_MIN_FOUND, len(shares)):
        return 0.0
    told = sum(weights[term.stem] * share for term, share in shares.items()) / total
    return told if told >= _SURE.get(question.asked.kind, _ENOUGH) else 0.0


def _share(term: Term, passage: Passage, at: list[int] | None) -> float:
    """Return how much of a word a passage tells: all, as one of its field, or nothing."""
    if at is not None:
        return 1.0
    is_near = any(
        is_related(part, term.stem) and not are_opposite(part, term.stem)
        for part in passage.places
    )
    return _FIELD if is_near else 0.0


def _has_target(question: Question, shares: Mapping[Term, float]) -> bool:
    """Return whether what is counted or chosen is told of."""
    return all(
        share > 0 for term, share in shares.items() if term.stem in question.asked.target
    )
