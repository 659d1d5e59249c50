"""The story walks state by state, the Monte Carlo jumps: both must have the same statistics.

Means of every quantity agree within four standard errors of both together.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from gigafactory.catalog import loader
from gigafactory.simulate.montecarlo import courses
from gigafactory.simulate.power import Levels, Smoothing
from gigafactory.simulate.smoothing import smoothed
from gigafactory.simulate.story import story
from gigafactory.spec.faults import BringUp
from tests.made_scenario import growing, made_scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.simulate.growth import Scenario

START: Final = dt.date(2026, 1, 1)
STORIES, SEEDS = 30, 200
DAY: Final = 86_400.0
SDC: Final = replace(loader.faults("ft-hsdp"), sdc_latency_s=3600.0)
YOUNG: Final = replace(loader.faults("llama3-h100"), bring_up=BringUp(days=5.0, factor=3.0))
GROUPS: Final = replace(loader.faults("llama3-h100"), group_nodes=(1, 8), group_share=(0.9, 0.1))
RUNS: Final[dict[str, Callable[[], Scenario]]] = {
    "few spares": lambda: made_scenario(days=20.0, spares=25),
    "two levels, to the end": lambda: made_scenario(
        days=60.0, work_s=8 * DAY, memory_every=5, memory_blocking_s=0.1, write_s=40.0
    ),
    "slow writes": lambda: made_scenario(num_gpus=98_304, days=2.0, period_s=60.0, write_s=55.0),
    "elastic": lambda: made_scenario("ft-hsdp", 98_304, 2.0, kind="elastic"),
    "silent corruption": lambda: made_scenario(SDC, 32_768, 4.0),
    "slow servers": lambda: made_scenario("dgx-b200", 8_192, 15.0),
    "bring-up": lambda: made_scenario(YOUNG, 16_384, 15.0),
    "racks": lambda: made_scenario(
        GROUPS, 16_384, 15.0, spares=60, memory_every=8, memory_blocking_s=0.05
    ),
    "growth": lambda: growing(made_scenario(days=20.0, work_s=12 * DAY)),
    "elastic growth": lambda: growing(
        made_scenario("ft-hsdp", 65_536, 4.0, kind="elastic"), 0.5, 2
    ),
    "planned stops": lambda: replace(
        made_scenario(days=15.0), planned_every_s=DAY, planned_s=1800.0
    ),
    "lemons": lambda: made_scenario(days=20.0, evict_after=1),
}


def close(many: object, few: object) -> bool:
    first, second = np.asarray(many, dtype=float), np.asarray(few, dtype=float)
    error = np.hypot(first.std() / len(first) ** 0.5, second.std() / len(second) ** 0.5)
    return bool(abs(first.mean() - second.mean()) <= 4.0 * error + 1e-9 * abs(first.mean()))


@pytest.mark.parametrize("name", list(RUNS))
def test_a_story_has_the_statistics_of_the_monte_carlo(name: str) -> None:
    scenario = RUNS[name]()
    course = courses(scenario, SEEDS, np.random.default_rng(1))
    told = [story(scenario, one, START) for one in np.random.default_rng(2).spawn(STORIES)]
    assert close(course.interruptions, [one.interruptions for one in told])
    assert close(course.goodput, [one.goodput for one in told])
    assert close(course.wall_s, [one.wall_s for one in told])
    assert close(course.most_out, [one.most_out for one in told])
    for kind, lost in course.lost_s.items():
        assert close(lost, [one.lost_s[kind] for one in told]), kind


@pytest.mark.parametrize("name", list(RUNS))
def test_every_second_of_a_story_is_somewhere(name: str) -> None:
    told = story(RUNS[name](), np.random.default_rng(0), START)
    assert told.productive_s + sum(told.lost_s.values()) == pytest.approx(told.wall_s, rel=1e-9)
    assert np.all(np.diff(told.begin_s) >= 0)
    assert [one.time for one in told.events] == sorted(one.time for one in told.events)
    kinds = [one.kind for one in told.events]
    assert (kinds[0], kinds[-1]) == ("start", "finish")
    assert kinds.count("failure") == told.interruptions


@pytest.mark.parametrize("name", ["few spares", "elastic", "growth"])
def test_the_mean_power_of_stories_is_that_of_all_seeds(name: str) -> None:
    scenario = RUNS[name]()
    levels = Levels(training_w=150e6, quiet_w=40e6, it_swing_w=0.0, step_swing_w=0.0, step_s=5.0)
    course = courses(scenario, SEEDS, np.random.default_rng(1))
    gpus = scenario.last.num_gpus
    share = course.busy_gpu_s / gpus / course.wall_s
    there = course.gpu_s / gpus / course.wall_s
    means = share * 150e6 + (there - share) * 40e6
    told = [story(scenario, one, START) for one in np.random.default_rng(2).spawn(STORIES)]
    assert close(means, [smoothed(one, levels, Smoothing())[0].mean_w for one in told])


def test_filler_and_battery_hold_the_grid_within_its_ramp() -> None:
    told = story(made_scenario(num_gpus=98_304, days=2.0), np.random.default_rng(0), START)
    levels = Levels(training_w=150e6, quiet_w=40e6, it_swing_w=0.0, step_swing_w=0.0, step_s=5.0)
    bare, _ = smoothed(told, levels, Smoothing())
    held, trace = smoothed(told, levels, Smoothing(
        ramp_w_per_s=1e6, battery_w=150e6, battery_j=300 * 3.6e9, filler_share=0.5
    ))  # fmt: skip
    assert bare.largest_grid_step_w == pytest.approx(110e6)
    assert held.steps_passed == 0
    assert held.largest_grid_step_w <= 1e6
    assert held.largest_battery_w == pytest.approx(75e6)
    assert held.filler_mwh > 0
    fast = np.diff(trace.grid_w) > 1e6 * np.diff(trace.time_s) * (1 + 1e-6) + 1.0
    assert not fast.any()
