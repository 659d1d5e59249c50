"""What follows from a plan on its way to another engine: hosts, steps, where the layers stand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.catalog import files, loader
from gigafactory.errors import SpecError
from gigafactory.run import megatron, torchtitan
from gigafactory.run.megatron_flags import layer_pattern, padded_vocabulary
from gigafactory.run.placement import expert_layers, placement
from gigafactory.spec.layout import Layout
from gigafactory.spec.run import Training
from tests.made_plans import MEGATRON, STEP_TIME_S, TORCHTITAN, handed, made_plan


def test_the_checkpoint_interval_becomes_steps_of_the_predicted_length() -> None:
    order = handed(MEGATRON["llama-3.1-405b"])
    assert order.checkpoint_steps == round(1800 / STEP_TIME_S)
    shorter = handed(MEGATRON["llama-3.1-405b"], training=Training(checkpoint_interval_s=1.0))
    assert shorter.checkpoint_steps == 1


def test_steps_cover_the_tokens_and_warm_up_is_a_share_of_them() -> None:
    order = handed(MEGATRON["llama-3.1-8b"], training=Training())
    per_step = order.plan.layout.tokens_per_step
    assert (order.steps - 1) * per_step < order.plan.job.tokens <= order.steps * per_step
    assert order.warm_up_steps == round(order.steps * 0.02)


def test_a_plan_has_one_hash_and_another_plan_another() -> None:
    plan = MEGATRON["llama-3.1-405b"]
    read = files.loads(type(plan), files.dumps(plan))
    assert handed(read).plan_hash == handed(plan).plan_hash
    other = replace(plan, software="megatron-lm")
    assert handed(other).plan_hash != handed(plan).plan_hash


def test_hosts_that_are_not_full_are_refused() -> None:
    plan = made_plan("llama-3.1-8b", data_parallel=12, global_batch_size=12)
    with pytest.raises(SpecError, match="gpus_per_node must divide the 12 GPUs"):
        handed(plan)
    assert handed(plan, gpus_per_node=4).num_hosts == 3


def test_a_rack_must_say_how_many_gpus_its_hosts_have() -> None:
    plan = made_plan("llama-3.1-8b", data_parallel=72, global_batch_size=72, cluster="abilene-1")
    with pytest.raises(SpecError, match="is a rack of 72"):
        handed(plan, gpus_per_node=None)
    assert handed(plan, gpus_per_node=4).num_hosts == 18


def test_warm_up_longer_than_the_run_is_refused() -> None:
    plan = made_plan("llama-3.1-8b", data_parallel=8, tokens=1e9)
    with pytest.raises(SpecError, match="warmup_steps must be below the 60 steps"):
        handed(plan, training=Training(warmup_steps=60))


@given(layers=st.integers(1, 200), pp=st.integers(1, 32), vpp=st.integers(1, 8))
def test_the_chunks_hold_every_layer_once_and_in_order(layers: int, pp: int, vpp: int) -> None:
    model = replace(loader.model("llama-3.1-8b"), num_layers=layers)
    split = Layout(
        data_parallel=1, global_batch_size=pp, seq_len=1024, pipeline_parallel=pp,
        virtual_pipeline=vpp if pp > 1 else 1,
    )  # fmt: skip
    pieces = placement(model, split)
    assert len(pieces) == pp * split.virtual_pipeline
    assert [layer for piece in pieces for layer in piece] == list(range(layers))


def unrolled(layout: str) -> list[str]:
    """Return the chunks of a Megatron-LM layout, repetitions written out."""
    for pattern in (r"\(([^)]+)\)\*(\d+)", r"(.)\*(\d+)"):
        layout = re.sub(pattern, lambda found: found.group(1) * int(found.group(2)), layout)
    return layout.split("|")


@pytest.mark.parametrize("name", [n for n in MEGATRON if MEGATRON[n].layout.pipeline_parallel > 1])
def test_the_exported_placement_adds_up_to_the_layers(name: str) -> None:
    plan = MEGATRON[name]
    pieces = placement(plan.model, plan.layout)
    chunks = unrolled(megatron.pipeline_layout(pieces))
    assert [chunk.count("t") for chunk in chunks] == [len(piece) for piece in pieces]
    assert sum(chunk.count("t") for chunk in chunks) == plan.model.num_layers
    assert (chunks[0][0], chunks[-1][-1]) == ("E", "L")
    text = megatron.script(handed(plan))
    assert f"'{megatron.pipeline_layout(pieces)}'" in text or len({len(p) for p in pieces}) == 1


@pytest.mark.parametrize("name", loader.names("models"))
def test_layers_with_experts_are_as_many_as_the_model_says(name: str) -> None:
    model = loader.model(name)
    assert sum(expert_layers(model)) == model.num_expert_layers
    pattern = layer_pattern(expert_layers(model))
    if pattern != "1":
        assert eval(pattern) == [int(kind) for kind in expert_layers(model)]  # noqa: S307


@given(vocabulary=st.integers(1, 10**6), tp=st.sampled_from([1, 2, 4, 8, 12, 16]))
def test_padding_never_loses_a_token_and_divides_by_the_ranks(vocabulary: int, tp: int) -> None:
    padded = padded_vocabulary(vocabulary, tp)
    assert vocabulary <= padded < vocabulary + 128 * tp
    assert padded % tp == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schedule": "zero-bubble"}, "it has no zero-bubble schedule"),
        ({"schedule": "dualpipe"}, "it has no dualpipe schedule"),
        ({"virtual_pipeline": 2, "global_batch_size": 6}, "the 3 microbatches must be a multiple"),
    ],
)
def test_megatron_refuses_schedules_that_it_cannot_run(
    changes: dict[str, Any], reason: str
) -> None:
    plan = made_plan("llama-3.1-8b", pipeline_parallel=4, data_parallel=2, tokens=1e9, **changes)
    with pytest.raises(SpecError, match=reason):
        megatron.script(handed(plan, training=Training()))


def test_megatron_refuses_positions_and_splits_that_it_does_not_have() -> None:
    with pytest.raises(SpecError, match="it has no alibi positions"):
        megatron.script(handed(made_plan("bloom-176b", data_parallel=8, tensor_parallel=8)))
    plan = made_plan("mixtral-8x7b", tensor_parallel=2, data_parallel=8, sequence_parallel=False)
    with pytest.raises(SpecError, match="experts with tensor_parallel need sequence_parallel"):
        megatron.script(handed(plan))
    plan = made_plan("llama-3.1-8b", tensor_parallel=8, data_parallel=8, seq_len=1025)
    with pytest.raises(SpecError, match="must divide seq_len 1025 with sequence_parallel"):
        megatron.script(handed(plan))


def test_torchtitan_names_everything_that_it_cannot_express_at_once() -> None:
    plan = made_plan(
        "gpt3-175b", tensor_parallel=8, pipeline_parallel=4, virtual_pipeline=3, data_parallel=8,
        schedule="dualpipe", precision="fp16", seq_len=2048, software="megatron-lm",
    )  # fmt: skip
    with pytest.raises(SpecError) as told:
        torchtitan.module(handed(plan))
    for reason in (
        "gated MLPs only", "not learned", "not fp16", "does not tie embeddings",
        "wants another virtual_pipeline than 3",
    ):  # fmt: skip
        assert reason in str(told.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expert_parallel": 8, "expert_tensor_parallel": 2}, "expert_tensor_parallel must be 1"),
        ({}, "expert_tensor_parallel must be tensor_parallel 2"),
        ({"expert_parallel": 8, "sharding": "none"}, "must divide the 2 ranks of a sharded copy"),
        ({"expert_parallel": 8, "capacity_factor": 1.25}, "no capacity_factor"),
        ({"expert_parallel": 8, "precision": "nvfp4"}, "it has no nvfp4 experts"),
        ({"expert_parallel": 8, "seq_len": 4095}, "seq_len 4095 must be a multiple of 2"),
    ],
)
def test_torchtitan_refuses_splits_of_experts_that_its_mesh_has_not(
    changes: dict[str, Any], reason: str
) -> None:
    layout: dict[str, Any] = {
        "tensor_parallel": 2,
        "data_parallel": 32,
        "sharding": "zero3",
    } | changes
    with pytest.raises(SpecError, match=reason):
        torchtitan.module(handed(made_plan("mixtral-8x7b", software="torchtitan", **layout)))


@pytest.mark.parametrize("name", ["my-plan", "class", "2plan", ""])
def test_a_module_must_be_one_that_python_can_import(name: str) -> None:
    with pytest.raises(SpecError, match="Python can import"):
        torchtitan.module(handed(TORCHTITAN["llama-3.1-8b"]), name)


def test_the_header_says_what_is_not_in_the_plan() -> None:
    text = torchtitan.module(handed(MEGATRON["llama-3.1-8b"], training=Training()))
    top = text[: text.index("\nfrom ")]
    order = handed(MEGATRON["llama-3.1-8b"])
    assert order.plan_hash in top
    assert "predicted for the software profile megatron-core" in top
    assert "Rotary base 10000" in top
    assert "defaults of `giga run`" in top
