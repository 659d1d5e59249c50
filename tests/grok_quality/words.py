"""Content words, as the question set counts them: its own rule, none of the program's."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Words that tell nothing about the subject: articles, pronouns, auxiliaries, prepositions, question
# words and the small talk around a question.
_STOPPED: Final = """
a about after again ago all also am an and any anybody anyone anything are as at away back be
became because been before being between but by can cannot come could day did do does doing done
down during each either else even ever every for from get go going got had happen happened has
have having he her here him his how i if in into is it its just last let like long made make
many may me might more most much must my near need no none not now of off on once one only or
other our out over own per please put really right said same say see she should since so some
somebody someone something still such take tell than that the their them then there these they
thing this those through time to today tomorrow too under until up us use very want was way we
were what when where which while who whom whose why will with within without would yes yesterday
yet you your
"""
STOP_WORDS: Final = frozenset(_STOPPED.split())


def content_words(text: str) -> frozenset[str]:
    """Return the words of a text that tell its subject: folded, without stop words and plural s.

    >>> sorted(content_words("When will Line 4's rails be mended?"))
    ['4', 'line', 'mended', 'rail']
    """
    folded = (
        unicodedata.normalize("NFKC", text)
        .casefold()
        .replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    )
    words = re.findall(r"\w+(?:[.,:-]\w+)*(?:'\w+)?", folded)
    return frozenset(_singular(word.split("'")[0]) for word in words if word not in STOP_WORDS) - {
        ""
    }


def _singular(word: str) -> str:
    """Return a word without the s of the plural, if that is what it ends in."""
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word
