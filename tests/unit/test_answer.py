"""The answer: the best plan, why others lost, idle GPUs said, and what would make it fit."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import DoesNotFit
from gigafactory.plan.answer import Answer, NothingFits, answer, scaling
from gigafactory.plan.cases import Case
from gigafactory.plan.explain import bound_sentence, why_slower
from gigafactory.plan.limits import Limits
from gigafactory.plan.predict import predict
from gigafactory.plan.promise import Surroundings
from gigafactory.plan.space import Question
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.spec.cluster import Cluster

CLUSTER = loader.cluster("llama3-16k")
MACHINE = machines.machine(CLUSTER, "megatron-core")
LLAMA = loader.model("llama-3.1-8b")
AROUND = Surroundings(
    faults=loader.faults("llama3-h100"),
    site=loader.site(CLUSTER.site),
    prices=loader.prices(CLUSTER.accelerator.name),
)


def job(batch: int = 48) -> Job:
    return Job(
        tokens=1e12, seq_len=4096, global_batch_size=batch, start=dt.date(2025, 1, 1),
        by=dt.date(2035, 1, 1),
    )  # fmt: skip


def question(**changes: Any) -> Question:
    values: dict[str, Any] = {
        "model": LLAMA, "machine": MACHINE, "seq_len": 4096, "global_batch_size": 48,
        "num_gpus": 48,
    }  # fmt: skip
    return Question(**values | changes)


@pytest.fixture(scope="module")
def answered() -> Answer:
    return answer(question(), job(), AROUND)


def test_the_best_is_faster_than_every_alternative(answered: Answer) -> None:
    best = answered.promise.prediction.step_time_s.expected
    assert len(answered.alternatives) > 1
    assert all(other.step_time_s >= best * (1 - 1e-12) for other in answered.alternatives)


def test_alternatives_differ_in_a_degree_that_matters(answered: Answer) -> None:
    degrees = [
        (x.tensor_parallel, x.pipeline_parallel, x.context_parallel, x.expert_parallel)
        for x in (answered.promise.plan.layout, *(a.layout for a in answered.alternatives))
    ]
    assert len(set(degrees)) == len(degrees)


def test_every_alternative_says_why_it_lost(answered: Answer) -> None:
    assert all("more" in other.why or other.why == "as fast" for other in answered.alternatives)


def test_nothing_on_the_front_is_beaten_by_another_of_it(answered: Answer) -> None:
    points = np.array([[x.step_time_s, x.memory_bytes, x.layout.num_gpus] for x in answered.front])
    for point in points:
        beaten = np.all(points <= point * (1 - 1e-9), axis=1)
        assert not np.any(beaten)


def test_counts_are_those_of_the_search(answered: Answer) -> None:
    assert answered.considered >= answered.priced >= answered.fits > 0


def test_a_batch_that_cannot_use_all_gpus_leaves_some_idle_and_says_so() -> None:
    tiny = answer(question(global_batch_size=1, num_gpus=100), job(1), AROUND)
    used = tiny.promise.plan.layout.num_gpus
    assert used < 100
    assert len(tiny.notes) == 1
    assert f"{used} of 100 GPUs are used" in tiny.notes[0]


def test_idle_gpus_are_idle_because_nothing_larger_is_faster() -> None:
    tiny = answer(question(global_batch_size=1, num_gpus=100), job(1), AROUND)
    fewer = answer(
        question(global_batch_size=1, num_gpus=tiny.promise.plan.layout.num_gpus), job(1), AROUND
    )
    assert fewer.promise.prediction.step_time_s.expected == pytest.approx(
        tiny.promise.prediction.step_time_s.expected, rel=1e-12
    )
    assert fewer.notes == ()


def test_a_model_that_fits_nowhere_comes_with_what_would_make_it_fit() -> None:
    large = question(
        model=loader.model("llama-3.1-405b"), num_gpus=8, seq_len=8192, global_batch_size=64
    )
    with pytest.raises(NothingFits, match="no layout fits: the leanest needs") as caught:
        answer(large, job(64), AROUND)
    refusal = caught.value
    assert refusal.memory_bytes > CLUSTER.accelerator.memory_bytes
    assert refusal.layout.num_gpus <= 8
    assert any("GB instead of" in change for change in refusal.would_fit_if)
    assert any("GPUs instead of 8" in change for change in refusal.would_fit_if)
    assert "\n" not in str(refusal)


def test_the_gpus_that_would_make_it_fit_do() -> None:
    large = question(
        model=loader.model("llama-3.1-405b"), num_gpus=8, seq_len=8192, global_batch_size=64
    )
    with pytest.raises(NothingFits) as caught:
        answer(large, job(64), AROUND)
    told = next(x for x in caught.value.would_fit_if if "GPUs instead of" in x)
    enough = int(told.split(" GPUs")[0].replace(",", ""))
    fits = answer(replace(large, num_gpus=enough), job(64), AROUND)
    assert fits.promise.prediction.fits


def sized(num_gpus: int) -> Cluster:
    return replace(CLUSTER, num_gpus=num_gpus)


def test_with_a_date_and_a_free_size_the_fewest_gpus_that_end_in_time_are_best() -> None:
    fast = answer(question(), job(), AROUND)
    late = fast.promise.run.finish[1] + (fast.promise.run.finish[1] - job().start)
    thrifty = answer(question(), job(), AROUND, Limits(by=late, sized=sized))
    assert thrifty.promise.plan.layout.num_gpus < fast.promise.plan.layout.num_gpus
    assert thrifty.promise.run.finish[1] <= late
    assert thrifty.promise.plan.cluster.num_gpus == thrifty.promise.plan.layout.num_gpus


def test_limits_that_nothing_keeps_are_refused_in_one_line() -> None:
    for limits in (
        Limits(by=dt.date(2025, 1, 2)), Limits(power_cap_w=1.0), Limits(budget_usd=1.0),
    ):  # fmt: skip
        with pytest.raises(DoesNotFit) as caught:
            answer(question(), job(), AROUND, limits)
        assert "\n" not in str(caught.value)


def test_a_power_cap_leaves_fewer_gpus() -> None:
    free = answer(question(), job(), AROUND, Limits(sized=sized))
    assert free.promise.power is not None
    cap = free.promise.power.facility_w.expected / 2
    capped = answer(question(), job(), AROUND, Limits(power_cap_w=cap, sized=sized))
    assert capped.promise.power is not None
    assert capped.promise.power.facility_w.expected <= cap
    assert capped.promise.plan.layout.num_gpus < free.promise.plan.layout.num_gpus


def test_a_budget_is_kept() -> None:
    free = answer(question(), job(), AROUND)
    assert free.promise.cost is not None
    budget = free.promise.cost.usd.expected * 0.95
    thrifty = answer(question(), job(), AROUND, Limits(budget_usd=budget, sized=sized))
    assert thrifty.promise.cost is not None
    assert thrifty.promise.cost.usd.expected <= budget * (1 + 1e-6)


def test_scaling_tells_the_best_of_every_size() -> None:
    points = scaling(question(), job(), AROUND, [8, 16, 48])
    assert [point.gpus_offered for point in points] == [8, 16, 48]
    for point in points:
        alone = answer(question(num_gpus=point.gpus_offered), job(), AROUND)
        assert point.promise.prediction.step_time_s.expected == pytest.approx(
            alone.promise.prediction.step_time_s.expected, rel=1e-9
        )


def test_sizes_at_which_nothing_fits_are_left_out_of_scaling() -> None:
    large = question(model=loader.model("llama-3.1-405b"), num_gpus=8, global_batch_size=512)
    points = scaling(large, job(512), AROUND, [8, 1024])
    assert [point.gpus_offered for point in points] == [1024]


def predicted(**degrees: Any) -> Any:
    values: dict[str, Any] = {"data_parallel": 8, "global_batch_size": 64, "seq_len": 4096}
    return predict(Case(LLAMA, Layout(**values | degrees)), MACHINE)


def test_what_costs_more_is_told_largest_first() -> None:
    base = predicted(pipeline_parallel=4)
    slow = predicted(pipeline_parallel=4, global_batch_size=64, recompute="full")
    assert "more compute" in why_slower(base, slow)
    assert "less compute" in why_slower(slow, base)
    assert why_slower(base, base) == "as fast"


def test_what_bounds_a_step_is_told_with_its_share() -> None:
    sentence = bound_sentence(predicted())
    assert sentence.startswith(("9", "8", "7", "6", "5"))
    assert "of the step is bounded by matmul rate" in sentence
