"""A recorded run, operation by operation: placed on its grid and freed of its waiting.

A trace has one row per operation and worker, a worker being a pipeline stage of a replica:

    dp_rank, stage, step     replica, pipeline stage, training step
    optype                   kind of operation, as in `OPERATIONS`
    start_ts, duration       seconds, on one clock for all workers of a step
    seq_id                   its place among the worker's operations of that kind in the step
    mc, mb_id                chunk of the stage's layers and microbatch of a pass; -1: none

Other columns are not read. The format is that of ByteDance's StragglerAnalysis.

What is recorded of a transfer includes the wait for its partners. Its own time is what passes from
the last partner's start to the worker's end; clocks that differ can make that negative, which
counts as nothing and is told in `Trace.clock_skew_s`.
Source: Lin et al., "Understanding Stragglers in Large Model Training Using What-if Analysis",
OSDI 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.cost.operation_replay import COMPUTE, ENDING, GATHER, RECEIVE, REPLICAS
from gigafactory.cost.schedule import KINDS, walk
from gigafactory.errors import CatalogError, SpecError
from gigafactory.simulate.trace_grid import (
    SEND,
    Grid,
    Spans,
    collective_slots,
    filled,
    grid_of,
    pass_slots,
    transfer_slots,
)
from gigafactory.simulate.trace_table import Table, read_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gigafactory.cost.schedule import Kind, Task
    from gigafactory.simulate.trace_grid import Orders

    Floats = NDArray[np.float64]

OPERATIONS: Final = (*COMPUTE.values(), *SEND.values(), *RECEIVE.values(), GATHER, *ENDING)
MEETINGS: Final = {GATHER: REPLICAS} | ENDING


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Some steps of a run.

    Attributes:
        name: Where it comes from.
        steps: Numbers of the steps, in turn.
        recorded_s: From the first operation's start to the last one's end, [step].
        seconds: By operation, without the wait for partners, as `replayed_steps_s` takes them:
            [stage, slot, step, replica]. Sends are not among them: a receive holds the transfer.
        orders: The passes of each stage in turn, the same in every step and replica.
        clock_skew_s: The longest that a transfer ended before its last partner began.
    """

    name: str
    steps: tuple[int, ...]
    recorded_s: Floats
    seconds: dict[str, Floats]
    orders: Orders
    clock_skew_s: float

    @property
    def stages(self) -> int:
        """Pipeline stages."""
        return len(self.orders)

    @property
    def replicas(self) -> int:
        """Data-parallel replicas."""
        return int(self.seconds[COMPUTE["forward"]].shape[-1])


def read_trace(path: Path) -> Trace:
    """Return a trace from a table: `.parquet`, `.csv` or `.csv.gz`.

    Raises:
        CatalogError: No such table, or rows that make no whole steps.
        MissingExtra: A parquet file without pyarrow.
    """
    return trace_of(read_table(path, OPERATIONS))


def trace_of(table: Table) -> Trace:
    """Return a trace from its checked rows.

    Raises:
        CatalogError: Operations missing or twice, or stages whose orders do not fit.
    """
    try:
        grid = grid_of(table)
        passes = {name: pass_slots(table, grid, name) for name in COMPUTE.values()}
        spans = filled(table, grid, passes)
        orders = _orders(table, grid, spans)
        spans |= _partnered(table, grid, orders)
    except SpecError as error:
        raise CatalogError(f"{table.name}: {error}") from error
    seconds, skew_s = _without_waiting(spans, grid)
    return Trace(
        name=table.name,
        steps=tuple(int(step) for step in table.steps),
        recorded_s=_recorded_s(table),
        seconds=seconds,
        orders=orders,
        clock_skew_s=skew_s,
    )


