"""The optimizer step as passes over memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column


def optimizer_time_s(
    owned_parameters: Column, moved_bytes: float, memory_bytes_per_s: float
) -> Column:
    """Return the seconds of one optimizer step over the parameters a rank owns.

    Adam reads and writes the master weight and both moments, reads the gradient and writes the
    weight; gradient norm, clipping and the zeroing of gradients add passes. All of it is bound
    by memory.

    >>> float(optimizer_time_s(1e9, 50.0, 2e12))
    0.025
    """
    return np.asarray(owned_parameters * moved_bytes / memory_bytes_per_s)[()]


def owned_share(sharding: Column, data_ranks: Column, shard: Column) -> Column:
    """Return the share of a rank's parameters whose optimizer state it owns.

    >>> float(owned_share(1.0, 8, 8)), float(owned_share(0.0, 8, 8))
    (0.125, 1.0)
    """
    ranks = np.where(sharding >= 3, shard, data_ranks)
    return np.where(sharding >= 1, 1.0 / ranks, 1.0)
