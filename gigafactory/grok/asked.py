"""What kind of thing a question asks for: a person, a place, a time, a number of something...

Read from the question word and what stands behind it. An answer must hold such a thing, whatever
else it shares with the question.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.grok import lexicon
from gigafactory.grok.words import is_plain, stem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.grok.words import Word

_SIMPLE: Final = {"who": "person", "whom": "person", "whose": "person", "where": "place",
                  "when": "time", "why": "reason"}  # fmt: skip
_HOW: Final = {
    "long": "duration", "far": "length", "tall": "height", "high": "height", "deep": "depth",
    "wide": "width", "fast": "speed", "quickly": "duration", "slow": "speed", "old": "age",
    "big": "size", "large": "size", "strong": "number", "full": "number", "heavy": "mass",
    "hot": "temperature", "cold": "temperature", "warm": "temperature", "often": "frequency",
    "frequently": "frequency", "soon": "time", "late": "lateness", "overdue": "duration",
    "close": "nearness", "near": "nearness", "delayed": "duration", "expensive": "money",
    "early": "time", "loud": "number", "come": "reason",
}  # fmt: skip
_COSTS: Final = lexicon.word_set(
    """cost costs costing pay paid spend spent worth raise raised charge charged donate donated earn
    earned sell sold fine fined owe budget fund funding price"""
)
_CALLED: Final = frozenset({"called", "named"})
_PAID: Final = frozenset({"cost", "costs", "pay", "pays", "paid", "earn", "charge"})
_OPEN_VERBS: Final = lexicon.word_set("happened happening happens happen going")
_NEWS: Final = lexicon.word_set("new latest news update")
_IS: Final = frozenset({"is", "are"})
_ASKING: Final = lexicon.word_set("who whom whose where when why how what which")
_KNOWING: Final = lexicon.word_set(
    """know known tell say said clear sure certain announced decided explain heard understood public
    idea told reveal revealed"""
)
_KNOWN_REACH: Final = 3
_STOPPED: Final = lexicon.word_set(
    """delayed stopped closed cancelled canceled halted blocked prevented postponed interrupted
    disrupted crashed damaged destroyed killed sank derailed grounded"""
)
_METRES: Final = lexicon.word_set("metres meters kilometres kilometers km miles feet m")
_MATCHES: Final = lexicon.word_set(
    "match game fixture play played playing final derby friendly semifinal"
)
_POLLS: Final = lexicon.word_set("poll polls vote ballot election survey referendum")
_FARING: Final = lexicon.word_set("do doing fare faring perform performing score stand place rate")
_RATED: Final = lexicon.word_set(
    """well good bad accurate effective efficient reliable likely popular common busy steep thick
    thin bright noisy profitable productive powerful dense strong full loud crowded
    successful severe"""
)
_REACH: Final = 7  # words behind "what" within which the measure asked for is named


class Asked(NamedTuple):
    """The kind of thing asked for.

    Attributes:
        kind: "person", "place", "time", "clock", "day", "month", "year", "reason", "count",
            "money", ... as `lexicon.MEASURES` has them, "thing", "yes_no" or "open".
        target: Stems of what is counted or chosen: "bikes" of "how many bikes".
        spent: Places of the words that only say the kind.
    """

    kind: str
    target: tuple[str, ...] = ()
    spent: frozenset[int] = frozenset()


# Measures that only say that a number is asked for; others, such as "attendance", must be found.
_BARE: Final = frozenset(
    stem(word)
    for word in lexicon.word_set(
        "number count total figure level size score record rating magnitude tally"
    )
)


def _spent(kind: str, noun: Word, place: int) -> frozenset[int]:
    return frozenset() if kind == "number" and noun.stem not in _BARE else frozenset({place})


def measure_of(stemmed: str) -> str | None:
    """Return which measure a word names: "money" for "price"."""
    return _measures().get(stemmed)


@cache
def _measures() -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, members in lexicon.MEASURES.items():
        for member in members.split():
            found.setdefault(stem(member), kind)
    return found


def asked(words: Sequence[Word]) -> Asked:
    """Return what a question asks for, by its words."""
    if _is_yes_no(words):
        return Asked("yes_no")
    for place, word in enumerate(words):
        which = word.lower.removesuffix("'s")
        which = {"whats": "what", "wheres": "where", "whens": "when", "whos": "who"}.get(
            which, which
        )
        if which in _SIMPLE:
            return Asked(_SIMPLE[which], (), frozenset({place}))
        if which == "how":
            return _how(words, place)
        if which in {"what", "which"}:
            return _what(words, place)
    return Asked("open")


def _is_yes_no(words: Sequence[Word]) -> bool:
    """Return whether a question begins with its verb; "is it known when..." asks when."""
    if not words or words[0].lower not in lexicon.AUXILIARY or words[0].lower[:2] in {"wh", "ho"}:
        return False
    lower = [word.lower for word in words]
    first = next((at for at, one in enumerate(lower) if one in _ASKING), None)
    return first is None or not _KNOWING & set(lower[max(0, first - _KNOWN_REACH) : first])


def _how(words: Sequence[Word], place: int) -> Asked:
    following = words[place + 1].lower if place + 1 < len(words) else ""
    spent = frozenset({place, place + 1})
    if following == "many":
        return _counted(words, place + 2, spent)
    if following == "much":
        return _amount(words, place + 2, spent)
    if following in lexicon.AUXILIARY:
        return _outcome(words, place)
    if following == "long":
        return Asked(_long(words, place + 2), (), spent)
    kind = _HOW.get(following) or ("number" if following in _RATED else "")
    return Asked(kind, (), spent) if kind else Asked("open", (), frozenset({place}))


def _outcome(words: Sequence[Word], place: int) -> Asked:
    """Return what "how did..." asks for: of a match its result, of a poll the shares."""
    lower = {word.lower for word in words[place + 2 :]}
    kind = "open"
    if _MATCHES & lower:
        kind = "result"
    elif _POLLS & lower and _FARING & lower:
        kind = "percent"
    return Asked(kind, (), frozenset({place}))


def _long(words: Sequence[Word], place: int) -> str:
    """Return whether "how long" asks for a length, a time, or either: "how long is the film?"."""
    lower = [word.lower for word in words[place:]]
    if _METRES & set(lower):
        return "metres"
    return "extent" if lower and lower[0] in _IS else "duration"


def _counted(words: Sequence[Word], place: int, spent: frozenset[int]) -> Asked:
    """Return the count asked for; what is counted stands up to the next auxiliary or verb."""
    nouns = _noun_run(words, place)
    units = {"hours", "minutes", "days", "weeks", "months", "years", "seconds"}
    if nouns and nouns[0].lower in units:
        return Asked("duration", (), spent | {place})
    if nouns and nouns[0].lower in {"miles", "kilometres", "kilometers", "metres", "km"}:
        return Asked("length", (), spent | {place})
    if nouns and nouns[0].lower in {"dollars", "pounds", "euros"}:
        return Asked("money", (), spent | {place})
    return Asked("count", tuple(noun.stem for noun in nouns[-1:]), spent)


def _amount(words: Sequence[Word], place: int, spent: frozenset[int]) -> Asked:
    rest = {word.lower for word in words[place:]}
    nouns = _noun_run(words, place)
    if nouns and nouns[0].lower in {"money", "funding", "cash"}:
        return Asked("money", (), spent | {place})
    if nouns and nouns[0].lower in {"time", "notice"}:
        return Asked("duration", (), spent | {place})
    if nouns and not _is_verb(nouns[0]):
        return Asked("number", (nouns[-1].stem,), spent)
    if "weigh" in rest:
        return Asked("mass", (), spent)
    is_price = place < len(words) and words[place].lower in {"is", "are", "was", "were"}
    return Asked("money" if rest & _COSTS else "price" if is_price else "number", (), spent)


def _noun_run(words: Sequence[Word], place: int) -> list[Word]:
    run: list[Word] = []
    for word in words[place:]:
        if is_plain(word) or (run and _is_verb(word)):
            break
        run.append(word)
    return run


def _is_verb(word: Word) -> bool:
    return word.stem in _verbs() and not word.is_capital


@cache
def _verbs() -> frozenset[str]:
    return frozenset(stem(verb) for verb in lexicon.VERBS)


def _what(words: Sequence[Word], place: int) -> Asked:
    spent = frozenset({place})
    nouns = _noun_run(words, place + 1)
    near = [word.lower for word in words[place + 1 : place + 5]]
    is_news = bool(_NEWS & set(near[:1])) and words[place].lower.endswith("s")
    is_news = is_news or (not nouns and _is_news(words[place + 1 : place + 5]))
    if _OPEN_VERBS & set(near[:3]) or is_news or near[:2] == ["became", "of"]:
        news = {at for at, word in enumerate(words[: place + 5]) if word.lower in _NEWS}
        return Asked("open", (), spent | news)
    behind = words[place + 1 + len(nouns) :][:1]
    is_noun = words[place].lower == "which" or (
        bool(behind) and len(nouns) == 1 and behind[0].lower in lexicon.AUXILIARY
    )
    if nouns and not _stops(nouns[:1]) and (is_noun or not _is_verb(nouns[0])):
        return _chosen(words, place + 1, nouns, spent)
    return _told_by_verb(words, place, nouns) or _measured(words, place, spent)


def _told_by_verb(words: Sequence[Word], place: int, nouns: Sequence[Word]) -> Asked | None:
    """Return what the verb of "what..." says is asked for: a reason, a name, money."""
    spent, lower = frozenset({place}), {word.lower for word in words}
    if _stops(words[place + 1 : place + 2]):
        return Asked("reason", (), spent)
    if nouns and nouns[0].stem in {stem("cause"), stem("trigger"), stem("led")}:
        return Asked("reason", (), spent | {place + 1})
    if lower & _CALLED:
        named = {at for at, one in enumerate(words) if one.lower in _CALLED}
        return Asked("name", (), spent | named)
    return Asked("money", (), spent) if lower & _PAID else None


def _stops(near: Sequence[Word]) -> bool:
    """Return whether a word tells that something was brought to a stop: "what delayed..."."""
    return any(word.lower in _STOPPED for word in near)


def _is_news(near: Sequence[Word]) -> bool:
    """Return whether what is new is asked for: "what is new at...", not "what do new tenants"."""
    return any(
        word.lower in _NEWS and (at + 1 == len(near) or is_plain(near[at + 1]))
        for at, word in enumerate(near[:3]) if at
    )  # fmt: skip


def _chosen(words: Sequence[Word], place: int, nouns: list[Word], spent: frozenset[int]) -> Asked:
    """Return what "which N" or "what N" asks for."""
    head = nouns[-1]
    lower = head.lower
    kinds = {"kind", "type", "sort", "make"}
    if lower in kinds:
        return Asked("thing", (), spent | {place})
    kind = _measures().get(head.stem)
    if kind is not None:
        return Asked(kind, (), spent | _spent(kind, head, words.index(head)))
    if head.stem in _named():
        return Asked("name", (head.stem,), spent | {words.index(head)})
    if head.stem in {stem("people"), stem("person")}:
        return Asked("person", (), spent | {words.index(head)})
    return Asked("thing", tuple(noun.stem for noun in nouns[-1:]), spent)


@cache
def _named() -> frozenset[str]:
    return frozenset(stem(noun) for noun in lexicon.NAMED)


def _measured(words: Sequence[Word], place: int, spent: frozenset[int]) -> Asked:
    """Return what "what is the price of..." asks for; "open" if no measure is named.

    A measure that another noun follows only describes it: "the time machine", "the price list".
    """
    for at in range(place + 1, min(place + _REACH, len(words))):
        kind = _measures().get(words[at].stem)
        follows = words[at + 1] if at + 1 < len(words) else None
        if kind and (follows is None or is_plain(follows) or _is_verb(follows)):
            return Asked(kind, (), spent | _spent(kind, words[at], at))
    return Asked("open", (), spent)
