"""Pipeline schedules event by event: who does what when, for stages of any length.

One-forward-one-backward and Megatron-LM's interleaved variant. Zero-bubble and DualPipe are not
implemented: they are priced as interleaved, which no published run validates.
Source: Narayanan et al. 2021, "Efficient Large-Scale Language Model Training on GPU Clusters",
section 2.2; the order of chunks: Megatron-LM, megatron/core/pipeline_parallel/schedules.py,
`forward_backward_pipelining_with_interleaving`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from gigafactory.cost.pipeline import stage_layers
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Kind = Literal["forward", "backward"]
Task = tuple[Kind, int, int]
KINDS: Final[tuple[Kind, ...]] = ("forward", "backward")
STAGE_AXES: Final = 2  # [stage, chunk]


class Pass(NamedTuple):
    """One pass of one microbatch through one chunk.

    Attributes:
        chunk: Which of the stage's vpp chunks of layers.
    """

    stage: int
    kind: Kind
    chunk: int
    microbatch: int
    start_s: float
    end_s: float


def order(pp: int, vpp: int, microbatches: int, stage: int) -> list[Task]:
    """Return what a stage does in turn: (kind, chunk, microbatch).

    Forward passes warm the pipeline up, then one forward and one backward alternate, then the
    backward passes left drain it. Interleaved, chunks change every pp microbatches.

    >>> [kind[0] + str(microbatch) for kind, _, microbatch in order(4, 1, 4, 2)]
    ['f0', 'f1', 'b0', 'f2', 'b1', 'f3', 'b2', 'b3']

    Raises:
        SpecError: Interleaved, and microbatches no multiple of pp.
    """
    _check(pp, vpp, microbatches)
    total = vpp * microbatches
    warm = min(_warm_up(pp, vpp, stage), total)
    forward: list[Task] = [("forward", *_slot(k, pp, vpp)) for k in range(total)]
    backward: list[Task] = [("backward", vpp - 1 - c, m) for _, c, m in forward]
    pairs = zip(forward[warm:], backward, strict=False)
    return [*forward[:warm], *(task for pair in pairs for task in pair), *backward[total - warm :]]


def _warm_up(pp: int, vpp: int, stage: int) -> int:
    """Return the forward passes before the first backward one, without the one paired to it."""
    return 2 * (pp - stage - 1) + (vpp - 1) * pp if vpp > 1 else pp - stage - 1


def _slot(k: int, pp: int, vpp: int) -> tuple[int, int]:
    """Return (chunk, microbatch) of a stage's k-th forward pass."""
    if vpp == 1:
        return 0, k
    group, inside = divmod(k, pp * vpp)
    return inside // pp, group * pp + inside % pp


def _check(pp: int, vpp: int, microbatches: int) -> None:
    if min(pp, vpp, microbatches) < 1:
        raise SpecError(
            f"schedule: pp, vpp and microbatches must be at least 1, got {pp}, {vpp}, "
            f"{microbatches}"
        )
    if vpp > 1 and (pp == 1 or microbatches % pp):
        raise SpecError(
            f"schedule: interleaving (vpp {vpp}) needs pp above 1 and microbatches in rounds "
            f"of pp, got {microbatches} microbatches, pp {pp}",
            field="microbatches",
        )


def replay(  # noqa: PLR0917
    forward_s: Floats,
    backward_s: Floats,
    hop_s: float,
    pp: int,
    vpp: int,
    microbatches: int,
) -> list[Pass]:
    """Return every pass of one step with its exact start and end, in an order that could happen.

    A pass starts when its stage has ended the pass before it in `order`, and when its input has
    come, `hop_s` after the neighbour's end. 128 stages x 8 chunks x 256 microbatches, 524,288
    events, take about 2 s. Where every pass has a time of its own: `replay_each`.

    Args:
        forward_s: Seconds of a forward pass, [stage, chunk].
        backward_s: Seconds of a backward pass, [stage, chunk].
        hop_s: Seconds from a result on one stage to its use on the next.
        pp: Stages.
        vpp: Chunks of each stage.
        microbatches: Microbatches of the step.

    Raises:
        SpecError: Times of another shape, negative or not finite; or no valid schedule.
    """
    orders = [order(pp, vpp, microbatches, stage) for stage in range(pp)]
    times = {"forward": _times("forward_s", forward_s, pp, vpp),
             "backward": _times("backward_s", backward_s, pp, vpp)}  # fmt: skip
    if not 0.0 <= hop_s < float("inf"):
        raise SpecError(f"schedule: hop_s must be finite and not negative, got {hop_s}")
    ended = {kind: [[0.0] * microbatches for _ in range(pp * vpp)] for kind in KINDS}
    clock, events = [0.0] * pp, []
    for stage, kind, chunk, microbatch, source in walk(orders, vpp):
        start = clock[stage]
        if source >= 0:
            start = max(start, ended[kind][source][microbatch] + hop_s)
        end = clock[stage] = start + times[kind][stage][chunk]
        ended[kind][chunk * pp + stage][microbatch] = end
        events.append(Pass(stage, kind, chunk, microbatch, start, end))
    return events


