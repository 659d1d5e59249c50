"""What a plan promises of a run that goes on: each number as an interval, goodput over its time."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import loader, machines
from gigafactory.cost.goodput import GoodputEstimate, goodput
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.plan.promise import checkpoint_of
from gigafactory.spec.base import Spec
from gigafactory.spec.interval import Interval
from gigafactory.spec.plan import Plan
from gigafactory.spec.prediction import Prediction

if TYPE_CHECKING:
    from gigafactory.spec.run import Training

LIKELY: Final = 0.95  # more outages than this share of runs has are no longer chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised(Spec):
    """What is predicted of a plan's run.

    Attributes:
        estimate: Goodput in the long run at the run's own checkpoint interval.
    """

    plan: Plan
    prediction: Prediction
    estimate: GoodputEstimate

    @property
    def step_time_s(self) -> Interval:
        """Seconds of a step."""
        return self.prediction.step_time_s

    @property
    def tokens_per_s(self) -> Interval:
        """Tokens of all accelerators per second of training."""
        tokens, step = self.plan.layout.tokens_per_step, self.step_time_s
        return Interval(
            low=tokens / step.high, expected=tokens / step.expected, high=tokens / step.low
        )

    @property
    def mfu(self) -> Interval:
        """Model FLOPs over the peak."""
        return self.tokens_per_s.scaled(self.prediction.mfu / self.tokens_per_s.expected)

    @property
    def memory_bytes(self) -> Interval:
        """Bytes on the fullest accelerator."""
        return Interval.point(max(self.prediction.memory_per_stage_bytes))

    def goodput(self, wall_s: float) -> Interval:
        """Return the goodput over `wall_s` seconds; wider than in the long run.

        The lower end also covers the most outages that chance brings in 95 of 100 such times,
        each costing detection, restart and a whole checkpoint interval; the upper end a time
        without any.
        """
        e = self.estimate
        saving = e.blocking_s / e.interval_s
        outages = poisson_quantile(wall_s / e.mtbf_s.low, LIKELY)
        each_s = e.detect_s.high + e.restart_s + e.interval_s
        worst = 1.0 - saving - outages * each_s / wall_s if wall_s > 0 else 0.0
        return Interval(
            low=min(max(worst, 0.0), e.goodput.low),
            expected=e.goodput.expected,
            high=max(1.0 - saving, e.goodput.high),
        )


def promised(plan: Plan, training: Training | None = None) -> Promised:
    """Return what a plan promises of its run.

    Args:
        plan: The plan.
        training: What was asked of the run beside it; its checkpoint interval goes first.

    Raises:
        SpecError: The catalog cannot price the plan.
    """
    machine = machines.machine(plan.cluster, plan.software)
    blocking_s = float(checkpoint_of(plan.model, plan.layout).blocking_s)
    asked = training.checkpoint_interval_s if training else None
    every_s = plan.checkpoint.interval_s if asked is None else asked
    return Promised(
        plan=plan,
        prediction=predict(Case(plan.model, plan.layout, plan.job.capacity_factor), machine),
        estimate=goodput(
            loader.faults(plan.faults),
            plan.layout.num_gpus,
            blocking_s=blocking_s,
            interval_s=every_s + blocking_s,
        ),
    )


def poisson_quantile(mean: float, share: float) -> int:
    """Return the least count that `share` of Poisson draws of a mean do not pass.

    Above a mean of 500 by the normal approximation, one too many at the most.

    >>> poisson_quantile(0.01, 0.95), poisson_quantile(3.0, 0.95)
    (0, 6)
    """
    if mean > 500.0:
        return round(mean + 1.645 * sqrt(mean) + 1.0)
    count, term = 0, exp(-mean)
    total = term
    while total < share:
        count += 1
        term *= mean / count
        total += term
    return count
