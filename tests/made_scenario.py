"""Runs in numbers, made by hand: what the simulation is tried on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gigafactory.catalog import loader
from gigafactory.cost.goodput import optimal_interval_s
from gigafactory.simulate.failures import failures
from gigafactory.simulate.growth import Era, Scenario
from gigafactory.simulate.policy import Policy
from gigafactory.simulate.recovery import stages
from gigafactory.spec.interval import Interval
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.spec.faults import FaultProfile

ENDLESS = 100_000_000
FOREVER_S = 1e12


def plain_profile(**changed: Any) -> FaultProfile:
    """Return a profile whose failures cost what the closed form knows, and nothing else."""
    base = loader.faults("llama3-h100")
    values: dict[str, Any] = {
        "detect_s": Interval.point(150.0), "causes": {"Software bug": 1}, "planned_per_day": 0.0,
    }  # fmt: skip
    return replace(base, **(values | changed))


def made_scenario(
    profile: FaultProfile | str = "llama3-h100",
    num_gpus: int = 16_384,
    days: float = 30.0,
    *,
    arrivals: str = "profile",
    period_s: float | None = None,
    blocking_s: float = 0.6,
    load_s: float = 0.0,
    work_s: float = FOREVER_S,
    **policy: Any,
) -> Scenario:
    """Return a run of one size; the checkpoint period is the best one where none is given."""
    found = loader.faults(profile) if isinstance(profile, str) else profile
    model = failures(found, num_gpus, arrivals)
    gap = model.gap_s(num_gpus)
    period = float(optimal_interval_s(gap, blocking_s)) if period_s is None else period_s
    policy = {"spares": ENDLESS} | policy
    several = policy.get("memory_every", 1) > 1
    stalls = policy.get("memory_blocking_s", 0.0) if several else blocking_s
    era = Era(num_gpus=num_gpus, gap_s=gap, stages=stages(found, num_gpus, load_s))
    return Scenario(
        failures=model,
        policy=Policy(training_s=period - stalls, blocking_s=blocking_s, **policy),
        eras=(era,),
        starts=np.zeros((1, 3)),
        work_s=work_s,
        horizon_s=days * SECONDS_PER_DAY,
        step_s=5.0,
    )


def growing(scenario: Scenario, smaller: float = 0.5, days: float = 8.0) -> Scenario:
    """Return the run beginning on a part of its machine, which grows after some days."""
    last = scenario.last
    first = replace(
        last, num_gpus=round(last.num_gpus * smaller), speed=smaller, gap_s=last.gap_s / smaller
    )
    starts = np.array([[0.0] * 3, [0.6 * days, days, 1.5 * days]]) * SECONDS_PER_DAY
    return replace(scenario, eras=(first, last), starts=starts)
