"""Whether a passage holds the kind of thing a question asks for, besides what the question says.

A person for "who", a place for "where", a number with its noun for "how many". A passage without
one cannot answer, however many words it shares with the question.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon, named
from gigafactory.grok.named import is_asked_word
from gigafactory.grok.words import (
    Word,
    alike,
    is_plain,
    is_related,
    members_of,
    stem,
    stems_of,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.grok.passages import Passage
    from gigafactory.grok.quantities import Quantity
    from gigafactory.grok.question import Question

_COUNT_REACH: Final = 4  # words between a number and what it counts
MAX_AGE: Final = 125
_HEADING_WORDS: Final = 14
_REASON: Final = re.compile(
    r"\b(?:because|cos|bc|cuz|due to|owing to|thanks to|caused|causing|blamed?|reasons?|result of"
    r"|as a result|triggered|(?:started|sparked|set off|brought on) by|down to|so that"
    r"|in order to|so|in (?:memory|honou?r|support|protest|response|light|view) of"
    r"|on account of|to (?:avoid|prevent|allow|make|let|protect|save"
    r"|reduce|raise|help|fix|repair|celebrate|mark|protest|replace|give|keep|stop|ensure)"
    r"|(?:was|were|been|got|is|are) (?:cut|hit|damaged|broken|struck|severed|destroyed|flooded"
    r"|blocked|hacked|attacked|stolen|knocked \w+|delayed|overloaded|overwhelmed) by"
    r"|amid|failed?|failure|error|died|killed|exception|out of memory|root cause)\b",
    re.IGNORECASE,
)
_LED_REASON: Final = re.compile(
    r"\b(?:(?:after|following|since|as|over)\s|for\s(?=\w+ing\b|lack|want|fear|safety|security|health"
    r"|maintenance|repairs?\b|works?\b|renovations?\b|construction))\s*",
    re.IGNORECASE,
)
_AGED_BEFORE: Final = re.compile(
    r"\b(?:aged?|turn(?:s|ed|ing)?|is|was)(?: of| just)?\s*$", re.IGNORECASE
)
_AGED_AFTER: Final = re.compile(
    r"[\s-]*(?:old|of age)\b|(?:st|nd|rd|th)?\s+birthday\b", re.IGNORECASE
)
_BORN: Final = re.compile(
    r"\b(?:built|born|founded|opened|dating|planted|established|made|erected)(?: back)?"
    r" (?:in|to) (?:1\d|20)\d\d\b",
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
_VAGUE_COUNTS: Final = lexicon.word_set("dozens scores hundreds thousands tens none zero")
_GRAINS: Final = {
    "clock": frozenset({"clock"}),
    "day": frozenset({"day", "period"}),
    "month": frozenset({"day", "period"}),
    "year": frozenset({"day", "period"}),
    "season": frozenset({"day", "period"}),
}
_DIMENSIONS: Final = {
    "height": lexicon.word_set("tall high height above elevation altitude higher summit rises"),
    "depth": lexicon.word_set("deep depth below"),
    "width": lexicon.word_set("wide width across broad"),
}
_LEVELS: Final = frozenset({"percent", "money", "temperature"})  # high, without a height
_MEASURED: Final = {
    "money": {"money"}, "percent": {"percent"}, "duration": {"duration"}, "mass": {"mass"},
    "length": {"length", "duration"}, "extent": {"length", "duration"}, "height": {"length"},
    "depth": {"length"}, "width": {"length"}, "speed": {"speed", "duration"},
    "size": {"area", "length", "volume", "bytes", "mass", "power"},
    "nearness": {"length"}, "metres": {"length"}, "price": {"money", "percent"},
    "lateness": {"duration"},
    "temperature": {"temperature"}, "score": {"score"}, "version": {"version"},
}  # fmt: skip


_NUMERIC: Final = frozenset({*_MEASURED, "number", "count"})


def bears(question: Question, passage: Passage) -> bool:
    """Return whether a passage holds such a thing as the question asks for."""
    kind = question.asked.kind
    if kind == "yes_no":
        return True
    if kind in _NUMERIC and not _is_qualified(question, passage):
        return False
    return _TESTS.get(kind, _is_new)(question, passage)


def _is_qualified(question: Question, passage: Passage) -> bool:
    """Return whether the number is the one meant: a final loss, an average price, a top speed."""
    asked = {word.lower for word in words(question.text)} & set(lexicon.QUALIFIERS)
    if any(one.kind == "score" for one in passage.numbers):
        return True
    said = {word.lower for word in passage.words} | {word.stem for word in passage.words}
    return all(said & {one, *lexicon.QUALIFIERS[one].split()} for one in asked)


def _count(question: Question, passage: Passage) -> bool:
    """Return whether a bare number stands by what is counted."""
    found = passage.words
    counted = [
        place for place, word in enumerate(found)
        if any(is_related(part, one) or alike(part, one)
               for part in word.parts for one in question.asked.target)
    ]  # fmt: skip
    if not counted and question.asked.target and not _is_generic(question.asked.target[0]):
        return False
    places = counted or _matched(question, found)
    for number in passage.numbers:
        is_bare = number.kind == "plain" or (
            number.kind == "length" and number.written.lower().endswith("m")
        )
        if is_bare and not _is_asked_number(question, number):
            at = _index(found, number.start)
            if any(_is_near(passage, at, place) for place in places):
                return True
    return any(
        word.lower in _VAGUE_COUNTS or (word.lower == "no" and place + 1 in places)
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
    if question.asked.kind == "height" and any(
        one.kind in _LEVELS and not _is_asked_number(question, one) for one in passage.numbers
    ):
        return True
    if said and not said & {word.lower for word in passage.words}:
        return False
    if any(one.kind in kinds and not _is_asked_number(question, one) for one in passage.numbers):
        return True
    if question.asked.kind == "lateness":
        return any(one.minute is not None for one in passage.whens)
    if question.asked.kind in {"duration", "extent"}:
        return bool(
            re.search(
                r"\b(?:until|till|since|all (?:day|night|week))\b", passage.text, re.IGNORECASE
            )
        )
    return False


def _number(question: Question, passage: Passage) -> bool:
    return any(
        one.kind != "ordinal" and not _is_asked_number(question, one) for one in passage.numbers
    )


def _time(question: Question, passage: Passage) -> bool:
    """Return whether a time is told, or that it has just happened: then the post's own time is."""
    grains = _GRAINS.get(question.asked.kind)
    for when in passage.whens:
        is_clock = grains == _GRAINS["clock"] and when.minute is not None
        if when.grain == "vague" or (grains and when.grain not in grains and not is_clock):
            continue
        if not any(when.meets(asked) and asked.grain == when.grain for asked in question.whens):
            return True
    if question.is_modal or question.asked.kind != "time":
        return False
    return bool(re.match(r"when (?:did|was|were|has)\b", question.text, re.IGNORECASE)) and bool(
        _JUST.search(passage.text)
    )


