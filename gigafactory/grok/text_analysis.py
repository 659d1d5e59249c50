"""How text becomes terms: English stems, plain lower-case words, pairs of unspaced script.

English stemming is applied to every language on both sides, so it never hides a word from itself.
Chinese, Japanese, Korean and Thai put no spaces between words; there, overlapping pairs of
characters stand for them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import tantivy

WORDS: Final = "giga_words"
STEMS: Final = "giga_stems"
LONGEST_BYTES: Final = 60  # longer ones are no words but identifiers and noise

# Words that say nothing of what a text is about (articles, prepositions, pronouns, auxiliaries,
# question words), as any English grammar lists them.
_FUNCTION_WORDS: Final = (
    "a about all am an and any are as at be been being but by can could did do does doing for from"
    " had has have having he her here hers him his how i if in into is it its me my of on or our"
    " ours she should so some than that the their theirs them then there these they this those to"
    " us was we were what when where which who whom whose why will with would you your"
)
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)


@cache
def analyzers() -> dict[str, tantivy.TextAnalyzer]:
    """Return the analyzers by the names under which an index knows them."""

    def plain() -> tantivy.TextAnalyzerBuilder:
        made = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        made = made.filter(tantivy.Filter.remove_long(LONGEST_BYTES))
        return made.filter(tantivy.Filter.lowercase()).filter(tantivy.Filter.ascii_fold())

    return {
        WORDS: plain().build(),
        STEMS: plain().filter(tantivy.Filter.stemmer("english")).build(),
    }


def whole(text: str) -> str:
    """Return a text with "?" for halves of characters, which nothing can encode.

    >>> whole("half " + chr(0xD800))
    'half ?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def words(text: str) -> list[str]:
    """Return the lower-case words of a text without accents.

    >>> words("Zürich: don't @panic!")
    ['zurich', 'don', 't', 'panic']
    """
    return analyzers()[WORDS].analyze(text)


def stem(word: str) -> str:
    """Return the English stem of one word; "" of one too long to be indexed.

    >>> stem("launches"), stem("launched")
    ('launch', 'launch')
    """
    return next(iter(analyzers()[STEMS].analyze(word)), "")


def pairs(text: str) -> list[str]:
    """Return overlapping pairs of characters of the stretches written without spaces.

    >>> pairs("see 東京都 now")
    ['東京', '京都']
    """
    if text.isascii():
        return []
    runs = _UNSPACED.findall(text)
    return [run[at : at + 2] for run in runs for at in range(max(len(run) - 1, 1))]


def telling(found: list[str]) -> list[str]:
    """Return words without function words, each once; all of them if there are no others."""
    distinct = list(dict.fromkeys(found))
    return [word for word in distinct if word not in FUNCTION_WORDS] or distinct
