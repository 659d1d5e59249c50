"""Whether a passage holds the kind of thing a question asks for, besides what the question says.

A person for "who", a place for "where", a number with its noun for "how many". A passage without
one cannot answer, however many words it shares with the question.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.words import Word, alike, is_known, is_plain, stem, stems_of, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gigafactory.grok.passages import Passage
    from gigafactory.grok.quantities import Quantity
    from gigafactory.grok.question import Question

_COUNT_REACH: Final = 4  # words between a number and what it counts
_ON_THE_WAY: Final = frozenset("to from by into via towards".split())
_ZONES: Final = frozenset("UTC GMT CET CEST EST EDT PST PDT BST AM PM".split())
_HEADING_WORDS: Final = 8
_BESIDE: Final = 2  # characters between a noun and its number
_ARTICLES: Final = frozenset("a an the her his our my their its".split())
_INDOORS: Final = frozenset("in at on under behind beside inside near outside".split())
_NO_PLACES: Final = frozenset(
    """end way moment hurry statement interview row total time half name world case fact attempt list
    same mood market wake future past first last next air week month year day morning evening night
    weekend season back rest lead making game minute hour event meantime""".split()
)
_PLACE_REACH: Final = 4  # words between a preposition and the place
_BEFORE_PLACES: Final = frozenset(
    """at in on near outside inside from to behind beside opposite along around under between by off
    across into via next beneath above below within towards""".split()
)
_MOVES: Final = frozenset(
    """to from go goes going gone went move moves moved moving travel relocate relocated relocating fly
    flying flew sail sailing head heading headed come comes came run runs lead leads drive send sent
    take taken""".split()
)
_REASON: Final = re.compile(
    r"\b(?:because|cos|bc|cuz|due to|owing to|thanks to|caused|causing|blamed?|reasons?|result of"
    r"|as a result|triggered|(?:started|sparked|set off|brought on) by|down to|so that|in order to|so|in (?:memory|honour|honor|support|protest|response|light|view) of|on account of|to (?:avoid|prevent|allow|make|let|protect|save"
    r"|reduce|raise|help|fix|repair|celebrate|mark|protest|replace|give|keep|stop|ensure)"
    r"|amid|failed?|failure|error|died|killed|exception|out of memory|root cause)\b",
    re.IGNORECASE,
)
_LED_REASON: Final = re.compile(r"\b(?:after|following|since|as|over|for)\s+", re.IGNORECASE)
_AGED_BEFORE: Final = re.compile(r"\b(?:aged?|turn(?:s|ed|ing)?|is|was)(?: of| just)?\s*$", re.IGNORECASE)
_AGED_AFTER: Final = re.compile(r"[\s-]*(?:old|of age)\b|(?:st|nd|rd|th)?\s+birthday\b", re.IGNORECASE)
_BORN: Final = re.compile(
    r"\b(?:built|born|founded|opened|dating|planted|established|made|erected)(?: back)? (?:in|to) (?:19|1\d|20)\d\d\b",
    re.IGNORECASE,
)
_FREQUENCY: Final = re.compile(
    r"\b(?:every|each|daily|weekly|monthly|hourly|yearly|annual(?:ly)?|nightly|fortnightly|once"
    r"|twice|thrice|times (?:a|per)|per (?:day|week|month|year|hour)|quarterly|biennial"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days|weekdays|weekends)\b",
    re.IGNORECASE,
)
_JUST: Final = re.compile(
    r"\b(?:just|now|breaking|moments ago|minutes ago|has|have|finally|officially|this is it)\b",
    re.IGNORECASE,
)
_VAGUE_COUNTS: Final = frozenset("dozens scores hundreds thousands tens none zero".split())
_SELF: Final = frozenset(
    "i we i'm we're i've we've my our everyone everybody anyone nobody whoever".split()
)
_GRAINS: Final = {
    "clock": frozenset({"clock"}),
    "day": frozenset({"day", "period"}),
    "month": frozenset({"day", "period"}),
    "year": frozenset({"day", "period"}),
    "season": frozenset({"day", "period"}),
}
_DIMENSIONS: Final = {
    "height": frozenset("tall high height above elevation altitude higher summit rises".split()),
    "depth": frozenset("deep depth below".split()),
    "width": frozenset("wide width across broad".split()),
}
_MEASURED: Final = {
    "money": {"money"}, "percent": {"percent"}, "duration": {"duration"},
    "length": {"length", "duration"}, "height": {"length"}, "depth": {"length"},
    "width": {"length"}, "extent": {"length", "duration"}, "size": {"area", "length", "volume", "bytes", "mass", "power", "plain"}, "mass": {"mass"}, "temperature": {"temperature"},
    "speed": {"speed", "duration"}, "score": {"score"}, "version": {"version"},
}  # fmt: skip


def bears(question: Question, passage: Passage) -> bool:
    """Return whether a passage holds such a thing as the question asks for."""
    kind = question.asked.kind
    if kind == "yes_no":
        return True
    return _TESTS.get(kind, _is_new)(question, passage)


def is_asked_word(question: Question, word: Word) -> bool:
    """Return whether the question itself has a word of a passage."""
    return any(alike(part, term.stem) for part in (word.stem, *word.parts) for term in question.terms)


def names(passage: Passage) -> Iterator[Word]:
    """Yield the words of a passage that are written as names; handles too.

    The first word of a sentence is one only if another name or a verb follows.
    """
    found = passage.words
    timed = [(one.start, one.end) for one in (*passage.whens, *passage.numbers)]
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
    if found[place].text.lower() in lexicon.LIGHT:
        return False
    if place + 1 >= len(found):
        return place > 0
    following = found[place + 1]
    if following.is_capital:
        return True
    if is_known(found[place].stem) or following.text.lower() in {"are", "were", "have", "for", "of"}:
        return False
    does = following.stem in stems_of("VERBS") and not following.text.lower().endswith("ing")
    return does or following.text.lower() in lexicon.AUXILIARY


def _person(question: Question, passage: Passage) -> bool:
    """Return whether someone is named, by name, handle, office or as the author himself."""
    found = passage.words
    place_of = {id(word): place for place, word in enumerate(found)}
    for word in names(passage):
        place = place_of[id(word)]
        led = place and found[place - 1].text.lower() in _BEFORE_PLACES - {"by", "to", "from"}
        if not led and not is_asked_word(question, word):
            return True
    lower = {word.text.lower().replace("’", "'") for word in found}
    if _SELF & lower:
        return True
    return any(
        word.text.lower() in lexicon.ROLES and not is_asked_word(question, word) for word in found
    )


def _place(question: Question, passage: Passage) -> bool:
    found = passage.words
    named = {id(word) for word in names(passage)}
    moves = {word.text.lower() for word in words(question.text)} & _MOVES
    leading = _BEFORE_PLACES if moves else _BEFORE_PLACES - _ON_THE_WAY
    for place, word in enumerate(found):
        if word.text.lower() in {"venue", "location", "where", "address"} or passage.text[word.end : word.end + 1] == ":" and word.text.lower() == "place":
            return True
        if word.text.lower() not in leading or not _is_about(question, passage, word):
            continue
        if word.text.lower() in _INDOORS and _is_somewhere(question, found[place + 1 : place + 5]):
            return True
        for near in found[place + 1 : place + 1 + _PLACE_REACH]:
            if near.text.lower() in _BEFORE_PLACES:
                break
            placed = id(near) in named or near.text.lower() in lexicon.PLACES
            if placed and not is_asked_word(question, near):
                return True
    return False


def _is_somewhere(question: Question, behind: list[Word]) -> bool:
    """Return whether "a" or "her" and a noun stand behind "in": "in her shed", "in a grain silo"."""
    if not behind or behind[0].text.lower() not in _ARTICLES:
        return False
    nouns = [word for word in behind[1:] if word.kind == "word"]
    run = list(takewhile(lambda word: not is_plain(word), nouns))
    return bool(run) and not any(
        word.text.lower() in _NO_PLACES or is_asked_word(question, word) for word in run
    )


def _is_about(question: Question, passage: Passage, word: Word) -> bool:
    """Return whether a word of the question stands in the same part, as semicolons divide them."""
    start = passage.text.rfind(";", 0, word.start) + 1
    end = passage.text.find(";", word.start)
    part = [one for one in passage.words if start <= one.start and (end < 0 or one.start < end)]
    return len(part) == len(passage.words) or any(is_asked_word(question, one) for one in part)


def _name(question: Question, passage: Passage) -> bool:
    """Return whether something new is named: "which line" by "the Green Line", "line 4"."""
    if any(not is_asked_word(question, word) for word in names(passage)):
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


def _count(question: Question, passage: Passage) -> bool:
    """Return whether a bare number stands by what is counted."""
    found = passage.words
    counted = [
        place for place, word in enumerate(found)
        if any(alike(part, one) for part in word.parts for one in question.asked.target)
    ]  # fmt: skip
    if not counted and question.asked.target and not _is_generic(question.asked.target[0]):
        return False
    places = counted or _matched(question, found)
    for number in passage.numbers:
        if number.kind in {"plain", "length"} and not _is_asked_number(question, number):
            at = _index(found, number.start)
            if any(_is_near(passage, at, place) for place in places):
                return True
    return any(
        word.text.lower() in _VAGUE_COUNTS or (word.text.lower() == "no" and place + 1 in places)
        for place, word in enumerate(found)
        if any(0 < one - place <= _COUNT_REACH for one in places)
    )


def _is_generic(target: str) -> bool:
    return target in stems_of("LIGHT")


def _matched(question: Question, found: list[Word]) -> list[int]:
    return [place for place, word in enumerate(found) if is_asked_word(question, word)]


def _index(found: list[Word], start: int) -> int:
    return next((place for place, word in enumerate(found) if word.end > start), 0)


def _is_near(passage: Passage, number: int, noun: int) -> bool:
    """Return whether a number counts a noun: close by, and no other number nearer to it."""
    if abs(number - noun) > _COUNT_REACH:
        return False
    others = [_index(passage.words, one.start) for one in passage.numbers if one.kind == "plain"]
    between = [one for one in others if min(number, noun) < one < max(number, noun)]
    return not between


def _is_asked_number(question: Question, number: Quantity) -> bool:
    return any(number.same(one) for one in question.numbers)


def _measure(question: Question, passage: Passage) -> bool:
    kinds = _MEASURED[question.asked.kind]
    said = _DIMENSIONS.get(question.asked.kind, frozenset())
    if said and not said & {word.text.lower() for word in passage.words}:
        return False
    if any(one.kind in kinds and not _is_asked_number(question, one) for one in passage.numbers):
        return True
    if question.asked.kind in {"duration", "extent"}:
        return bool(re.search(r"\b(?:until|till|since|all (?:day|night|week))\b", passage.text, re.I))
    return False


def _number(question: Question, passage: Passage) -> bool:
    return any(
        one.kind != "ordinal" and not _is_asked_number(question, one) for one in passage.numbers
    )


def _time(question: Question, passage: Passage) -> bool:
    """Return whether a time is told, or that it has just happened: then the post's own time is."""
    grains = _GRAINS.get(question.asked.kind)
    for when in passage.whens:
        if when.grain == "vague" or (grains is not None and when.grain not in grains):
            if not (grains == _GRAINS["clock"] and when.minute is not None):
                continue
        if not any(when.meets(asked) and asked.grain == when.grain for asked in question.whens):
            return True
    if question.is_modal or question.asked.kind != "time":
        return False
    return bool(re.match(r"when (?:did|was|were|has)\b", question.text, re.I)) and bool(
        _JUST.search(passage.text)
    )


