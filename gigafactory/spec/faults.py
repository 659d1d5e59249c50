"""How often a cluster fails, how fast it is back, and why: one published fleet, one profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from gigafactory.spec.base import Spec, fault, require_count, require_positive
from gigafactory.spec.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultProfile(Spec):
    """Failures and recovery of one kind of cluster, as published.

    Attributes:
        gpus_per_node: Accelerators of the server that the failure rate counts.
        failures_per_1000_node_days: Unexpected interruptions of a job that fills the machine.
        linear_up_to_gpus: Above this size a node of the job fails more often than a lone one.
        large_scale_gpus: Size at which the large-scale rate was seen.
        large_scale_failures_per_1000_node_days: Rate at that size; None where the rate never grows.
        detect_s: From the fault to the decision to restart.
        restart_gpus: Job sizes, ascending, at which the restart was timed.
        restart_s: Seconds from that decision to the first new step, one for each size.
        repair_median_s: Median time until a failed node is back among the spares.
        repair_mean_s: Mean of the same; far above the median, for some repairs take weeks.
        lemon_node_share: The share of nodes that fail most.
        lemon_failure_share: The share of failures that these nodes cause.
        inter_arrival_cv: Standard deviation over mean of the time between failures (Poisson: 1).
        causes: Count of interruptions by cause, as published.
        source: Where each number comes from; "default" covers those not named.

    Raises:
        SpecError: A value is out of range, or the restart table is not one number per size.
    """

    name: str
    title: str
    gpus_per_node: int = 8
    failures_per_1000_node_days: Interval
    linear_up_to_gpus: int = 32_768
    large_scale_gpus: int = 100_000
    large_scale_failures_per_1000_node_days: Interval | None = None
    detect_s: Interval
    restart_gpus: tuple[int, ...]
    restart_s: tuple[float, ...]
    repair_median_s: float | None = None
    repair_mean_s: float | None = None
    lemon_node_share: float | None = None
    lemon_failure_share: float | None = None
    inter_arrival_cv: float | None = None
    causes: dict[str, int] = field(default_factory=dict, hash=False)
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(self, "gpus_per_node", "linear_up_to_gpus", "large_scale_gpus")
        require_positive(
            self,
            "repair_median_s", "repair_mean_s", "lemon_node_share", "lemon_failure_share",
            "inter_arrival_cv",
        )  # fmt: skip
        if self.failures_per_1000_node_days.low <= 0:
            low = self.failures_per_1000_node_days.low
            raise fault(self, "failures_per_1000_node_days", low, "must be above 0")
        if self.large_scale_gpus <= self.linear_up_to_gpus:
            rule = f"must be above linear_up_to_gpus ({self.linear_up_to_gpus})"
            raise fault(self, "large_scale_gpus", self.large_scale_gpus, rule)
        self._check_large_scale_rate()
        self._check_restart_table()

    def _check_large_scale_rate(self) -> None:
        near, far = self.failures_per_1000_node_days, self.large_scale_failures_per_1000_node_days
        if far is None:
            return
        if far.low < near.low or far.expected < near.expected or far.high < near.high:
            rule = "must not be below failures_per_1000_node_days"
            raise fault(self, "large_scale_failures_per_1000_node_days", far.as_dict(), rule)

    def _check_restart_table(self) -> None:
        sizes, seconds = self.restart_gpus, self.restart_s
        if not sizes or len(sizes) != len(seconds):
            rule = f"must hold one number per size of restart_gpus ({len(sizes)})"
            raise fault(self, "restart_s", seconds, rule)
        if sizes[0] < 1 or any(a >= b for a, b in pairwise(sizes)):
            raise fault(self, "restart_gpus", sizes, "must be positive and ascending")
        if seconds[0] <= 0 or any(a > b for a, b in pairwise(seconds)):
            raise fault(self, "restart_s", seconds, "must be positive and never fall with size")
