"""An exported module means to torchtitan what the plan says: its own parser and code read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from gigafactory.errors import SpecError
from gigafactory.run import torchtitan
from gigafactory.run.placement import expert_layers, placement
from gigafactory.run.torchtitan_settings import data_degrees
from tests import targets
from tests.made_plans import TORCHTITAN, handed, made_plan

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.plan import Plan

SHARDED: Final = (
    "llama-3.1-405b-interleaved", "llama-3.1-8b", "llama-3.1-8b-hsdp", "mixtral-8x7b",
    "mixtral-8x7b-etp", "deepseek-v3",
)  # fmt: skip
REFUSED: Final = {
    "kv-heads": (
        made_plan("llama-3.1-8b", tensor_parallel=16, data_parallel=4, software="torchtitan"),
        "tensor_parallel 16 must divide num_kv_heads 8",
    ),
    "tied": (
        made_plan("grok-1", pipeline_parallel=8, data_parallel=8, software="torchtitan"),
        "it does not tie embeddings across pipeline stages",
    ),
    "fp16": (
        made_plan("llama-3.1-8b", data_parallel=8, precision="fp16", software="torchtitan"),
        "not fp16",
    ),
}


def module_name(name: str) -> str:
    """Return a name that Python can import."""
    return "plan_" + re.sub(r"\W", "_", name)


def case(name: str, plan: Plan, folder: Path) -> dict[str, Any]:
    """Write a plan's module; return it as the reader takes it."""
    module = module_name(name)
    (folder / f"{module}.py").write_text(torchtitan.module(handed(plan), module))
    blackwell = "nvfp4" in plan.cluster.accelerator.peak_flops_per_s
    return {
        "name": name, "folder": str(folder), "module": module,
        "world_size": plan.layout.num_gpus, "capability": [10, 0] if blackwell else [9, 0],
        "shard": name in SHARDED,
    }  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what torchtitan makes of every plan, and of what it should reject."""
    targets.require("torchtitan")
    folder = tmp_path_factory.mktemp("torchtitan")
    cases = [case(name, plan, folder) for name, plan in TORCHTITAN.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchtitan, "refuse", lambda *_: None)
        cases += [
            case(f"refused-{name}", plan, folder)
            for name, (plan, _) in REFUSED.items()
            if name != "fp16"  # a dtype that its field has no word for
        ]
    broken = (folder / f"{module_name('llama-3.1-8b')}.py").read_text()
    (folder / "broken.py").write_text(broken.replace("seq_len=", "no_such_field="))
    cases.append({**cases[0], "name": "broken", "module": "broken", "shard": False})
    cases.append({**cases[0], "name": "wrong-world", "world_size": 4096, "shard": False})
    return targets.read("read_torchtitan.py", cases)


@pytest.mark.parametrize("name", TORCHTITAN)
def test_torchtitan_accepts_the_module_and_reads_the_layout(
    name: str, answers: dict[str, Any]
) -> None:
    assert "error" not in answers[name], answers[name]
    told, layout, job = answers[name], TORCHTITAN[name].layout, TORCHTITAN[name].job
    split, training = told["parallelism"], told["training"]
    degrees = (split["data_parallel_replicate_degree"], split["data_parallel_shard_degree"])
    assert degrees == data_degrees(layout)
    assert degrees[0] * degrees[1] == layout.data_parallel
    assert split["tensor_parallel_degree"] == layout.tensor_parallel
    assert split["pipeline_parallel_degree"] == layout.pipeline_parallel
    assert split["context_parallel_degree"] == layout.context_parallel
    assert split["expert_parallel_degree"] == layout.expert_parallel
    assert training["global_batch_size"] == layout.global_batch_size
    assert training["seq_len"] == layout.seq_len
    rounds = training["local_batch_size"] // layout.micro_batch_size * told["accumulation"]
    assert rounds == layout.num_microbatches
    assert (training["steps"] - 1) * layout.tokens_per_step < job.tokens
    assert training["steps"] * layout.tokens_per_step >= job.tokens


@pytest.mark.parametrize("name", TORCHTITAN)
def test_torchtitan_builds_the_same_model(name: str, answers: dict[str, Any]) -> None:
    told, model = answers[name], TORCHTITAN[name].model
    latent = model.latent_attention
    norms = model.hidden_size  # the last one; ours counts those of layers
    norms += model.num_layers * (latent.query_rank + latent.kv_rank) if latent else 0
    assert told["parameters"] == model.num_parameters + norms
    assert told["tied"] == model.tied_embeddings
    assert tuple(str(layer) in told["routed"] for layer in range(told["layers"])) == (
        expert_layers(model)
    )


@pytest.mark.parametrize("name", SHARDED)
def test_torchtitan_splits_it_over_the_ranks_of_the_plan(
    name: str, answers: dict[str, Any]
) -> None:
    told, plan = answers[name], TORCHTITAN[name]
    pp, vpp = plan.layout.pipeline_parallel, plan.layout.virtual_pipeline
    pieces = placement(plan.model, plan.layout)
    folded = plan.layout.schedule == "dualpipe"
    held = [pieces[0], pieces[-1]] if folded else [pieces[chunk * pp] for chunk in range(vpp)]
    layers = [{f"layers.{layer}" for layer in piece} for piece in held]
    ends = {"tok_embeddings.weight", "norm.weight", "lm_head.weight"}
    assert [set(part) - ends for part in told["parts"]] == layers
    assert "tok_embeddings.weight" in told["parts"][0]
    if pp == 1 and plan.layout.expert_parallel == 1:
        ranks = data_degrees(plan.layout)[1] * plan.layout.context_parallel
        share = told["parameters"] / (ranks * plan.layout.tensor_parallel)
        assert told["local_parameters"] == pytest.approx(share, rel=1e-3)  # norms are whole


@pytest.mark.parametrize(
    ("name", "section", "values"),
    [
        ("llama-3.1-405b", "parallelism", {"pipeline_parallel_schedule": "1F1B"}),
        ("llama-3.1-405b", "parallelism", {"fsdp_reshard_after_forward": "never"}),
        ("llama-3.1-8b", "parallelism", {"fsdp_reshard_after_forward": "always"}),
        ("llama-3.1-8b-long", "parallelism", {"context_parallel_load_balancer": "ptrr"}),
        ("llama-3.1-8b-ddp", "training", {"mixed_precision_param": "float32"}),
        ("llama-3.1-8b", "checkpoint", {"interval": 144, "async_mode": "async", "enable": True}),
        ("llama-3.1-8b-hsdp", "checkpoint", {"async_mode": "disabled"}),
        ("grok-1", "scheduler", {"warmup_steps": 2000, "decay_type": "cosine"}),
        ("grok-1", "scheduler", {"min_lr_factor": 0.1}),
        ("llama-3.1-405b-interleaved", "compile", {"enable_async_tensor_parallel": True}),
    ],
)
def test_the_rest_of_the_plan_arrives(
    name: str, section: str, values: dict[str, Any], answers: dict[str, Any]
) -> None:
    found = answers[name][section]
    assert {key: found[key] for key in values} == values


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("llama-3.1-405b", "FullAC.Config"),
        ("llama-3.1-8b", "SelectiveAC.Config"),
        ("deepseek-v3", "NoneType"),
    ],
)
def test_recomputation_arrives(name: str, policy: str, answers: dict[str, Any]) -> None:
    assert answers[name]["recompute"] == policy


def test_norms_do_not_decay_and_the_rest_does(answers: dict[str, Any]) -> None:
    norms, rest = answers["llama-3.1-8b"]["optimizer"]
    assert (norms["pattern"], norms["optimizer_kwargs"]["weight_decay"]) == ("norm", 0.0)
    assert (rest["pattern"], rest["optimizer_kwargs"]["weight_decay"]) == (".*", 0.1)
    assert rest["optimizer_kwargs"]["lr"] == pytest.approx(8e-5)


@pytest.mark.parametrize("name", ["broken", "wrong-world"])
def test_torchtitan_would_notice_a_wrong_module(name: str, answers: dict[str, Any]) -> None:
    assert "error" in answers[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_torchtitan_rejects_is_refused_with_the_reason(
    name: str, answers: dict[str, Any]
) -> None:
    plan, reason = REFUSED[name]
    if name != "fp16":
        assert "error" in answers[f"refused-{name}"]
    with pytest.raises(SpecError, match=reason):
        torchtitan.module(handed(plan))
