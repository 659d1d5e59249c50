"""People, places and things that a passage names, told by capitals, articles and prepositions."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.words import Word, alike, is_known, is_plain, stems_of, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.grok.passages import Passage
    from gigafactory.grok.question import Question

_ZONES: Final = lexicon.word_set("UTC GMT CET CEST EST EDT PST PDT BST AM PM")
_BESIDE: Final = 2  # characters between a noun and its number
_ARTICLES: Final = lexicon.word_set("a an the her his our my their its")
_INDOORS: Final = lexicon.word_set("in at on under behind beside inside near outside")
_NO_PLACES: Final = lexicon.word_set(
    """end way moment hurry statement interview row total time half name world case fact attempt
    list same mood market wake future past first last next air week month year day morning
    evening night
    weekend season back rest lead making game minute hour event meantime"""
)
_ON_THE_WAY: Final = lexicon.word_set("to from by into via towards")
_PLACE_REACH: Final = 4  # words between a preposition and the place
_BEFORE_PLACES: Final = lexicon.word_set(
    """at in on near outside inside from to behind beside opposite along around under between by off
    across into via next beneath above below within towards"""
)
_MOVES: Final = lexicon.word_set(
    """to from go goes going gone went move moves moved moving travel relocate relocated relocating
    fly flying flew sail sailing head heading headed come comes came run runs lead
    leads drive send sent
    take taken"""
)
_SELF: Final = lexicon.word_set(
    "i we i'm we're i've we've my our everyone everybody anyone nobody whoever"
)


def names(passage: Passage) -> Iterator[Word]:
    """Yield the words of a passage that are written as names; handles too.

    The first word of a sentence is one only if another name or a verb follows.
    """
    found = passage.words
    timed = [(one.start, one.end) for one in passage.whens]
    timed += [(one.start, one.end) for one in passage.numbers]
    for place, word in enumerate(found):
        if any(word.start < end and start < word.end for start, end in timed):
            continue
        if word.text in _ZONES:
            continue
        if passage.text[word.end : word.end + 1] == ":" and word.text.isupper():
            continue  # "BREAKING:"
        if word.kind == "handle" or (
            word.is_capital and not is_plain(word) and word.kind == "word"
            and (_is_inside(passage, place) or _starts_name(found, place))
        ):  # fmt: skip
            yield word


def _is_inside(passage: Passage, place: int) -> bool:
    """Return whether a word stands inside a sentence, where capitals tell of names."""
    if place == 0:
        return False
    between = passage.text[passage.words[place - 1].end : passage.words[place].start]
    return not re.search(r"[.!?:\n•|]", between)


def _starts_name(found: list[Word], place: int) -> bool:
    if found[place].lower in lexicon.LIGHT:
        return False
    if place + 1 >= len(found):
        return place > 0
    following = found[place + 1]
    if following.is_capital:
        return True
    if is_known(found[place].stem) or following.lower in {
        "are",
        "were",
        "have",
        "for",
        "of",
    }:
        return False
    does = following.stem in stems_of("VERBS") and not following.lower.endswith("ing")
    return does or following.lower in lexicon.AUXILIARY


def people(question: Question, passage: Passage) -> Iterator[Word]:
    """Yield the names of a passage that are no place's, no office's, and not the question's."""
    found = passage.words
    place_of = {id(word): place for place, word in enumerate(found)}
    for word in names(passage):
        first = place_of[id(word)]
        while first and found[first - 1].is_capital and _is_inside(passage, first):
            first -= 1
        led = first and found[first - 1].lower in _BEFORE_PLACES - {"by", "to", "from"}
        if not led and not is_asked_word(question, word) and not _is_office(question, found, word):
            yield word


def _is_office(question: Question, found: list[Word], word: Word) -> bool:
    """Return whether it is the office of someone the question names: "Coach Radek Blaha"."""
    at = found.index(word)
    return (
        (word.lower in lexicon.ROLES or is_known(word.stem))
        and at + 1 < len(found)
        and found[at + 1].is_capital
        and is_asked_word(question, found[at + 1])
    )