def _age(question: Question, passage: Passage) -> bool:
    """Return whether an age is told: "34 years old", "aged 34", "turned 101", "built in 1890"."""
    return any(
        _AGED_BEFORE.search(passage.text[: one.start]) or _AGED_AFTER.match(passage.text[one.end :])
        for one in passage.numbers
        if one.kind in {"plain", "duration", "ordinal"}
    ) or bool(_BORN.search(passage.text))


def _reason(question: Question, passage: Passage) -> bool:
    text = passage.text
    if _REASON.search(text):
        return True
    faults = stems_of("FAULTS")
    if any(word.stem in faults and not is_asked_word(question, word) for word in passage.words):
        return True
    if _explains(question, passage):
        return True
    starts = {when.start for when in passage.whens} | {one.start for one in passage.numbers}
    return any(found.end() not in starts for found in _LED_REASON.finditer(text))


def _explains(question: Question, passage: Passage) -> bool:
    """Return whether a note says what, and behind a colon or dash why: "Power cut: a digger hit..."."""
    head, _, tail = passage.text.partition(": ")
    if not tail or len(head.split()) > _HEADING_WORDS:
        return False
    about = [word for word in words(head) if is_asked_word(question, word)]
    told = [word for word in words(tail) if word.stem in stems_of("VERBS") and not is_asked_word(question, word)]
    return bool(about) and bool(told)


def _frequency(question: Question, passage: Passage) -> bool:
    return bool(_FREQUENCY.search(passage.text))


def _colour(question: Question, passage: Passage) -> bool:
    return any(word.text.lower() in lexicon.COLOURS for word in passage.words)


def _url(question: Question, passage: Passage) -> bool:
    return any(word.kind == "url" for word in passage.words)


def _is_new(question: Question, passage: Passage) -> bool:
    """Return whether anything is said that the question does not say itself."""
    return any(not is_plain(word) and not is_asked_word(question, word)
               and stem(word.text) not in stems_of("LIGHT") for word in passage.words)  # fmt: skip


_TESTS: Final[dict[str, Callable[[Question, Passage], bool]]] = {
    "person": _person, "place": _place, "name": _name, "count": _count, "number": _number,
    "time": _time, "reason": _reason, "frequency": _frequency, "age": _age, "colour": _colour, "url": _url,
    **dict.fromkeys(_GRAINS, _time), **dict.fromkeys(_MEASURED, _measure),
}  # fmt: skip
