"""A question of several parts: each is asked, and answered, by itself.

    "Who won the Brell Cup, and how many came?"  ->  "Who won the Brell Cup",
                                                     "how many came at Brell Cup?"

What a part leaves out is filled in as in a conversation, from the part before it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gigafactory.grok.conversation import standalone
from gigafactory.grok.question import question
from gigafactory.grok.words import words
from gigafactory.spec.answer import Turn

if TYPE_CHECKING:
    from datetime import datetime

THIN: Final = 2  # words that tell something: fewer do not tell what a part is about
MOST: Final = 3  # parts of a question; what follows belongs to the last one
_ASKING: Final = r"(?:who|whom|whose|what|which|when|where|why|how)"
_PREPOSITION: Final = r"(?:at|in|on|from|by|with|for|since|until|to|of)"
_AUXILIARY: Final = r"(?:is|are|was|were|did|does|do|will|has|have|can)"
_SUBJECT: Final = r"(?:the|a|an|any|there|it|they|he|she|we|i|you|this|these|my|our|its|their)"
_SEAM: Final = re.compile(
    rf"\s*[,;]?\s+and\s+(?=(?:{_PREPOSITION}\s+)?{_ASKING}(?:'s)?\b|{_AUXILIARY}\s+{_SUBJECT}\b)",
    re.IGNORECASE,
)
_OPENS: Final = re.compile(rf"(?:{_PREPOSITION}\s+)?{_ASKING}\b|{_AUXILIARY}\b", re.IGNORECASE)
_BOTH: Final = re.compile(
    rf"(?P<one>{_ASKING})\s+(?:and|or)\s+(?P<other>{_ASKING})\s+(?P<rest>.+)", re.IGNORECASE
)


def parts(text: str, now: datetime) -> list[str]:
    """Return the questions that a question asked at `now` is made of; itself, if it is one."""
    if both := _BOTH.match(text):
        one, other, rest = both["one"], both["other"], both["rest"]
        return [f"{one} {rest}", f"{other} {rest}"]
    cut = _SEAM.split(text, maxsplit=MOST - 1)
    if len(cut) == 1 or not _OPENS.match(text) or question(cut[0], now).is_empty:
        return [text]
    found = cut[:1]
    for part in cut[1:]:
        found.append(_completed(part, found[-1], now))
    return found


def _completed(part: str, before: str, now: datetime) -> str:
    """Return a part with what it leaves out of the one before: pronouns, and the thing itself.

    >>> from datetime import UTC, datetime
    >>> now = datetime(2026, 3, 1, tzinfo=UTC)
    >>> _completed("how long was it down?", "Why did curlew-7b crash", now)
    'how long was curlew-7b down?'
    >>> _completed("how many came?", "Who won the Brell Cup", now)
    'how many came at Brell Cup?'
    """
    whole = standalone(part, [Turn(role="user", text=before)], now)
    asked = question(whole, now)
    kinds = [term.kind for term in asked.terms]
    if "name" in kinds or asked.authors or asked.numbers:
        return whole
    is_thin = len(kinds) - kinds.count("light") < THIN
    thing = _first_run(before, now, {"name"}) or (
        _first_run(before, now, {"noun"}) if is_thin else ""
    )
    is_left_out = bool(thing) and thing.lower() not in whole.lower()
    return f"{whole.rstrip('?.! ')} at {thing}?" if is_left_out else whole


def _first_run(text: str, now: datetime, kinds: set[str]) -> str:
    """Return the first words of a question that follow one another and are of some kinds."""
    wanted = {term.text for term in question(text, now).terms if term.kind in kinds}
    run: list[str] = []
    for word in words(text):
        if word.text.removesuffix("'s") in wanted or word.text in wanted:
            run.append(word.text.removesuffix("'s"))
        elif run:
            break
    return " ".join(run)
