"""Where each row of a trace belongs: stage, slot, step and replica, nothing missing, nothing twice.

The grid is as wide as the passes say: every stage runs every chunk of every microbatch once in
each step of each replica. Transfers are numbered, not named, in a trace: the k-th belongs to the
k-th pass that has a partner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.cost.operation_replay import COMPUTE, GATHER, RECEIVE, SCATTER
from gigafactory.cost.schedule import KINDS
from gigafactory.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gigafactory.cost.schedule import Kind, Task
    from gigafactory.simulate.trace_table import Table

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Orders = tuple[tuple[Task, ...], ...]

SEND: Final[dict[Kind, str]] = {kind: f"{kind}-send" for kind in KINDS}
BY_PASS: Final = (*COMPUTE.values(), *SEND.values(), *RECEIVE.values())
BY_CHUNK: Final = (GATHER, SCATTER)


class Grid(NamedTuple):
    """How many of each there are."""

    stages: int
    chunks: int
    microbatches: int
    steps: int
    replicas: int

    @property
    def passes(self) -> int:
        """Passes of one kind of a worker in a step; slot c microbatches + m is (c, m)."""
        return self.chunks * self.microbatches


class Spans(NamedTuple):
    """When the operations of one kind start and end, [stage, slot, step, replica]."""

    start_s: Floats
    end_s: Floats


def grid_of(table: Table) -> Grid:
    """Return the extents of a trace; each must be counted from 0 without a gap.

    Raises:
        CatalogError: A gap, or no forward pass.
    """
    passes = np.isin(table.optype, list(COMPUTE.values()))
    if not passes.any():
        raise CatalogError(f"optype: no {' or '.join(COMPUTE.values())} recorded")
    counts, faults = {}, []
    for column, values in (
        ("stage", table.stage),
        ("mc", table.chunk[passes]),
        ("mb_id", table.microbatch[passes]),
        ("dp_rank", table.replica),
    ):
        found = np.unique(values)
        counts[column] = len(found)
        if not np.array_equal(found, np.arange(len(found))):
            gap = np.setdiff1d(np.arange(len(found)), found)[0]
            faults.append(f"{column}: must count from 0 without a gap, there is no {gap}")
    if faults:
        raise CatalogError("; ".join(faults))
    stages, chunks, microbatches, replicas = counts.values()
    return Grid(stages, chunks, microbatches, len(table.steps), replicas)


class Slots(NamedTuple):
    """Where the rows of one operation go.

    Attributes:
        rows: Their indices.
        slot: Slot of each.
        wanted: Slots that must be there in every step and replica, [stage, slot].
    """

    rows: Whole
    slot: Whole
    wanted: NDArray[np.bool_]


def pass_slots(table: Table, grid: Grid, name: str) -> Slots:
    """Return the places of passes: every stage has all of them."""
    rows = np.flatnonzero(table.optype == name)
    slot = table.chunk[rows] * grid.microbatches + table.microbatch[rows]
    return Slots(rows, slot, np.ones((grid.stages, grid.passes), dtype=np.bool_))


def collective_slots(table: Table, grid: Grid, name: str) -> Slots:
    """Return the places of what is no pass and no transfer: by chunk or by number.

    What a stage does once it must do in every step and replica.
    """
    rows = np.flatnonzero(table.optype == name)
    by_chunk = name in BY_CHUNK
    slot = table.chunk[rows] if by_chunk else table.place[rows]
    width = grid.chunks if by_chunk else int(min(slot.max(initial=0) + 1, len(rows)))
    wanted = np.zeros((grid.stages, width), dtype=np.bool_)
    wanted[table.stage[rows]] = True
    return Slots(rows, slot, wanted)


def transfer_slots(table: Table, grid: Grid, orders: Orders, kind: Kind, name: str) -> Slots:
    """Return the pass each transfer belongs to: the k-th of those that have a partner.

    Some recorders note transfers without a partner too: then the k-th of all passes.

    Raises:
        CatalogError: As many transfers as neither says.
    """
    rows = np.flatnonzero(table.optype == name)
    slot, wanted = np.full(len(rows), -1), np.zeros((grid.stages, grid.passes), dtype=np.bool_)
    deeper = (kind == "forward") == (name == SEND[kind])
    for stage, tasks in enumerate(orders):
        every = [(c * grid.microbatches + m, c) for task, c, m in tasks if task == kind]
        paired = [at for at, chunk in every if _has_partner(grid, stage, chunk, deeper)]
        wanted[stage, paired] = True
        here = np.flatnonzero(table.stage[rows] == stage)
        place = table.place[rows[here]]
        recorded = int(place.max(initial=-1)) + 1
        if recorded not in {len(paired), len(every)}:
            raise CatalogError(
                f"{name}: stage {stage}: must be recorded once per step for each of its "
                f"{len(paired)} passes with a partner, seq_id from 0 on; got {recorded}"
            )
        known = np.array(paired if recorded == len(paired) else [at for at, _ in every])
        if len(place):
            slot[here] = np.where(wanted[stage, known[place]], known[place], -1)
    paired_rows = slot >= 0
    return Slots(rows[paired_rows], slot[paired_rows], wanted)


def _has_partner(grid: Grid, stage: int, chunk: int, deeper: bool) -> bool:
    """Return whether the model goes on behind a chunk (`deeper`), or before it."""
    depth = chunk * grid.stages + stage
    return depth < grid.stages * grid.chunks - 1 if deeper else depth > 0


def filled(table: Table, grid: Grid, slots: Mapping[str, Slots]) -> dict[str, Spans]:
    """Return when every operation starts and ends.

    Raises:
        CatalogError: Some are missing or there twice: the first of every kind.
    """
    faults = [wrong for name, one in slots.items() if (wrong := _misplaced(table, grid, name, one))]
    if faults:
        raise CatalogError("; ".join(faults))
    return {name: _spans(table, grid, one) for name, one in slots.items()}


def _spans(table: Table, grid: Grid, one: Slots) -> Spans:
    at = (table.stage[one.rows], one.slot, table.step[one.rows], table.replica[one.rows])
    starts, ends = np.full((2, *one.wanted.shape, grid.steps, grid.replicas), np.nan)
    starts[at], ends[at] = table.start_s[one.rows], table.end_s[one.rows]
    return Spans(starts, ends)


def _misplaced(table: Table, grid: Grid, name: str, one: Slots) -> str:
    """Return what is missing, twice or out of place, or nothing."""
    shape = (*one.wanted.shape, grid.steps, grid.replicas)
    out = np.flatnonzero((one.slot < 0) | (one.slot >= shape[1]))
    if len(out):
        column = "mc" if name in BY_CHUNK else "seq_id"
        return f"{name}: {column}: must be 0 to {shape[1] - 1}, got {one.slot[out[0]]}"
    cells = np.prod([float(n) for n in shape])
    if cells > len(table.step):
        return (
            f"{name}: {grid.stages} stages, {grid.steps} steps, {grid.replicas} replicas and "
            f"{shape[1]} in each need {cells:,.0f} rows, the whole trace has {len(table.step):,}"
        )
    places = (table.stage[one.rows], one.slot, table.step[one.rows], table.replica[one.rows])
    at = np.ravel_multi_index(places, shape)
    count = np.bincount(at, minlength=int(cells)).reshape(shape)
    wrong = np.argwhere(count != one.wanted[:, :, None, None])
    return _miscounted(table, grid, name, count, wrong) if len(wrong) else ""


def _miscounted(table: Table, grid: Grid, name: str, count: Whole, wrong: Whole) -> str:
    stage, slot, step, replica = (int(i) for i in wrong[0])
    place = f"chunk {slot}" if name in BY_CHUNK else f"seq_id {slot}"
    if name in BY_PASS:
        chunk, microbatch = divmod(slot, grid.microbatches)
        place = f"chunk {chunk}, microbatch {microbatch}"
    more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
    return (
        f"{name}: step {table.steps[step]}, stage {stage}, dp_rank {replica}, {place}: must be "
        f"recorded once, got {count[stage, slot, step, replica]}{more}"
    )
