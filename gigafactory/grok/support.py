"""The check of a drafted sentence: does the cited passage say all that the sentence says?

Nothing may be added: every content word, number, time and name of the sentence must be in the
passage, numbers beside the same nouns, names in the same order, denied and doubted alike. It is
lexical and errs towards dropping; a paraphrase beyond the lexicon's synonyms is dropped too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.named import names
from gigafactory.grok.passages import Passage, passages
from gigafactory.grok.stance import denials, is_denied, is_doubtful, is_unreal
from gigafactory.grok.words import alike, is_plain, stem

if TYPE_CHECKING:
    from gigafactory.grok.quantities import Quantity
    from gigafactory.grok.words import Word
    from gigafactory.spec.post import Post

# What a sentence may add to say that a post says it.
_REPORTING: Final = frozenset(
    stem(word)
    for word in lexicon.word_set(
        """say said says report reported post posted according mention state stated note announce
        announced user author account tweet wrote write"""
    )
)
_BOUNDS: Final = lexicon.word_set(
    """more less over under least most fewer almost nearly about around approximately roughly up
    below above exactly only"""
)
_TIMING: Final = lexicon.word_set("until till before after since by from")
_TOTALS: Final = lexicon.word_set("all every everyone everybody only always most none each")
_HEDGES: Final = lexicon.DOUBTS | lexicon.HEARSAY | lexicon.word_set(
    "think thinks hope hopes wish wishes believe believes guess if would heard expects"
)  # fmt: skip
_REACH: Final = 3


def supporting(sentence: str, post: Post) -> Passage | None:
    """Return the shortest passage of a post that says all that `sentence` says; None if none."""
    claim = _claim(sentence, post)
    return next((one for one in passages(post) if supports(claim, one)), None)


def _claim(sentence: str, post: Post) -> Passage:
    """Return a sentence as if the author of the post had written it then."""
    return Passage(replace(post, text=sentence), 0, len(sentence), 1, False)


def supports(claim: Passage, passage: Passage) -> bool:
    """Return whether `passage` says all that `claim` says, and says it as surely."""
    if _squeezed(claim.text) == _squeezed(passage.text):
        return True
    matched = _matched(claim, passage)
    return (
        matched is not None
        and _same_numbers(claim, passage)
        and _same_times(claim, passage)
        and _same_stance(claim, passage, matched)
        and _same_order(claim, passage)
        and _lower(claim) & _TOTALS <= _lower(passage)
    )


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .!\"'")


def _lower(passage: Passage) -> set[str]:
    return {word.lower for word in passage.words}


def _matched(claim: Passage, passage: Passage) -> list[int] | None:
    """Return the places of a claim's content words in a passage; None if one is nowhere."""
    places: list[int] = []
    skipped = [(one.start, one.end) for one in claim.whens]
    skipped += [(one.start, one.end) for one in claim.numbers]
    for word in claim.words:
        inside = any(word.start < end and start < word.end for start, end in skipped)
        if inside or is_plain(word) or word.stem in _REPORTING:
            continue
        found = [at for at, other in enumerate(passage.words) if _is_same(word, other)]
        if not found and not _is_author(word, passage):
            return None
        places += found
    return places


def _is_same(one: Word, other: Word) -> bool:
    if one.kind == "url" or other.kind == "url":
        return one.text == other.text
    if one.is_capital and other.is_capital and one.stem != other.stem:
        return other.stem in one.parts or one.stem in other.parts
    others = (other.stem, *other.parts)
    return any(alike(left, right) for left in (one.stem, *one.parts) for right in others)


def _is_author(word: Word, passage: Passage) -> bool:
    return word.text.lstrip("@").lower() == passage.post.author.lower() or any(
        part in passage.context for part in word.parts
    )


def _same_numbers(claim: Passage, passage: Passage) -> bool:
    return all(
        any(
            one.same(other) and _is_bound_alike(claim, one, passage, other)
            for other in passage.numbers
        )
        for one in claim.numbers
    )


