"""The columns a price is computed from: one entry per distinct layer shape, one per layout.

A column is a float or an array; every formula of this floor takes either, so one row and a
million rows go through the same arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Column = float | NDArray[np.float64]

SHARDING_LEVEL: Final = {"none": 0.0, "zero1": 1.0, "zero2": 2.0, "zero3": 3.0, "hsdp": 3.0}
RECOMPUTE_LEVEL: Final = {"none": 0.0, "selective": 1.0, "full": 2.0}


class Columns:
    """Base of column sets: the same row of every column at once."""

    __slots__ = ()

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Return the given rows; a scalar column stays the scalar it is."""
        picked = {
            f.name: value[rows]
            for f in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), np.ndarray) and value.ndim
        }
        return replace(self, **picked)  # type: ignore[type-var]

    def along(self, ndim: int) -> Self:
        """Return the columns as the first of `ndim` axes, to be broadcast over the others."""
        shaped = {
            f.name: value.reshape(-1, *(1,) * (ndim - 1))
            for f in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), np.ndarray) and value.ndim
        }
        return replace(self, **shaped)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(Columns):
    """What decides the price of one layer on one rank: model and per-layer split.

    Attributes:
        gated: 1 for three MLP matrices, 0 for two.
        expert_layers: Number of layers with experts; the others are dense.
        capacity: MoE capacity factor; 0 trains dropless.
        kv_rank: MLA's key-value rank; 0 for plain attention.
        micro_batch: Sequences in a microbatch.
        sp: 1 with sequence parallelism, else 0.
        recompute: 0 none, 1 selective, 2 full.
        recomputed: Share of the layers that is recomputed whole where `recompute` is not full.
    """

    layers: Column
    hidden: Column
    ffn: Column
    gated: Column
    heads: Column
    kv_heads: Column
    head_dim: Column
    vocab: Column
    tied: Column
    rope: Column
    experts: Column
    top_k: Column
    expert_ffn: Column
    shared_ffn: Column
    expert_layers: Column
    query_rank: Column
    kv_rank: Column
    nope_dim: Column
    rope_dim: Column
    value_dim: Column
    learned_rows: Column
    capacity: Column
    seq: Column
    micro_batch: Column
    tp: Column
    sp: Column
    cp: Column
    ep: Column
    etp: Column
    recompute: Column
    recomputed: Column = 0.0

    @property
    def tokens(self) -> Column:
        """Tokens of one microbatch on one rank, before sequence parallelism."""
        return self.seq * self.micro_batch / self.cp

    @property
    def expert_rows(self) -> Column:
        """Token rows that one rank's experts work on per microbatch, evenly spread."""
        kept = np.where(self.capacity > 0, np.minimum(self.capacity, 1.0), 1.0)
        return self.tokens / self.tp * self.top_k * self.etp * kept

    @property
    def local_experts(self) -> Column:
        """Experts held by one rank."""
        return np.maximum(self.experts / self.ep, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid(Columns):
    """How shapes are spread over the machine: one entry per layout.

    Attributes:
        shard: Ranks that one fully sharded copy spans.
        sharding: 0 none, 1 ZeRO-1, 2 ZeRO-2, 3 ZeRO-3 or HSDP.
        microbatches: Microbatches per pipeline and step.
    """

    pp: Column
    vpp: Column
    dp: Column
    shard: Column
    sharding: Column
    microbatches: Column


def columns_of(cls: type[Any], values: dict[str, Any]) -> Any:
    """Return a column set with every value as float64."""
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
    return cls(**{k: float(v) if v.ndim == 0 else v for k, v in arrays.items()})
