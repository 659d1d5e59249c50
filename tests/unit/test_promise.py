"""From a step to a run: dates, power and cost follow from it and from one another."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.plan.promise import (
    Surroundings,
    checkpoint_of,
    day_after,
    goodput_of,
    power_estimate,
    promise,
    run_estimate,
    wall_s,
)
from gigafactory.spec.interval import Interval
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.cost.goodput import GoodputEstimate
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.promise import Promise

CLUSTER = loader.cluster("llama3-16k")
MACHINE = machines.machine(CLUSTER, "megatron-core")
MODEL = loader.model("llama-3.1-8b")
LAYOUT = Layout(
    data_parallel=2048, tensor_parallel=2, sequence_parallel=True, pipeline_parallel=4,
    global_batch_size=16384, seq_len=4096,
)  # fmt: skip
START = dt.date(2025, 1, 1)
JOB = Job(tokens=15e12, seq_len=4096, global_batch_size=16384, start=START)
AROUND = Surroundings(
    faults=loader.faults("llama3-h100"),
    site=loader.site(CLUSTER.site),
    prices=loader.prices(CLUSTER.accelerator.name),
)
STEP = Interval(low=90.0, expected=100.0, high=120.0)
DAY_S = 86_400.0


def promised(job: Job = JOB, around: Surroundings = AROUND) -> Promise:
    predicted = predict(Case(MODEL, LAYOUT), MACHINE)
    return promise(MODEL, job, LAYOUT, predicted, machine=MACHINE, around=around)


def good() -> GoodputEstimate:
    return goodput_of(checkpoint_of(MODEL, LAYOUT), LAYOUT.num_gpus, AROUND.faults)


def test_steps_are_the_tokens_over_those_of_a_step_rounded_up() -> None:
    run = run_estimate(replace(JOB, tokens=LAYOUT.tokens_per_step * 10 + 1.0), LAYOUT, STEP, good())
    assert run.steps == 11


def test_productive_days_are_steps_alone_and_failures_come_on_top() -> None:
    run = run_estimate(JOB, LAYOUT, STEP, good())
    assert run.productive_days == pytest.approx(run.steps * 100.0 / DAY_S)
    days = (run.finish[1] - START).days
    assert days >= run.productive_days
    assert days == pytest.approx(run.productive_days / run.goodput.expected, abs=1)


def test_the_earliest_day_has_the_fastest_step_and_the_latest_the_slowest() -> None:
    first, expected, last = run_estimate(JOB, LAYOUT, STEP, good()).finish
    assert first < expected < last


def test_a_run_is_on_time_when_its_expected_day_is_not_after_the_deadline() -> None:
    expected = run_estimate(JOB, LAYOUT, STEP, good()).finish[1]
    for by, on_time in (
        (None, None), (expected, True), (expected - dt.timedelta(days=1), False),
    ):  # fmt: skip
        assert run_estimate(replace(JOB, by=by), LAYOUT, STEP, good()).on_time is on_time


@pytest.mark.parametrize(
    ("seconds", "days"), [(0.0, 0), (1.0, 1), (DAY_S, 1), (DAY_S + 1, 2), (30 * DAY_S, 30)]
)
def test_a_run_ends_on_the_day_its_last_step_ends(seconds: float, days: int) -> None:
    assert day_after(START, seconds) == START + dt.timedelta(days=days)


@pytest.mark.parametrize("seconds", [1e12, 1e300, float("inf")])
def test_a_run_longer_than_the_calendar_ends_on_its_last_day(seconds: float) -> None:
    assert day_after(START, seconds) == dt.date.max


def test_wall_time_lies_between_its_first_and_last_day() -> None:
    run = run_estimate(JOB, LAYOUT, STEP, good())
    wall = wall_s(run)
    assert wall.low <= wall.expected <= wall.high
    assert wall.expected == pytest.approx(run.productive_days * DAY_S / run.goodput.expected)


def test_unsharded_state_is_written_by_one_replica_and_sharded_state_by_all() -> None:
    whole, sharded = (
        checkpoint_of(MODEL, replace(LAYOUT, sharding=kind)) for kind in ("none", "zero1")
    )
    assert float(whole.total_bytes) == float(sharded.total_bytes)
    assert float(whole.blocking_s) > float(sharded.blocking_s)


def test_a_promise_holds_the_plan_it_is_made_of() -> None:
    made = promised()
    assert made.plan.layout == LAYOUT
    assert made.plan.cluster == CLUSTER
    assert made.plan.checkpoint.interval_s == made.checkpoint.interval_s
    assert made.run.start == START
    assert 0 < made.run.goodput.low <= made.run.goodput.expected <= made.run.goodput.high < 1


def test_storage_must_write_a_checkpoint_before_the_next() -> None:
    made = promised().checkpoint
    slowest = made.total_bytes / made.write_bytes_per_s
    assert slowest == pytest.approx(made.interval_s + made.blocking_s, rel=1e-6)


def test_power_is_of_the_whole_cluster_and_idle_gpus_draw_less() -> None:
    wall = Interval.point(DAY_S)
    all_used = power_estimate(CLUSTER, CLUSTER.num_gpus, AROUND.site, wall)
    half = power_estimate(CLUSTER, CLUSTER.num_gpus // 2, AROUND.site, wall)
    assert all_used is not None
    assert half is not None
    assert half.it_w < all_used.it_w < 2 * half.it_w
    assert all_used.facility_w.low >= all_used.it_w * 0.5
    assert all_used.energy_mwh == pytest.approx(all_used.facility_w.expected * 24 / 1e6)
    assert set(all_used.levels) >= {"low", "high"}


def test_a_machine_of_unpublished_power_promises_none_and_no_cost() -> None:
    dark = replace(
        CLUSTER,
        node=replace(CLUSTER.node, max_power_w=None, training_power_w=None),
        accelerator=replace(CLUSTER.accelerator, power_w=None),
    )
    assert power_estimate(dark, 8, AROUND.site, Interval.point(1.0)) is None
    machine = replace(MACHINE, cluster=dark)
    predicted = predict(Case(MODEL, LAYOUT), machine)
    made = promise(MODEL, JOB, LAYOUT, predicted, machine=machine, around=AROUND)
    assert made.power is None
    assert made.cost is None


def test_a_server_without_a_nameplate_is_scaled_from_its_accelerators() -> None:
    plain = replace(CLUSTER, node=replace(CLUSTER.node, max_power_w=None, training_power_w=None))
    wall = Interval.point(DAY_S)
    told, scaled = (power_estimate(c, c.num_gpus, AROUND.site, wall) for c in (CLUSTER, plain))
    assert told is not None
    assert scaled is not None
    assert scaled.it_w == pytest.approx(told.it_w, rel=0.2)


def test_cost_is_gpu_hours_at_their_price() -> None:
    made = promised()
    assert made.cost is not None
    hours = wall_s(made.run).expected / 3600 * LAYOUT.num_gpus
    assert made.cost.usd.expected == pytest.approx(hours * made.cost.usd_per_gpu_hour.expected)
    assert made.cost.basis in {"rent", "owned"}
    assert made.cost.usd.low <= made.cost.usd.expected <= made.cost.usd.high


def test_without_prices_there_is_no_cost() -> None:
    assert promised(around=replace(AROUND, prices=None)).cost is None


def test_twice_the_tokens_take_twice_the_steps_and_the_money() -> None:
    once, twice = promised(), promised(replace(JOB, tokens=30e12))
    assert twice.run.steps == pytest.approx(2 * once.run.steps, abs=1)
    assert once.cost is not None
    assert twice.cost is not None
    assert twice.cost.usd.expected == pytest.approx(2 * once.cost.usd.expected, rel=0.01)


def plan(**changes: Any) -> Plan:
    return replace(promised().plan, **changes)


def test_a_plan_larger_than_its_cluster_is_refused_with_every_degree() -> None:
    with pytest.raises(SpecError) as caught:
        plan(cluster=replace(CLUSTER, num_gpus=8))
    message = str(caught.value)
    for told in ("16384 GPUs", "tensor 2", "pipeline 4", "data 2048", "context 1", "has 8"):
        assert told in message


def test_a_plan_of_another_schema_is_refused() -> None:
    with pytest.raises(SpecError, match="schema must be 1, got 2"):
        plan(schema=2)


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), float("inf")])
def test_a_checkpoint_interval_must_be_a_positive_time(interval: float) -> None:
    with pytest.raises(SpecError, match="checkpointpolicy: interval_s must be"):
        replace(promised().plan.checkpoint, interval_s=interval)
