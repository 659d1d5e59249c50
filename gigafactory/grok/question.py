"""A question in parts: what it asks for, of what, when, by whom, and whether the newest is meant.

No language model: structure words, a small lexicon, capital letters, numbers and times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.asked import Asked, asked
from gigafactory.grok.quantities import Quantity, quantities
from gigafactory.grok.times import When, times
from gigafactory.grok.words import Word, is_known, is_plain, stem, stems_of, words

if TYPE_CHECKING:
    from datetime import datetime

MAX_QUESTION_CHARS: Final = 2000
_LEAD: Final = re.compile(rf"^(?:{'|'.join(lexicon.LEADS)})", re.IGNORECASE)
_NEWEST: Final = re.compile(
    r"\b(?:latest|newest|most recent(?:ly)?|right now|currently|at the moment|just now|as of now"
    r"|so far|breaking|up to date|current)\b",
    re.IGNORECASE,
)
# "The last loss", "was Rask last seen"; not "last week", "the last 3 days", "how long did it last".
_NO_LAST: Final = (
    r"(?!(?:week|month|year|night|evening|morning|spring|summer|autumn|fall|winter|season|decade"
    r"|century|name|minute|place|resort|chance|of|\d+|two|three|four|five|six|few|couple|days"
    r"|weeks|hours?|minutes|months|years|long|longer|until|till|for|from|only|at|in|on|through"
    r"|less|more|under|over|\w+day)\b)"
)
_LAST: Final = re.compile(
    r"\b(?:the|its|their|his|her|my|our|\w+'s|(?:did|was|were|been|had|has)(?:\s+[\w.@-]+){0,4})"
    rf"\s+(?P<last>last)\s+{_NO_LAST}\w",
    re.IGNORECASE,
)
_PAST: Final = re.compile(r"\b(?:was|were|did|had|has|have)\b", re.IGNORECASE)
_WHEN_KINDS: Final = frozenset({"time", "clock", "day", "month", "year"})
_FILLER: Final = re.compile(
    r"\b(?:these days|nowadays|at all|at present|presently|by now|in total|in all|all in all"
    r"|in the end|for sure|of course|by the way|altogether|at this point|this time|or so|in fact"
    r"|after all|for now|until now|to date|thus far|as well|at last|all told|on earth)\b",
    re.IGNORECASE,
)
_BY: Final = re.compile(
    r"\b(?:from|by|according to|per|via)\s+(@\w[\w.\-]*(?:@[\w.\-]+)?)", re.IGNORECASE
)
_PRESENT: Final = re.compile(r"\b(?:is|are|isn't|aren't|does|do|can|will|am)\b", re.IGNORECASE)
_MODAL: Final = re.compile(
    r"\b(?:will|would|could|might|may|should|expect(?:ed|s)?|going to|plan(?:s|ned)?|due|likely"
    r"|scheduled|set to|supposed to|predict\w*|upcoming|next|tomorrow)\b",
    re.IGNORECASE,
)
_ARTICLES: Final = lexicon.word_set("the a an this that these those our your my his her its their")
_ABLE: Final = frozenset({"can", "could", "may"})
_USERS: Final = lexicon.word_set("i we you one people visitors residents anyone drivers hikers")
_PARTICLES: Final = lexicon.word_set("up off out down over back away")
_PREPOSITIONS: Final = lexicon.word_set("of in on at for about from by with near during")


@dataclass(frozen=True, slots=True)
class Term:
    """A content word of a question.

    Attributes:
        stem: What it is compared by.
        parts: Stems of its halves, if a hyphen joins them; else its own.
        kind: "name" and "noun" must be in an answer; "verb" and "light" only count.
    """

    text: str
    stem: str
    parts: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it is looked up and as answers to it are judged.

    Attributes:
        asked: The kind of thing an answer must hold.
        terms: Its content words.
        numbers: Those it gives; an answer must give the same.
        whens: The times it names.
        authors: Handles whose posts are asked for.
        newest: What is recent is asked for.
        is_negated: It asks why or whether something is not so.
        is_present: It asks how things stand: of what answers equally well, the newest does best.
        is_modal: It asks what may come, so that "may" and "likely" answer.
        is_either: It names several times, each of which answers: "on 2 May and on 5 May".
        wants_opinion: It asks what someone thinks, hopes or has heard.
    """

    text: str
    asked: Asked
    terms: tuple[Term, ...]
    numbers: tuple[Quantity, ...]
    whens: tuple[When, ...]
    authors: tuple[str, ...]
    newest: bool
    is_negated: bool
    is_present: bool
    is_modal: bool
    is_either: bool
    wants_opinion: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it can be looked up."""
        return not (self.terms or self.numbers or self.whens or self.authors)


def question(text: str, now: datetime) -> Question:
    """Return the parts of a question that is asked at `now`."""
    plain = without_lead(text[:MAX_QUESTION_CHARS])
    found = words(plain)
    whens = tuple(when for when in times(plain, now) if when.grain not in {"part", "vague"})
    kind = asked(found)
    authors = _authors(plain, found)
    lower = {word.lower for word in found}
    return Question(
        text=plain,
        asked=kind,
        terms=tuple(_terms(plain, found, kind, whens, authors)),
        numbers=tuple(one for one in quantities(plain, whens) if one.written.lower() != "one"),
        whens=whens,
        authors=authors,
        newest=bool(_newest_spans(plain, kind)),
        is_negated=bool(lower & (lexicon.NEGATIONS - {"no", "fails", "failed"})),
        is_present=bool(_PRESENT.search(plain)),
        is_modal=bool(_MODAL.search(plain)),
        is_either=_is_either(plain, whens),
        wants_opinion=bool(lower & lexicon.OPINION) or "think" in {w.stem for w in found},
    )


def _newest_spans(plain: str, kind: Asked) -> list[tuple[int, int]]:
    """Return where a question says that the newest is asked for.

    "Last" does, but for the last bus of a timetable.
    """
    spans = [one.span() for one in _NEWEST.finditer(plain)]
    if kind.kind not in _WHEN_KINDS or _PAST.search(plain):
        spans += [one.span("last") for one in _LAST.finditer(plain)]
    return spans


def _is_either(plain: str, whens: tuple[When, ...]) -> bool:
    """Return whether "and" or "or" joins the times of a question."""
    return any(
        re.fullmatch(
            r",? (?:and|or)(?: (?:again|also|then))?(?: (?:on|at|in))? ",
            plain[one.end : other.start],
        )
        for one, other in pairwise(whens)
    )


def without_lead(text: str) -> str:
    """Return a question without what only leads to it.

    >>> without_lead("Hey, can you tell me who won?")
    'who won?'
    """
    plain = " ".join(text.split())
    while (cut := _LEAD.sub("", plain, count=1)) != plain and cut:
        plain = cut
    return plain


def _authors(plain: str, found: list[Word]) -> tuple[str, ...]:
    """Return the handles whose posts are asked for, without @, in lower case."""
    handles = [word.text for word in found if word.kind == "handle"]
    named = _BY.findall(plain)
    speaks = any(word.lower in lexicon.SPEECH for word in found)
    chosen = named or (handles[:1] if speaks else [])
    return tuple(dict.fromkeys(one.lstrip("@").rstrip(".-").lower() for one in chosen))


def _terms(
    plain: str, found: list[Word], kind: Asked, whens: tuple[When, ...], authors: tuple[str, ...]
) -> list[Term]:
    timed = [(when.start, when.end) for when in whens]
    timed += _newest_spans(plain, kind) + [one.span() for one in _FILLER.finditer(plain)]
    timed += [(one.start, one.end) for one in quantities(plain, whens) if one.kind == "ordinal"]
    titled = _is_titled(found)
    terms: dict[str, Term] = {}
    joined = _compounds(found)
    for place, word in enumerate(found):
        if place in joined:
            if joined[place]:
                terms.setdefault(joined[place], Term(word.text, joined[place], (), "noun"))
            continue
        inside = any(word.start < end and start < word.end for start, end in timed)
        if inside or place in kind.spent or word.kind in {"url", "number"} or is_plain(word):
            continue
        if word.kind == "handle" and word.text.lstrip("@").lower() in authors:
            continue
        if authors and word.lower in lexicon.SPEECH:
            continue
        is_noun = _is_led(found, place)
        if _is_usage(found, place):
            terms.setdefault(word.stem, Term(word.text, word.stem, word.parts, "light"))
            continue
        is_name = _is_name(word, place, titled) or _is_run(found, place)
        of = "name" if is_name else _class(word, is_noun, bool(authors), kind.kind)
        term = Term(word.text, word.stem, word.parts, of)
        terms.setdefault(term.stem, term)
    return list(terms.values())


def _compounds(found: list[Word]) -> dict[int, str]:
    """Return the places of two words the lexicon knows as one ("power cut"); of the second, ""."""
    joined: dict[int, str] = {}
    for place, (one, other) in enumerate(pairwise(found)):
        whole = stem(one.stem + other.text)
        joins = not is_plain(other) or other.lower in _PARTICLES
        if one.kind == other.kind == "word" and not is_plain(one) and joins and is_known(whole):
            joined |= {place: whole, place + 1: ""}
    return joined


def _is_led(found: list[Word], place: int) -> bool:
    """Return whether a word can be no verb, by the article or preposition that leads its run.

    "on the ferry strike", "caused the fire"; but in "does the ferry strike" the last one can.
    """
    first, last = place, place
    while first > 0 and not is_plain(found[first - 1]):
        first -= 1
    while last + 1 < len(found) and not is_plain(found[last + 1]):
        last += 1
    before = [word.lower for word in found[:first]]
    is_article = bool(before) and before[-1] in _ARTICLES
    while before and before[-1] in _ARTICLES:
        before.pop()
    if before and before[-1] in lexicon.AUXILIARY:
        return is_article and place < last
    if is_article or not before or before[-1] not in _PREPOSITIONS:
        return is_article
    # "is the pool in Leith open": behind the name of a place the verb may follow.
    return not (first < place == last and found[place - 1].is_capital)


def _is_usage(found: list[Word], place: int) -> bool:
    """Return whether a verb only says that something can be used: "when can I walk on..."."""
    lower = [word.lower for word in found[max(0, place - 2) : place + 1]]
    if len(lower) > 1 and lower[-2] in _ABLE and lower[-1] in _USERS:
        return True  # the user, too
    is_able = len(lower) > 2 and lower[0] in _ABLE and lower[1] in _USERS
    return is_able and not found[place].is_capital


def _is_titled(found: list[Word]) -> bool:
    """Return whether capital letters tell nothing, as in a headline."""
    long = [word for word in found if len(word.text) > 3 and word.kind == "word"]
    return len(long) > 2 and sum(word.is_capital for word in long) > 0.8 * len(long)


def _is_name(word: Word, place: int, is_titled: bool) -> bool:
    if word.kind in {"handle", "tag"} or any(sign.isdigit() for sign in word.text):
        return True
    return word.is_capital and not is_titled and not (place == 0 and _is_common(word))


def _is_run(found: list[Word], place: int) -> bool:
    """Return whether a word is the name of a run of the factory: "did run large fail"."""
    if place == 0 or found[place - 1].lower != "run" or found[place].stem in stems_of("VERBS"):
        return False
    return place == 1 or (is_plain(found[place - 2]) and found[place - 2].lower not in _ARTICLES)


def _class(word: Word, is_noun: bool, is_said: bool, kind: str) -> str:
    """Return of which class a word is that is no name."""
    if kind in {"person", "name"} and word.lower in {"new", "next", "former", "previous"}:
        return "verb"  # who is new is not who is there
    is_light = word.stem in stems_of("LIGHT") or word.lower.endswith("ly")
    if is_light or (is_said and word.lower in lexicon.SPEECH):
        return "light"
    inflected = word.lower.endswith(("ed", "ing")) and word.stem in _verb_like()
    return "verb" if not is_noun and (word.stem in stems_of("VERBS") or inflected) else "noun"


def _is_common(word: Word) -> bool:
    return word.stem in stems_of("VERBS") or word.lower in lexicon.LIGHT


@cache
def _verb_like() -> frozenset[str]:
    """Return the stems of all words that mean the same as some verb."""
    verbs = stems_of("VERBS")
    groups = [{stem(word) for word in line.split()} for line in lexicon.lines("synonyms")]
    return frozenset(one for group in groups if group & verbs for one in group)
