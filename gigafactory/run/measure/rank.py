"""One of the processes that measure a machine at the same time."""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.distributed as dist

from gigafactory.run.measure.clock import Clock
from gigafactory.run.measure.exchanges import exchanges
from gigafactory.run.measure.launching import launching
from gigafactory.run.measure.probes import DTYPES, Probe, alone, probes
from gigafactory.run.trainer.agent import end_with_parent
from gigafactory.run.trainer.build import device

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_ROUNDS: Final = 3
MOST_ROUNDS: Final = 25
TIMEOUT: Final = dt.timedelta(seconds=300)
SPREAD_SHARE: Final = 0.2  # of the time, for models that are spread over ranks
TRIAL: Final = 512  # edge of the product that decides whether a number format pays


@dataclass(frozen=True, slots=True)
class Place:
    """What one rank is told.

    Attributes:
        store: File through which the ranks find one another.
        out: File that the first rank writes.
    """

    rank: int
    ranks: int
    threads: int
    budget_s: float
    quick: bool
    store: str
    out: str


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured in each round.

    Attributes:
        first_alone: Measured by the first rank, while the others sleep.
    """

    all_at_once: list[Probe]
    first_alone: list[Probe]
    exchanges: list[Probe]


def main(arguments: list[str]) -> int:
    """Measure, in step with the other ranks; the first one writes what all found."""
    end_with_parent(os.getppid())
    place = Place(**json.loads(arguments[0]))
    begun = time.perf_counter()
    torch.set_num_threads(place.threads)
    os.environ.setdefault("LOCAL_RANK", str(place.rank))
    here = device()
    backend = "nccl" if here.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, init_method=f"file://{place.store}", rank=place.rank, world_size=place.ranks,
        timeout=TIMEOUT,
    )  # fmt: skip
    baseline = _resident_bytes(here)
    precisions, left_out = _precisions(here, place.threads)
    clock, waiting = Clock(here, place.threads), Clock(here, place.threads)
    work = Work(
        all_at_once=probes(here, precisions, quick=place.quick),
        first_alone=alone(here, precisions[0]) if place.ranks > 1 else [],
        exchanges=exchanges(here, quick=place.quick),
    )
    _rounds(work, clock, waiting, begun + place.budget_s * (1.0 - SPREAD_SHARE))
    # Last: spread models leave threads and groups behind that would disturb all else.
    spread = Work(all_at_once=[], first_alone=[], exchanges=launching(here))
    _rounds(spread, clock, waiting, begun + place.budget_s)
    work.exchanges.extend(spread.exchanges)
    told = {
        "baseline_bytes": baseline,
        "free_share": clock.free_share,
        "precisions": precisions,
        "left_out": left_out,
        "torch": torch.__version__,
        "device": here.type,
        "memory_bytes": _memory_bytes(here, place.ranks),
        "processor": torch.cuda.get_device_name(here) if here.type == "cuda" else "",
    }
    _write(place, told, work)
    dist.destroy_process_group()
    return 0


def _rounds(work: Work, clock: Clock, waiting: Clock, ends: float) -> None:
    """Measure everything once, again and again, until the time is up on the first rank."""
    first, apart = dist.get_rank() == 0, Clock(clock.device, clock.threads)
    for probe in [*work.all_at_once, *work.first_alone, *work.exchanges]:
        probe.calls(waiting)  # the first call chooses kernels and takes memory
    longest = 0.0
    for done in range(MOST_ROUNDS):
        now = time.perf_counter()
        go_on = torch.tensor([float(done < LEAST_ROUNDS or now + longest < ends)],
                             device=clock.device)  # fmt: skip
        dist.broadcast(go_on, 0)
        if not go_on.item():
            return
        for probe in work.all_at_once:
            probe.measure(clock)
        dist.barrier()
        for probe in work.first_alone if first else []:
            probe.measure(apart)
        dist.barrier()
        for probe in work.exchanges:
            probe.measure(waiting)
        longest = max(longest, time.perf_counter() - now)


def _precisions(here: torch.device, threads: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the number formats that pay, fastest first, and why others are left out.

    A processor without instructions for bf16 emulates it, many times slower than fp32.
    """
    taken = {}
    for name, kind in DTYPES.items():
        x = torch.randn(TRIAL, TRIAL, device=here, dtype=kind)
        clock = Clock(here, threads)
        _matmul(x)()
        taken[name] = min(clock.seconds(_matmul(x)) for _ in range(3))
    told: Any = [taken]
    dist.broadcast_object_list(told, 0, device=here)  # all must leave out the same
    taken = told[0]
    left_out = {
        name: f"{taken[name] / taken['fp32']:.1f} times the time of fp32"
        for name in taken
        if taken[name] > taken["fp32"]
    }
    return tuple(sorted(set(taken) - set(left_out), key=taken.__getitem__)), left_out


def _matmul(x: torch.Tensor) -> Callable[[], torch.Tensor]:
    return lambda: x @ x


def _write(place: Place, told: dict[str, Any], work: Work) -> None:
    """Write what all ranks found, the mean over ranks."""
    mine: list[Any] = [[p.shape, p.seconds] for p in [*work.all_at_once, *work.exchanges]]
    found: list[Any] = [None] * place.ranks
    dist.all_gather_object(found, (told, mine))
    if place.rank:
        return
    samples = [
        {"kernel": kernel, "shape": p.shape, "seconds": seconds}
        for p in work.first_alone
        for kernel, seconds in p.seconds.items()
    ]
    for index, (shape, seconds) in enumerate(mine):
        for kernel in seconds:
            told_by_rank: list[list[float]] = [ranks[1][index][1][kernel] for ranks in found]
            repeats = zip(*told_by_rank, strict=True)
            row = {
                "kernel": kernel,
                "shape": shape,
                "seconds": [statistics.fmean(r) for r in repeats],
            }
            samples.append(row)
    told["free_share"] = statistics.fmean(ranks[0]["free_share"] for ranks in found)
    told["baseline_bytes"] = max(ranks[0]["baseline_bytes"] for ranks in found)
    Path(place.out).write_text(json.dumps(told | {"samples": samples}), encoding="utf-8")


def _resident_bytes(here: torch.device) -> float:
    """Return what this process holds before it has a model."""
    if here.type == "cuda":
        free, total = torch.cuda.mem_get_info(here)
        return float(total - free)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def _memory_bytes(here: torch.device, ranks: int) -> float:
    """Return the memory of one rank: its GPU's, or its part of this machine's."""
    if here.type == "cuda":
        return float(torch.cuda.get_device_properties(here).total_memory)
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) / ranks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
