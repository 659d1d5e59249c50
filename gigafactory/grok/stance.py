"""How a text stands to what it says: as a fact, a doubt, hearsay, a wish; affirmed or denied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.passages import MAX_READ_CHARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.grok.passages import Passage
    from gigafactory.grok.words import Word

_UNREAL: Final = re.compile("|".join(lexicon.UNREAL), re.IGNORECASE)
_DEMAND: Final = re.compile(
    r"\b(?:(?:we|they|i|unions?|workers?|residents|fans)"
    r" (?:ask|call|fight|push|hope|campaign)s? for"
    r"|demand(?:s|ed|ing) (?:an?|the|more|better|that|\d)"
    r"|(?:is|are|was|were) (?:asking|calling|pushing) for)\b",
    re.IGNORECASE,
)
_WANTING: Final = re.compile(
    r"\b(?:ask|call|demand|want|fight|push|hope|campaign|seek|claim)(?:s|ed|ing)?\b", re.IGNORECASE
)
_REACH: Final = 3  # words between "not" and what it denies
_UNTIL: Final = re.compile(r"\b(?:until|till|before|only)\b", re.IGNORECASE)


def is_unreal(passage: Passage) -> bool:
    """Return whether it asks, wishes, guesses or passes on hearsay, and so states no fact."""
    if passage.is_asking or _UNREAL.search(passage.text.replace("\u2019", "'")):
        return True
    return is_hearsay(passage.post.text[:MAX_READ_CHARS])


def is_only_wanted(asked: str, passage: Passage) -> bool:
    """Return whether a passage tells what someone demands, and the question asks what is."""
    return bool(_DEMAND.search(passage.text)) and not _WANTING.search(asked)


def is_hearsay(text: str) -> bool:
    """Return whether a post says itself that nobody vouches for it."""
    return any(word.strip(".,:;!?()\"'").lower() in lexicon.HEARSAY for word in text.split())


def is_doubtful(words: Sequence[Word]) -> bool:
    """Return whether it says only that something may be so; the month of May is no doubt."""
    return any(
        word.lower in lexicon.DOUBTS and not (word.text == "May" and place)
        for place, word in enumerate(words)
    )


def is_denied(passage: Passage, place: int) -> bool:
    """Return whether the word at `place` of a passage is denied: "did not open", "no injuries".

    "Will not open until May" says when it opens, and denies nothing.
    """
    low, _ = passage.clause(passage.words[place].start)
    near = passage.words[max(0, place - _REACH) : place]
    denied = any(word.lower in lexicon.NEGATIONS
                 for word in near if word.start >= low)  # fmt: skip
    return denied and not _UNTIL.search(passage.text[passage.words[place].end :])


def denials(words: Sequence[Word]) -> int:
    """Return how many words of denial there are."""
    return sum(word.lower in lexicon.NEGATIONS for word in words)
