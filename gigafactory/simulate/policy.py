"""How a job saves its state and comes back: checkpoint geometry and what is done on a failure.

A cycle holds m periods of training tau, each closed by a copy in memory that blocks for c, and
ends with a checkpoint in storage that blocks for C and is durable only w seconds later:

    L = m (tau + c) + C

One level is m = 1 and c = 0. On a failure training falls back to the last copy in memory where
one survives, else to the begin of the cycle, and one cycle further back where the write of the
last checkpoint was still under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gigafactory.cost.goodput import daly_interval_s, optimal_interval_s, young_interval_s
from gigafactory.spec.base import Spec, fault, require_count, require_one_of, require_positive

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final = ("restart", "warm", "elastic")
RULES: Final = ("plan", "young", "daly", "best", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Spec):
    """What a job does against failures.

    Attributes:
        kind: "restart" all, "warm" the same with spares that run already, "elastic" without the
            replica that was hit.
        training_s: Seconds of training between two checkpoints (or copies in memory).
        blocking_s: A checkpoint in storage stops training this long.
        write_s: After that it takes this long until it is durable.
        memory_every: Copies in memory for one checkpoint in storage; 1 for storage alone.
        memory_blocking_s: A copy in memory stops training this long.
        spares: Servers beside the job's own.
        evict_after: Failures after which a lemon is taken out for good; 0 for never.
    """

    kind: str = "restart"
    training_s: float
    blocking_s: float
    write_s: float = 0.0
    memory_every: int = 1
    memory_blocking_s: float = 0.0
    spares: int = 0
    evict_after: int = 0

    def __post_init__(self) -> None:
        require_one_of(self, "kind", KINDS)
        require_positive(self, "training_s")
        require_positive(self, "blocking_s", "write_s", "memory_blocking_s", zero=True)
        require_count(self, "memory_every", most=100_000)
        require_count(self, "spares", "evict_after", least=0, most=10**8)
        if self.write_s > self.cycle_s:
            rule = f"must not be longer than the {self.cycle_s:g} s between checkpoints"
            raise fault(self, "write_s", self.write_s, rule)

    @property
    def two_levels(self) -> bool:
        """Whether copies in memory stand between the checkpoints."""
        return self.memory_every > 1

    @property
    def memory_block_s(self) -> float:
        """Seconds that a copy in memory blocks; none where there are none."""
        return self.memory_blocking_s if self.two_levels else 0.0

    @property
    def cycle_s(self) -> float:
        """Seconds from one checkpoint in storage to the next."""
        return self.memory_every * (self.training_s + self.memory_block_s) + self.blocking_s

    @property
    def cycle_training_s(self) -> float:
        """Seconds of training in a cycle."""
        return self.memory_every * self.training_s

    def trained_s(self, position_s: Any) -> Any:
        """Return the seconds of training up to a position in the cycle."""
        if not self.two_levels:
            return np.minimum(position_s, self.training_s)
        period = self.training_s + self.memory_block_s
        full = np.minimum(np.floor(position_s / period), self.memory_every)
        rest = np.minimum(position_s - full * period, self.training_s)
        return full * self.training_s + np.where(full < self.memory_every, rest, 0.0)

    def in_memory_s(self, position_s: Any) -> Any:
        """Return the seconds of training in the cycle that the last copy in memory holds."""
        if not self.two_levels:
            return np.zeros_like(position_s)
        period = self.training_s + self.memory_block_s
        return np.minimum(np.floor(position_s / period), self.memory_every) * self.training_s

    def wall_s(self, trained_s: Any) -> Any:
        """Return the position in the cycle at which so much of it was trained, the earliest."""
        full = np.maximum(np.ceil(trained_s / self.training_s) - 1.0, 0.0)
        return trained_s + full * self.memory_block_s

    def run_s(self, position_s: Any, training_s: Any) -> Any:
        """Return the seconds that `training_s` of training take from a position, saving included.

        The end of the last second counts, not the checkpoint after it.
        """
        goal = self.trained_s(position_s) + training_s
        cycles = np.maximum(np.ceil(goal / self.cycle_training_s) - 1.0, 0.0)
        rest = goal - cycles * self.cycle_training_s
        return cycles * self.cycle_s + self.wall_s(rest) - position_s


def interval_of(
    rule: str, *, gap_s: float, blocking_s: float, restart_s: float, detect_s: float
) -> float:
    """Return the seconds from one checkpoint to the next by a named rule, blocking included.

    Young, Daly, and the exact optimum of exponential failures ("best").

    >>> round(interval_of("young", gap_s=30075.0, blocking_s=600.0, restart_s=600.0, detect_s=60.0))
    6607
    """
    laws: dict[str, Callable[[], Any]] = {
        "young": lambda: young_interval_s(gap_s, blocking_s),
        "daly": lambda: daly_interval_s(gap_s, blocking_s, restart_s, detect_s),
        "best": lambda: optimal_interval_s(gap_s, blocking_s),
    }
    return float(laws[rule]())
