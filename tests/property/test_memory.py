"""Bytes on a GPU: what must hold whichever way a layout is changed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gigafactory.plan.predict import predict_all
from tests.property.test_prediction import MACHINES, cases, changed, machine

if TYPE_CHECKING:
    from gigafactory.plan.cases import Case

ROUNDING = 1e-9
BATCH = 64  # of rounds: enough for every schedule to be full whatever the micro batch


def memory(drawn: list[Case], on: tuple[str, str]) -> list[float]:
    return [max(p.memory_per_stage_bytes) for p in predict_all(drawn, machine(*on))]


def roomy(case: Case) -> Case:
    """Return the case with so many microbatches that all stages keep what they can."""
    layout = case.layout
    rounds = BATCH * layout.pipeline_parallel * layout.micro_batch_size * layout.data_parallel
    return changed(case, global_batch_size=rounds)


def assert_never_falls(values: list[float]) -> None:
    assert all(a <= b * (1 + ROUNDING) for a, b in pairwise(values)), values


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_memory_never_falls_when_the_micro_batch_grows(case: Case, on: tuple[str, str]) -> None:
    case = roomy(case)
    grown = [changed(case, micro_batch_size=size * case.layout.micro_batch_size)
             for size in (1, 2, 4)]  # fmt: skip
    assert_never_falls(memory(grown, on))


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_memory_never_falls_when_the_sequence_grows(case: Case, on: tuple[str, str]) -> None:
    grown = [changed(case, seq_len=times * case.layout.seq_len) for times in (1, 2, 8)]
    assert_never_falls(memory(grown, on))


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_memory_never_falls_when_layers_are_added(case: Case, on: tuple[str, str]) -> None:
    # Of one kind: dense layers beside expert layers may be the heavier or the lighter ones.
    model = case.model
    if model.experts:
        model = replace(model, experts=replace(model.experts, first_dense_layers=0, every=1))
    layers = [model.num_layers, model.num_layers + 1, model.num_layers + 5, 2 * model.num_layers]
    grown = [case._replace(model=replace(model, num_layers=n)) for n in sorted(layers)]
    assert_never_falls(memory(grown, on))


@settings(max_examples=50)
@given(cases(), MACHINES, st.sampled_from(["none", "zero1", "zero2", "zero3"]))
def test_memory_never_rises_with_the_ranks_that_share_it(
    case: Case, on: tuple[str, str], sharding: str
) -> None:
    layout = case.layout
    more = [
        changed(case, data_parallel=times * layout.data_parallel, sharding=sharding,
                global_batch_size=times * layout.global_batch_size, data_shard=None)
        for times in (1, 2, 16)
    ]  # fmt: skip
    assert_never_falls(memory(more, on)[::-1])


@settings(max_examples=50)
@given(cases(), MACHINES, st.sampled_from([1, 2, 4]))
def test_memory_never_rises_with_the_ranks_of_a_hybrid_shard(
    case: Case, on: tuple[str, str], shard: int
) -> None:
    assume(case.layout.data_parallel % (2 * shard) == 0)
    few, many = (changed(case, sharding="hsdp", data_shard=ranks) for ranks in (shard, 2 * shard))
    assert_never_falls(memory([many, few], on))


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_memory_never_rises_with_the_share_of_layers_recomputed(
    case: Case, on: tuple[str, str]
) -> None:
    # At least one whole layer of a stage, which is worked on beside what is kept.
    assume(case.model.num_layers >= 8 * case.layout.pipeline_parallel)
    plain = changed(case, recompute="none")
    more = [plain._replace(recomputed=share) for share in (0.125, 0.5, 1.0)]
    full = changed(case, recompute="full")
    found = memory([full, *more[::-1], plain], on)
    assert_never_falls(found)
    assert abs(found[0] / found[1] - 1.0) < ROUNDING


@settings(max_examples=100)
@given(cases(), MACHINES)
def test_memory_is_never_below_what_arithmetic_says(case: Case, on: tuple[str, str]) -> None:
    """States of 14 bytes a parameter, inputs of layers: no engine here keeps less."""
    model, layout = case.model, case.layout
    ranks = layout.data_parallel if layout.sharding != "hsdp" else 1
    if layout.sharding == "hsdp":
        ranks = layout.data_shard or layout.data_parallel
    inner = max(model.num_parameters - 2.0 * model.vocab_size * model.hidden_size, 0.0)
    shared = layout.tensor_parallel * layout.pipeline_parallel * layout.context_parallel * ranks
    split = layout.tensor_parallel * layout.pipeline_parallel
    if model.experts:
        split *= max(layout.expert_parallel, 1)
    whole, spread = {"none": (14, 0), "zero1": (4, 10), "zero2": (2, 12)}.get(
        layout.sharding, (0, 14)
    )
    tokens = layout.micro_batch_size * layout.seq_len / layout.context_parallel
    inputs = 2.0 * tokens * model.hidden_size / layout.tensor_parallel
    stage = model.num_layers // layout.pipeline_parallel
    least = inner * whole / split + inner * spread / shared + inputs * stage
    if model.experts and layout.sharding in ("zero3", "hsdp"):
        least = inputs * stage  # experts may be spread over more ranks than a shard has
    assert memory([case], on)[0] >= least * (1 - ROUNDING)
