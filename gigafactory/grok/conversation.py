"""Turns of a conversation: a follow-up becomes a question that stands by itself.

    "When does the library reopen?"        "and the museum?"  ->  "When does the museum reopen?"
    "What did @x say about trams today?"   "and yesterday?"   ->  "... about trams yesterday?"

The new question is shown to the user, so that a misreading can be seen.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.question import MAX_QUESTION_CHARS, Question, question, without_lead
from gigafactory.grok.words import Word, is_plain, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gigafactory.spec.answer import Turn

MAX_TURNS: Final = 8  # user turns looked back
_FOLLOWS: Final = re.compile(
    r"^(?:and|or|but|ok(?:ay)?|so|then)?[,\s]*(?:(?:what|how) about|and|or|but)\b[,\s]*",
    re.IGNORECASE,
)
_PREPOSITION: Final = re.compile(
    r"^(in|at|on|near|for|from|by|to|with|about|since|until|after|before)\s+", re.IGNORECASE
)
_LAST_PREPOSITION: Final = re.compile(r"\b(?:on|at|in)\s+$", re.IGNORECASE)
_WH: Final = lexicon.word_set("who whom whose what which when where why how")
_THINGS: Final = lexicon.word_set("it they them this that these those")
_PERSONS: Final = lexicon.word_set("he she him her")
_OWNING: Final = lexicon.word_set("its their his hers")
_THERE: Final = re.compile(r"\s+there(?=\s*[?.!]*\s*$)", re.IGNORECASE)
_LATER: Final = re.compile(
    r"^(?P<count>a|an|one|two|three|four|five|six|\d{1,2}|the) (?P<unit>day|week)s? "
    r"(?P<way>later|after(?:wards?)?|before|earlier|previously)$",
    re.IGNORECASE,
)
_COUNTS: Final = {"a": 1, "an": 1, "the": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5,
                  "six": 6}  # fmt: skip
_FRAGMENT_WORDS: Final = 4
_NAME: Final = re.compile(r"\b[A-Z][\w'\u2019-]+(?: [A-Z][\w'\u2019-]+)+")
_LEADING_ARTICLES: Final = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)


def standalone(text: str, turns: Sequence[Turn], now: datetime) -> str:
    """Return what is asked, with what earlier turns told filled in."""
    resolved, answer = "", ""
    for turn in turns[-2 * MAX_TURNS :]:
        if turn.role == "user":
            resolved = _resolved(turn.text[:MAX_QUESTION_CHARS], resolved, answer, now)
        elif turn.role == "assistant":
            answer = turn.text[:MAX_QUESTION_CHARS]
    return _resolved(text[:MAX_QUESTION_CHARS], resolved, answer, now)


def _resolved(text: str, base: str, answer: str, now: datetime) -> str:
    plain = " ".join(text.split())
    if not base or not plain:
        return without_lead(plain)
    follows = _FOLLOWS.match(plain)
    rest = plain[follows.end() :] if follows else without_lead(plain)
    asked = question(rest, now)
    points = {word.lower for word in words(rest)} & (_PERSONS | _THINGS | _OWNING)
    is_bare = not (asked.terms or asked.numbers or asked.authors or points)
    if _first(rest) in _WH and is_bare:
        return _asked_anew(rest, base, now)
    if _first(rest) not in _WH and (follows or _is_fragment(rest, asked)):
        return _swapped(rest.rstrip("?.! "), base, now)
    filled = _filled(without_lead(plain), base, answer, now)
    return _placed(filled, base, now) if filled == without_lead(plain) else filled


def _first(text: str) -> str:
    return text.split()[0].strip("?,.!").lower().removesuffix("'s") if text.split() else ""


def _is_fragment(rest: str, asked: Question) -> bool:
    """Return whether it is only a time, a handle or a place: "yesterday?", "in Leeds?"."""
    short = len(rest.split()) <= _FRAGMENT_WORDS and asked.asked.kind == "open"
    only_filters = not asked.terms and bool(asked.whens or asked.authors)
    return short and (only_filters or bool(_PREPOSITION.match(rest)))


def _asked_anew(rest: str, base: str, now: datetime) -> str:
    """Return the earlier question with another question word: "and why?"."""
    spent = question(base, now).asked.spent
    found = words(base)
    behind = found[max(spent)].end if spent else 0
    return f"{rest.rstrip('?.! ')} {base[behind:].strip()}"


def _swapped(rest: str, base: str, now: datetime) -> str:
    """Return the earlier question with the time, the handle or the thing of the fragment."""
    earlier = question(base, now)
    rest = _counted_on(rest, earlier)
    new = question(rest, now)
    if new.whens:
        base = _replaced_times(rest, base, new, earlier)
        rest = _without([(when.start, when.end) for when in new.whens], rest).strip(" ,")
    handles = [word for word in words(rest) if word.kind == "handle"]
    if handles:
        base = _replaced_handle(handles[0].text, base)
        rest = _without([(one.start, one.end) for one in handles], rest).strip(" ,")
    if any(not is_plain(word) for word in words(rest)):
        base = _replaced_thing(rest, base, question(base, now))
    return base


def _counted_on(rest: str, earlier: Question) -> str:
    """Return "a week later" as the day it is, counted from the day of the earlier question."""
    found = _LATER.match(rest.strip())
    spans = [span for when in earlier.whens for span in when.spans]
    if found is None or not spans:
        return rest
    count = _COUNTS.get(found["count"].lower()) or int(found["count"])
    days = count * (7 if found["unit"].lower() == "week" else 1)
    forward = found["way"].lower().startswith(("later", "after"))
    day = spans[0][0] + timedelta(days=days if forward else -days)
    return f"on {day.day} {day:%B %Y}"


def _without(spans: Sequence[tuple[int, int]], text: str) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return " ".join(text.split())


def _replaced_times(rest: str, base: str, new: Question, earlier: Question) -> str:
    said = rest[new.whens[0].start : new.whens[-1].end]
    if not earlier.whens:
        lead = _PREPOSITION.match(rest)
        return f"{base.rstrip('?.! ')} {lead[0] if lead else ''}{said}?"
    start, end = earlier.whens[0].start, earlier.whens[-1].end
    if _PREPOSITION.match(said) and (lead := _LAST_PREPOSITION.search(base[:start])):
        start = lead.start()
    return base[:start] + said + base[end:]


def _replaced_handle(handle: str, base: str) -> str:
    earlier = next((word for word in words(base) if word.kind == "handle"), None)
    if earlier is None:
        return f"{base.rstrip('?.! ')} by {handle}?"
    return base[: earlier.start] + handle + base[earlier.end :]


def _replaced_thing(rest: str, base: str, earlier: Question) -> str:
    lead = _PREPOSITION.match(rest)
    thing = _LEADING_ARTICLES.sub("", rest[lead.end() :] if lead else rest)
    runs = _runs(base, earlier)
    if lead:
        led = [run for run in runs if _word_before(base, run[0]) == lead[1].lower()]
        if not led:
            return f"{base.rstrip('?.! ')} {rest}?"
        runs = led
    if not runs:
        return f"{base.rstrip('?.! ')} {rest}?"
    start, end = _run_like(thing, base, runs, earlier)
    return base[:start] + thing + base[end:]


def _word_before(base: str, start: int) -> str:
    before = [one.lower() for one in base[:start].split() if one.lower() not in {"the", "a", "an"}]
    return before[-1] if before else ""


def _runs(base: str, earlier: Question) -> list[tuple[int, int]]:
    """Return where things stand in a question: names and nouns that follow one another."""
    kinds = {term.text: term.kind for term in earlier.terms}
    runs: list[tuple[int, int]] = []
    for word in words(base):
        if kinds.get(word.text) not in {"name", "noun"}:
            continue
        if runs and not base[runs[-1][1] : word.start].strip():
            runs[-1] = (runs[-1][0], word.end)
        else:
            runs.append((word.start, word.end))
    return runs


def _run_like(
    thing: str, base: str, runs: list[tuple[int, int]], earlier: Question
) -> tuple[int, int]:
    """Return which thing of the earlier question the new one replaces: a name a name."""
    named = [run for run in runs if any(word.is_capital for word in words(base[slice(*run)]))]
    if any(word.is_capital for word in words(thing)):
        return named[0] if named else runs[0]
    target = [run for run in runs if _has_stem(base[slice(*run)], earlier.asked.target)]
    common = [run for run in runs if run not in named]
    return (target or common or runs)[0]


def _has_stem(text: str, stems: tuple[str, ...]) -> bool:
    return any(word.stem in stems for word in words(text))


def _filled(text: str, base: str, answer: str, now: datetime) -> str:
    """Return a question with its first pronoun replaced by what was spoken of."""
    found = words(text)
    earlier = question(base, now)
    runs = _runs(base, earlier)
    for place, word in enumerate(found):
        lower = word.lower.removesuffix("'s")
        if lower in _PERSONS | _OWNING | _THINGS and not _points_at_noun(found, place):
            meant = _meant(lower, base, answer, runs, earlier)
            if meant:
                owning = lower in _OWNING or (lower == "her" and place + 1 < len(found)
                                              and not is_plain(found[place + 1]))  # fmt: skip
                tail = "'s" if owning else " is" if word.lower.endswith("'s") else ""
                return text[: word.start] + meant + tail + text[word.end :]
    return text


def _placed(text: str, base: str, now: datetime) -> str:
    """Return a question that names nothing itself, with what the earlier one named.

    "How did Athletic play against Rovers?", "how many spectators were there?"
    """
    asked, earlier = question(text, now), question(base, now)
    is_own = any(term.kind == "name" for term in asked.terms) or asked.authors or asked.numbers
    named = [run for run in _runs(base, earlier) if any(
        word.is_capital for word in words(base[slice(*run)]))]  # fmt: skip
    if is_own or not named or not _THERE.search(text):
        return text
    told = " and ".join(base[slice(*run)] for run in named)
    return f"{_THERE.sub('', text).rstrip('?.! ')} at {told}?"


def _points_at_noun(found: list[Word], place: int) -> bool:
    """Return whether "this", "that" only points at a noun that stands there: "that bridge"."""
    pointing = found[place].lower in {"this", "that", "these", "those"}
    return pointing and place + 1 < len(found) and not is_plain(found[place + 1])


def _meant(
    lower: str, base: str, answer: str, runs: list[tuple[int, int]], earlier: Question
) -> str:
    if lower in _PERSONS | {"his", "hers"} or earlier.asked.kind == "person":
        new = [name for name in _NAME.findall(answer) if name.lower() not in base.lower()]
        if earlier.asked.kind == "person" and new:
            return str(new[0])
    named = [run for run in runs if any(word.is_capital for word in words(base[slice(*run)]))]
    chosen = (named or runs)[:1]
    if not chosen:
        return ""
    start, end = chosen[0]
    article = "the " if re.search(r"\bthe $", base[:start], re.IGNORECASE) else ""
    return article + base[start:end]
