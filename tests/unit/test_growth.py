"""Training on a machine that grows, by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gigafactory.errors import DoesNotFit, SpecError
from gigafactory.plan.answer import Point
from gigafactory.plan.growth import grown_run
from gigafactory.report.as_json import growth_json, plan_json
from gigafactory.report.growth import growth_sheet
from gigafactory.spec.growth import Growth, Phase
from gigafactory.units import SECONDS_PER_DAY
from tests.made_answer import ANSWER, PROMISE

if TYPE_CHECKING:
    from gigafactory.spec.job import Job

FIRST = dt.date(2025, 1, 1)


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def phase(size: int, p10: int, p50: int, p90: int) -> Phase:
    return Phase(num_gpus=size, p10=day(p10), p50=day(p50), p90=day(p90))


GROWTH = Growth(phases=(phase(1024, 0, 10, 30), phase(4096, 50, 70, 130)), source="made")
STEP, GOOD = PROMISE.prediction.step_time_s, PROMISE.run.goodput
PER_DAY = PROMISE.plan.layout.tokens_per_step / STEP.expected * GOOD.expected * SECONDS_PER_DAY
# Steps four times as fast on four times the GPUs.
FAST = replace(
    PROMISE.prediction,
    step_time_s=STEP.scaled(0.25),
    tokens_per_s=4 * PROMISE.prediction.tokens_per_s,
)
SCALED = [Point(1024, PROMISE), Point(4096, replace(PROMISE, prediction=FAST))]


def job(days: float, by: int | None = None) -> Job:
    """Return a job of as many days on the first phase."""
    made = replace(PROMISE.plan.job, tokens=days * PER_DAY * 0.999999)
    return replace(made, by=None if by is None else day(by))


def test_a_short_run_ends_on_the_first_phase() -> None:
    found = grown_run(SCALED, GROWTH, job(40.0))
    assert found.start == (day(0), day(10), day(30))
    assert found.finish == (day(40), day(50), day(70))
    assert [step.tokens > 0 for step in found.steps] == [True, False]


def test_a_long_run_grows_into_the_second_phase_at_its_speed() -> None:
    found = grown_run(SCALED, GROWTH, job(100.0, by=80))
    # P10: 50 days on the first phase, 50 days' worth in 12.5; P50: 60 and 10; P90: only the first.
    assert found.finish == (day(63), day(80), day(130))
    assert found.on_time is True
    assert found.whole_machine == day(95)
    assert sum(step.tokens for step in found.steps) == pytest.approx(100.0 * PER_DAY, rel=1e-5)
    assert found.earliest <= found.finish[0]
    assert found.finish[2] <= found.latest


def test_nobody_trains_before_the_day_that_was_asked_for() -> None:
    found = grown_run(SCALED, GROWTH, job(40.0), not_before=day(20))
    assert found.start == (day(20), day(20), day(30))


def test_a_phase_that_cannot_hold_the_model_is_waited_out() -> None:
    found = grown_run(SCALED[1:], GROWTH, job(40.0))
    assert [step.phase.num_gpus for step in found.steps] == [4096]
    assert found.start[1] == day(70)
    with pytest.raises(DoesNotFit, match="no phase"):
        grown_run([], GROWTH, job(40.0))


def test_growth_is_told_to_people_and_machines() -> None:
    found = grown_run(SCALED, GROWTH, job(100.0, by=80))
    told = growth_json(found)
    assert told["finish"] == {"p10": "2025-03-05", "p50": "2025-03-22", "p90": "2025-05-11"}
    assert [one["num_gpus"] for one in told["phases"]] == [1024, 4096]
    assert plan_json(replace(ANSWER, growth=found), 1.0)["growth"] == told
    assert plan_json(ANSWER, 1.0)["growth"] is None
    assert growth_sheet(found).rows[-1][:4] == ("trained", "2025-03-05", "2025-03-22", "2025-05-11")


def test_phases_out_of_order_are_refused() -> None:
    with pytest.raises(SpecError, match="p50 must lie between p10 and p90"):
        phase(8, 20, 10, 30)
    with pytest.raises(SpecError, match="each one larger"):
        Growth(phases=(phase(16, 0, 1, 2), phase(8, 0, 1, 2)), source="made")
    with pytest.raises(SpecError, match="at least one phase"):
        Growth(phases=(), source="made")
