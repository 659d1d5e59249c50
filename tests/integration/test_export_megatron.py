"""An exported script means to Megatron-LM what the plan says: its own parser and checks read it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from gigafactory.cost.operators import layer_model_flops
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case, columns
from gigafactory.run import megatron
from gigafactory.run.placement import expert_layers, placement
from tests import targets
from tests.made_plans import MEGATRON, handed, made_plan

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.plan import Plan

HOLDS: Final = {
    "DATA_PATH": "/a folder/text", "TOKENIZER_MODEL": "/tokenizer", "CHECKPOINT_DIR": "/saved",
    "MEGATRON_LM": "/megatron", "MASTER_ADDR": "host-0",
}  # fmt: skip
ROUTER_SHARE: Final = 5e-3  # of the FLOPs: Megatron-LM counts no router
RECORDER: Final = """\
#!/usr/bin/env bash
printf '%s\\0' "${CUDA_DEVICE_MAX_CONNECTIONS:-}" "$@" > "$RECORD"
"""


def run_script(text: str, folder: Path, *words: str, **environment: str) -> tuple[str, list[str]]:
    """Return the connections and the words that a script gives torchrun, as bash makes them."""
    (folder / "torchrun").write_text(RECORDER)
    (folder / "torchrun").chmod(0o755)
    (folder / "train.sh").write_text(text)
    held = {**HOLDS, **environment}
    subprocess.run(
        ["bash", str(folder / "train.sh"), *words],  # noqa: S607
        env={"PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(folder / "words"), **held},
        check=True,
    )
    connections, *found = (folder / "words").read_text().split("\0")[:-1]
    return connections, found


def case(name: str, plan: Plan, folder: Path, *words: str) -> dict[str, Any]:
    """Return a plan's arguments as the reader takes them."""
    connections, found = run_script(megatron.script(handed(plan)), folder, *words)
    return {
        "name": name,
        "argv": found[found.index("/megatron/pretrain_gpt.py") + 1 :],
        "world_size": plan.layout.num_gpus,
        "env": {"CUDA_DEVICE_MAX_CONNECTIONS": connections} if connections else {},
    }


def changed(name: str, given: dict[str, Any], flag: str, value: str) -> dict[str, Any]:
    """Return a case under another name with one flag's value replaced."""
    argv = list(given["argv"])
    argv[argv.index(flag) + 1] = value
    return {**given, "name": name, "argv": argv}


