"""How much of a question a passage tells of, where words of the question are missing from it.

People ask in other words than posts are written in. If all names, numbers and times agree and the
kind of thing asked for is there, a few nouns may be told by words of the same field, or not at all,
as long as

* the word that tells most, which fewest of the posts found have, is told of;
* what is done is told of: its verb, one of its field, or none where nothing else is done;
* nothing of the same kind stands in the place of what is missing ("library" for "museum");
* enough of the question by weight is left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gigafactory.grok import named
from gigafactory.grok.deeds import is_thing
from gigafactory.grok.words import (
    are_opposite,
    in_contrast,
    is_loosely,
    is_related,
    is_translation,
    members_of,
    stems_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gigafactory.grok.passages import Passage
    from gigafactory.grok.question import Question, Term

RANK: Final = 0.6  # of the score of a passage that has every word
_FIELD: Final = 0.75  # of a word's weight, where the passage has another of its field
_SURE: Final = {"open": 0.7, "thing": 0.65, "yes_no": 0.75, "person": 0.6, "reason": 0.6}
_ENOUGH: Final = 0.55  # for kinds of which few passages hold any: an amount, a date
_MIN_FOUND: Final = 2
_TIMES: Final = frozenset({"time", "clock", "day", "month"})
_OFF: Final = frozenset({"cancel", "scrap", "abandon"})
_CIRCUMSTANCE: Final = re.compile(
    r"(?<=\w )(?:after|when|while|because of|despite|during|following|now that)\s", re.IGNORECASE
)

Places = dict["Term", list[int] | None]


def coverage(
    question: Question, passage: Passage, places: Places, weights: Mapping[str, float]
) -> float:
    """Return the share of the question's weight that a passage tells of; 0 if too little."""
    if any(term.kind == "name" and at is None for term, at in places.items()):
        return 0.0
    found = shares(question, passage, places)
    if not _holds(question, passage, found, weights):
        return 0.0
    weighed = _lessened(question, found, weights)
    total = sum(weighed.values())
    told = sum(weighed[term.stem] * share for term, share in found.items())
    least = _SURE.get(question.asked.kind, _ENOUGH)
    return told / total if total and told >= least * total else 0.0


def shares(question: Question, passage: Passage, places: Places) -> dict[Term, float]:
    """Return how much of each word a passage tells: all, as one of its field, or nothing."""
    return {term: _share(question, term, passage, at) for term, at in places.items()}


def _holds(
    question: Question, passage: Passage, shares: Mapping[Term, float], weights: Mapping[str, float]
) -> bool:
    """Return whether what must not be missing is told of, and nothing else in its place."""
    heavy = [share for term, share in shares.items() if term.kind != "light"]
    if sum(share > 0 for share in heavy) < min(_MIN_FOUND, len(shares)):
        return False
    weighed = _lessened(question, shares, weights)
    common = [
        share for term, share in shares.items()
        if term.kind in {"noun", "verb"} and weighed[term.stem] == weights[term.stem]
    ]  # fmt: skip
    if 2 * sum(share > 0 for share in common) < len(common):
        return False  # names alone tell nothing
    if question.asked.kind == "person" and not (all(heavy) and _names_one(question, passage)):
        return False
    return (
        not is_another(question, passage, shares)
        and _has_telling(question, shares, weights)
        and _has_target(question, shares)
        and _is_done(question, passage, shares)
    )


def _lessened(
    question: Question, shares: Mapping[Term, float], weights: Mapping[str, float]
) -> dict[str, float]:
    """Return the weights, halved where a word only tells the circumstances: "after the crash"."""
    found = _CIRCUMSTANCE.search(question.text)
    behind = question.text[found.end() :] if found else ""
    return {
        term.stem: weights[term.stem] * (0.5 if term.text in behind and term.kind != "name" else 1)
        for term in shares
    }


