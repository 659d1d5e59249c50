"""Search every layout of a job: pruned by rule, then by memory, then priced, exhaustively.

Each distinct layer shape is priced once; layouts are priced in chunks that stay in cache. A
layout is priced at the least recomputation that fits: more of it only adds time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.columns import RECOMPUTE_LEVEL, SHARDING_LEVEL, Grid, Shape, columns_of
from gigafactory.cost.layer import LayerPrice, price_layer
from gigafactory.cost.memory import peak_bytes
from gigafactory.cost.step import step_parts
from gigafactory.plan.cases import model_columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.space import SHARDINGS, Axes, Block, Question, axes, blocks
from gigafactory.spec.layout import RECOMPUTES, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.cost.rates import Rates

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All layouts that fit, with their price, and what the search looked at.

    Attributes:
        rows: One row per layout: split, stage, dp, shard, sharding, recompute.
        step_time_s: Seconds per step, one per row.
        memory_bytes: Bytes on the fullest accelerator, one per row.
        considered: Combinations of the whole space.
        priced: Those whose time and memory were computed.
        closest: The layout that needs least memory, where none fits.
    """

    question: Question
    space: Axes
    rows: Index
    step_time_s: Floats
    memory_bytes: Floats
    considered: int
    priced: int
    closest: tuple[Index, float]

    @property
    def order(self) -> Index:
        """Rows from the fastest on; of equals the one on fewer GPUs first."""
        return np.lexsort((self.num_gpus, self.step_time_s))

    @property
    def num_gpus(self) -> Index:
        """GPUs of every row."""
        splits, stages = self.space.splits[self.rows[:, 0]], self.space.stages[self.rows[:, 1]]
        return splits[:, 0] * splits[:, 1] * stages[:, 0] * self.rows[:, 2]

    def layout(self, row: Index) -> Layout:
        """Return one row as a layout."""
        tp, cp, ep, etp, micro = (int(x) for x in self.space.splits[row[0]])
        pp, vpp = (int(x) for x in self.space.stages[row[1]])
        kind = SHARDINGS[int(row[4])]
        return Layout(
            tensor_parallel=tp,
            sequence_parallel=tp > 1,
            pipeline_parallel=pp,
            virtual_pipeline=vpp,
            data_parallel=int(row[2]),
            data_shard=int(row[3]),
            context_parallel=cp,
            expert_parallel=ep,
            expert_tensor_parallel=etp,
            micro_batch_size=micro,
            global_batch_size=self.question.global_batch_size,
            seq_len=self.question.seq_len,
            sharding=kind,  # type: ignore[arg-type]
            recompute=RECOMPUTES[int(row[5])],  # type: ignore[arg-type]
            precision=self.question.precision,  # type: ignore[arg-type]
            schedule="interleaved" if vpp > 1 else "1f1b",
        )


class _Batch(NamedTuple):
    """Layouts of one block that fit.

    Attributes:
        priced: Layouts whose time and memory were computed to find them.
    """

    rows: Index
    step_time_s: Floats
    memory_bytes: Floats
    priced: int


def search(question: Question, progress: Callable[[int], None] = lambda _: None) -> Found:
    """Return every layout that fits, priced.

    Args:
        question: What is asked.
        progress: Told the number of layouts priced so far.

    Raises:
        SpecError: The machine cannot run the precision.
    """
    rates = rates_of(question.machine, question.precision, question.model.head_dim)
    space = axes(question)
    prices = {
        level: _shape_prices(question, space, value, rates)
        for level, value in enumerate(RECOMPUTE_LEVEL.values())
        # Of the attention core it drops score matrices alone; flash attention keeps none.
        if value != RECOMPUTE_LEVEL["selective"]
        or rates.features.attention == "unfused"
        or rates.features.selective != "attention"
    }
    batches: list[_Batch] = [_Batch(np.zeros((0, 6), dtype=np.int64), np.zeros(0), np.zeros(0), 0)]
    considered = priced = 0
    closest: tuple[Index, float] = (np.zeros(6, dtype=np.int64), np.inf)
    for block in blocks(question, space):
        considered += block.considered
        found, near = _fitting(question, space, block, prices, rates)
        closest = min(closest, near, key=lambda pair: pair[1])
        batches += found
        priced += sum(batch.priced for batch in found)
        progress(priced)
    return Found(
        question=question,
        space=space,
        rows=np.concatenate([b.rows for b in batches]),
        step_time_s=np.concatenate([b.step_time_s for b in batches]),
        memory_bytes=np.concatenate([b.memory_bytes for b in batches]),
        considered=considered,
        priced=priced,
        closest=closest,
    )


