"""How often a cluster fails, how fast it is back, and why: one published fleet, one profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isclose
from typing import Final

from gigafactory.spec.base import Spec, fault, require_count, require_positive
from gigafactory.spec.interval import Interval

# Parts of a machine that fail. A fault of the last four leaves the server where it is.
COMPONENTS: Final = (
    "gpu", "hbm", "nic", "switch", "optics", "cpu", "memory", "storage", "power", "cooling",
    "host", "sdc", "software", "maintenance", "unknown",
)  # fmt: skip
STAYING: Final = ("sdc", "software", "maintenance", "unknown")
EARLY_STAGES: Final = ("diagnose", "evict", "swap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elastic(Spec):
    """What a failure costs where one data-parallel replica is dropped and the others go on.

    Attributes:
        replicas: Groups of which each can be lost alone.
        stall_s: All replicas stand still for one failure, detection included.
        absent_s: From the end of the stall until the lost replica trains again.
    """

    replicas: int
    stall_s: float
    absent_s: float

    def __post_init__(self) -> None:
        require_count(self, "replicas", least=2, most=4096)
        require_positive(self, "stall_s", "absent_s", zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowSpells(Spec):
    """Servers that do not fail but slow the whole job down.

    Attributes:
        per_1000_node_days: How often one begins.
        slowdown: Step time meanwhile over step time before.
        duration_s: Mean time until it ends or the server is taken out.
    """

    per_1000_node_days: float
    slowdown: float
    duration_s: float

    def __post_init__(self) -> None:
        require_positive(self, "per_1000_node_days", "duration_s")
        require_positive(self, "slowdown")
        if self.slowdown < 1:
            raise fault(self, "slowdown", self.slowdown, "must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BringUp(Spec):
    """The first days of new servers, in which more of them fail.

    Attributes:
        days: How long it lasts.
        factor: Failure rate meanwhile over the rate afterwards.
    """

    days: float
    factor: float

    def __post_init__(self) -> None:
        require_positive(self, "days", "factor")
        if self.factor < 1:
            raise fault(self, "factor", self.factor, "must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts(Spec):
    """Gaps between failures as a mixture of two exponentials: short ones inside a burst, long ones.

    Attributes:
        short_share: Share of the gaps that are short.
        short_over_mean: Mean of those over the mean of all.
    """

    short_share: float
    short_over_mean: float

    def __post_init__(self) -> None:
        require_positive(self, "short_share", "short_over_mean", zero=True)
        if not 0 <= self.short_share < 1:
            raise fault(self, "short_share", self.short_share, "must be below 1")
        if not self.short_over_mean <= 1:
            raise fault(self, "short_over_mean", self.short_over_mean, "must be at most 1")

    @property
    def long_over_mean(self) -> float:
        """Mean of the long gaps over the mean of all."""
        return (1 - self.short_share * self.short_over_mean) / (1 - self.short_share)


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
        components: The part of the machine behind each cause, where the cause's name is not one.
        bursts: Gaps between failures, where they were fitted; else they follow from the variation.
        group_nodes: Numbers of servers that fall out together, ascending.
        group_share: Share of failures that take each number.
        propensity_shape: Gamma shape of the servers' own failure rates, where it was fitted.
        repair_quantiles_s: Repair times at even steps of probability, from the least to the most.
        restart_cv: Standard deviation over mean of the restart time.
        early_stages_s: Stages of the restart before processes start, where known apart from it.
        communicator_s: Part of `restart_s` in which the communicators are built, by size.
        warm_restart_s: Restart with spares that already run, by size.
        planned_per_day: Planned interruptions.
        planned_s: How long each lasts before the restart.
        sdc_latency_s: Mean time until silent data corruption is noticed.
        slow: Servers that slow the job down; None where nobody counted them.
        bring_up: First days of new servers; None where nobody counted them.
        elastic: Going on without a replica; None where it was not timed.
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
    components: dict[str, str] = field(default_factory=dict, hash=False)
    bursts: Bursts | None = None
    group_nodes: tuple[int, ...] = ()
    group_share: tuple[float, ...] = ()
    propensity_shape: float | None = None
    repair_quantiles_s: tuple[float, ...] = ()
    restart_cv: float = 0.0
    early_stages_s: dict[str, Interval] = field(default_factory=dict, hash=False)
    communicator_s: tuple[float, ...] = ()
    warm_restart_s: tuple[float, ...] = ()
    planned_per_day: float = 0.0
    planned_s: float = 0.0
    sdc_latency_s: float = 0.0
    slow: SlowSpells | None = None
    bring_up: BringUp | None = None
    elastic: Elastic | None = None
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(self, "gpus_per_node", "linear_up_to_gpus", "large_scale_gpus")
        require_positive(
            self,
            "repair_median_s", "repair_mean_s", "lemon_node_share", "lemon_failure_share",
            "inter_arrival_cv", "propensity_shape",
        )  # fmt: skip
        require_positive(
            self, "restart_cv", "planned_per_day", "planned_s", "sdc_latency_s", zero=True
        )
        if self.failures_per_1000_node_days.low <= 0:
            low = self.failures_per_1000_node_days.low
            raise fault(self, "failures_per_1000_node_days", low, "must be above 0")
        if self.large_scale_gpus <= self.linear_up_to_gpus:
            rule = f"must be above linear_up_to_gpus ({self.linear_up_to_gpus})"
            raise fault(self, "large_scale_gpus", self.large_scale_gpus, rule)
        self._check_large_scale_rate()
        self._check_restart_table()
        self._check_causes()
        self._check_groups()

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
        for name in ("communicator_s", "warm_restart_s"):
            values = getattr(self, name)
            if values and (len(values) != len(sizes) or min(values) < 0):
                rule = f"must hold one number from 0 on per size of restart_gpus ({len(sizes)})"
                raise fault(self, name, values, rule)

    def _check_causes(self) -> None:
        if any(count < 0 for count in self.causes.values()):
            raise fault(self, "causes", self.causes, "must not hold a negative count")
        for cause, part in self.components.items():
            if part not in COMPONENTS:
                rule = f"of {cause!r} must be one of {', '.join(COMPONENTS)}"
                raise fault(self, "components", part, rule)
        strange = sorted(self.early_stages_s.keys() - set(EARLY_STAGES))
        if strange:
            rule = f"must be among {', '.join(EARLY_STAGES)}"
            raise fault(self, "early_stages_s", strange, rule)

    def _check_groups(self) -> None:
        quantiles = self.repair_quantiles_s
        if quantiles and (quantiles[0] < 0 or any(a > b for a, b in pairwise(quantiles))):
            raise fault(self, "repair_quantiles_s", quantiles[:4], "must be ascending from 0 on")
        nodes, shares = self.group_nodes, self.group_share
        if len(nodes) != len(shares):
            raise fault(self, "group_share", shares, f"must hold {len(nodes)} numbers")
        if not nodes:
            return
        if nodes[0] < 1 or any(a >= b for a, b in pairwise(nodes)):
            raise fault(self, "group_nodes", nodes, "must be positive and ascending")
        if min(shares) < 0 or not isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise fault(self, "group_share", shares, "must not be negative and must sum to 1")