UNSPLIT = replace(MEGATRON["gpt3-175b"].model, num_kv_heads=8)
REFUSED: Final = {
    "kv-heads": (
        replace(made_plan("gpt3-175b", tensor_parallel=12, data_parallel=2, seq_len=1536,
                          software="megatron-lm"), model=UNSPLIT),
        "tensor_parallel 12 must divide num_kv_heads 8 or be a multiple of it",
    ),
    "context": (
        made_plan("llama-3.1-8b", context_parallel=4, data_parallel=2, seq_len=8196),
        "2 x context_parallel 4 must divide seq_len 8196",
    ),
    "positions": (
        made_plan("gpt3-175b", tensor_parallel=8, data_parallel=2, seq_len=4096),
        "seq_len 4096 is longer than the 2048 learned positions",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what Megatron-LM makes of every plan, and of what it should reject."""
    targets.require("megatron")
    folder = tmp_path_factory.mktemp("megatron")
    cases = [case(name, plan, folder) for name, plan in MEGATRON.items()]
    good = cases[0]
    cases += [
        changed("tp-7", good, "--tensor-model-parallel-size", "7"),
        changed("batch-2000", good, "--global-batch-size", "2000"),
        changed("layer-lost", good, "--pipeline-model-parallel-layout", "Et*7|(t*8|)*14t*6L"),
        {**good, "name": "unknown-flag", "argv": [*good["argv"], "--no-such-flag"]},
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(megatron, "refuse", lambda *_: None)
        cases += [case(f"refused-{name}", plan, folder) for name, (plan, _) in REFUSED.items()]
    return targets.read("read_megatron.py", cases)


@pytest.mark.parametrize("name", MEGATRON)
def test_megatron_accepts_the_script_and_reads_the_layout(
    name: str, answers: dict[str, Any]
) -> None:
    assert "error" not in answers[name], answers[name]
    args, layout, job = answers[name]["args"], MEGATRON[name].layout, MEGATRON[name].job
    assert args["data_parallel_size"] == layout.data_parallel
    assert args["tensor_model_parallel_size"] == layout.tensor_parallel
    assert args["pipeline_model_parallel_size"] == layout.pipeline_parallel
    assert (args["virtual_pipeline_model_parallel_size"] or 1) == layout.virtual_pipeline
    assert args["context_parallel_size"] == layout.context_parallel
    assert args["sequence_parallel"] == layout.sequence_parallel
    assert args["micro_batch_size"] == layout.micro_batch_size
    assert args["global_batch_size"] == layout.global_batch_size
    assert args["seq_length"] == layout.seq_len
    assert (args["train_iters"] - 1) * layout.tokens_per_step < job.tokens
    assert args["train_iters"] * layout.tokens_per_step >= job.tokens
    assert args["recompute_granularity"] == (
        None if layout.recompute == "none" else layout.recompute
    )


@pytest.mark.parametrize("name", MEGATRON)
def test_megatron_trains_the_same_model(name: str, answers: dict[str, Any]) -> None:
    args, plan = answers[name]["args"], MEGATRON[name]
    model = plan.model
    assert args["padded_vocab"] == model.vocab_size
    assert args["swiglu"] == model.gated
    assert args["untie_embeddings_and_output_weights"] != model.tied_embeddings
    unsplit = replace(
        plan.layout, tensor_parallel=1, expert_parallel=1, expert_tensor_parallel=1, data_shard=None
    )
    ours = np.asarray(layer_model_flops(columns([Case(model, unsplit)])[0])).item()
    theirs = answers[name]["flops"] / plan.layout.tokens_per_step
    assert theirs == pytest.approx(ours, rel=ROUTER_SHARE if model.experts else 1e-9)


@pytest.mark.parametrize("name", MEGATRON)
def test_layers_stand_where_the_prediction_has_them(name: str, answers: dict[str, Any]) -> None:
    plan, chunks = MEGATRON[name], answers[name]["chunks"]
    pp = plan.layout.pipeline_parallel
    pieces = placement(plan.model, plan.layout)
    if chunks is None:
        assert plan.model.num_layers % len(pieces) == 0
        assert {len(piece) for piece in pieces} == {plan.model.num_layers // len(pieces)}
        return
    counts = [chunks[at % pp][at // pp].count("decoder") for at in range(len(pieces))]
    assert counts == [len(piece) for piece in pieces]
    assert sum(counts) == plan.model.num_layers
    assert "embedding" in chunks[0][0]
    assert "loss" in chunks[-1][-1]


@pytest.mark.parametrize("name", [name for name, plan in MEGATRON.items() if plan.model.experts])
def test_experts_are_those_of_the_plan(name: str, answers: dict[str, Any]) -> None:
    args, plan = answers[name]["args"], MEGATRON[name]
    experts, layout = plan.model.experts, plan.layout
    assert experts is not None
    freq = args["moe_layer_freq"]
    routed = [True] * plan.model.num_layers if freq == 1 else [bool(kind) for kind in freq]
    assert tuple(routed) == expert_layers(plan.model)
    assert args["num_experts"] == experts.num_experts
    assert args["moe_router_topk"] == experts.top_k
    assert args["moe_ffn_hidden_size"] == experts.ffn_hidden_size
    assert (args["moe_shared_expert_intermediate_size"] or 0) == experts.shared_ffn_hidden_size
    assert args["moe_expert_capacity_factor"] == plan.job.capacity_factor
    assert args["expert_model_parallel_size"] == layout.expert_parallel
    assert args["expert_tensor_parallel_size"] == layout.expert_tensor_parallel


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("llama-3.1-8b", {"use_distributed_optimizer": False, "use_megatron_fsdp": False}),
        ("llama-3.1-405b", {"use_distributed_optimizer": True, "overlap_param_gather": True}),
        ("llama-3.1-8b-zero2", {"data_parallel_sharding_strategy": "optim_grads"}),
        ("llama-3.1-8b-zero3", {"use_megatron_fsdp": True, "ckpt_format": "fsdp_dtensor"}),
        ("llama-3.1-8b-hsdp", {"num_distributed_optimizer_instances": 8}),
        ("llama-3.1-8b-fp32", {"bf16": False, "fp16": False}),
        ("llama-3.1-405b-layer-per-chunk", {"fp8": "hybrid", "fp8_recipe": "tensorwise"}),
        ("gpt3-175b", {"fp16": True, "hidden_dropout": 0.1, "add_bias_linear": True}),
        ("mixtral-8x22b", {"moe_token_dispatcher_type": "flex"}),
        ("deepseek-v3", {"multi_latent_attention": True, "kv_lora_rank": 512}),
        ("grok-1", {"save_interval": 144, "async_save": True, "exit_signal_handler": True}),
        ("grok-1", {"lr": 8e-5, "min_lr": 8e-6, "lr_warmup_iters": 2000}),
    ],
)
def test_the_rest_of_the_plan_arrives(
    name: str, flags: dict[str, Any], answers: dict[str, Any]
) -> None:
    args = answers[name]["args"]
    assert {key: args[key] for key in flags} == pytest.approx(flags)


@pytest.mark.parametrize("name", ["tp-7", "batch-2000", "layer-lost", "unknown-flag"])
def test_megatron_would_notice_a_wrong_flag(name: str, answers: dict[str, Any]) -> None:
    assert "error" in answers[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_megatron_rejects_is_refused_with_both_operands(
    name: str, answers: dict[str, Any]
) -> None:
    plan, reason = REFUSED[name]
    assert "error" in answers[f"refused-{name}"]
    with pytest.raises(SpecError, match=reason):
        megatron.script(handed(plan))


def test_what_follows_the_script_is_passed_on(tmp_path: Path) -> None:
    text = megatron.script(handed(MEGATRON["llama-3.1-8b"]))
    _, found = run_script(text, tmp_path, "--exit-interval", "20")
    assert found[-2:] == ["--exit-interval", "20"]
    assert found[found.index("--data-path") + 1] == "/a folder/text"


def test_hosts_that_know_their_rank_keep_it(tmp_path: Path) -> None:
    text = megatron.script(handed(MEGATRON["llama-3.1-8b"]))
    assert "--rdzv-endpoint=host-0:29500" in run_script(text, tmp_path)[1]
    ranked = run_script(text, tmp_path, NODE_RANK="3", MASTER_PORT="1234")[1]
    assert {"--nnodes=8", "--node-rank=3", "--master-port=1234"} <= set(ranked)
    assert not any(word.startswith("--rdzv") for word in ranked)
