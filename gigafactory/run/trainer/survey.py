"""The first reading of a corpus: what is held out, what teaches the tokenizer, what was mended.

Whether a piece of text is held out depends on the hash of the text alone: another order of files,
another seed or a larger corpus never moves a text from evaluation to training, and copies of a
text stay together.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gigafactory.run.trainer import documents
from gigafactory.run.trainer.corpus import fault

if TYPE_CHECKING:
    from gigafactory.run.trainer.corpus import Corpus

HASHES: Final = 1 << 64
HELD_OUT_SHARE: Final = 0.01
HELD_OUT_CHARACTERS: Final = 1 << 18  # held out of a small text too, but for
HELD_OUT_MOST: Final = 0.1  # at most this share of it
# Text that teaches the tokenizer: by its vocabulary, within bounds that take seconds to minutes.
SAMPLE_PER_TOKEN: Final = 2_048
SAMPLE_BYTES: Final = (1 << 23, 1 << 28)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one reading of a corpus told.

    Attributes:
        held_out_below: A piece is held out if its digest is below.
        sample: Texts that teach the tokenizer, none of them held out.
    """

    tally: documents.Tally
    held_out_below: int
    sample: tuple[str, ...]


def survey(corpus: Corpus, vocab_size: int, seed: int) -> Survey:
    """Read a corpus once.

    Raises:
        SpecError: Files at fault, no text in them, or one text over and over.
    """
    tally, least = documents.Tally(), _Least(HELD_OUT_CHARACTERS)
    share = min(1.0, sample_bytes(vocab_size) / max(1, corpus.text_bytes))
    drawn_below, turn = int(share * HASHES), _turn(seed)
    sample = []
    greatest = -1
    for piece in documents.pieces(corpus, tally):
        digest = piece.digest
        greatest = max(greatest, digest)
        least.add(digest, len(piece.text))
        if digest ^ turn < drawn_below:
            sample.append((digest, piece.text))
    where = corpus.source or "the standard library"
    if not tally.characters:
        raise fault(where, f"holds no text; {'; '.join(tally.notes()) or 'all of it is empty'}")
    needed = min(HELD_OUT_CHARACTERS, int(tally.characters * HELD_OUT_MOST))
    below = max(int(HELD_OUT_SHARE * HASHES), least.bound(needed))
    if greatest < below:
        raise fault(where, "is one text over and over, or too short to hold some of it out")
    return Survey(tally, below, tuple(text for digest, text in sample if digest >= below))


def sample_bytes(vocab_size: int) -> int:
    """Return how much text teaches a vocabulary.

    >>> sample_bytes(4_096) == 2**23, sample_bytes(32_000) == 65_536_000
    (True, True)
    """
    least, most = SAMPLE_BYTES
    return min(max(SAMPLE_PER_TOKEN * vocab_size, least), most)


def _turn(seed: int) -> int:
    """Return bits that make another draw of each seed, unlike the bits that hold text out."""
    return (seed + 1) * 0x9E3779B97F4A7C15 % HASHES


class _Least:
    """The pieces of the least digests that together have at least so many characters."""

    def __init__(self, characters: int) -> None:
        self._wanted, self._have = characters, 0
        self._heap: list[tuple[int, int]] = []

    def add(self, digest: int, characters: int) -> None:
        heapq.heappush(self._heap, (-digest, characters))
        self._have += characters
        while self._have - self._heap[0][1] >= self._wanted:
            self._have -= heapq.heappop(self._heap)[1]

    def bound(self, characters: int) -> int:
        """Return the number below which digests hold at least so many characters."""
        have = 0
        for negative, count in sorted(self._heap, reverse=True):
            have += count
            if have >= characters:
                return 1 - negative
        return 0
