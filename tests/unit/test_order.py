"""The order of sequences: a permutation for each epoch, and nothing stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.run.trainer.order import permuted, sequences_at, sequences_between


@settings(max_examples=200)
@given(st.integers(1, 5_000), st.integers(0, 2**63 - 1), st.integers(0, 1_000))
def test_every_sequence_comes_once_in_an_epoch(size: int, seed: int, epoch: int) -> None:
    found = permuted(np.arange(size), size, seed, epoch)
    assert np.array_equal(np.sort(found), np.arange(size))


def test_an_order_is_the_same_wherever_it_is_asked_for() -> None:
    whole = permuted(np.arange(1_000), 1_000, 7, 2)
    parts = [permuted(np.arange(i, i + 10), 1_000, 7, 2) for i in range(0, 1_000, 10)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_this_order_never_changes_between_releases() -> None:
    """A run of an older release must find its place again."""
    assert permuted(np.arange(8), 1_000, 0, 0).tolist() == [
        751, 370, 638, 367, 406, 882, 383, 258
    ]  # fmt: skip


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (0, 1)])
def test_another_seed_or_epoch_is_another_order(seed: int, epoch: int) -> None:
    size = 10_000
    base, other = (permuted(np.arange(size), size, *key) for key in ((0, 0), (seed, epoch)))
    assert (base == other).sum() < 10  # one is expected of independent permutations


def test_a_thousand_million_sequences_need_no_memory_and_do_not_repeat() -> None:
    size = 10**9 + 7
    found = permuted(np.arange(500_000_000, 500_100_000), size, 3, 0)
    assert len(np.unique(found)) == 100_000
    assert found.min() >= 0
    assert found.max() < size


def test_positions_are_spread_evenly() -> None:
    """Chi-squared of 64 cells over the first tenth of an order: 63 degrees of freedom."""
    size = 640_000
    cells = np.bincount(permuted(np.arange(size // 10), size, 5, 0) * 64 // size, minlength=64)
    assert ((cells - 1_000) ** 2 / 1_000).sum() < 110  # less than one in 1,000 seeds has more


def test_neighbours_do_not_stay_neighbours() -> None:
    size = 100_000
    found = permuted(np.arange(size), size, 11, 0)
    correlation = np.corrcoef(found[:-1], found[1:])[0, 1]
    assert abs(correlation) < 5 / size**0.5


@settings(max_examples=15)
@given(st.integers(0, 20_000), st.integers(1, 9_000), st.integers(1, 10_000))
def test_neighbouring_positions_are_found_like_any_others(
    first: int, count: int, size: int
) -> None:
    wanted = sequences_at(np.arange(first, first + count), size, 4)
    assert np.array_equal(sequences_between(first, first + count, size, 4), wanted)


def test_a_batch_may_reach_into_the_next_epoch() -> None:
    found = sequences_at(np.arange(95, 105), 100, 9)
    first, second = permuted(np.arange(100), 100, 9, 0), permuted(np.arange(100), 100, 9, 1)
    assert np.array_equal(found, np.concatenate([first[95:], second[:5]]))
