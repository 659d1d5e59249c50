"""One training step from the seconds of each of its operations: collectives and pipeline.

    gather parameters ─ passes and the transfers between them ─ collect gradients, clip, optimizer

Every replica runs the same pipeline (`schedule.replay_each`); replicas meet in the collectives of
data parallelism, stages in those of the whole model. An operation that several workers take part
in begins when the last of them has come; each then takes its own seconds.
Source: Lin et al., "Understanding Stragglers in Large Model Training Using What-if Analysis",
OSDI 2025 (its model of dependencies).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.cost.schedule import KINDS, Kind, replay_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from gigafactory.cost.schedule import Task

    Floats = NDArray[np.float64]

COMPUTE: Final[dict[Kind, str]] = {kind: f"{kind}-compute" for kind in KINDS}
RECEIVE: Final[dict[Kind, str]] = {kind: f"{kind}-recv" for kind in KINDS}
GATHER: Final = "params-all-gather"
SCATTER: Final = "grads-reduce-scatter"
SEPARATE: Final = "separate-grads-all-reduce"  # only where SCATTER runs under the backward passes
COLLECTION: Final = "gc"  # the host's garbage, which planned runs collect here
REPLICAS: Final = (-1,)
ENDING: Final[dict[str, tuple[int, ...]]] = {
    COLLECTION: (),
    "layernorm-grads-all-reduce": (),
    "embedding-grads-all-reduce": (0,),
    SCATTER: REPLICAS,
    SEPARATE: REPLICAS,
    "optimizer-clip-main-grad": (0, -1),
    "optimizer": (),
}
"""What ends a step, in turn, and the axes of [stage, ..., replica] along which workers meet."""


def replayed_steps_s(seconds: Mapping[str, Floats], orders: Sequence[Sequence[Task]]) -> Floats:
    """Return the seconds of every step, [step].

    What is ignored: work of the host between operations, which nothing records; in the recorded
    runs of `tests/validation` 0.5 to 1.9 % of the step.

    Args:
        seconds: By name of operation, without the wait for the others, [stage, slot, step,
            replica]; NaN where a stage has no such operation. Slots are chunk by chunk the
            microbatches of passes and receives, the chunks of GATHER and SCATTER, else one.
            Forward and backward passes must be there, receives where there are stages.
        orders: The passes of each stage in turn.

    Raises:
        SpecError: The orders wait for each other.
    """
    stages, _, steps, replicas = seconds[COMPUTE["forward"]].shape
    chunks = 1 + max(chunk for _, chunk, _ in orders[0])
    ready = np.zeros((stages, chunks, steps, replicas))
    if GATHER in seconds:
        ready = _chained_s(ready, seconds[GATHER], range(chunks))
    ended = _passes_end_s(seconds, ready, orders)
    clock = np.maximum(ended["forward"], ended["backward"]).max(axis=(1, 2))
    overlapped = SCATTER in seconds and SEPARATE in seconds
    for name, axes in ENDING.items():
        if name in seconds and not (overlapped and name == SCATTER):
            for slot in range(seconds[name].shape[1]):
                clock = _met_s(clock, seconds[name][:, slot], axes)
        if name == COLLECTION and overlapped:
            clock = np.maximum(clock, _scattered_s(ended["backward"], seconds[SCATTER]))
    return np.asarray(clock.max(axis=(0, 2)))


def _passes_end_s(
    seconds: Mapping[str, Floats], ready_s: Floats, orders: Sequence[Sequence[Task]]
) -> dict[Kind, Floats]:
    """Return the end of every pass, [stage, chunk, microbatch, step, replica]."""
    stages, chunks, *lanes = ready_s.shape
    shape = (stages, chunks, -1, *lanes)
    passes = {kind: seconds[COMPUTE[kind]].reshape(shape) for kind in KINDS}
    alone = np.full_like(seconds[COMPUTE["forward"]], np.nan)
    hops = {kind: seconds.get(RECEIVE[kind], alone).reshape(shape) for kind in KINDS}
    return replay_each(passes, hops, ready_s, orders)


def _scattered_s(ended_s: Floats, seconds: Floats) -> Floats:
    """Return when gradients collected under the backward passes are there, last chunk first."""
    deepest_first = range(seconds.shape[1] - 1, -1, -1)
    return np.asarray(_chained_s(ended_s.max(axis=2), seconds, deepest_first).max(axis=1))


def _chained_s(start_s: Floats, seconds: Floats, chunks: range) -> Floats:
    """Return the ends of one collective per chunk, one after another, [stage, chunk, ...]."""
    ended, clock = np.empty_like(start_s), np.zeros_like(start_s[:, 0])
    for chunk in chunks:
        clock = _met_s(np.maximum(clock, start_s[:, chunk]), seconds[:, chunk], REPLICAS)
        ended[:, chunk] = clock
    return ended


def _met_s(clock: Floats, seconds: Floats, axes: tuple[int, ...]) -> Floats:
    """Return when each worker ends an operation that begins once all who take part have come."""
    away = np.isnan(seconds)
    began = np.where(away, -np.inf, clock).max(axis=axes, keepdims=True)
    return np.where(away, clock, began + seconds)
