"""Whether a passage answers a question: all it asks about is there, and what it asks for too.

A passage that merely shares words with the question must fail: another person, another place,
another day, another quantity, or a wish instead of a fact. So every name, number, time and noun
of the question must be found in the passage (by stem, root or like meaning) or in what holds for
the whole post (its author, hashtags and date); only verbs that a headline would leave out, and
words that say little, may be missing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Final

from gigafactory.grok import kinds, lexicon, loosely
from gigafactory.grok.agreement import has_numbers, is_dated
from gigafactory.grok.asked import measure_of
from gigafactory.grok.deeds import is_bound, is_thing
from gigafactory.grok.passages import Passage, has_question, passages, sentence_spans
from gigafactory.grok.stance import denials, is_denied, is_doubtful, is_only_wanted, is_unreal
from gigafactory.grok.words import (
    alike,
    are_opposite,
    is_known,
    is_loosely,
    is_same_name,
    stem,
    stems_of,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.grok.question import Question, Term
    from gigafactory.spec.post import Post

MAX_SENTENCES: Final = 16  # of one post
FEW_SENTENCES: Final = 3  # of one post, once very many were judged: long posts delay no answer
MAX_JUDGED: Final = 800
MIN_COVERAGE: Final = 0.7  # of the weight of a question's words
MIN_UNBOUND_TERMS: Final = 3  # found, for a verb to be left out
_WEIGHTS: Final = {"name": 1.5, "noun": 1.0, "verb": 0.8, "light": 0.3}
_LOOSE: Final = 0.8  # of a verb's weight, where the passage has another of its class
_LONGER: Final = 0.97  # per further sentence: the shortest passage that answers is best
_GOING_ON: Final = lexicon.word_set(
    """it it's its they they're them their he he's him his she she's her this these those we we're
    us our both"""
)
_NEEDED: Final = frozenset({"name", "noun"})
_BY_NAME: Final = re.compile(r"\bby (?:@\w|(?:the |our |a )?[A-Z])")
_TAKES_OVER: Final = re.compile(
    r"\b(?:(?:takes?|took|taking) over|instead|steps? in|stepped in|stands? in|stood in|replac\w+"
    r"|substitut\w+|deputi[sz]\w+|fills? in|in (?:his|her|their) place)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that answers, and how well: 0 to 1."""

    passage: Passage
    score: float


