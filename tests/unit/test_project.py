"""What a building project may say, how it is refused, and how its calendars count."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from gigafactory.build.calendar import WorkingTime
from gigafactory.build.montecarlo import CHUNK, courses, most_likely_days
from gigafactory.build.network import critical_path, network_of
from gigafactory.build.sensitivity import day_bought, swings
from gigafactory.errors import SpecError
from gigafactory.spec.duration import Duration, fixed
from gigafactory.spec.project import (
    Alternative,
    Calendar,
    Milestone,
    Risk,
    Task,
    cycle_in,
    raw_faults,
)  # fmt: skip
from tests.made_project import START, project

TRIANGLE = Duration(kind="triangular", low_days=10.0, mode_days=20.0, high_days=60.0)
WEEK = Calendar(weekdays=("mon", "tue", "wed", "thu", "fri"))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"kind": "gamma"}, "kind must be one of"),
        ({"kind": "fixed"}, "days is missing"),
        ({"kind": "fixed", "days": -1.0}, "days must be between 0 and 36525, got -1.0"),
        ({"kind": "fixed", "days": float("nan")}, "days must be between 0 and 36525"),
        ({"kind": "fixed", "days": 3.0, "mean_days": 2.0}, "mean_days is no part of a fixed"),
        ({"kind": "triangular", "low_days": 9.0, "mode_days": 5.0, "high_days": 7.0},
         "low_days <= mode_days <= high_days must hold, got (9.0, 5.0, 7.0)"),
        ({"kind": "normal", "mean_days": 10.0, "sd_days": 5.0}, "a fifth of the mean"),
        ({"kind": "exponential", "mean_days": 0.0}, "mean_days must be above 0"),
        ({"kind": "empirical"}, "observed_days is missing"),
    ],
)  # fmt: skip
def test_a_duration_that_makes_no_sense_is_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SpecError) as error:
        Duration(**wrong)
    assert rule in str(error.value)


@pytest.mark.parametrize(
    "duration",
    [
        fixed(5.0), TRIANGLE,
        Duration(kind="pert", low_days=0.0, mode_days=1.0, high_days=9.0),
        Duration(kind="pert", low_days=4.0, mode_days=4.0, high_days=4.0),
        Duration(kind="empirical", observed_days=(1.0, 2.0, 9.0)),
    ],
)  # fmt: skip
def test_the_mean_of_a_duration_lies_within_it(duration: Duration) -> None:
    values = [duration.low_days, duration.high_days, duration.days, *duration.observed_days]
    known = [value for value in values if value is not None]
    assert min(known) <= duration.mean <= max(known)
    assert min(known) <= duration.most_likely <= max(known)
    assert duration.sd >= 0


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"branches": ()}, "branches must hold at least one branch"),
        ({"branches": ("a",), "choose": "best"}, "choose must be one of earliest, weighted"),
        ({"branches": ("a", "b"), "choose": "weighted"}, "weights must be given exactly where"),
        ({"branches": ("a", "b"), "weights": (0.5, 0.5)}, "weights must be given exactly where"),
        ({"branches": ("a", "b"), "choose": "weighted", "weights": (1.5, -0.5)},
         "weights must each be between 0 and 1"),
        ({"branches": ("a", "b"), "choose": "weighted", "weights": (0.5, 0.4)},
         "weights must sum to 1"),
    ],
)  # fmt: skip
def test_an_alternative_that_makes_no_sense_is_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(SpecError, match="alternative: ") as error:
        Alternative(**wrong)
    assert rule in str(error.value)


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_a_probability_outside_0_to_1_is_refused(probability: float) -> None:
    with pytest.raises(SpecError, match="probability must be between 0 and 1"):
        Risk(probability=probability, delay=fixed(1.0), tasks=("a",))


def test_all_faults_of_a_network_are_told_at_once_with_the_cycle() -> None:
    with pytest.raises(SpecError) as error:
        project(
            {"a": (1.0, ["c"]), "b": (1.0, ["a", "nobody"]), "c": (1.0, ["b"])},
            by=START,
            phases=(Milestone(num_gpus=8, when="nothing"),),
            risks={"rain": Risk(probability=0.1, delay=fixed(1.0), tasks=("roof",))},
        )
    told = str(error.value)
    for rule in (
        "unknown task 'nobody'", "phases.0.when: unknown task 'nothing'",
        "risks.rain.tasks: unknown task 'roof'", "by: must be after the start",
    ):  # fmt: skip
        assert rule in told
    cycle = next(part for part in told.split("; ") if "cycle" in part)
    ring = cycle.rsplit(": ", 1)[1].split(" -> ")
    assert ring[0] == ring[-1]
    assert set(ring) == {"a", "b", "c"}


def test_a_cycle_is_printed_in_the_order_of_the_work() -> None:
    ring = cycle_in({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"]})
    steps = list(pairwise(ring))
    assert set(steps) == {("b", "c"), ("c", "d"), ("d", "b")}


def test_raw_faults_are_found_in_whatever_a_file_holds() -> None:
    assert raw_faults({}) == []
    assert raw_faults({"tasks": 3, "phases": [3], "risks": {"r": []}, "alternatives": None}) == []


def test_smaller_phases_come_first() -> None:
    phases = (Milestone(num_gpus=9, when="a"), Milestone(num_gpus=9, when="a"))
    with pytest.raises(SpecError, match="phases: must hold at least one, each one larger"):
        project({"a": (1.0, [])}, phases=phases)


def test_five_working_days_from_a_monday_end_on_friday_night_and_a_sixth_on_monday() -> None:
    time = WorkingTime(WEEK, START)
    ends = time.finish(np.zeros(4), np.array([0.0, 1.0, 5.0, 6.0]))
    assert list(ends) == [0.0, 1.0, 5.0, 8.0]


def test_work_that_begins_on_a_saturday_waits_and_holidays_are_skipped() -> None:
    off = Calendar(weekdays=WEEK.weekdays, holidays=(dt.date(2024, 1, 8),))
    starts = np.array([5.5, 4.5])
    assert list(WorkingTime(WEEK, START).finish(starts, np.ones(2))) == [8.0, 7.5]
    assert list(WorkingTime(off, START).finish(starts, np.ones(2))) == [9.0, 8.5]


def test_working_days_agree_with_numpy_busday() -> None:
    holidays = (dt.date(2024, 7, 4), dt.date(2024, 12, 25))
    time = WorkingTime(Calendar(weekdays=WEEK.weekdays, holidays=holidays), START)
    monday = np.datetime64(START)
    work = np.arange(1.0, 400.0)
    last = np.array([
        np.busday_offset(monday, int(days) - 1, roll="forward", holidays=list(holidays))
        for days in work
    ])  # fmt: skip
    assert np.array_equal(time.finish(np.zeros(len(work)), work), (last - monday).astype(int) + 1)


def test_a_calendar_without_room_for_the_work_is_refused() -> None:
    with pytest.raises(SpecError, match="within a century"):
        WorkingTime(WEEK, START).finish(np.zeros(1), np.array([36_000.0]))


def test_a_delivery_ordered_before_the_start_is_there_earlier() -> None:
    ordered = Task(duration=fixed(100.0), ordered=START - dt.timedelta(days=60))
    made = project({"slab": (10.0, [])}, done="end", tasks={
        "transformer": ordered,
        "end": Task(duration=fixed(1.0), after=("slab", "transformer")),
    })  # fmt: skip
    found = courses(made, 10, np.random.default_rng(0))
    assert set(found.end) == {41.0}
    schedule = critical_path(found.network, [
        made.tasks[name].duration.mean for name in found.network.names
    ])  # fmt: skip
    assert schedule.critical_path == ("transformer", "end")


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    made = project({"a": (TRIANGLE, []), "b": (TRIANGLE, ["a"])})
    first, again, other = (
        courses(made, CHUNK + 17, np.random.default_rng(seed)).phases.tobytes()
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_every_course_has_a_critical_chain_from_its_start_to_its_end() -> None:
    made = project({"a": (TRIANGLE, []), "b": (TRIANGLE, []), "end": (1.0, ["a", "b"])})
    found = courses(made, 5_000, np.random.default_rng(0))
    share = dict(zip(found.network.names, found.criticality, strict=True))
    assert share["end"] == 1.0
    assert share["a"] + share["b"] == pytest.approx(1.0)
    assert share["a"] == pytest.approx(0.5, abs=0.03)


def test_a_day_less_buys_a_day_on_the_only_path_and_nothing_off_it() -> None:
    made = project({"a": (TRIANGLE, []), "b": (5.0, []), "end": (1.0, ["a", "b"])})
    found = courses(made, 1_000, np.random.default_rng(0))
    bought = day_bought(made, found)
    assert bought["a"] == pytest.approx(1.0)
    assert bought["b"] == 0.0
    widest = swings(made, found)[0]
    assert widest.name == "a"
    node = found.network.names.index("a")
    low, high = np.quantile(found.days[node], [0.1, 0.9])
    assert widest.low_days == pytest.approx(low + 1)
    assert widest.high_days == pytest.approx(high + 1)


def test_a_risk_swings_the_end_by_its_mean_delay() -> None:
    rain = Risk(probability=0.3, delay=TRIANGLE, tasks=("a",))
    made = project({"a": (50.0, [])}, risks={"rain": rain})
    found = courses(made, 4_000, np.random.default_rng(0))
    swing = swings(made, found)[-1]
    risks = [one for one in swings(made, found) if one.name == "risk: rain"]
    assert risks[0].low_days == pytest.approx(50.0)
    assert risks[0].high_days == pytest.approx(50.0 + TRIANGLE.mean, abs=1.0)
    assert swing.days >= 0


def test_the_schedule_of_most_likely_durations_keeps_to_the_calendars() -> None:
    office = Task(duration=fixed(10.0), calendar="office")
    made = project({"a": (3.0, [])}, done="end", calendars={"office": WEEK}, tasks={
        "paper": office, "end": Task(duration=fixed(1.0), after=("a", "paper")),
    })  # fmt: skip
    network = network_of(made)
    found = critical_path(network, most_likely_days(made, network))
    assert found.end == 13.0  # ten working days from a Monday end on the second Friday night
    assert set(courses(made, 5, np.random.default_rng(0)).end) == {13.0}


def test_a_choice_swings_the_end_between_its_branches() -> None:
    made = project(
        {"refit": (100.0, []), "new": (600.0, [])}, done="hall",
        alternatives={
            "hall": Alternative(branches=("refit", "new"), choose="weighted", weights=(0.5, 0.5))
        },
    )  # fmt: skip
    found = courses(made, 500, np.random.default_rng(0))
    widest = swings(made, found)[0]
    assert (widest.name, widest.low_days, widest.high_days) == ("choice: hall", 100.0, 600.0)


def test_an_alternative_of_alternatives_takes_the_earliest_of_all() -> None:
    made = project(
        {"a": (30.0, []), "b": (20.0, []), "c": (10.0, [])}, done="power",
        alternatives={
            "turbines": Alternative(branches=("b", "c")),
            "power": Alternative(branches=("a", "turbines")),
        },
    )  # fmt: skip
    found = courses(made, 10, np.random.default_rng(0))
    assert set(found.end) == {10.0}
    network = network_of(made)
    assert critical_path(network, [
        made.tasks[name].duration.mean if name in made.tasks else 0.0 for name in network.names
    ]).end == 10.0  # fmt: skip