def _age(_: Question, passage: Passage) -> bool:
    """Return whether an age is told: "34 years old", "aged 34", "turned 101", "built in 1890"."""
    return any(
        _AGED_BEFORE.search(passage.text[: one.start])
        or _AGED_AFTER.match(passage.text[one.end :])
        or _is_aside(passage.text, one)
        for one in passage.numbers
        if one.kind in {"plain", "duration", "ordinal"}
    ) or bool(_BORN.search(passage.text))


def _is_aside(text: str, number: Quantity) -> bool:
    """Return whether a number stands alone behind a name, as ages do: "Gloria Fenn, 81, swam"."""
    before, behind = text[: number.start], text[number.end :]
    aside = re.search(r"[\w.'](?:, | \()$", before) and re.match(r"[,)]", behind)
    return bool(aside) and number.kind == "plain" and 0 < number.value < MAX_AGE


def _reason(question: Question, passage: Passage) -> bool:
    text = passage.text
    if any(_is_own(question, one.group()) for one in _REASON.finditer(text)):
        return True
    faults = stems_of("FAULTS") | members_of("illness") | members_of("injury")
    if any(word.stem in faults and not is_asked_word(question, word) for word in passage.words):
        return True
    if _explains(question, passage):
        return True
    starts = {when.start for when in passage.whens} | {one.start for one in passage.numbers}
    return any(found.end() not in starts for found in _LED_REASON.finditer(text))


def _is_own(question: Question, said: str) -> bool:
    """Return whether a word of reasons is the passage's own: why it failed is not "it failed"."""
    return not any(is_asked_word(question, word) for word in words(said))


def _explains(question: Question, passage: Passage) -> bool:
    """Return whether a note says what, and behind a colon why: "Power cut: a digger hit..."."""
    head, _, tail = passage.text.partition(": ")
    if not tail or len(head.split()) > _HEADING_WORDS:
        return False
    about = [word for word in words(head) if is_asked_word(question, word)]
    told = [
        word
        for word in words(tail)
        if word.stem in stems_of("VERBS") and not is_asked_word(question, word)
    ]
    return bool(about) and bool(told)


def _frequency(_: Question, passage: Passage) -> bool:
    return bool(_FREQUENCY.search(passage.text))


def _colour(_: Question, passage: Passage) -> bool:
    return any(word.lower in lexicon.COLOURS for word in passage.words)


def _url(_: Question, passage: Passage) -> bool:
    return any(word.kind == "url" for word in passage.words)


def _is_new(question: Question, passage: Passage) -> bool:
    """Return whether anything is said that the question does not say itself."""
    return any(not is_plain(word) and not is_asked_word(question, word)
               and stem(word.text) not in stems_of("LIGHT") for word in passage.words)  # fmt: skip


def _result(_: Question, passage: Passage) -> bool:
    """Return whether a score is told, or who won, lost or drew."""
    stems = {word.stem for word in passage.words}
    return any(one.kind == "score" for one in passage.numbers) or bool(stems & stems_of("RESULTS"))


_TESTS: Final[dict[str, Callable[[Question, Passage], bool]]] = {
    "person": named.has_person, "place": named.has_place, "name": named.has_name,
    "count": _count, "result": _result, "number": _number, "time": _time, "reason": _reason,
    "age": _age, "frequency": _frequency, "colour": _colour, "url": _url,
    **dict.fromkeys(_GRAINS, _time), **dict.fromkeys(_MEASURED, _measure),
}  # fmt: skip
