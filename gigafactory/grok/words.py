"""Words of a text, with their places and stems, as questions and posts are compared by them.

The stemmer is tantivy's (Snowball English), the one the index uses; irregular forms come first.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.grok import lexicon

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tantivy

_WORD: Final = re.compile(
    r"""(?P<url>https?://\S+)
      | (?P<handle>(?<![\w/])@\w[\w.\-]*(?:@[\w.\-]+)?)
      | (?P<tag>(?<![\w/])\#\w+)
      | (?P<number>\d+(?:[.,:]\d+)*\w*)
      | (?P<word>\w+(?:['\u2019\-]\w+)*)""",
    re.VERBOSE,
)
_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ENDINGS: Final = re.compile(
    r"(?:ation|ition|ion|ment|anc|enc|ance|ence|ur|al|er|or|ist|iti|iv|e)$"  # of stems
)
_PLAIN: Final = lexicon.FUNCTION | lexicon.AUXILIARY
_MIN_ROOT_CHARS: Final = 4


class Word(NamedTuple):
    """One word of a text.

    Attributes:
        text: As written.
        start: Its first character in the text.
        end: One behind its last.
        kind: "word", "number", "handle", "tag" or "url".
        stem: What it is compared by.
        parts: Stems of what it is made of: halves of a hyphen, words of a #HashTag; else its own.
    """

    text: str
    start: int
    end: int
    kind: str
    stem: str
    parts: tuple[str, ...]

    @property
    def lower(self) -> str:
        """It in small letters, with straight apostrophes."""
        return self.text.lower().replace("\u2019", "'")

    @property
    def is_capital(self) -> bool:
        """Whether it is written as names are."""
        return self.text[:1].isupper()


def words(text: str) -> list[Word]:
    """Return the words of `text`, in order."""
    return list(_words(text))


def _words(text: str) -> Iterator[Word]:
    for found in _WORD.finditer(text):
        kind = str(found.lastgroup)
        written = found.group()
        if kind == "handle":
            written = written.rstrip(".-")
        end = found.start() + len(written)
        yield Word(written, found.start(), end, kind, *_compared(written, kind))


@lru_cache(maxsize=65536)
def _compared(written: str, kind: str) -> tuple[str, tuple[str, ...]]:
    """Return a word's stem, and the stems of its parts."""
    if kind == "url":
        return written, ()
    if kind == "handle":
        return written.lower(), tuple(split_handle(written))
    if kind == "tag":
        return written.lower().lstrip("#"), tuple(split_handle(written))
    if kind == "number":
        return written.lower().replace(",", ""), (written.lower().replace(",", ""),)
    whole = stem(written)
    halves = [stem(part) for part in written.split("-") if part]
    return whole, (whole, *halves) if len(halves) > 1 else (whole,)


def split_handle(written: str) -> list[str]:
    """Return the stems of the words a handle or hashtag is run together from.

    >>> split_handle("@RiversideLibrary_UK")
    ['riversid', 'librari', 'uk']
    """
    return [stem(part) for part in _CAMEL.findall(written.partition("@")[2] or written)]


@lru_cache(maxsize=65536)
def stem(written: str) -> str:
    """Return what a word is compared by: lower case, without accents, hyphens and endings.

    >>> stem("Reopening"), stem("won"), stem("Ortega's"), stem("e-bikes")
    ('reopen', 'win', 'ortega', 'ebik')
    """
    plain = (
        written.lower().replace("\u2019", "'").removesuffix("'s").replace("'", "").replace("-", "")
    )
    regular = lexicon.IRREGULAR.get(plain, plain)
    found = _stemmer().analyze(regular)
    return found[0] if found else regular


@cache
def _stemmer() -> tantivy.TextAnalyzer:
    import tantivy

    made = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw())
    for step in ("lowercase", "ascii_fold"):
        made = made.filter(getattr(tantivy.Filter, step)())
    return made.filter(tantivy.Filter.stemmer("english")).build()


@lru_cache(maxsize=65536)
def root(stemmed: str) -> str:
    """Return a stem without the endings that make a noun of a verb; itself if too short.

    >>> root(stem("closure")) == root(stem("close")), root(stem("approval")), root(stem("police"))
    (True, 'approv', 'polic')
    """
    cut = stemmed if stemmed in lexicon.ROOTS else _ENDINGS.sub("", stemmed)
    return cut if len(cut) >= _MIN_ROOT_CHARS else stemmed


def _numbered(*names: str) -> dict[str, frozenset[int]]:
    """Return in which lines of some lists of words each stem stands."""
    found: dict[str, set[int]] = {}
    for number, line in enumerate(one for name in names for one in lexicon.lines(name)):
        for member in line.split():
            found.setdefault(stem(member), set()).add(number)
    return {member: frozenset(numbers) for member, numbers in found.items()}


@cache
def _groups() -> dict[str, frozenset[int]]:
    """Return the groups of like meaning each stem is in."""
    return _numbered("synonyms")


def is_known(stemmed: str) -> bool:
    """Return whether the lexicon has words of like meaning for a stem."""
    return stemmed in _groups()


@cache
def _opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lexicon.lines("opposites"):
        one, _, other = line.partition("|")
        for left in one.split():
            for right in other.split():
                found.setdefault(stem(left), set()).add(stem(right))
                found.setdefault(stem(right), set()).add(stem(left))
    return {member: frozenset(others) for member, others in found.items()}


@lru_cache(maxsize=65536)
def alike(one: str, other: str) -> bool:
    """Return whether two stems mean the same: equal, of one root, or in one group."""
    if one == other:
        return True
    if one.isdigit() or other.isdigit():
        return False
    if root(one) == root(other) and not are_opposite(one, other):
        return True
    return bool(_groups().get(one, frozenset()) & _groups().get(other, frozenset()))


@lru_cache(maxsize=65536)
def is_same_name(one: str, other: str) -> bool:
    """Return whether two stems may be the same name: no other word of like meaning is."""
    return one == other or (not (one.isdigit() or other.isdigit()) and root(one) == root(other))


@cache
def _fields() -> dict[str, frozenset[int]]:
    """Return the fields each stem is of: related words, synonyms, classes of verbs."""
    return _numbered("related", "synonyms", "verb_classes")


@lru_cache(maxsize=65536)
def is_related(one: str, other: str) -> bool:
    """Return whether two stems are of one field, so that either may tell of the same thing."""
    if one == other:
        return True
    return bool(_fields().get(one, frozenset()) & _fields().get(other, frozenset()))


@cache
def _members() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for line in lexicon.lines("kinds"):
        kind, _, members = line.partition(":")
        found[stem(kind)] = frozenset(stem(one) for one in members.split())
    return found


def members_of(stemmed: str) -> frozenset[str]:
    """Return the stems of things of a kind: "crane" of "bird"."""
    return _members().get(stemmed, frozenset())


@cache
def _tongues() -> dict[str, frozenset[int]]:
    return _numbered("tongues")


@lru_cache(maxsize=65536)
def is_translation(one: str, other: str) -> bool:
    """Return whether a stem of another language means what an English one does."""
    return bool(_tongues().get(one, frozenset()) & _tongues().get(other, frozenset()))


@cache
def _contrasts() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lexicon.lines("contrasts"):
        members = {stem(one) for one in line.split()}
        for member in members:
            found.setdefault(member, set()).update(members - {member})
    return {member: frozenset(others) for member, others in found.items()}


def in_contrast(stemmed: str) -> frozenset[str]:
    """Return the stems of the same kind that are not the same: "library" beside "museum"."""
    return _contrasts().get(stemmed, frozenset())


@cache
def _classes() -> dict[str, frozenset[int]]:
    return _numbered("verb_classes")


@lru_cache(maxsize=65536)
def is_loosely(one: str, other: str) -> bool:
    """Return whether two verbs are of one class, so that either may tell of the same thing."""
    if are_opposite(one, other):
        return False
    return bool(_classes().get(one, frozenset()) & _classes().get(other, frozenset()))


@lru_cache(maxsize=65536)
def are_opposite(one: str, other: str) -> bool:
    """Return whether two stems exclude each other, as open and closed do."""
    return other in _opposites().get(one, frozenset())


@cache
def stems_of(name: str) -> frozenset[str]:
    """Return the stems of one of the lexicon's lists of words."""
    return frozenset(stem(word) for word in getattr(lexicon, name))


def is_plain(word: Word) -> bool:
    """Return whether a word carries structure rather than content."""
    return word.kind == "word" and word.lower in _PLAIN
