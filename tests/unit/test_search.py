"""The search: complete, honest in its counts, and one price with the prediction."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.plan.search import Found, pareto, search
from gigafactory.plan.space import Question, axes, divisors
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.spec.model import Model

LLAMA = loader.model("llama-3.1-8b")
MIXTRAL = loader.model("mixtral-8x7b")
H100 = machines.machine(machines.cluster_of_row("h100-sxm", 8, 3200.0), "megatron-core")


def question(model: Model = LLAMA, **changes: Any) -> Question:
    values: dict[str, Any] = {"seq_len": 4096, "global_batch_size": 48, "num_gpus": 48}
    return Question(model=model, machine=H100, **values | changes)


@pytest.fixture(scope="module")
def found() -> Found:
    return search(question())


@pytest.fixture(scope="module")
def mixture() -> Found:
    return search(question(MIXTRAL, num_gpus=64))


@pytest.mark.parametrize("number", [1, 2, 12, 97, 360, 2**20, 24576, 99_999])
def test_divisors_are_those_of_trial_division(number: int) -> None:
    assert divisors(number) == [d for d in range(1, number + 1) if number % d == 0]


def test_counts_of_a_search_are_in_order(found: Found) -> None:
    assert found.considered >= found.priced >= len(found.rows) > 0


def test_no_layout_uses_more_gpus_than_offered_or_more_memory_than_there_is(found: Found) -> None:
    capacity = H100.cluster.accelerator.memory_bytes
    assert int(found.num_gpus.max()) <= 48
    assert float(found.memory_bytes.max()) <= capacity
    layouts = [found.layout(row) for row in found.rows]
    assert [x.num_gpus for x in layouts] == found.num_gpus.tolist()
    assert all(x.global_batch_size == 48 for x in layouts)


def test_no_layout_is_listed_twice(found: Found) -> None:
    assert len(np.unique(found.rows, axis=0)) == len(found.rows)


@pytest.mark.parametrize("name", ["found", "mixture"])
def test_a_searched_price_is_the_predicted_one(name: str, request: pytest.FixtureRequest) -> None:
    looked: Found = request.getfixturevalue(name)
    some = np.random.default_rng(1).choice(len(looked.rows), 100)
    for row in some:
        layout = looked.layout(looked.rows[row])
        predicted = predict(Case(looked.question.model, layout), H100)
        assert predicted.fits
        assert predicted.step_time_s.expected == pytest.approx(looked.step_time_s[row], rel=1e-9)
        assert max(predicted.memory_per_stage_bytes) == pytest.approx(
            looked.memory_bytes[row], rel=1e-9
        )


def test_the_order_is_by_time_and_of_equals_by_gpus(found: Found) -> None:
    times, gpus = found.step_time_s[found.order], found.num_gpus[found.order]
    assert np.all(np.diff(times) >= 0)
    assert np.all((np.diff(times) > 0) | (np.diff(gpus) >= 0))


def test_nothing_in_the_searched_space_beats_the_best(found: Found) -> None:
    """Prices by hand, one layout at a time, a part of the space that the search must cover."""
    best = float(found.step_time_s.min())
    tried = 0
    for tp, pp, dp, micro, sharding, recompute in product(
        (1, 2, 4, 8), (1, 2, 4), (2, 3, 4, 6, 8, 12, 24, 48), (1, 2), ("zero1", "zero3"),
        ("none", "selective", "full"),
    ):  # fmt: skip
        if tp * pp * dp > 48 or 48 % (dp * micro) or 48 // (dp * micro) < pp:
            continue
        layout = Layout(
            data_parallel=dp, tensor_parallel=tp, sequence_parallel=tp > 1, pipeline_parallel=pp,
            micro_batch_size=micro, global_batch_size=48, seq_len=4096,
            sharding=sharding, recompute=recompute,  # type: ignore[arg-type]
        )  # fmt: skip
        predicted = predict(Case(LLAMA, layout), H100)
        tried += 1
        assert not predicted.fits or predicted.step_time_s.expected >= best * (1 - 1e-9), layout
    assert tried > 100


def test_a_layout_recomputes_no_more_than_it_must(found: Found) -> None:
    rng = np.random.default_rng(2)
    recomputing = np.flatnonzero(found.rows[:, 5] == 2)
    for row in rng.choice(recomputing, min(20, len(recomputing))):
        layout = found.layout(found.rows[row])
        less = predict(Case(LLAMA, replace(layout, recompute="none")), H100)
        assert not less.fits


def test_the_front_is_what_nothing_beats_in_time_memory_and_gpus(found: Found) -> None:
    """Compares every layout with every other: all of the front, and nothing but the front."""
    points = np.stack([found.step_time_s, found.memory_bytes, found.num_gpus], axis=1)
    front = pareto(found)
    unbeaten = [
        row
        for row in range(len(points))
        if not np.any(np.all(points <= points[row], axis=1) & np.any(points < points[row], axis=1))
    ]
    assert {tuple(p) for p in points[front]} == {tuple(p) for p in points[unbeaten]}
    assert len(front) == len({tuple(p) for p in points[front]})
    assert np.all(np.diff(found.step_time_s[front]) >= 0)


def test_the_fastest_layout_leads_the_front(found: Found) -> None:
    assert pareto(found)[0] == found.order[0]


def test_more_gpus_offered_never_make_the_best_slower() -> None:
    best = [float(search(question(num_gpus=n)).step_time_s.min()) for n in (8, 16, 40, 48)]
    assert best == sorted(best, reverse=True)


def test_progress_is_told_and_ends_at_what_was_priced() -> None:
    told: list[int] = []
    looked = search(question(num_gpus=8), told.append)
    assert told == sorted(told)
    assert told[-1] == looked.priced


def test_a_model_that_fits_nowhere_leaves_the_leanest_layout() -> None:
    looked = search(question(loader.model("llama-3.1-405b"), num_gpus=8))
    assert len(looked.rows) == 0
    row, memory = looked.closest
    layout = looked.layout(row)
    predicted = predict(Case(looked.question.model, layout), H100)
    assert max(predicted.memory_per_stage_bytes) == pytest.approx(memory)
    assert not predicted.fits
    for tp in (1, 2, 4, 8):
        other = replace(
            layout, tensor_parallel=tp, pipeline_parallel=8 // tp, data_parallel=1,
            data_shard=None, context_parallel=1, virtual_pipeline=1, recompute="full",
            micro_batch_size=1,
        )  # fmt: skip
        assert max(
            predict(Case(looked.question.model, other), H100).memory_per_stage_bytes
        ) >= memory * (1 - 1e-9)


def test_degrees_of_experts_divide_their_number(mixture: Found) -> None:
    degrees = {found.expert_parallel for found in map(mixture.layout, mixture.rows)}
    assert degrees <= {1, 2, 4, 8}
    assert len(degrees) > 1


def test_software_decides_the_kinds_of_sharding() -> None:
    fsdp = replace(question(), machine=machines.machine(H100.cluster, "pytorch-fsdp1"), num_gpus=16)
    assert "hsdp" in axes(fsdp).shardings
    assert "zero3" in axes(question()).shardings
    kinds = {found.sharding for found in map(search(fsdp).layout, search(fsdp).rows)}
    assert {"zero2", "zero3"} <= kinds


def test_a_precision_the_gpu_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match="nvfp4"):
        search(question(precision="nvfp4"))


@pytest.mark.parametrize("name", ["seq_len", "global_batch_size", "num_gpus"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_a_question_of_no_count_is_refused_by_name(name: str, value: object) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(SpecError, match=f"question: {name} must be .*got {value}"):
        question(**changes)


def test_a_job_of_one_sequence_on_one_gpu_has_an_answer() -> None:
    tiny = replace(LLAMA, num_layers=1, vocab_size=1000)
    looked = search(question(tiny, global_batch_size=1, num_gpus=1))
    assert {found.num_gpus for found in map(looked.layout, looked.rows)} == {1}
