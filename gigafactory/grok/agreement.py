"""Whether a passage agrees with a question in times and numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gigafactory.grok.words import alike, is_plain, words

if TYPE_CHECKING:
    from gigafactory.grok.passages import Passage
    from gigafactory.grok.quantities import Quantity
    from gigafactory.grok.question import Question
    from gigafactory.grok.times import When

_RECURS: Final = re.compile(r"(?:\b(?:an?|every|each) \w+|days)$", re.IGNORECASE)
_MINUTES: Final = 2  # between "at 14:02" and the time of a post that tells of it
_NEAR: Final = 3  # characters between a number and the word it belongs to


def is_dated(question: Question, passage: Passage) -> bool:
    """Return whether a passage speaks of the times the question names, or is of them itself."""
    met = (_is_at(asked, question, passage) for asked in question.whens)
    return any(met) if question.is_either else all(met)


def _is_at(asked: When, question: Question, passage: Passage) -> bool:
    created = passage.post.created_at
    if asked.minute is not None and not asked.spans:
        own = created.hour * 60 + created.minute
        told = [when.minute for when in passage.whens if when.minute is not None]
        return asked.minute in told or abs(own - asked.minute) <= _MINUTES
    dated = [when for when in passage.whens if when.spans]
    if any(when.meets(asked) for when in dated):
        return True
    if _RECURS.search(question.text[: asked.end]) and asked.kind == "weekday":
        return any(when.kind == "weekday" and _weekday(when) == _weekday(asked) for when in dated)
    if question.authors and asked.covers(created):
        return True
    return not dated and asked.covers(created)


def _weekday(when: When) -> int:
    return when.spans[0][0].weekday()


def has_numbers(question: Question, passage: Passage) -> bool:
    """Return whether a passage gives the question's numbers, each beside the same word.

    "Steps 31 to 40" is not "step 40", and bus 14 is not in "bus 22 ... 14 passengers".
    """
    return all(
        any(one.same(own) and _is_beside(question, one, passage, own) for own in passage.numbers)
        for one in question.numbers
    )


def _is_beside(question: Question, one: Quantity, passage: Passage, own: Quantity) -> bool:
    asked = [word for word in words(question.text) if word.end == one.start - 1]
    if not asked or is_plain(asked[0]) or one.kind != "plain":
        return True
    near = [
        word for word in passage.words
        if 0 <= own.start - word.end <= _NEAR or 0 <= word.start - own.end <= _NEAR
    ]  # fmt: skip
    return any(alike(part, asked[0].stem) for word in near for part in word.parts)