def _share(question: Question, term: Term, passage: Passage, at: list[int] | None) -> float:
    """Return how much of a word a passage tells: all, as one of its field, or nothing."""
    if at is not None:
        return 0.0 if term.kind == "noun" and _only_in_names(question, passage, at) else 1.0
    if term.kind == "noun" and members_of(term.stem) & passage.places.keys():
        return 1.0
    if term.kind != "verb" and any(_is_near(one, term.stem) for one in passage.context):
        return _FIELD
    is_person = question.asked.kind == "person"
    is_deed = term.kind == "verb" and (is_person or question.asked.kind == "yes_no")
    is_office = term.kind == "noun" and is_person  # a captain is not who "ran"
    is_foreign = not passage.post.lang.lower().startswith("en") and bool(passage.post.lang)
    return _FIELD if any(
        (_is_near(part, term.stem) or (is_foreign and is_translation(part, term.stem)))
        and not (is_office and part in stems_of("VERBS"))
        and (not is_deed or any(_is_deed(passage, place) for place in ats))
        for part, ats in passage.places.items()
    ) else 0.0  # fmt: skip


def _only_in_names(question: Question, passage: Passage, at: list[int]) -> bool:
    """Return whether a noun is there only as the first word of another's name: "Harbor Park"."""
    return bool(at) and all(
        passage.words[place].is_capital and _leads_name(question, passage, place) for place in at
    )


def _leads_name(question: Question, passage: Passage, place: int) -> bool:
    if place == 0 or place + 1 >= len(passage.words):
        return False
    one, other = passage.words[place : place + 2]
    is_run = other.is_capital and passage.text[one.end : other.start] == " "
    return is_run and not named.is_asked_word(question, other)


def _is_near(one: str, other: str) -> bool:
    return is_related(one, other) and not are_opposite(one, other)


def _is_deed(passage: Passage, place: int) -> bool:
    return passage.words[place].stem in stems_of("VERBS") and not is_thing(passage, place)


def is_another(question: Question, passage: Passage, shares: Mapping[Term, float]) -> bool:
    """Return whether something of the same kind is told of in the place of what is missing."""
    asked = {term.stem for term in shares}
    off = _OFF & passage.places.keys()
    if question.asked.kind in _TIMES and off and not any(one in asked for one in off):
        return True  # when something is called off is not when it will be
    for term, share in shares.items():
        others = in_contrast(term.stem) - asked
        if any(one in others for one in passage.joined):
            return True  # "quarter finals" are no final
        if share == 1.0:
            continue
        if any(part in others for part in passage.places):
            return True
        if question.asked.kind != "yes_no" and any(
            are_opposite(part, term.stem) for part in passage.places
        ):
            return True
    return False


def _has_telling(
    question: Question, shares: Mapping[Term, float], weights: Mapping[str, float]
) -> bool:
    """Return whether the word that tells most is told of."""
    nouns = [term for term in shares if term.kind in {"name", "noun"}]
    most = max((weights[term.stem] for term in nouns), default=0.0)
    least = 1.0 if question.asked.kind == "open" else _FIELD
    return all(shares[term] >= least for term in nouns if weights[term.stem] >= most)


def _has_target(question: Question, shares: Mapping[Term, float]) -> bool:
    """Return whether what is counted or chosen is told of."""
    least = 1.0 if question.asked.kind == "thing" else _FIELD
    return all(
        share >= least for term, share in shares.items() if term.stem in question.asked.target
    )


def _is_done(question: Question, passage: Passage, shares: Mapping[Term, float]) -> bool:
    """Return whether what the question says is done is told of, and not something else."""
    missing = [term for term, share in shares.items() if term.kind == "verb" and not share]
    if not missing:
        return True
    if question.asked.kind in {"person", "yes_no"} or len(missing) > 1:
        return False
    asked = {term.stem for term in shares}
    return not any(
        word.stem in stems_of("VERBS") - stems_of("SPEECH")
        and not any(word.stem == one or is_loosely(word.stem, one) for one in asked)
        for word in passage.words
    )


def _names_one(question: Question, passage: Passage) -> bool:
    """Return whether someone is named whom the question does not name."""
    return any(True for _ in named.people(question, passage))