def _is_bound_alike(claim: Passage, one: Quantity, passage: Passage, other: Quantity) -> bool:
    """Return whether two numbers count the same noun and are bounded alike ("over 300")."""
    if _before(claim, one.start) & _BOUNDS != _before(passage, other.start) & _BOUNDS:
        return False
    counted = [word for word in claim.words if word.start >= one.end and not is_plain(word)][:1]
    if not counted or one.kind not in {"plain", "ordinal"}:
        return True
    at = _index(passage, other.start)
    near = passage.words[max(0, at - _REACH) : at + _REACH + 2]
    if not any(_is_same(counted[0], word) for word in near):
        return False
    return not any(_is_of_another(word, passage, other) for word in _behind(claim, one))


def _behind(claim: Passage, number: Quantity) -> list[Word]:
    """Return the content words behind a number: what is counted, and what happens to it."""
    return [word for word in claim.words if word.start >= number.end and not is_plain(word)][
        :_REACH
    ]


def _is_of_another(word: Word, passage: Passage, number: Quantity) -> bool:
    """Return whether a word stands by another number only: "12 died and 30 were injured"."""
    clauses = [passage.clause(at.start) for at in passage.words if _is_same(word, at)]
    others = [passage.clause(one.start) for one in passage.numbers if one != number]
    own = passage.clause(number.start)
    return bool(clauses) and own not in clauses and any(one in others for one in clauses)


def _index(passage: Passage, start: int) -> int:
    return next((at for at, word in enumerate(passage.words) if word.end > start), 0)


def _before(passage: Passage, start: int) -> set[str]:
    near = [word.lower for word in passage.words if word.end <= start]
    return set(near[-_REACH:])


def _same_times(claim: Passage, passage: Passage) -> bool:
    for when in claim.whens:
        said = claim.text[when.start : when.end].lower()
        twins = [
            own for own in passage.whens
            if passage.text[own.start : own.end].lower() == said
            or (own.spans == when.spans and own.minute == when.minute and own.grain != "vague")
        ]  # fmt: skip
        lead = _before(claim, when.start) & _TIMING
        if not any(lead == _before(passage, own.start) & _TIMING for own in twins):
            return False
    return True


def _same_stance(claim: Passage, passage: Passage, matched: list[int]) -> bool:
    """Return whether a claim is denied where its passage is, and no surer than it."""
    denied = any(is_denied(passage, at) for at in matched) or (
        bool(denials(passage.words)) and len(passage.clauses) == 1
    )
    if denied != bool(denials(claim.words)):
        return False
    unsure = is_unreal(passage) or is_doubtful(passage.words)
    return not unsure or bool(_lower(claim) & _HEDGES)


def _same_order(claim: Passage, passage: Passage) -> bool:
    """Return whether names stand in the same order; in the other, where one side is passive.

    "Baker beat Ortega" is not supported by "Ortega beat Baker"; "Baker was beaten by Ortega" is.
    """
    both = {word.stem for word in names(claim)} & {word.stem for word in names(passage)}
    said, read = _runs(claim, both), _runs(passage, both)
    passive = [bool(re.search(r"\bby\b", one.text, re.IGNORECASE)) for one in (claim, passage)]
    return said == (read if passive[0] == passive[1] else read[::-1])


def _runs(passage: Passage, stems: set[str]) -> list[tuple[str, ...]]:
    """Return the names of a passage made of `stems`, first mentions only, in order."""
    runs: list[tuple[str, ...]] = []
    last = -2
    for word in names(passage):
        if word.stem not in stems:
            continue
        place = passage.words.index(word)
        if place == last + 1 and runs:
            runs[-1] = (*runs[-1], word.stem)
        else:
            runs.append((word.stem,))
        last = place
    return list(dict.fromkeys(runs))
