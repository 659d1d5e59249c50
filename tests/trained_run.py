"""A tiny model, really trained: `giga run` in a process of its own, on text it can learn fast."""

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

from gigafactory.catalog import files, loader
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Model
from gigafactory.spec.plan import CheckpointPolicy, Plan

COUNTED = "one two three four five six seven eight nine ten"
MODEL = Model(
    name="tiny", num_layers=2, hidden_size=64, ffn_hidden_size=128, num_heads=4, num_kv_heads=2,
    head_dim=16, vocab_size=300, context_length=128,
)  # fmt: skip


def made_plan(steps: int, seq_len: int = 64) -> Plan:
    """Return a plan of one rank and batches of 8 sequences."""
    return Plan(
        model=MODEL,
        cluster=loader.cluster_of("h100-sxm", 1),
        job=Job(
            tokens=float(steps * 8 * seq_len), seq_len=seq_len, global_batch_size=8,
            start=dt.date(2026, 1, 1), precision="fp32",
        ),
        layout=Layout(
            data_parallel=1, global_batch_size=8, micro_batch_size=8, seq_len=seq_len,
            sharding="none", precision="fp32",
        ),
        checkpoint=CheckpointPolicy(interval_s=3600.0),
    )  # fmt: skip


def made_text(path: Path, documents: int = 300) -> Path:
    """Write documents that each count from one to ten, under a number of their own."""
    rows = ({"text": f"List {i}: {COUNTED}."} for i in range(documents))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def trained_run(root: Path, steps: int = 60) -> Path:
    """Train, and return the run folder."""
    plan, run = root / "plan.toml", root / "run"
    files.write_plan(made_plan(steps), plan)
    text = made_text(root / "text.jsonl")
    subprocess.run(
        [
            sys.executable, "-c", "from gigafactory.cli import main; main()", "run", str(plan),
            "--out", str(run), "--data", str(text), "--learning-rate", "1e-2", "--json",
        ],
        check=True, timeout=240,
    )  # fmt: skip
    return run
