"""Small plans that train in seconds, and the text they train on."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gigafactory.run.record import RunFolder
from gigafactory.run.trainer.data import prepare
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.hardware import Accelerator, Fabric, Node, Tier
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Experts, Model
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.spec.run import Training

ROOT = Path(__file__).parents[1]
SEQ_LEN = 16
DENSE = Model(
    name="made-dense", num_layers=4, hidden_size=32, ffn_hidden_size=64, num_heads=4,
    num_kv_heads=2, head_dim=8, vocab_size=512, context_length=64, tied_embeddings=True,
)  # fmt: skip
SPARSE = replace(
    DENSE, name="made-sparse", num_kv_heads=1,
    experts=Experts(num_experts=4, top_k=2, ffn_hidden_size=48),
)  # fmt: skip


def cluster(cores: int) -> Cluster:
    """A machine of CPU cores, each an accelerator."""
    core = Accelerator(
        name="made-core", title="Made core", vendor="Nobody", peak_flops_per_s={"fp32": 5e10},
        memory_bytes=4e9, memory_bytes_per_s=1e10,
    )  # fmt: skip
    node = Node(name="made-node", title="Node", accelerator="made-core", num_accelerators=cores)
    tiers = (Tier(name="node", num_gpus=cores, hop_latency_s=1e-5),)
    return Cluster(
        name="made-machine", title="A machine made by hand", owner="Nobody", num_gpus=cores,
        accelerator=core, node=node,
        fabric=Fabric(name="made-loopback", title="Loopback", kind="loopback", tiers=tiers),
    )  # fmt: skip


def plan(model: Model = DENSE, *, steps: int = 4, cores: int = 4, **layout: Any) -> Plan:
    """A plan of so many steps of four sequences."""
    chosen: dict[str, Any] = {
        "data_parallel": 1, "global_batch_size": 4, "seq_len": SEQ_LEN, "precision": "fp32",
        "sharding": "none",
    } | layout  # fmt: skip
    built = Layout(**chosen)
    job = Job(
        tokens=float(steps * built.tokens_per_step), seq_len=built.seq_len, precision="fp32",
        global_batch_size=built.global_batch_size, start=dt.date(2026, 1, 1),
    )  # fmt: skip
    return Plan(
        model=model, cluster=cluster(cores), job=job, layout=built,
        checkpoint=CheckpointPolicy(interval_s=3600.0),
    )  # fmt: skip


def prepared_text(folder: Path, vocab_size: int = DENSE.vocab_size) -> Path:
    """Some of the standard library's source, prepared; what follows takes it over."""
    text = folder / "text"
    text.mkdir(parents=True)
    library = Path(os.__file__).parent
    for name in ("argparse.py", "ast.py", "asyncore.py", "calendar.py", "cmd.py", "shutil.py"):
        if (library / name).exists():
            (text / name).write_bytes((library / name).read_bytes())
    prepare(str(text), vocab_size=vocab_size, seed=0, folder=folder / "data")
    return folder / "data"


def run_folder(path: Path, made: Plan, text: Path, **asked: Any) -> RunFolder:
    """A run that is ready to be trained by workers."""
    folder = RunFolder(path)
    options = {"learning_rate": 0.01, "warmup_steps": 1, "evaluation_batches": 4} | asked
    folder.create(made, Training(data=str(text), **options))
    prepare(str(text), vocab_size=made.model.vocab_size, seed=0, folder=path / "data")
    return folder


def environment() -> dict[str, str]:
    """What processes of these tests need."""
    return os.environ | {
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }  # fmt: skip


def torchrun(ranks: int, *command: str, timeout_s: float = 900.0) -> str:
    """What torchrun printed; it must have ended well."""
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nnodes=1",
            f"--nproc-per-node={ranks}", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0",
            "--local-addr=127.0.0.1", *command,
        ],
        env=environment(), capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