class Evidence:
    """Judges passages against one question; words that few of the posts found have weigh more.

    Attributes:
        weights: Of each stem asked for.
    """

    def __init__(self, question: Question, posts: Sequence[Post]) -> None:
        self.question = question
        self._left = MAX_JUDGED
        self._best: dict[Post, Found | None] = {}
        self._hardest_first = sorted(question.terms, key=lambda term: -_WEIGHTS[term.kind])
        found: Counter[str] = Counter()
        for post in posts:
            found.update({part for word in words(post.text[:2000]) for part in word.parts})
        self.weights = {
            term.stem: _WEIGHTS[term.kind] * log(1 + (1 + len(posts)) / (0.5 + found[term.stem]))
            for term in question.terms
        }

    def best(self, post: Post) -> Found | None:
        """Return the passage of a post that answers best; None if none does."""
        if post not in self._best:
            self._best[post] = self._judged(post)
        return self._best[post]

    def _judged(self, post: Post) -> Found | None:
        found: Found | None = None
        least = 0
        if not _is_by(post, self.question.authors):
            return None
        for passage in passages(post, MAX_SENTENCES if self._left > 0 else FEW_SENTENCES):
            best = found.score if found else 0.0
            if passage.sentences > 1 and best >= _LONGER and not self._is_open:
                break  # none of the longer ones is better
            self._left -= 1
            score, spread = self._scored(passage)
            is_closer = score == best > 0 and spread < least
            if score > best or is_closer or (score and score >= best * _LONGER and self._is_open):
                found, least = Found(passage, score), spread
        return found

    @property
    def _is_open(self) -> bool:
        """Whether all that a post says of a thing is asked for, so that more of it is better."""
        return self.question.asked.kind == "open"

    def score(self, passage: Passage) -> float:
        """Return how well a passage answers, 0 for not at all."""
        return self._scored(passage)[0]

    def told(self, passage: Passage) -> float:
        """Return the weight of what a passage tells of the question, in its words or near them."""
        places = {term: self.places(term, passage) for term in self._hardest_first}
        found = loosely.shares(self.question, passage, places)
        return sum(self.weights[term.stem] * share for term, share in found.items())

    def may_answer(self, post: Post) -> bool:
        """Return whether a post is by those asked for, and lacks no name of the question."""
        whole = Passage(post, 0, len(post.text), 1, False)
        names = [one for one in self._hardest_first if one.kind == "name"]
        return self.is_by_those_asked_for(post) and all(
            self.places(one, whole) is not None or self.is_implied(one) for one in names
        )

    def is_by_those_asked_for(self, post: Post) -> bool:
        """Return whether a post is by one of the handles of the question; true if it has none."""
        return _is_by(post, self.question.authors)

    def agrees(self, passage: Passage) -> bool:
        """Return whether a passage bears what is asked for, and says nothing else in its place."""
        question = self.question
        places = {term: self.places(term, passage) for term in self._hardest_first}
        found = loosely.shares(question, passage, places)
        return (
            kinds.bears(question, passage)
            and _is_stated(question, passage)
            and is_dated(question, passage)
            and has_numbers(question, passage)
            and _is_affirmed(question, passage, places)
            and is_bound(question, passage, places)
            and not loosely.is_another(question, passage, found)
        )

    def _scored(self, passage: Passage) -> tuple[float, int]:
        """Return how well a passage answers, and over how many words the question's are spread."""
        question = self.question
        places: dict[Term, list[int] | None] = {}
        for term in self._hardest_first:
            places[term] = self.places(term, passage)
            if places[term] is None and term.kind == "name" and not self.is_implied(term):
                return 0.0, 0
        coverage = self._coverage(passage, places)
        if coverage < MIN_COVERAGE:
            asked = {
                one: at for one, at in places.items() if at is not None or not self.is_implied(one)
            }
            coverage = loosely.RANK * loosely.coverage(question, passage, asked, self.weights)
        if not coverage or not _is_stated(question, passage):
            return 0.0, 0
        if not (is_dated(question, passage) and has_numbers(question, passage)):
            return 0.0, 0
        if not _is_affirmed(question, passage, places) or not is_bound(question, passage, places):
            return 0.0, 0
        if not kinds.bears(question, passage) or not _is_one(question, passage, places):
            return 0.0, 0
        found = [at for ats in places.values() for at in ats or ()]
        spread = max(found) - min(found) if found else 0
        return coverage * float(_LONGER ** (passage.sentences - 1)), spread

    def places(self, term: Term, passage: Passage) -> list[int] | None:
        """Return where a term is; None if nowhere.

        For "is it open?" the opposite answers as well; "won't run" says that it is cancelled;
        and a price is there where money is, by whatever word.
        """
        found = _places(term, passage)
        is_deed = term.kind == "verb" and term.stem in stems_of("VERBS")
        if found and is_deed and self.question.asked.kind == "person":
            found = [at for at in found if not is_thing(passage, at)] or None
        if found is not None:
            return found
        stems = [word.stem for word in passage.words]
        if self.question.asked.kind == "yes_no":
            found = [at for at, one in enumerate(stems) if are_opposite(one, term.stem)]
        elif term.stem in stems_of("FAILING"):
            going = stems_of("GOING")
            found = [at for at, one in enumerate(stems) if one in going and is_denied(passage, at)]
        elif self.question.is_negated and term.kind == "verb":
            failing = stems_of("FAILING")
            found = [at for at, one in enumerate(stems) if one in failing]
        if not found and term.kind == "verb" and self.question.asked.kind != "person":
            found = [at for at, one in enumerate(stems) if is_loosely(one, term.stem)]
        measure = measure_of(term.stem)
        if not found and measure and any(one.kind == measure for one in passage.numbers):
            return []
        return found or None

    def _coverage(self, passage: Passage, places: dict[Term, list[int] | None]) -> float:
        """Return the share of the question's weight that is found; 0 if what must be is not."""
        made = self.question.asked.kind == "person" and _is_made(passage)
        implied = stems_of("CREATING") if made else frozenset()
        asked = [
            term for term in places
            if places[term] is not None or not (self.is_implied(term) or term.stem in implied)
        ]  # fmt: skip
        missing = [term for term in asked if places[term] is None]
        if any(term.kind in _NEEDED for term in missing):
            return 0.0
        if self.question.asked.kind == "person" and _only_names(places):
            return 0.0
        verbs = sum(term.kind == "verb" for term in missing)
        if verbs > 1 or (verbs and not self._may_lack(passage, places)):
            return 0.0
        total = sum(self.weights[term.stem] for term in asked)
        lost = sum(self.weights[term.stem] for term in missing)
        lost += (1 - _LOOSE) * sum(
            self.weights[term.stem] for term in asked
            if term.kind == "verb" and places[term] and not _is_exact(term, passage, places[term])
        )  # fmt: skip
        return 1.0 - lost / total if total else 1.0

    def is_implied(self, term: Term) -> bool:
        """Return whether the kind of thing asked for says a word already."""
        asked = self.question.asked
        implied = lexicon.IMPLIED.get(asked.kind, "").split()
        return term.stem in {stem(one) for one in implied} or (
            asked.kind == "name" and term.stem in asked.target
        )

    def _may_lack(self, passage: Passage, places: dict[Term, list[int] | None]) -> bool:
        """Return whether a passage may leave the question's verb out, as headlines do.

        It may if enough else is found, and no other verb stands in its place.
        """
        found = [term for term, at in places.items() if at is not None and term.kind != "light"]
        if self.question.asked.kind == "person" and not _BY_NAME.search(passage.text):
            return False
        taken = {at for ats in places.values() if ats for at in ats}
        return len(found) >= MIN_UNBOUND_TERMS and not any(
            word.stem in stems_of("VERBS") - stems_of("SPEECH") and place not in taken
            for place, word in enumerate(passage.words)
        )


