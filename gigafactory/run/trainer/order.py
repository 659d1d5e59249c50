"""In which order sequences are trained on: a permutation that is computed, never stored.

Position p of the training is sequence `permuted(p mod n)` of epoch `p div n`. The permutation is a
Feistel network on the least even number of bits that holds n; a value outside 0 .. n-1 is sent
through it again until it falls inside (cycle walking), which keeps it one to one. So memory is
O(1) for any n, any position is found at once after a restart, and ranks need not talk.

Source: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, methods 2 and 3;
the mixing of bits: splitmix64, Steele et al., OOPSLA 2014.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]

ROUNDS: Final = 6
BLOCK: Final = 4_096
_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_WORD: Final = 2**64


def sequences_between(first: int, stop: int, num_sequences: int, seed: int) -> Integers:
    """Return which sequences stand at the positions first .. stop-1 of the whole training."""
    blocks = range(first // BLOCK, -(-stop // BLOCK))
    found = np.concatenate([_block(number, num_sequences, seed) for number in blocks])
    begin = blocks.start * BLOCK
    return found[first - begin : stop - begin]


@lru_cache(maxsize=8)
def _block(number: int, num_sequences: int, seed: int) -> Integers:
    """Return the sequences of neighbouring positions: many cost little more than a few."""
    positions = np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.int64)
    return sequences_at(positions, num_sequences, seed)


def sequences_at(positions: Integers, num_sequences: int, seed: int) -> Integers:
    """Return which sequence stands at each position of the whole training.

    Args:
        positions: Counted from 0 over all epochs.
        num_sequences: In an epoch; each comes once before any comes again.
        seed: Another seed, another order.
    """
    epochs = positions // num_sequences
    found = np.empty_like(positions)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        found[here] = permuted(positions[here] % num_sequences, num_sequences, seed, int(epoch))
    return found


def permuted(indices: Integers, size: int, seed: int, epoch: int) -> Integers:
    """Return where a permutation of 0 .. size-1 sends each index; `seed` and `epoch` choose it."""
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    keys = _keys(seed, epoch)
    found = _feistel(indices.astype(np.uint64), half, keys)
    while (outside := found >= size).any():
        found[outside] = _feistel(found[outside], half, keys)
    return found.astype(np.int64)


def _feistel(words: Words, half: np.uint64, keys: Words) -> Words:
    """Return words of 2 x `half` bits, sent one to one to words of as many bits."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = words >> half, words & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << half) | right


def _keys(seed: int, epoch: int) -> Words:
    """Return a key for each round."""
    begin = _mixed(np.array([seed % _WORD], dtype=np.uint64)) + np.uint64(epoch)
    steps = np.array([_GOLDEN * i % _WORD for i in range(1, ROUNDS + 1)], dtype=np.uint64)
    return _mixed(_mixed(begin) + steps)


def _mixed(words: Words) -> Words:
    """Return words whose every bit depends on all bits of the word it came from."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))
