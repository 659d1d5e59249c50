"""What a plan comes to over many seeds, and what moves its end."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.plan.promise import day_after
from gigafactory.simulate.failures import SLOW, lemon_rates, rate_per_component, variation_of
from gigafactory.simulate.montecarlo import courses
from gigafactory.simulate.power import levels, power_outcome
from gigafactory.simulate.scenario import Asked, best_cycle_s, scenario
from gigafactory.spec.interval import Interval
from gigafactory.spec.outcome import (
    CheckpointOutcome,
    Distribution,
    Outcome,
    PowerOutcome,
    SpareOutcome,
    Swing,
)
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from gigafactory.simulate.growth import Scenario
    from gigafactory.simulate.runs import Course
    from gigafactory.spec.site import Site

Floats = NDArray[np.float64]

QUANTILES: Final = (0.05, 0.10, 0.50, 0.90, 0.95)
SAMPLE_SEEDS: Final = 64  # of a tornado's bar or a step of the search
SAMPLE_EVENTS: Final = 300.0
SAMPLE_DAYS: Final = 15.0  # long enough that servers under repair come back
FACTORS: Final = tuple(2.0 ** (0.5 * power) for power in range(-4, 5))


def distribution(values: Floats) -> Distribution:
    """Return mean and quantiles of a number over all seeds."""
    found = np.quantile(values, QUANTILES)
    p05, p10, p50, p90, p95 = (float(one) for one in found)
    return Distribution(mean=float(values.mean()), p05=p05, p10=p10, p50=p50, p90=p90, p95=p95)


def outcome(
    asked: Asked,
    site: Site,
    seeds: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Return what a plan comes to; the same seed gives the same bytes.

    Args:
        asked: The plan and what is asked of it, its interval settled.
        site: Where the machine stands.
        seeds: Runs to simulate.
        seed: Of the random numbers.
        progress: Is told the share that is done.

    Raises:
        SpecError: What is asked makes no sense.
        DoesNotFit: The job never progresses.
    """
    run = scenario(asked)
    course = courses(run, seeds, np.random.default_rng(seed), progress)
    stops = max(float(course.interruptions.sum()), 1.0)
    return Outcome(
        seeds=seeds, days=_days(asked, course), num_gpus=asked.num_gpus,
        start=asked.plan.job.start, policy=asked.policy, profile=asked.profile.name,
        interruptions=distribution(course.interruptions.astype(np.float64)),
        causes=_causes(run, course),
        rates=rate_per_component(asked.profile),
        mtbf_s=float(course.wall_s.sum()) / stops,
        goodput=distribution(course.goodput),
        lost_fraction=lost_fraction(course),
        checkpoint=_checkpoint(asked, run),
        spares=_spares(asked, course, seeds, seed),
        finish=_dates(asked.plan.job.start, course.finish_s),
        finish_days=tuple((course.finish_s / SECONDS_PER_DAY).tolist()),
        power=_power(asked, site, course),
        assumptions=assumptions(asked, run),
    )  # fmt: skip


def _power(asked: Asked, site: Site, course: Course) -> PowerOutcome | None:
    found = levels(asked, site)
    return power_outcome(found, course, asked.num_gpus) if found else None


def settled(asked: Asked, seed: int) -> Asked:
    """Return the same with the best simulated interval in place of the wish to search for it."""
    if asked.interval != "search":
        return asked
    return replace(asked, interval=searched_cycle_s(asked, seed))


def lost_fraction(course: Course) -> dict[str, float]:
    """Return the mean share of time of each loss; with the mean goodput they sum to 1."""
    wall = np.maximum(course.wall_s, 1e-9)
    return {kind: float((lost / wall).mean()) for kind, lost in course.lost_s.items()}


def _causes(run: Scenario, course: Course) -> dict[str, Distribution]:
    names = run.failures.causes
    found = {
        name: distribution(course.counts[:, column].astype(np.float64))
        for column, name in enumerate(names)
        if name != SLOW
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1].mean))


def _checkpoint(asked: Asked, run: Scenario) -> CheckpointOutcome:
    policy = run.policy
    period = policy.training_s + (policy.memory_block_s or policy.blocking_s)
    rule = asked.interval if isinstance(asked.interval, str) else "given"
    return CheckpointOutcome(
        interval_s=period,
        optimal_interval_s=best_cycle_s(asked, run.last),
        blocking_s=asked.blocking_s,
        total_bytes=float(asked.saved().total_bytes),
        rule=rule,
    )