def _only_names(places: dict[Term, list[int] | None]) -> bool:
    """Return whether of a question with other words, too, only the names are found."""
    others = [at for term, at in places.items() if term.kind != "name"]
    return bool(others) and all(at is None for at in others)


def _is_exact(term: Term, passage: Passage, places: list[int] | None) -> bool:
    return any(alike(passage.words[at].stem, term.stem) for at in places or ())


def _is_made(passage: Passage) -> bool:
    """Return whether something is "by" someone, and not sold, bought or found by him."""
    for match in _BY_NAME.finditer(passage.text):
        before = [word for word in passage.words if word.end <= match.start()][-1:]
        if before and before[0].stem not in stems_of("VERBS"):
            return True
    return False


def _is_by(post: Post, authors: tuple[str, ...]) -> bool:
    """Return whether a post is by one of these, with or without the host of the handle."""
    handle = post.author.lower()
    return not authors or any(
        handle == one or handle.startswith((f"{one}@", f"{one}.")) for one in authors
    )


def _places(term: Term, passage: Passage) -> list[int] | None:
    """Return where a passage has a term; empty if the post has it elsewhere; None if nowhere."""
    same = is_same_name if term.kind == "name" else alike
    found = [at for part, ats in passage.places.items() if same(part, term.stem) for at in ats]
    found += passage.joined.get(term.stem, [])
    if not found and is_known(term.stem):
        found = [at for whole, ats in passage.joined.items()
                 if is_known(whole) and alike(whole, term.stem) for at in ats]  # fmt: skip
    if found or _has_halves(term, passage):
        return sorted(found)
    handle = passage.post.author.lower()
    if any(same(one, term.stem) for one in passage.context):
        return []
    lower = term.text.lstrip("@").lower().replace("\u2019", "'").removesuffix("'s")
    if len(lower) > 3 and any(one in handle for one in (lower, term.stem)):
        return []
    return [] if lower == handle else None


def _has_halves(term: Term, passage: Passage) -> bool:
    """Return whether both halves of "red-ribbon" are there."""
    halves = [one for one in term.parts if one != term.stem and len(one) > 2]
    return len(halves) > 1 and all(
        any(alike(part, one) for part in passage.places) for one in halves
    )


def _is_stated(question: Question, passage: Passage) -> bool:
    """Return whether a passage says it as a fact, where the question asks for one."""
    if question.wants_opinion:
        return not passage.is_asking
    if is_only_wanted(question.text, passage):
        return False
    if is_unreal(passage) or (question.asked.kind == "yes_no" and has_question(passage.text)):
        return False
    return question.is_modal or not is_doubtful(passage.words)


def _is_affirmed(
    question: Question, passage: Passage, places: dict[Term, list[int] | None]
) -> bool:
    """Return whether a passage and its question agree in what is so and what is not."""
    if question.asked.kind == "yes_no" or question.wants_opinion:
        return True
    if question.is_negated:
        return bool(denials(passage.words)) or _has_opposite(question, passage)
    verbs = [
        [at for at in ats or () if alike(passage.words[at].stem, term.stem)]
        for term, ats in places.items()
        if term.kind == "verb"
    ]
    if question.asked.kind == "person" and _TAKES_OVER.search(passage.text):
        return True
    return not any(ats and all(is_denied(passage, at) for at in ats) for ats in verbs)


def _has_opposite(question: Question, passage: Passage) -> bool:
    stems = [word.stem for word in passage.words]
    failing = stems_of("FAILING")
    return any(
        one in failing or any(are_opposite(one, term.stem) for term in question.terms)
        for one in stems
    )


def _is_one(question: Question, passage: Passage, places: dict[Term, list[int] | None]) -> bool:
    """Return whether the sentence with what is asked for is about the question, too.

    It has a word of the question, goes on from one that has ("It...", "They..."), or is no more
    than a note ("Doors 7pm."). Sentences that only happen to stand together answer nothing.
    """
    if passage.sentences == 1 or question.asked.kind in {"yes_no", "open"}:
        return True
    if passage.sentences == 2 and question.asked.kind == "reason":
        return True  # a reason follows on what it explains without any word for it
    found = [passage.words[at].start for ats in places.values() if ats for at in ats]
    for start, end in sentence_spans(passage.text):
        part = Passage(passage.post, passage.start + start, passage.start + end, 1, False)
        goes_on = any(one < start for one in found) and _goes_on(part)
        about = any(start <= one < end for one in found) or goes_on
        if about and kinds.bears(question, part):
            return True
    return False


def _goes_on(part: Passage) -> bool:
    said = {word.lower for word in part.words}
    return bool(said & _GOING_ON) or not any(word.stem in stems_of("VERBS") for word in part.words)