def replay_each(
    seconds: Mapping[Kind, Floats],
    hops_s: Mapping[Kind, Floats],
    ready_s: Floats,
    orders: Sequence[Sequence[Task]],
) -> dict[Kind, Floats]:
    """Return when every pass ends where each has its own time, [stage, chunk, microbatch, ...].

    The rule is that of `replay`. Axes after the microbatch are pipelines side by side, such as the
    steps and replicas of a recorded run: they share the order and nothing else.

    Args:
        seconds: Seconds of every pass, [stage, chunk, microbatch, ...].
        hops_s: Seconds from the neighbour's result to its use in that pass; what stands where a
            pass has no neighbour is not read.
        ready_s: Second at which a chunk's forward passes may start, [stage, chunk, ...].
        orders: What each stage does in turn.

    Raises:
        SpecError: The orders wait for each other.
    """
    shape = seconds["forward"].shape
    ended = {kind: np.zeros(shape) for kind in KINDS}
    clock: list[Floats] = [np.zeros(shape[3:])] * shape[0]
    for stage, kind, chunk, microbatch, source in walk(orders, shape[1]):
        start, place = clock[stage], (stage, chunk, microbatch)
        if source >= 0:
            came = ended[kind][source % shape[0], source // shape[0], microbatch]
            start = np.maximum(start, came + hops_s[kind][place])
        if kind == "forward":
            start = np.maximum(start, ready_s[stage, chunk])
        clock[stage] = ended[kind][place] = start + seconds[kind][place]
    return ended


def walk(orders: Sequence[Sequence[Task]], vpp: int) -> Iterator[tuple[int, Kind, int, int, int]]:
    """Yield (stage, kind, chunk, microbatch, depth of its input) pass by pass as it could happen.

    Chunk c of stage s is the (c pp + s)-th piece of the model, its depth; -1 is "no input". Which
    pass waits for which does not depend on the clock: a stage works on as long as its inputs are
    there, then the stages it has fed take over. No heap, each pass touched once.

    Raises:
        SpecError: The orders wait for each other.
    """
    pp, pieces = len(orders), len(orders) * vpp
    done: dict[Kind, list[set[int]]] = {kind: [set() for _ in range(pieces)] for kind in KINDS}
    places, ready = [0] * pp, list(range(pp))
    while ready:
        stage = ready.pop()
        tasks, at, fed = orders[stage], places[stage], set()
        while at < len(tasks):
            kind, chunk, microbatch = tasks[at]
            depth = chunk * pp + stage
            source, target = (depth - 1, depth + 1) if kind == "forward" else (depth + 1, depth - 1)
            if not 0 <= source < pieces:
                source = -1
            elif microbatch not in done[kind][source]:
                break
            done[kind][depth].add(microbatch)
            yield stage, kind, chunk, microbatch, source
            at += 1
            if 0 <= target < pieces:
                fed.add(target % pp)
        places[stage] = at
        ready.extend(fed - {stage})
    _check_done(orders, places)


def _check_done(orders: Sequence[Sequence[Task]], places: Sequence[int]) -> None:
    for stage, (tasks, at) in enumerate(zip(orders, places, strict=True)):
        if at < len(tasks):
            kind, chunk, microbatch = tasks[at]
            raise SpecError(
                f"schedule: stage {stage} waits for ever for the input of its {kind} pass of "
                f"microbatch {microbatch}, chunk {chunk}: the stages' orders must fit each other"
            )


def _times(name: str, given: Floats, pp: int, vpp: int) -> list[list[float]]:
    """Return seconds by stage and chunk as plain floats, which a loop reads fastest."""
    array = np.asarray(given, dtype=np.float64)
    if array.ndim != STAGE_AXES or array.shape != (pp, vpp):
        raise SpecError(f"schedule: {name} must be [{pp}, {vpp}], got {list(array.shape)}")
    if not np.all(np.isfinite(array) & (array >= 0.0)):
        raise SpecError(f"schedule: {name} must be finite and not negative")
    return [[float(x) for x in row] for row in array]


def makespan_s(events: Iterable[Pass]) -> float:
    """Return the seconds from the start to the last pass's end.

    >>> even = np.ones((4, 1))
    >>> makespan_s(replay(even, 2 * even, 0.0, 4, 1, 8))
    33.0
    """
    return max(event.end_s for event in events)


def most_in_flight(tasks: Sequence[Task], vpp: int) -> float:
    """Return the most microbatches a stage keeps for their backward pass, in whole stages.

    >>> most_in_flight(order(8, 3, 64, 0), 3)
    10.333333333333334
    """
    steps = np.array([1.0 if kind == "forward" else -1.0 for kind, _, _ in tasks])
    return float(steps.cumsum().max()) / vpp


def chunk_layers(layers: int, pp: int, vpp: int) -> Floats:
    """Return the layers of every chunk, [stage, chunk]; each stage holds its `stage_layers`.

    Where a stage's layers do not fill its chunks evenly, the first stage's first chunk, which
    also embeds, does without first; on any other stage it is the last chunk, on the last stage
    the one with the logits.

    >>> chunk_layers(6, 2, 4).tolist()
    [[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]]
    """
    held = np.asarray(stage_layers(float(layers), float(pp), np.arange(float(pp))))
    base, extra = np.divmod(np.rint(held), vpp)
    chunk = np.arange(vpp)[None, :]
    place = np.where(np.arange(pp)[:, None] == 0, vpp - 1 - chunk, chunk)
    return np.asarray(base[:, None] + np.where(place < extra[:, None], 1.0, 0.0))
