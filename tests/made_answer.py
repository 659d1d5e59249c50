"""An answer made by hand, of round numbers: what is printed of it changes with no calibration."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from gigafactory.plan.answer import Alternative, Answer, Point
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.hardware import Accelerator, Fabric, Node, Tier
from gigafactory.spec.interval import Interval
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Experts, Model
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.spec.prediction import Assumption, MemoryBreakdown, Prediction, StepBreakdown
from gigafactory.spec.promise import (
    CheckpointEstimate,
    CostEstimate,
    PowerEstimate,
    Promise,
    RunEstimate,
)

MODEL = Model(
    name="made-moe", num_layers=32, hidden_size=4096, ffn_hidden_size=14_336, num_heads=32,
    num_kv_heads=8, head_dim=128, vocab_size=32_000, context_length=8192,
    experts=Experts(num_experts=8, top_k=2, ffn_hidden_size=14_336),
)  # fmt: skip
ACCELERATOR = Accelerator(
    name="made-gpu", title="Made GPU", vendor="Nobody", peak_flops_per_s={"bf16": 1e15},
    memory_bytes=80e9, memory_bytes_per_s=3e12, scale_up_bytes_per_s=4.5e11, scale_up_domain=8,
    nic_bytes_per_s=5e10, power_w=700.0,
)  # fmt: skip
CLUSTER = Cluster(
    name="made-cluster", title="A cluster made by hand", owner="Nobody", num_gpus=1100,
    accelerator=ACCELERATOR,
    node=Node(name="made-node", title="Made node", accelerator="made-gpu", num_accelerators=8),
    fabric=Fabric(
        name="made-fabric", title="Made fabric", kind="roce",
        tiers=(Tier(name="leaf", num_gpus=2048, hop_latency_s=5e-6),),
    ),
)  # fmt: skip
LAYOUT = Layout(
    data_parallel=64, tensor_parallel=4, sequence_parallel=True, pipeline_parallel=4,
    virtual_pipeline=2, data_shard=32, expert_parallel=8, global_batch_size=1024, seq_len=8192,
    sharding="hsdp", schedule="interleaved",
)  # fmt: skip
PREDICTION = Prediction(
    step_time_s=Interval(low=9.0, expected=10.0, high=12.0),
    mfu=0.425,
    tokens_per_s=838_860.8,
    tokens_per_s_per_gpu=819.2,
    model_flops_per_s_per_gpu=4.25e14,
    memory=MemoryBreakdown(
        weights_bytes=12e9, gradients_bytes=12e9, optimizer_bytes=6e9, activations_bytes=30e9,
        logits_bytes=0.0, buffers_bytes=1e9, runtime_bytes=5e9,
    ),
    memory_per_stage_bytes=(66e9, 60e9, 60e9, 58e9),
    memory_capacity_bytes=80e9,
    breakdown_s=StepBreakdown(
        compute=7.0, memory_bound=0.5, tensor_comm=0.75, context_comm=0.0, expert_comm=0.5,
        pipeline_comm=0.125, pipeline_bubble=0.5, data_comm=0.25, optimizer=0.0625, host=0.0625,
        jitter=0.25,
    ),
    bounded_by="compute",
    fits=True,
    assumptions=(
        Assumption(what="matmul rate in FLOP/s", value=7.5e14, source="made up"),
        Assumption(what="attention", value="causal, counted half", source="by hand"),
    ),
)  # fmt: skip
RUN = RunEstimate(
    steps=119_210,
    productive_days=13.797,
    goodput=Interval(low=0.8, expected=0.9, high=0.95),
    lost={"restart": 0.06, "detect": 0.03, "rework": 0.01},
    mtbf_s=Interval(low=36_000.0, expected=72_000.0, high=144_000.0),
    start=dt.date(2025, 1, 1),
    finish=(dt.date(2025, 1, 15), dt.date(2025, 1, 17), dt.date(2025, 1, 22)),
    by=dt.date(2025, 1, 31),
    on_time=True,
)
POWER = PowerEstimate(
    it_w=1.2e6,
    facility_w=Interval(low=1.3e6, expected=1.5e6, high=2e6),
    swing_w=8e5,
    energy_mwh=552.0,
    co2_kg=165_600.0,
    levels={
        "low": "measured: the leanest",
        "expected": "expected: the likeliest",
        "high": "contracted: the nameplates",
    },
)
COST = CostEstimate(
    usd=Interval(low=7e5, expected=8e5, high=1e6),
    basis="rent",
    usd_per_gpu_hour=Interval(low=2.0, expected=2.25, high=2.5),
    owned_usd_per_gpu_hour=Interval(low=1.25, expected=1.5, high=2.5),
    owned_usd=Interval(low=4e5, expected=5e5, high=9e5),
    capex_usd=Interval(low=3e7, expected=4e7, high=5e7),
)
PROMISE = Promise(
    plan=Plan(
        model=MODEL,
        cluster=CLUSTER,
        job=Job(
            tokens=1e12, seq_len=8192, global_batch_size=1024, start=dt.date(2025, 1, 1),
            by=dt.date(2025, 1, 31),
        ),
        layout=LAYOUT,
        checkpoint=CheckpointPolicy(interval_s=600.0),
    ),
    prediction=PREDICTION,
    run=RUN,
    checkpoint=CheckpointEstimate(
        total_bytes=6.5e11, interval_s=600.0, blocking_s=0.5, write_bytes_per_s=1.1e9
    ),
    power=POWER,
    cost=COST,
)  # fmt: skip
OTHER = replace(LAYOUT, tensor_parallel=8, data_parallel=32, data_shard=None, sharding="zero1")
ANSWER = Answer(
    promise=PROMISE,
    alternatives=(
        Alternative(
            layout=OTHER, step_time_s=10.5, memory_bytes=50e9, why="500 ms more tensor comm"
        ),
    ),
    front=(
        Alternative(layout=LAYOUT, step_time_s=10.0, memory_bytes=66e9, why="as fast"),
        Alternative(
            layout=OTHER, step_time_s=10.5, memory_bytes=50e9, why="500 ms more tensor comm"
        ),
    ),
    considered=1_000_000,
    priced=250_000,
    fits=100_000,
    notes=("1,024 of 1,100 GPUs are used: made so",),
)
UNPRICED = replace(ANSWER, promise=replace(PROMISE, power=None, cost=None))


def curves() -> dict[str, list[Point]]:
    """Return two scaling curves: one that scales as it should, one that stops half way."""
    sizes = (1024, 2048, 4096, 8192)
    return {
        "16M tokens": [Point(size, _faster(min(size, 4096) / 1024)) for size in sizes],
        "free <batch>": [Point(size, _faster(size / 1024)) for size in sizes],
    }


def _faster(factor: float) -> Promise:
    """Return the promise with every rate `factor` times as high."""
    return replace(
        PROMISE,
        prediction=replace(PREDICTION, tokens_per_s=PREDICTION.tokens_per_s * factor),
        run=replace(RUN, productive_days=RUN.productive_days / factor),
    )
