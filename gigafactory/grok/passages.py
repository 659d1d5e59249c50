"""Passages of posts: one sentence, or a few that stand together, with all that is read in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.quantities import Quantity, quantities
from gigafactory.grok.times import When, times
from gigafactory.grok.tongues import englished
from gigafactory.grok.words import Word, split_handle, stem, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.spec.post import Post

MAX_READ_CHARS: Final = 5_000  # of one post; what is behind is not read, and so not cited
MAX_QUOTE_CHARS: Final = 600
MAX_SENTENCES: Final = 3
_BREAK: Final = re.compile(r"[.!?…]+[\"'\u201d\u2019)\]]*(?=\s)|\n+")
_SHORTENED: Final = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|prof|sr|jr|vs|etc|e\.g|i\.e|(?-i:No)|approx|jan|feb|mar|apr|jun|jul|aug"
    r"|sept?|oct|nov|dec|mon|tues?|wed|thurs?|fri|[ap]\.?m)|\b(?-i:[A-Z]))\.\Z",
    re.IGNORECASE,
)
_OWN: Final = lexicon.word_set("the our my your a an")
_CLAUSE: Final = re.compile(
    r"[;:\u2013\u2014]|,|\s-\s|\b(?:and|but|while|whereas|although|though)\b"
)


@dataclass(frozen=True, eq=False)
class Passage:
    """Part [start, end) of a post's text.

    Attributes:
        sentences: How many sentences it is of.
        is_asking: One of them is a question.
        told: What all passages of a post share, once it is worked out.
    """

    post: Post
    start: int
    end: int
    sentences: int
    is_asking: bool
    told: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its words as they stand in the post."""
        return self.post.text[self.start : self.end]

    @cached_property
    def words(self) -> list[Word]:
        """Its words; their places count from its own start."""
        return words(self.text)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each stem stands, and those of the parts of words."""
        found: dict[str, list[int]] = {}
        for place, word in enumerate(self.words):
            for part in {word.stem, *word.parts}:
                found.setdefault(part, []).append(place)
        return found

    @cached_property
    def joined(self) -> dict[str, list[int]]:
        """Where two words follow one another that may be one: "e bike", "lays off"."""
        found: dict[str, list[int]] = {}
        for place, (one, other) in enumerate(pairwise(self.words)):
            for whole in {one.stem + other.stem, stem(one.stem + other.text)}:
                found.setdefault(whole, []).append(place)
        return found

    @cached_property
    def whens(self) -> list[When]:
        """The times it names, as its author meant them."""
        return times(englished(self.text, self.post.lang), self.post.created_at)

    @cached_property
    def numbers(self) -> list[Quantity]:
        """The numbers it gives, but for times; "in 58 minutes" may tell how long it took."""
        taken = [one for one in self.whens if one.kind != "ahead"]
        return quantities(self.text, taken)

    @property
    def context(self) -> frozenset[str]:
        """Stems that hold for the whole post: its hashtags and the words of its author's handle."""
        if "context" not in self.told:
            tags = [one for one in words(self.post.text[:MAX_READ_CHARS]) if one.kind == "tag"]
            named = [one for tag in tags for one in (tag.stem, *tag.parts)]
            self.told["context"] = frozenset([*named, *split_handle(self.post.author)])
        return self.told["context"]

    @cached_property
    def clauses(self) -> list[tuple[int, int]]:
        """Its clauses, by punctuation and conjunctions."""
        cuts = [cut.end() for cut in _CLAUSE.finditer(self.text)]
        return list(zip([0, *cuts], [*cuts, len(self.text)], strict=True))

    def clause(self, place: int) -> tuple[int, int]:
        """Return the clause that holds the character at `place`."""
        return next((one for one in self.clauses if one[0] <= place < one[1]), (0, len(self.text)))


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the places of the sentences of a text, without the white space around them."""
    cuts = [
        found.end()
        for found in _BREAK.finditer(text)
        if not _SHORTENED.search(text[max(0, found.end() - 8) : found.end()])
    ]
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        for low in range(start, end, MAX_QUOTE_CHARS):
            high = min(low + MAX_QUOTE_CHARS, end)
            piece = text[low:high]
            if piece.strip():
                left = low + len(piece) - len(piece.lstrip())
                found.append((left, left + len(piece.strip())))
    return found


def has_question(text: str) -> bool:
    """Return whether a text asks anything."""
    return bool(re.search(r"\?(?:\s|[\"'\u201d\u2019)!?]|$)", text))


def _texts(
    post: Post, spans: list[tuple[int, int]], asking: list[bool], first: int, count: int
) -> Iterator[str]:
    """Yield the questions among some sentences of a post."""
    for at in range(first, first + count):
        if asking[at]:
            yield post.text[slice(*spans[at])]


def _is_put(asked: str) -> bool:
    """Return whether a question is put to others; "My secret?" leads to its answer."""
    first = asked.split()[0].strip("\"'\u201c\u2018(¿").lower()
    others = {"anyone", "anybody", "someone", "any", "so", "hey"}
    return first in lexicon.FUNCTION - _OWN or first in lexicon.AUXILIARY or first in others


def passages(post: Post, most: int = MAX_READ_CHARS) -> Iterator[Passage]:
    """Yield the passages of a post: single sentences, then neighbours, within a quote's length.

    Only its first `most` sentences are read.
    """
    spans = sentence_spans(post.text[:MAX_READ_CHARS])[:most]
    asking = [
        post.text[start:end].rstrip("\"'\u201d\u2019)] ").endswith("?") for start, end in spans
    ]
    told: dict[str, frozenset[str]] = {}
    for count in range(1, MAX_SENTENCES + 1):
        for first in range(len(spans) - count + 1):
            start, end = spans[first][0], spans[first + count - 1][1]
            if end - start <= MAX_QUOTE_CHARS:
                is_asking = any(asking[first : first + count])
                if count > 1 and not asking[first + count - 1]:
                    is_asking = any(map(_is_put, _texts(post, spans, asking, first, count)))
                yield Passage(post, start, end, count, is_asking, told)
