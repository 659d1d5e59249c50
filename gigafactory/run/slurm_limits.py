"""How long a job may stay, and how early it must be told to save itself: from the prediction."""

from __future__ import annotations

from math import ceil, isfinite
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import loader, machines
from gigafactory.cost.goodput import expected_wall_time_s
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.plan.promise import checkpoint_of, goodput_of
from gigafactory.run.slurm_script import END_S, LONGEST_LEAD_S, SECONDS_PER_MINUTE
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.spec.plan import Plan

START_S: Final = 600.0  # to import, meet, read data and compile, which no step time holds
STEPS_TO_NOTICE: Final = 2  # one that runs already, and one in which all ranks agree to stop
LONGEST_S: Final = 366 * SECONDS_PER_DAY  # Slurm counts minutes in 32 bits; no job lives longer


def high_finish_s(plan: Plan) -> float:
    """Return the seconds from first start to latest predicted end, failures included.

    The slowest step of the prediction's interval, at the worst goodput of the failure profile,
    and a start: what `giga plan` calls the latest finish.

    Raises:
        SpecError: The plan names software, failures or an accelerator the catalog does not know.
    """
    steps = ceil(plan.job.tokens / plan.layout.tokens_per_step)
    saved = checkpoint_of(plan.model, plan.layout)
    good = goodput_of(saved, plan.layout.num_gpus, loader.faults(plan.faults)).goodput.low
    training_s = float(expected_wall_time_s(steps * slowest_step_s(plan), good))
    return min(training_s + START_S, LONGEST_S) if isfinite(training_s) else LONGEST_S


def slowest_step_s(plan: Plan) -> float:
    """Return the upper end of the predicted step time."""
    machine = machines.machine(plan.cluster, plan.software)
    case = Case(plan.model, plan.layout, plan.job.capacity_factor)
    return predict(case, machine).step_time_s.high


def lead_s(plan: Plan, limit_s: float) -> int:
    """Return the seconds before a time limit at which the ranks must begin to save their state.

    Two steps, one checkpoint and the end of all processes; at most half of the limit, so that a
    short job trains at all.
    """
    saved = checkpoint_of(plan.model, plan.layout)
    needed = (
        STEPS_TO_NOTICE * slowest_step_s(plan) + float(saved.blocking_s + saved.write_s) + END_S
    )
    return max(1, min(ceil(needed), int(limit_s / 2), LONGEST_LEAD_S))


def seconds_of(told: str) -> float | None:
    """Return the seconds of a time as Slurm writes it; None for one without an end.

    >>> seconds_of("1-02:03:04"), seconds_of("90"), seconds_of("2-0"), seconds_of("infinite")
    (93784.0, 5400.0, 172800.0, None)

    Raises:
        ValueError: It is no time.
    """
    if told.lower() in ("infinite", "unlimited", "partition_limit", "n/a"):
        return None
    days, dash, rest = told.rpartition("-")
    numbers = [int(part) for part in rest.split(":")]
    if dash:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        return int(days) * SECONDS_PER_DAY + hours * 3600.0 + minutes * 60.0 + seconds
    if len(numbers) == 1:  # minutes
        return numbers[0] * float(SECONDS_PER_MINUTE)
    hours, minutes, seconds = (0, *numbers)[-3:]
    return hours * 3600.0 + minutes * 60.0 + seconds