def _partnered(table: Table, grid: Grid, orders: Orders) -> dict[str, Spans]:
    """Return when transfers and collectives start and end."""
    slots = {
        name: transfer_slots(table, grid, orders, kind, name)
        for kind in KINDS
        for name in (SEND[kind], RECEIVE[kind])
        if grid.stages > 1
    }
    recorded = np.unique(table.optype)
    slots |= {name: collective_slots(table, grid, name) for name in MEETINGS if name in recorded}
    return filled(table, grid, slots)


def _recorded_s(table: Table) -> Floats:
    first, last = np.full(len(table.steps), np.inf), np.full(len(table.steps), -np.inf)
    np.minimum.at(first, table.step, table.start_s)
    np.maximum.at(last, table.step, table.end_s)
    return np.asarray(last - first)


def _orders(table: Table, grid: Grid, spans: dict[str, Spans]) -> Orders:
    """Return what every stage does in turn, by when its passes start.

    Raises:
        SpecError: A stage changes its order or goes backward first, or stages wait for each other.
    """
    starts = np.concatenate([spans[COMPUTE[kind]].start_s for kind in KINDS], axis=1)
    turns = np.argsort(starts, axis=1, kind="stable")
    order = turns[:, :, 0, 0]
    other = np.argwhere((turns != order[:, :, None, None]).any(axis=1))
    if len(other):
        stage, step, replica = (int(i) for i in other[0])
        raise CatalogError(
            f"start_ts: stage {stage} must run its passes in one order, in step "
            f"{table.steps[step]} of dp_rank {replica} it is another than in step {table.steps[0]}"
        )
    rank = np.argsort(order, axis=1)
    early = np.argwhere(rank[:, grid.passes :] < rank[:, : grid.passes])
    if len(early):
        raise CatalogError(
            f"start_ts: stage {early[0][0]} must run the forward pass of microbatch "
            f"{early[0][1] % grid.microbatches} before its backward pass"
        )
    orders = tuple(tuple(_task(grid, int(at)) for at in row) for row in order)
    for _ in walk(orders, grid.chunks):
        pass
    return orders


def _task(grid: Grid, at: int) -> Task:
    backward, slot = divmod(at, grid.passes)
    return KINDS[backward], *divmod(slot, grid.microbatches)


def _without_waiting(spans: dict[str, Spans], grid: Grid) -> tuple[dict[str, Floats], float]:
    """Return the seconds of each operation from when its last partner came, and the clock skew."""
    seconds, skew_s = {}, 0.0
    for name, span in spans.items():
        if name in SEND.values():
            continue
        own_s = span.end_s - _began_s(spans, grid, name)
        skew_s = max(skew_s, -float(np.nanmin(own_s, initial=0.0)))
        seconds[name] = np.maximum(own_s, 0.0)
    return seconds, skew_s


def _began_s(spans: dict[str, Spans], grid: Grid, name: str) -> Floats:
    """Return when the last of those who take part in an operation has come."""
    start_s = spans[name].start_s
    kind = next((kind for kind in KINDS if RECEIVE[kind] == name), None)
    if kind is not None:
        return np.maximum(start_s, _sent_s(spans[SEND[kind]].start_s, grid, kind))
    axes = MEETINGS.get(name, ())
    present = np.where(np.isnan(start_s), -np.inf, start_s)
    return np.asarray(present.max(axis=axes, keepdims=True))


def _sent_s(start_s: Floats, grid: Grid, kind: Kind) -> Floats:
    """Return when the partner of each receive began to send, [stage, slot, step, replica]."""
    shape = (grid.chunks, grid.stages, grid.microbatches, grid.steps, grid.replicas)
    # Depth first: chunk c of stage s is the (c stages + s)-th piece of the model.
    by_depth = start_s.reshape(grid.stages, *shape[:1], *shape[2:]).swapaxes(0, 1)
    flat = by_depth.reshape(grid.stages * grid.chunks, *shape[2:])
    moved = np.full_like(flat, np.nan)
    if kind == "forward":
        moved[1:] = flat[:-1]
    else:
        moved[:-1] = flat[1:]
    return np.asarray(moved.reshape(shape).swapaxes(0, 1).reshape(start_s.shape))