def _days(asked: Asked, course: Course) -> float:
    """Return the days asked for, or fewer where every seed ended before."""
    longest = float(course.wall_s.max()) / SECONDS_PER_DAY
    return longest if asked.days is None else min(asked.days, longest)


def _spares(asked: Asked, course: Course, seeds: int, seed: int) -> SpareOutcome:
    """Return what the run used, and by the same seeds what it would have with endless spares."""
    needed = course
    if asked.spares is not None:
        endless = scenario(replace(asked, spares=None))
        needed = courses(endless, seeds, np.random.default_rng(seed))
    return SpareOutcome(
        given=asked.spares,
        left_over=asked.left_over,
        used=distribution(np.minimum(course.most_out, asked.given_spares)),
        enough_p99=ceil(float(np.quantile(needed.most_out, 0.99))),
    )


def _dates(start: dt.date, finish_s: Floats) -> tuple[dt.date, dt.date, dt.date]:
    low, middle, high = np.quantile(finish_s, (0.1, 0.5, 0.9)).tolist()
    return day_after(start, low), day_after(start, middle), day_after(start, high)


def sampled_horizon_s(asked: Asked) -> float:
    """Return a time long enough to know the goodput of 64 seeds to a percent of what is lost."""
    gap = scenario(replace(asked, days=1.0)).last.gap_s
    begin = max((one.starts_s[2] for one in asked.growth), default=0.0)
    return begin + max(SAMPLE_EVENTS * gap, SAMPLE_DAYS * SECONDS_PER_DAY)


def mean_finish_days(asked: Asked, seed: int) -> float:
    """Return the mean end in days after the start, from a sample of seeds and of time."""
    horizon = sampled_horizon_s(asked)
    days = horizon / SECONDS_PER_DAY
    short = replace(asked, days=days if asked.days is None else min(days, asked.days))
    course = courses(scenario(short), SAMPLE_SEEDS, np.random.default_rng(seed))
    return float(course.finish_s.mean()) / SECONDS_PER_DAY


def searched_cycle_s(asked: Asked, seed: int) -> float:
    """Return the checkpoint period of highest simulated goodput.

    Periods of half a power of two about the closed form's, all with the same seeds, then the top of
    the parabola through the best and its neighbours in the logarithm.
    """
    start = scenario(replace(asked, interval="best", days=1.0))
    middle = start.policy.cycle_s
    least = asked.blocking_s * 1.01
    periods = sorted({max(middle * factor, least) for factor in FACTORS})
    good = [_goodput(asked, period, seed) for period in periods]
    at = int(np.argmax(good))
    if not 0 < at < len(periods) - 1:
        return float(periods[at])
    x = np.log(periods[at - 1 : at + 2])
    second, first, _ = np.polyfit(x - x[1], good[at - 1 : at + 2], 2)
    shift = -first / (2.0 * second) if second < 0 else 0.0
    return float(np.exp(x[1] + np.clip(shift, x[0] - x[1], x[2] - x[1])))


def _goodput(asked: Asked, period_s: float, seed: int) -> float:
    days = sampled_horizon_s(asked) / SECONDS_PER_DAY
    short = replace(asked, interval=period_s, days=days)
    course = courses(scenario(short), SAMPLE_SEEDS, np.random.default_rng(seed))
    return float(course.goodput.mean())


Change = tuple[str, str, str, Asked, Asked]


def swings(
    asked: Asked, seed: int, progress: Callable[[float], None] | None = None
) -> tuple[Swing, ...]:
    """Return how far each assumption alone moves the mean end, widest first."""
    found, changes = [], list(changed(asked))
    for index, (what, low, high, first, second) in enumerate(changes):
        ends = [mean_finish_days(one, seed) for one in (first, second)]
        found.append(
            Swing(what=what, low=low, high=high, low_days=ends[0], high_days=ends[1])
        )  # fmt: skip
        if progress:
            progress((index + 1) / len(changes))
    return tuple(sorted(found, key=lambda one: -abs(one.high_days - one.low_days)))


