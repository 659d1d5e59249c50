"""A plan of a model so small that four processes of one machine train it in seconds."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from gigafactory.catalog import loader
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Model
from gigafactory.spec.plan import CheckpointPolicy, Plan

MODEL = Model(
    name="tiny", num_layers=2, hidden_size=64, ffn_hidden_size=128, num_heads=4, num_kv_heads=2,
    head_dim=16, vocab_size=512, context_length=64,
)  # fmt: skip


def tiny_plan(steps: int = 20) -> Plan:
    """Return a plan of four data-parallel ranks, two to a node."""
    cluster = loader.cluster_of("h100-sxm", 8)
    layout = Layout(
        data_parallel=4, global_batch_size=8, seq_len=64, precision="bf16", sharding="none"
    )
    return Plan(
        model=MODEL,
        cluster=replace(cluster, node=replace(cluster.node, num_accelerators=2)),
        job=Job(
            tokens=float(steps * layout.tokens_per_step),
            seq_len=64,
            global_batch_size=8,
            start=dt.date(2026, 1, 1),
            precision="bf16",
        ),
        layout=layout,
        checkpoint=CheckpointPolicy(interval_s=2.0),
        software="pytorch-fsdp1",
    )
