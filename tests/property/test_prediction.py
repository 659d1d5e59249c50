"""What holds for every prediction, whatever the model, the layout and the machine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gigafactory.catalog import machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.machine import precisions
from gigafactory.plan.predict import predict, predict_all
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Experts, LatentAttention, Model

if TYPE_CHECKING:
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.prediction import Prediction

SOFTWARE = ("megatron-core", "megatron-2021", "megatron-deepspeed", "pytorch-fsdp1", "torchtitan")
GPUS = ("a100-sxm-80", "h100-sxm", "b200", "gb200")
FLOOR = -1e-9  # of a step: what rounding may leave of a part that is nought


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Draw a small model, dense or with experts, of plain or latent attention."""
    kv_heads = draw(st.sampled_from([1, 2, 4, 8]))
    heads = kv_heads * draw(st.sampled_from([1, 2, 4]))
    width = draw(st.sampled_from([64, 256, 1024, 4096]))
    layers = draw(st.integers(1, 40))
    experts = Experts(
        num_experts=draw(st.sampled_from([2, 8, 64])),
        top_k=draw(st.integers(1, 2)),
        ffn_hidden_size=draw(st.sampled_from([64, 1024])),
        shared_ffn_hidden_size=draw(st.sampled_from([0, 512])),
        first_dense_layers=draw(st.integers(0, layers)),
        every=draw(st.integers(1, 2)),
    )
    latent = LatentAttention(
        query_rank=draw(st.sampled_from([0, 64])),
        kv_rank=32,
        nope_head_dim=64,
        rope_head_dim=32,
        value_head_dim=64,
    )
    return Model(
        name="drawn",
        num_layers=layers,
        hidden_size=width,
        ffn_hidden_size=draw(st.sampled_from([128, 1000, 16384])),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=draw(st.sampled_from([64, 128])),
        vocab_size=draw(st.sampled_from([100, 32000, 128256])),
        context_length=8192,
        gated=draw(st.booleans()),
        tied_embeddings=draw(st.booleans()),
        positions=draw(st.sampled_from(["rope", "alibi", "learned"])),
        experts=draw(st.sampled_from([None, experts])),
        latent_attention=draw(st.sampled_from([None, latent])),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a model with a layout that its shapes and its batch allow."""
    model = draw(models())
    tensor = draw(st.sampled_from([d for d in (1, 2, 4, 8) if model.num_heads % d == 0]))
    assume(model.ffn_hidden_size % tensor == 0)
    pipeline = draw(st.integers(1, min(8, model.num_layers)))
    data = draw(st.sampled_from([1, 2, 3, 8, 64]))
    context = draw(st.sampled_from([1, 2, 4]))
    seq_len = context * draw(st.sampled_from([128, 1000, 4096, 32768]))
    expert = 1
    if model.experts:
        degrees = [d for d in (1, 2, 4, 8) if model.experts.num_experts % d == 0]
        expert = draw(st.sampled_from(degrees))
    split = tensor if model.experts and draw(st.booleans()) else 1
    assume((tensor * context * data) % (expert * split) == 0)
    micro = draw(st.sampled_from([1, 2, 4]))
    largest = -(-model.num_layers // pipeline)
    virtual = draw(st.sampled_from([v for v in range(1, largest + 1) if largest % v == 0]))
    if pipeline == 1 or pipeline * virtual > model.num_layers + 2:
        virtual = 1
    rounds = draw(st.integers(1, 8)) * (pipeline if virtual > 1 else 1)
    layout = Layout(
        data_parallel=data,
        tensor_parallel=tensor,
        sequence_parallel=draw(st.booleans()),
        pipeline_parallel=pipeline,
        virtual_pipeline=virtual,
        data_shard=draw(st.sampled_from([d for d in (1, 2, 8) if data % d == 0])),
        context_parallel=context,
        expert_parallel=expert,
        expert_tensor_parallel=split,
        micro_batch_size=micro,
        global_batch_size=rounds * micro * data,
        seq_len=seq_len,
        sharding=draw(st.sampled_from(["none", "zero1", "zero2", "zero3", "hsdp"])),
        recompute=draw(st.sampled_from(["none", "selective", "full"])),
        schedule="interleaved" if virtual > 1 else "1f1b",
    )
    capacity = draw(st.sampled_from([None, 0.5, 1.0, 2.0])) if model.experts else None
    return Case(model, layout, capacity)


MACHINES = st.sampled_from([(gpu, software) for gpu in GPUS for software in SOFTWARE])


def machine(gpu: str = "h100-sxm", software: str = "megatron-core") -> Machine:
    return machines.machine(machines.cluster_of_row(gpu, 8, 3200.0), software)


def changed(case: Case, **degrees: Any) -> Case:
    return case._replace(layout=replace(case.layout, **degrees))


def check(predicted: Prediction) -> None:
    time = predicted.step_time_s
    assert isfinite(time.high)
    assert 0 < time.low <= time.expected <= time.high
    parts = asdict(predicted.breakdown_s)
    assert sum(parts.values()) == pytest.approx(time.expected, rel=1e-9)
    assert all(part >= FLOOR * time.expected for part in parts.values()), parts
    assert parts["compute"] > 0
    memory = asdict(predicted.memory)
    assert all(isfinite(part) and part >= 0 for part in memory.values()), memory
    assert predicted.memory.total_bytes == pytest.approx(max(predicted.memory_per_stage_bytes))
    assert 0 < predicted.mfu < 1


@given(cases(), MACHINES, st.sampled_from(["bf16", "fp16", "fp8", "nvfp4"]))
def test_every_layout_is_priced_whole_or_refused(
    case: Case, on: tuple[str, str], precision: str
) -> None:
    chosen, place = changed(case, precision=precision), machine(*on)
    if precision in precisions(place):
        check(predict(chosen, place))
    else:
        with pytest.raises(SpecError, match=precision):
            predict(chosen, place)


@given(st.dictionaries(
    st.sampled_from(list(Layout.__dataclass_fields__)),
    st.one_of(st.integers(-2, 300), st.floats(), st.text(max_size=5), st.none(), st.booleans()),
    max_size=4,
))  # fmt: skip
def test_a_layout_is_made_or_refused_and_nothing_else(changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"data_parallel": 8, "global_batch_size": 64, "seq_len": 4096}
    with suppress(SpecError):
        assert Layout(**values | changes).num_gpus >= 1


@given(models(), st.integers(1, 100), st.integers(1, 100), st.integers(1, 100), st.integers(1, 9))
def test_a_layout_its_model_cannot_be_split_by_is_refused_and_not_priced_wrongly(
    model: Model, tensor: int, pipeline: int, context: int, expert: int
) -> None:
    layout = Layout(
        data_parallel=expert,
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        context_parallel=context,
        expert_parallel=expert,
        global_batch_size=expert,
        seq_len=4096,
    )
    with suppress(SpecError):
        check(predict(Case(model, layout), machine()))


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_more_data_parallel_ranks_never_add_compute_to_a_step(
    case: Case, on: tuple[str, str]
) -> None:
    few = changed(case, global_batch_size=4 * case.layout.global_batch_size, data_shard=None)
    many = changed(few, data_parallel=2 * few.layout.data_parallel)
    less, more = (predict(x, machine(*on)).breakdown_s for x in (many, few))
    assert less.compute <= more.compute * (1 + 1e-12)
    assert less.memory_bound <= more.memory_bound * (1 + 1e-12)


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_recomputation_never_saves_time_and_never_costs_memory(
    case: Case, on: tuple[str, str]
) -> None:
    none, selective, full = (
        predict(changed(case, recompute=level), machine(*on))
        for level in ("none", "selective", "full")
    )
    times = [x.step_time_s.expected for x in (none, selective, full)]
    assert times[0] <= times[1] * (1 + 1e-9)
    assert times[1] <= times[2] * (1 + 1e-9)
    memory = [x.memory.total_bytes for x in (none, selective, full)]
    assert memory[0] >= memory[1] * (1 - 1e-9)
    assert memory[1] >= memory[2] * (1 - 1e-9)


@settings(max_examples=50)
@given(cases(), MACHINES)
def test_state_on_a_gpu_falls_with_the_level_of_sharding(case: Case, on: tuple[str, str]) -> None:
    levels = [
        predict(changed(case, sharding=level, data_shard=None), machine(*on))
        for level in ("none", "zero1", "zero2", "zero3")
    ]
    # Gathered layers of full sharding are buffers; what is held for good only falls.
    held = [
        max(x.memory_per_stage_bytes) - x.memory.buffers_bytes - x.memory.runtime_bytes
        for x in levels
    ]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(held))


@settings(max_examples=50)
@given(st.lists(cases(), min_size=2, max_size=5), st.integers(0, 4), MACHINES)
def test_a_layout_among_others_costs_what_it_costs_alone(
    drawn: list[Case], place: int, on: tuple[str, str]
) -> None:
    case = drawn[place % len(drawn)]
    dim = case.model.head_dim
    alike = [x._replace(model=replace(x.model, head_dim=dim)) for x in drawn]
    together = predict_all(alike, machine(*on))[place % len(drawn)]
    alone = predict(case, machine(*on))
    assert together.step_time_s.expected == pytest.approx(alone.step_time_s.expected, rel=1e-12)
    assert list(together.memory_per_stage_bytes) == pytest.approx(
        list(alone.memory_per_stage_bytes), rel=1e-12
    )
    scale = alone.step_time_s.expected
    assert asdict(together.breakdown_s) == pytest.approx(
        asdict(alone.breakdown_s), rel=1e-12, abs=1e-12 * scale
    )


@settings(max_examples=50)
@given(cases(), MACHINES, st.floats(1.1, 10.0))
def test_a_slower_network_never_shortens_a_step(
    case: Case, on: tuple[str, str], factor: float
) -> None:
    gpu, software = on
    slow, fast = (
        predict(case, machines.machine(machines.cluster_of_row(gpu, 8, gbps), software))
        for gbps in (3200.0 / factor, 3200.0)
    )
    assert slow.step_time_s.expected >= fast.step_time_s.expected * (1 - 1e-9)