def has_person(question: Question, passage: Passage) -> bool:
    """Return whether someone is named, by name, handle, office or as the author himself."""
    found = passage.words
    if any(True for _ in people(question, passage)) or _SELF & {word.lower for word in found}:
        return True
    return any(
        word.lower in lexicon.ROLES
        and not is_asked_word(question, word)
        and not _is_office(question, found, word)
        for word in found
    )


def has_place(question: Question, passage: Passage) -> bool:
    """Return whether a place is told that the question does not name itself."""
    found = passage.words
    capital = {id(word) for word in names(passage)}
    moves = {word.lower for word in words(question.text)} & _MOVES
    leading = _BEFORE_PLACES if moves else _BEFORE_PLACES - _ON_THE_WAY
    for place, word in enumerate(found):
        if _heads_place(passage, word):
            return True
        if word.lower not in leading or not _is_about(question, passage, word):
            continue
        behind = found[place + 1 : place + 1 + _PLACE_REACH]
        if word.lower in _INDOORS and _is_somewhere(question, behind):
            return True
        behind = list(takewhile(lambda near: near.lower not in _BEFORE_PLACES, behind))
        placed = [one for one in behind if id(one) in capital or one.lower in lexicon.PLACES]
        if any(not is_asked_word(question, near) for near in placed):
            return True
    return False


def _heads_place(passage: Passage, word: Word) -> bool:
    """Return whether a place is announced: "Venue ...", "place: ..."."""
    colon = passage.text[word.end : word.end + 1] == ":"
    return word.lower in {"venue", "location", "address"} or (colon and word.lower == "place")


def _is_somewhere(question: Question, behind: list[Word]) -> bool:
    """Return whether "a" or "her" and a noun stand behind "in": "in her shed"."""
    if not behind or behind[0].lower not in _ARTICLES:
        return False
    nouns = [word for word in behind[1:] if word.kind == "word"]
    run = list(takewhile(lambda word: not is_plain(word), nouns))
    return bool(run) and not any(
        word.lower in _NO_PLACES or is_asked_word(question, word) for word in run
    )


def _is_about(question: Question, passage: Passage, word: Word) -> bool:
    """Return whether a word of the question stands in the same part, as semicolons divide them."""
    start = passage.text.rfind(";", 0, word.start) + 1
    end = passage.text.find(";", word.start)
    part = [one for one in passage.words if start <= one.start and (end < 0 or one.start < end)]
    return len(part) == len(passage.words) or any(is_asked_word(question, one) for one in part)


def has_name(question: Question, passage: Passage) -> bool:
    """Return whether something new is named: "which line" by "the Green Line", "line 4".

    Where the name itself is asked for, the passage must say that it is one: "is called Pepper".
    """
    is_given = question.asked.target in {(), ("name",)}
    if is_given and not any(word.stem in stems_of("NAMING") for word in passage.words):
        return False
    if any(not is_asked_word(question, word) for word in names(passage)):
        return True
    if is_given and re.search(r":\s*[A-Z]\w+", passage.text):
        return True
    if re.search(r"[\"“”«][^\"“”»]{2,80}[\"”»]", passage.text):
        return True
    target = question.asked.target
    return any(
        alike(word.stem, one) and _has_number_beside(passage, word)
        for word in passage.words for one in target
    )  # fmt: skip


def _has_number_beside(passage: Passage, word: Word) -> bool:
    marks = [(one.start, one.end) for one in passage.numbers]
    marks += [(one.start, one.end) for one in passage.whens if one.minute is not None]
    return any(0 <= start - word.end <= _BESIDE or 0 <= word.start - end <= _BESIDE
               for start, end in marks)  # fmt: skip


def is_asked_word(question: Question, word: Word) -> bool:
    """Return whether the question itself has a word of a passage."""
    return any(
        alike(part, term.stem) for part in (word.stem, *word.parts) for term in question.terms
    )
