"""Plans of the catalog's models, split by hand: what an exporter is tried on."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from gigafactory.catalog import loader
from gigafactory.run.handover import Handover
from gigafactory.spec.cluster import LARGEST_NODE
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.spec.run import Training

STEP_TIME_S: Final = 12.5
CLUSTER: Final = "gigafactory"


def made_plan(
    model: str,
    *,
    cluster: str = CLUSTER,
    software: str = "megatron-core",
    tokens: float = 15e12,
    capacity_factor: float | None = None,
    asynchronous: bool = True,
    **layout: Any,
) -> Plan:
    """Return a plan of a catalog model with the given layout."""
    layout = {"seq_len": 8192, "global_batch_size": 2048, "tensor_parallel": 1} | layout
    layout.setdefault("sequence_parallel", layout["tensor_parallel"] > 1)
    split = Layout(**layout)
    job = Job(
        tokens=tokens,
        seq_len=split.seq_len,
        global_batch_size=split.global_batch_size,
        start=dt.date(2026, 1, 1),
        precision=split.precision,
        capacity_factor=capacity_factor,
    )
    return Plan(
        model=loader.model(model),
        cluster=loader.cluster(cluster),
        job=job,
        layout=split,
        checkpoint=CheckpointPolicy(interval_s=1800.0, asynchronous=asynchronous),
        software=software,
    )


def handed(plan: Plan, *, training: Training | None = None, **changes: Any) -> Handover:
    """Return a plan as exporters take it, at a step time typed in so that texts stay the same."""
    features = loader.software(plan.software).features
    if plan.cluster.node.num_accelerators > LARGEST_NODE:
        changes.setdefault("gpus_per_node", 4)  # a compute tray of a rack
    return Handover(
        plan=plan,
        training=training or Training(learning_rate=8e-5, warmup_steps=2000),
        features=features,
        step_time_s=STEP_TIME_S,
        **changes,
    )


MEGATRON: Final = {
    "llama-3.1-405b": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, data_parallel=128
    ),
    "llama-3.1-405b-interleaved": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, virtual_pipeline=4,
        data_parallel=64, recompute="selective", schedule="interleaved",
    ),
    "llama-3.1-405b-layer-per-chunk": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, virtual_pipeline=8,
        data_parallel=64, precision="fp8", schedule="interleaved",
    ),
    "llama-3.1-405b-long": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, context_parallel=16,
        data_parallel=8, seq_len=131_072, global_batch_size=128, recompute="full",
    ),
    "llama-3.1-8b": made_plan("llama-3.1-8b", data_parallel=64, sharding="none"),
    "llama-3.1-8b-zero3": made_plan(
        "llama-3.1-8b", data_parallel=64, sharding="zero3", recompute="full",
        software="pytorch-fsdp1", asynchronous=False,
    ),
    "llama-3.1-8b-zero2": made_plan("llama-3.1-8b", data_parallel=64, sharding="zero2"),
    "llama-3.1-8b-hsdp": made_plan(
        "llama-3.1-8b", data_parallel=64, data_shard=8, sharding="hsdp", tensor_parallel=2
    ),
    "llama-3.1-8b-fp32": made_plan("llama-3.1-8b", data_parallel=8, precision="fp32"),
    "gpt3-175b": made_plan(
        "gpt3-175b", tensor_parallel=8, pipeline_parallel=8, virtual_pipeline=6, data_parallel=16,
        seq_len=2048, global_batch_size=1536, software="megatron-2021", schedule="interleaved",
        recompute="full", sharding="none", sequence_parallel=False, precision="fp16",
    ),
    "grok-1": made_plan(
        "grok-1", tensor_parallel=4, pipeline_parallel=8, virtual_pipeline=8, data_parallel=3072,
        expert_parallel=8, global_batch_size=24_576, schedule="interleaved",
    ),
    "grok-1-etp": made_plan(
        "grok-1", tensor_parallel=8, pipeline_parallel=4, data_parallel=64, expert_parallel=8,
        expert_tensor_parallel=8, capacity_factor=1.25,
    ),
    "mixtral-8x7b": made_plan(
        "mixtral-8x7b", tensor_parallel=2, pipeline_parallel=4, data_parallel=32, expert_parallel=8,
        virtual_pipeline=4, seq_len=4096, schedule="interleaved",
    ),
    "mixtral-8x22b": made_plan(
        "mixtral-8x22b", tensor_parallel=2, pipeline_parallel=5, data_parallel=32,
        expert_parallel=8, recompute="selective", software="hai-llm",
    ),
    "deepseek-v3": made_plan(
        "deepseek-v3", tensor_parallel=2, pipeline_parallel=16, data_parallel=64,
        expert_parallel=64, seq_len=4096, global_batch_size=15_360, precision="fp8",
    ),
    "deepseek-v3-interleaved": made_plan(
        "deepseek-v3", pipeline_parallel=16, virtual_pipeline=2, data_parallel=128,
        expert_parallel=64, seq_len=4096, global_batch_size=16_384, schedule="interleaved",
    ),
    "qwen3-235b-a22b": made_plan(
        "qwen3-235b-a22b", tensor_parallel=4, pipeline_parallel=8, data_parallel=32,
        expert_parallel=32,
    ),
    "llama-4-maverick": made_plan(
        "llama-4-maverick", tensor_parallel=4, pipeline_parallel=4, data_parallel=32,
        expert_parallel=64, cluster="gigafactory",
    ),
}  # fmt: skip

TORCHTITAN: Final = {
    "llama-3.1-405b": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, data_parallel=128,
        sharding="zero2", software="torchtitan", recompute="full",
    ),
    "llama-3.1-405b-interleaved": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=16, virtual_pipeline=8,
        data_parallel=64, schedule="interleaved", recompute="selective",
    ),
    "llama-3.1-405b-zero-bubble": made_plan(
        "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=8, virtual_pipeline=2,
        data_parallel=64, schedule="zero-bubble", sharding="zero2", software="torchtitan",
    ),
    "llama-3.1-8b": made_plan(
        "llama-3.1-8b", data_parallel=64, sharding="zero3", software="torchtitan",
        recompute="selective", precision="fp8",
    ),
    "llama-3.1-8b-mxfp8": made_plan(
        "llama-3.1-8b", data_parallel=64, sharding="zero3", software="torchtitan",
        precision="fp8", cluster="abilene-1",
    ),
    "llama-3.1-8b-nvfp4": made_plan(
        "llama-3.1-8b", data_parallel=64, sharding="zero3", software="torchtitan",
        precision="nvfp4", cluster="abilene-1",
    ),
    "llama-3.1-8b-hsdp": made_plan(
        "llama-3.1-8b", data_parallel=64, data_shard=8, sharding="hsdp", tensor_parallel=2,
        software="pytorch-fsdp1", asynchronous=False,
    ),
    "llama-3.1-8b-ddp": made_plan(
        "llama-3.1-8b", data_parallel=8, sharding="none", precision="fp32", micro_batch_size=2,
    ),
    "llama-3.1-8b-long": made_plan(
        "llama-3.1-8b", data_parallel=8, context_parallel=8, seq_len=131_072,
        global_batch_size=64, sharding="zero3", software="torchtitan", recompute="full",
    ),
    "grok-1": made_plan(
        "grok-1", tensor_parallel=8, data_parallel=64, expert_parallel=8, sharding="zero3",
        software="torchtitan", recompute="full",
    ),
    "mixtral-8x7b": made_plan(
        "mixtral-8x7b", tensor_parallel=2, pipeline_parallel=4, virtual_pipeline=4,
        data_parallel=32, expert_parallel=8, seq_len=4096, schedule="interleaved",
        sharding="zero2", software="torchtitan", precision="fp8",
    ),
    "mixtral-8x7b-etp": made_plan(
        "mixtral-8x7b", tensor_parallel=2, data_parallel=32, expert_tensor_parallel=2,
        seq_len=4096, sharding="zero3", software="torchtitan",
    ),
    "deepseek-v3": made_plan(
        "deepseek-v3", tensor_parallel=2, pipeline_parallel=16, virtual_pipeline=2,
        data_parallel=64, expert_parallel=64, seq_len=4096, global_batch_size=16_384,
        schedule="dualpipe", sharding="zero2", software="torchtitan",
    ),
    "qwen3-30b-a3b": made_plan(
        "qwen3-30b-a3b", data_parallel=32, expert_parallel=8, seq_len=4096, sharding="zero3",
        software="torchtitan",
    ),
    "llama-4-maverick": made_plan(
        "llama-4-maverick", tensor_parallel=4, pipeline_parallel=4, data_parallel=32,
        expert_parallel=64, sharding="zero2", software="torchtitan",
    ),
}  # fmt: skip
