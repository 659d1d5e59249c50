"""What was measured of a machine: nouns without PyTorch, as the ranks hand them over."""

from __future__ import annotations

from dataclasses import dataclass, field

from gigafactory.spec.base import Spec, fault, require_count, require_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Spec):
    """One kernel at one shape.

    Attributes:
        kernel: Such as "gemm.fp32", "attention_backward.fp32", "all_reduce".
        shape: Such as {"m": 512, "n": 256, "k": 256}, or {"bytes": 1e6, "group": 2}.
        seconds: Of each repeat, mean over ranks.
    """

    kernel: str
    shape: dict[str, float] = field(hash=False)
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds:
            raise fault(self, "seconds", self.seconds, "must hold a repeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements(Spec):
    """All samples of one machine.

    Attributes:
        ranks: Processes that measured at the same time.
        threads: Threads of each.
        device: "cpu" or "cuda".
        processor: Its name, as the operating system tells it.
        cores: Cores that this process may use.
        memory_bytes: Memory of one rank.
        baseline_bytes: What one rank takes before it holds a model.
        free_share: Share of the wall time that ranks were given their core; below 1 where other
            processes ran.
        precisions: Number formats measured, fastest first.
        left_out: Number formats not measured, and why.
        load: Runnable processes before and after, all cores together.
        torch: Version of PyTorch.
        began: When, ISO 8601.
        wall_s: How long it took.
    """

    host: str
    ranks: int
    threads: int
    device: str
    processor: str
    cores: int
    memory_bytes: float
    baseline_bytes: float
    free_share: float
    precisions: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict, hash=False)
    load: tuple[float, float]
    torch: str
    began: str
    wall_s: float
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        require_count(self, "ranks", "threads", "cores", most=10**5)
        require_positive(self, "memory_bytes", "free_share", "wall_s")
        require_positive(self, "baseline_bytes", zero=True)
