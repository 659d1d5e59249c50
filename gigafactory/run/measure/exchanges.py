"""What ranks exchange, by kind and size."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist

from gigafactory.run.measure.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.run.measure.clock import Clock

SIZES: Final = (2**10, 2**14, 2**17, 2**19, 2**20, 2**22)  # bytes of the whole message
LARGE_SIZES: Final = (2**24, 2**26)
MANY, FEW = 6, 3  # calls of short and of long messages in one round
WORK: Final = 384  # edge of the product that each rank works on before it meets the others
LONG: Final = 2**20


def exchanges(device: torch.device, *, quick: bool) -> list[Probe]:
    """Return all exchanges of this rank; every rank must call it, and measure them in order."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    if ranks == 1:
        return []
    groups = {ranks: dist.group.WORLD}
    if ranks > 2 and ranks % 2 == 0:
        pairs = [dist.new_group([i, i + 1]) for i in range(0, ranks, 2)]
        groups[2] = pairs[rank // 2]
    sizes = SIZES if quick else SIZES + LARGE_SIZES
    found = [
        Probe(
            {"bytes": float(size), "group": float(count)}, _collectives(group, count, size, device)
        )
        for count, group in sorted(groups.items())
        for size in sizes
    ]
    return [*found, *(Probe({"bytes": float(size)}, _sends(size, device)) for size in sizes)]


def _collectives(
    group: Any, count: int, size: int, device: torch.device
) -> Callable[[Clock], dict[str, float]]:
    """Return every collective of one message."""
    elements = size // 4 // count * count
    whole, other = torch.ones(elements, device=device), torch.ones(elements, device=device)
    part = torch.ones(elements // count, device=device)
    work = torch.rand(WORK, WORK, device=device)
    kinds: dict[str, Callable[[], Any]] = {
        "all_reduce": lambda: dist.all_reduce(whole, group=group),
        "all_gather": lambda: dist.all_gather_into_tensor(whole, part, group=group),
        "reduce_scatter": lambda: dist.reduce_scatter_tensor(part, other, group=group),
        "all_to_all": lambda: dist.all_to_all_single(whole, other, group=group),
    }

    def calls(clock: Clock) -> dict[str, float]:
        told = {}
        for kind, call in kinds.items():
            whole.fill_(1.0)  # sums of sums would overflow
            dist.barrier(group=group)
            told[kind] = _after_work(clock, call, size, work)
        return told

    return calls


def _after_work(clock: Clock, call: Callable[[], Any], size: int, work: torch.Tensor) -> float:
    """Return the mean time in an exchange of ranks that come from work, as in training.

    They do not come at the same moment, least of all where other processes run: the mean over
    ranks of what each waits is what the exchange adds to their work.
    """
    taken = []
    for _ in range(MANY if size < LONG else FEW):
        for _ in range(2):
            work @ work
        taken.append(clock.waited(call))
    return statistics.fmean(taken)


def _middle(clock: Clock, call: Callable[[], Any], size: int) -> float:
    times = MANY if size < LONG else FEW
    return statistics.median(clock.waited(call) for _ in range(times))


def _sends(size: int, device: torch.device) -> Callable[[Clock], dict[str, float]]:
    """Return one message from each even rank to the next one, and back: half of it is one way."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    there = torch.ones(size // 4, device=device)
    partner = rank + 1 if rank % 2 == 0 else rank - 1

    def there_and_back() -> None:
        if partner >= ranks:
            return
        first, second = (dist.send, dist.recv) if rank % 2 == 0 else (dist.recv, dist.send)
        first(there, partner)
        second(there, partner)

    def calls(clock: Clock) -> dict[str, float]:
        dist.barrier()
        return {"send": _middle(clock, there_and_back, size) / 2.0}

    return calls
