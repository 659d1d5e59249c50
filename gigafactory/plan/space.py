"""The space of layouts of one job: every axis, and the rules that leave a combination out.

Rules cut what cannot run or cannot win; each is counted. What is left is priced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gigafactory.spec.base import Spec, require_count, require_one_of, require_positive
from gigafactory.spec.hardware import PRECISIONS
from gigafactory.spec.machine import Machine
from gigafactory.spec.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

Index = NDArray[np.int64]
LARGEST_MICRO_BATCH: Final = 16
SMALLEST_SEQUENCE_SHARE: Final = 1024  # tokens of one sequence on a rank; below it kernels starve
BLOCK: Final = 131_072  # combinations priced at once: few calls, and columns that stay in the cache
SHARDINGS: Final = ("zero1", "zero2", "zero3", "hsdp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Spec):
    """What the search is asked.

    Attributes:
        num_gpus: GPUs offered; a layout may leave some idle.
        global_batch_size: Sequences in one optimizer step.
        capacity_factor: MoE capacity factor that drops tokens; None trains dropless.
    """

    model: Model
    machine: Machine
    seq_len: int
    global_batch_size: int
    num_gpus: int
    precision: str = "bf16"
    capacity_factor: float | None = None

    def __post_init__(self) -> None:
        require_count(self, "seq_len", "global_batch_size", "num_gpus", most=10**9)
        require_one_of(self, "precision", PRECISIONS)
        require_positive(self, "capacity_factor")


class Axes(NamedTuple):
    """Values of every axis.

    Attributes:
        splits: (tp, cp, ep, etp, micro_batch) per layer shape, `[shape, 5]`.
        stages: (pp, vpp), `[stage, 2]`.
        shardings: Kinds of sharding the software offers.
    """

    splits: Index
    stages: Index
    shardings: tuple[str, ...]


class Block(NamedTuple):
    """Some splits with every stage, data-parallel degree and sharding: a box of combinations.

    Axes of every array are [split, stage, dp, sharding]; an axis of length 1 is broadcast.

    Attributes:
        splits: Rows of `Axes.splits`.
        stages: Rows of `Axes.stages`.
        dps: Data-parallel degrees.
        kinds: Indices into `SHARDINGS`.
        shard: Ranks of one fully sharded copy.
        keep: Which combinations pass every rule.
        considered: Number of combinations before rules.
    """

    splits: Index
    stages: Index
    dps: Index
    kinds: Index
    shard: Index
    keep: NDArray[np.bool_]
    considered: int


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, smallest first.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def axes(question: Question) -> Axes:
    """Return every value of every axis for a question."""
    model, machine = question.model, question.machine
    domain = machine.cluster.scale_up_domain
    tensor = [d for d in divisors(model.num_heads) if d <= domain]
    tensor = [d for d in tensor if model.ffn_hidden_size % d == 0]
    splits = [
        (tp, cp, ep, etp, micro)
        for tp in tensor
        for cp in _context(question)
        for ep, etp in _experts(model, tp)
        for micro in divisors(question.global_batch_size)
        if micro <= LARGEST_MICRO_BATCH
    ]
    features = machine.software.features
    kinds = ("zero2" if features.shard_gradients else "zero1", "zero3")
    return Axes(
        np.array(splits, dtype=np.int64),
        np.array(list(_stages(model.num_layers)), dtype=np.int64),
        ("zero2", "zero3", "hsdp") if features.fully_sharded else kinds,
    )


def _context(question: Question) -> list[int]:
    """Return context degrees: powers of two that leave each rank two even chunks of a sequence."""
    found, cp = [1], 2
    while question.seq_len % (2 * cp) == 0 and question.seq_len // cp >= SMALLEST_SEQUENCE_SHARE:
        found.append(cp)
        cp *= 2
    return found


def _experts(model: Model, tp: int) -> list[tuple[int, int]]:
    """Return (expert, expert tensor) degrees."""
    if model.experts is None:
        return [(1, 1)]
    splits = sorted({1, tp} if model.experts.ffn_hidden_size % tp == 0 else {1})
    return [(ep, etp) for ep in divisors(model.experts.num_experts) for etp in splits]


def _stages(num_layers: int) -> Iterator[tuple[int, int]]:
    """Yield (pp, vpp): a depth that leaves the largest stage no smaller cannot win.

    Chunks of a stage are alike, so vpp divides the largest stage's layers.
    """
    seen = set()
    for pp in range(1, num_layers + 1):
        largest = -(-num_layers // pp)
        if largest not in seen:
            seen.add(largest)
            vpps = divisors(largest) if pp > 1 else [1]
            # `cases.check`: embedding and loss may take a chunk each, no more may be empty.
            yield from ((pp, vpp) for vpp in vpps if vpp == 1 or pp * vpp <= num_layers + 2)


def blocks(question: Question, space: Axes) -> Iterator[Block]:
    """Yield all combinations, with those that pass the rules marked, block by block."""
    batch = question.global_batch_size
    kinds = np.array([SHARDINGS.index(kind) for kind in space.shardings], dtype=np.int64)
    for micro in np.unique(space.splits[:, 4]):
        rows = np.flatnonzero(space.splits[:, 4] == micro)
        dps = [d for d in divisors(batch // int(micro)) if d <= question.num_gpus]
        size = max(1, BLOCK // (len(space.stages) * len(dps) * len(kinds)))
        for start in range(0, len(rows), size):
            yield _block(question, space, rows[start : start + size], np.array(dps), kinds)


def _block(question: Question, space: Axes, rows: Index, dps: Index, kinds: Index) -> Block:
    """Return one block with its rules applied."""
    tp, cp, ep, etp = (space.splits[rows, i][:, None, None, None] for i in range(4))
    pp, vpp = (space.stages[:, i][None, :, None, None] for i in range(2))
    dp, kind = dps[None, None, :, None], kinds[None, None, None, :]
    microbatches = question.global_batch_size // (space.splits[rows[0], 4] * dp)
    # A pipeline longer than its microbatches idles more than half of the time; interleaving
    # hands microbatches out in rounds of pp.
    stages = (microbatches >= pp) & ((vpp == 1) | (microbatches % pp == 0))
    ranks = tp * cp * dp
    keep = stages & (ranks * pp <= question.num_gpus) & (ranks % (ep * etp) == 0)
    domain = question.machine.cluster.scale_up_domain
    inside = np.gcd(np.maximum(domain // (tp * cp), 1), dp)
    hybrid = kind == SHARDINGS.index("hsdp")
    shard = np.where(hybrid, inside, dp)
    # One copy has nothing to shard; a hybrid that spans all ranks is ZeRO-3 itself.
    useful = ((dp > 1) | (kind == kinds[0])) & (~hybrid | ((shard > 1) & (shard < dp)))
    keep = keep & useful
    considered = keep.size
    # Stages and degrees that no combination of this block can use drop out as a whole.
    stage, degree = keep.any(axis=(0, 2, 3)), keep.any(axis=(0, 1, 3))
    keep = keep[:, stage][:, :, degree]
    return Block(rows, np.flatnonzero(stage), dps[degree], kinds, shard[:, :, degree], keep,
                 considered)  # fmt: skip