def changed(asked: Asked) -> list[Change]:
    """Return every assumption with its low and its high value, published ranges where there are."""
    profile, step = asked.profile, asked.prediction.step_time_s
    rate, detect = profile.failures_per_1000_node_days, profile.detect_s
    far = profile.large_scale_failures_per_1000_node_days or rate
    found: list[Change] = []

    def add(what: str, low: str, high: str, first: Asked, second: Asked) -> None:
        found.append((what, low, high, first, second))

    if step.low < step.high:
        add("step time", f"{step.low:.3g} s", f"{step.high:.3g} s",
            _step(asked, step.low), _step(asked, step.high))  # fmt: skip
    near = asked.num_gpus <= profile.linear_up_to_gpus
    shown = rate if near else far
    if shown.low < shown.high:
        add("failure rate", f"{shown.low:g}", f"{shown.high:g} per 1,000 node-days",
            _rate(asked, rate.low, far.low), _rate(asked, rate.high, far.high))  # fmt: skip
    if detect.low < detect.high:
        add("detection", f"{detect.low:g} s", f"{detect.high:g} s",
            _detect(asked, detect.low), _detect(asked, detect.high))  # fmt: skip
    for what, field in (("restart", "restart_factor"), ("checkpoint stall", "blocking_factor"),
                        ("repair", "repair_factor")):  # fmt: skip
        first, second = (replace(asked, **{field: factor}) for factor in (0.5, 2.0))  # type: ignore[arg-type]
        add(what, "half", "twice", first, second)
    period = scenario(replace(asked, days=1.0)).policy.training_s
    shorter, longer = (
        replace(asked, interval=period * factor + asked.blocking_s) for factor in (0.5, 2.0)
    )
    add("checkpoint interval", "half", "twice", shorter, longer)
    held = asked.left_over if asked.spares is None else asked.spares
    if held:
        add("spare servers", f"{held:,}", "endless",
            replace(asked, spares=held), replace(asked, spares=None))  # fmt: skip
    if variation_of(scenario(replace(asked, days=1.0)).failures.bursts) > 1.0:
        add("bursts of failures", "none", "as seen", replace(asked, arrivals="exponential"), asked)
    return [one for one in found if _goes(one[3]) and _goes(one[4])]


def _goes(asked: Asked) -> bool:
    """Return whether a changed job can be simulated at all."""
    from gigafactory.errors import GigafactoryError

    try:
        scenario(replace(asked, days=1.0))
    except GigafactoryError:
        return False
    return True


def _step(asked: Asked, step_s: float) -> Asked:
    return replace(asked, step_factor=step_s / asked.prediction.step_time_s.expected)


def _rate(asked: Asked, near: float, far: float) -> Asked:
    profile = replace(
        asked.profile,
        failures_per_1000_node_days=Interval.point(near),
        large_scale_failures_per_1000_node_days=Interval.point(max(far, near)),
    )
    return replace(asked, profile=profile)


def _detect(asked: Asked, seconds: float) -> Asked:
    return replace(asked, profile=replace(asked.profile, detect_s=Interval.point(seconds)))


def assumptions(asked: Asked, run: Scenario) -> tuple[tuple[str, str], ...]:
    """Return what the simulation takes for granted, each with where it is from."""
    profile, last = asked.profile, run.last
    source = profile.source.get("default", "")
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in last.stages.named().items())
    told = [
        (f"failures every {last.gap_s:.0f} s in the mean, as of {profile.title}", source),
        (f"variation of the gaps {variation_of(run.failures.bursts):.2f} (1: without memory)",
         profile.source.get("inter_arrival_cv", source)),
        (f"restart: {stages}", profile.source.get("restart_s", source)),
        ("gaps keep their variation at every size of the job", "assumed"),
    ]  # fmt: skip
    lemon, other = lemon_rates(profile)
    if lemon > 1:
        share = profile.lemon_node_share or 0.0
        told.append((
            f"{share:.0%} of the servers fail {lemon:.1f} times as often as the mean, the others "
            f"{other:.2f}",
            profile.source.get("lemon_failure_share", source),
        ))  # fmt: skip
    if profile.sdc_latency_s == 0:
        told.append(("silent data corruption is noticed at once", "assumed: no figure published"))
    if profile.slow is None:
        told.append(("no slow servers", "assumed: this fleet's were not counted"))
    return tuple(told)