def _shape_prices(question: Question, space: Axes, recompute: float, rates: Rates) -> LayerPrice:
    """Return the price of every distinct layer shape at one recomputation level."""
    tp, cp, ep, etp, micro = space.splits.T
    values = model_columns(question.model) | {
        "capacity": question.capacity_factor or 0.0,
        "seq": question.seq_len,
        "micro_batch": micro,
        "tp": tp,
        "sp": np.where(tp > 1, 1.0, 0.0),
        "cp": cp,
        "ep": ep,
        "etp": etp,
        "recompute": recompute,
    }
    shape: Shape = columns_of(Shape, values)
    price, _ = price_layer(shape, rates)
    return price


def _fitting(
    question: Question, space: Axes, block: Block, prices: dict[int, LayerPrice], rates: Rates
) -> tuple[list[_Batch], tuple[Index, float]]:
    """Return the layouts of a block that fit, each at the least recomputation that lets it.

    Also returns the layout that needs least memory, and its bytes.
    """
    found: list[_Batch] = []
    closest: tuple[Index, float] = (np.zeros(6, dtype=np.int64), np.inf)
    left, splits = block.keep, np.arange(len(block.splits))
    for level, price in prices.items():
        # Splits with nothing left to place drop out as a whole.
        busy = left.any(axis=(1, 2, 3))
        left, splits = left[busy], splits[busy]
        if not len(splits):
            break
        layers = price.take(block.splits[splits]).along(left.ndim)
        grid = grid_of(question, space, block, splits)
        memory = peak_bytes(layers.shape, grid, layers.held, layers.acts, rates)
        memory = np.broadcast_to(memory, left.shape)
        fits = left & (memory <= rates.memory_capacity_bytes)
        if fits.any():
            seconds = np.broadcast_to(step_parts(layers, grid, rates).total_s, left.shape)
            rows = _rows(block, splits, np.nonzero(fits), level)
            found.append(_Batch(rows, seconds[fits], memory[fits], int(left.sum())))
        elif not found:
            least = np.unravel_index(int(np.where(left, memory, np.inf).argmin()), left.shape)
            row = _rows(block, splits, tuple(np.array([i]) for i in least), level)[0]
            closest = min(closest, (row, float(memory[least])), key=lambda pair: pair[1])
        left = left & ~fits
    return found, closest


def _rows(block: Block, splits: Index, at: tuple[Index, ...], level: int) -> Index:
    """Return rows of `Found.rows` for places in a block."""
    split, stage, dp, kind = at
    shard = np.broadcast_to(block.shard[splits], (len(splits), 1, len(block.dps), len(block.kinds)))
    return np.stack(
        [
            block.splits[splits[split]],
            block.stages[stage],
            block.dps[dp],
            shard[split, 0, dp, kind],
            block.kinds[kind],
            np.full(len(split), level),
        ],
        axis=1,
    )


def grid_of(question: Question, space: Axes, block: Block, splits: Index) -> Grid:
    """Return the grid columns of a block, axes [split, stage, dp, sharding]."""
    levels = np.array([SHARDING_LEVEL[kind] for kind in SHARDINGS])
    micro = int(space.splits[block.splits[0], 4])
    grid: Grid = columns_of(
        Grid,
        {
            "pp": space.stages[block.stages, 0][None, :, None, None],
            "vpp": space.stages[block.stages, 1][None, :, None, None],
            "dp": block.dps[None, None, :, None],
            "shard": block.shard[splits],
            "sharding": levels[block.kinds][None, None, None, :],
            "microbatches": question.global_batch_size // (block.dps * micro)[None, None, :, None],
        },
    )
    return grid


def pareto(found: Found) -> Index:
    """Return the rows that no other beats in time, memory and GPUs at once, fastest first."""
    front: list[int] = []
    gpus = found.num_gpus
    for size in np.unique(gpus):
        rows = np.flatnonzero(gpus == size)
        rows = rows[np.lexsort((found.memory_bytes[rows], found.step_time_s[rows]))]
        least = np.minimum.accumulate(found.memory_bytes[rows])
        better = np.concatenate([[True], least[1:] < least[:-1]])
        for row in rows[better]:
            beaten = any(
                found.step_time_s[f] <= found.step_time_s[row]
                and found.memory_bytes[f] <= found.memory_bytes[row]
                for f in front
            )
            if not beaten:
                front.append(int(row))
    chosen = np.array(front, dtype=np.int64)
    return chosen[np.argsort(found.step_time_s[chosen], kind="stable")]
