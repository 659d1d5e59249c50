"""How long something took on this rank.

A single thread on a CPU is timed by its own clock, which stands still while other processes have
the core: what they take is told apart, as a share. Everything else is timed by the wall.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Clock:
    """Times calls.

    Attributes:
        device: Where they compute.
        threads: Threads that they use.
        busy_s: Time that this thread had its core, of all calls timed.
        wall_s: Time that passed meanwhile.
    """

    device: torch.device
    threads: int
    busy_s: float = field(default=0.0)
    wall_s: float = field(default=0.0)

    @property
    def own(self) -> bool:
        """Whether the thread's own clock counts."""
        return self.device.type == "cpu" and self.threads == 1

    @property
    def free_share(self) -> float:
        """Share of the wall time that this thread had its core; 1 where the wall clock counts."""
        return min(self.busy_s / self.wall_s, 1.0) if self.own and self.wall_s else 1.0

    def seconds(self, call: Callable[[], object], times: int = 1) -> float:
        """Return the mean seconds of some calls."""
        self._settle()
        wall, busy = time.perf_counter(), time.thread_time()
        for _ in range(times):
            call()
        self._settle()
        took = time.perf_counter() - wall
        had = time.thread_time() - busy
        self.busy_s, self.wall_s = self.busy_s + had, self.wall_s + took
        return (had if self.own else took) / times

    def waited(self, call: Callable[[], object], times: int = 1) -> float:
        """Return the mean wall seconds of some calls that wait for other ranks."""
        self._settle()
        wall = time.perf_counter()
        for _ in range(times):
            call()
        self._settle()
        return (time.perf_counter() - wall) / times

    def _settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
