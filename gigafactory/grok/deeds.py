"""Who does what in a passage: whether a verb is said of the names that are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon, named
from gigafactory.grok.words import is_plain

if TYPE_CHECKING:
    from gigafactory.grok.passages import Passage
    from gigafactory.grok.question import Question, Term
    from gigafactory.grok.words import Word

_LEADING: Final = lexicon.word_set("of in at from for near on to with between by via and")


def is_bound(question: Question, passage: Passage, places: dict[Term, list[int] | None]) -> bool:
    """Return whether the question's verb is said of the question's names, not of others.

    "Baker resigned; Ortega takes over" does not say that Ortega resigned.
    """
    verbs = [at for term, ats in places.items() if term.kind == "verb" for at in ats or ()]
    owned = [at for term, ats in places.items() if term.kind == "name" for at in ats or ()]
    if not verbs or not owned or question.asked.kind in {"person", "name"}:
        return True
    asked = {passage.words[at].start for at in owned}
    owners = [word for word in named.names(passage) if not _is_led_name(passage, word)]
    return any(not _is_others(question, passage, verb, owners, asked) for verb in verbs)


def _is_others(
    question: Question, passage: Passage, verb: int, owners: list[Word], asked: set[int]
) -> bool:
    """Return whether a name that is not asked about stands right before a verb, as who does it."""
    before = [word for word in owners if word.start < passage.words[verb].start]
    if not before or before[-1].start in asked or before[-1].kind == "handle":
        return False
    at = passage.words.index(before[-1])
    near = all(is_plain(word) for word in passage.words[at + 1 : verb])
    return near and not named.is_asked_word(question, before[-1])


def _is_led_name(passage: Passage, name: Word) -> bool:
    """Return whether a name is not who does it: "of Athletic", "Falk said" of others."""
    before = [word for word in passage.words if word.end <= name.start]
    while before and (before[-1].is_capital or before[-1].lower in {"the", "a", "an"}):
        before.pop()
    behind = [word for word in passage.words if word.start >= name.end and not word.is_capital]
    speaks = bool(behind) and behind[0].lower in lexicon.SPEECH
    return speaks or (bool(before) and before[-1].lower in _LEADING)


def is_thing(passage: Passage, at: int) -> bool:
    """Return whether a word is a noun by its article: "the plan" is nothing that someone does."""
    return at > 0 and passage.words[at - 1].lower in {"the", "a", "an", "this", "that", "its"}
