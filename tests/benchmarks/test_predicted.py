"""Predicted against measured step time on this machine: calibrate and train in turns.

Each round measures the machine (`giga calibrate --quick`) and then trains a few steps of every case
with the trainer's own loop. `make bench` prints the table of five rounds; under `make test` one
round of the smallest case shows that all parts still fit together. No time is asserted.
With GIGAFACTORY_REGENERATE=1 the table goes to docs/explanation/this-machine-table.md.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from gigafactory.catalog import loader, machines
from gigafactory.catalog.files import read_plan, write_plan, write_whole
from gigafactory.compare.machine import cluster_of
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.run.local import KEPT_MEMORY
from gigafactory.run.measure.machine import measure
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Model
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.units import show

if TYPE_CHECKING:
    from gigafactory.spec.cluster import Cluster

pytestmark = pytest.mark.drill

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "this-machine-table.md"
WORKER = Path(__file__).with_name("predicted_worker.py")
ROUNDS = 5
WORK = ("compute", "memory_bound", "host", "optimizer")  # of a breakdown; the rest is waiting
SEQ, MICRO, BATCH = 256, 2, 4


def dense(name: str, hidden: int, layers: int, width: int, heads: int) -> Model:
    return Model(
        name=name, num_layers=layers, hidden_size=hidden, ffn_hidden_size=width, num_heads=heads,
        num_kv_heads=heads // 2, head_dim=hidden // heads, vocab_size=2048, context_length=SEQ,
    )  # fmt: skip


MODELS = {
    "1M": dense("1M", 128, 4, 352, 4),
    "3M": dense("3M", 192, 6, 512, 4),
    "10M": dense("10M", 320, 8, 864, 10),
    "grok-tiny": loader.model("grok-tiny"),
}


def layout(**more: Any) -> Layout:
    given: dict[str, Any] = {
        "data_parallel": 1,
        "sharding": "none",
        "precision": "fp32",
        "seq_len": SEQ,
        "micro_batch_size": MICRO,
        "global_batch_size": BATCH,
    }
    return Layout(**given | more)


LAYOUTS = {
    "1 rank": layout(),
    "dp 2": layout(data_parallel=2),
    "tp 2": layout(tensor_parallel=2),
    "pp 2": layout(pipeline_parallel=2),
    "fsdp 2": layout(data_parallel=2, sharding="zero3"),
}
CASES = [
    *((model, split) for model in ("1M", "3M", "10M") for split in LAYOUTS),
    ("grok-tiny", "1 rank"), ("grok-tiny", "dp 2"),
]  # fmt: skip


def plan_of(model: str, split: str, cluster: Cluster) -> Plan:
    chosen = LAYOUTS[split]
    job = Job(tokens=1e6, seq_len=SEQ, global_batch_size=BATCH, start=dt.date(2026, 1, 1),
              precision=chosen.precision)  # fmt: skip
    return Plan(model=MODELS[model], cluster=cluster, job=job, layout=chosen,
                checkpoint=CheckpointPolicy(interval_s=1e6), software="gigafactory")  # fmt: skip


def trained(plans: dict[str, Plan], folder: Path) -> dict[str, dict[str, float]]:
    """Return what each plan's steps took; plans of as many ranks share the processes."""
    told: dict[str, dict[str, float]] = {}
    for ranks in sorted({plan.layout.num_gpus for plan in plans.values()}):
        here = folder / f"{ranks}-ranks"
        here.mkdir(parents=True)
        for name, plan in plans.items():
            if plan.layout.num_gpus == ranks:
                write_plan(plan, here / f"{name}.toml")
        environment = (
            KEPT_MEMORY | os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        )
        processes = [
            subprocess.Popen([sys.executable, str(WORKER), str(here), str(rank), str(ranks)],
                             env=environment)
            for rank in range(ranks)
        ]  # fmt: skip
        try:
            assert [process.wait(1200) for process in processes] == [0] * ranks
        finally:
            for process in processes:
                process.kill()
        told |= json.loads((here / "told.json").read_text(encoding="utf-8"))
    return told


def compared(cases: list[tuple[str, str]], folder: Path) -> dict[str, Any]:
    """Return one round: predicted and measured of every case.

    A rank's own clock stands still while other processes have its core and while it waits; beside
    it stands what is predicted of its work, on a core of its own.
    """
    measured = measure(ranks=2, quick=True)
    cluster = cluster_of(measured)
    plans = {f"{m}, {s}": plan_of(m, s, cluster) for m, s in cases}
    machine = machines.machine(cluster, "gigafactory")
    told: dict[str, Any] = trained(plans, folder)
    for name, plan in plans.items():
        promised = predict(Case(plan.model, plan.layout), machine)
        parts = promised.breakdown_s
        told[name]["predicted_s"] = promised.step_time_s.expected
        told[name]["predicted_own_s"] = measured.free_share * sum(
            getattr(parts, part) for part in WORK
        )
        told[name]["predicted_bytes"] = promised.memory.total_bytes
        told[name]["breakdown"] = parts
    return told


def table(rounds: list[dict[str, Any]]) -> str:
    """Return the medians over rounds, and the ratio of each round's own pair."""
    lines = [
        "| model, layout | predicted | measured | predicted / measured: median | all rounds "
        "| work on a rank's own clock: median | all rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in rounds[0]:
        cells = []
        for ours, theirs in (("predicted_s", "wall_s"), ("predicted_own_s", "own_s")):
            ratios = sorted(r[name][ours] / r[name][theirs] for r in rounds)
            cells += [f"{np.median(ratios):.2f}", " ".join(f"{x:.2f}" for x in ratios)]
        both = [
            show(float(np.median([r[name][key] for r in rounds])), "s")
            for key in ("predicted_s", "wall_s")
        ]
        lines.append(f"| {name} | {' | '.join([*both, *cells])} |")
    return "\n".join(lines)


def test_a_step_is_predicted_from_a_calibration_of_this_machine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bench = request.config.getoption("--benchmark-only") or "GIGAFACTORY_REGENERATE" in os.environ
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    cases = CASES if bench else [("1M", "dp 2")]
    rounds = []
    for number in range(ROUNDS if bench else 1):
        rounds.append(compared(cases, tmp_path / str(number)))
        load = f"round {number + 1}, load {os.getloadavg()[0]:.1f}"
        sys.stdout.write(f"\n{load}\n{table(rounds[-1:])}\n")
    text = table(rounds)
    sys.stdout.write(f"\n{text}\n")
    if "GIGAFACTORY_REGENERATE" in os.environ:
        write_whole(PAGE, text + "\n")
    for one in rounds:
        assert all(0 < case["predicted_s"] < np.inf and case["wall_s"] > 0 for case in one.values())


def test_a_plan_made_on_a_measured_machine_keeps_what_was_measured(tmp_path: Path) -> None:
    cluster = cluster_of(measure(ranks=1, quick=True, name="one core"))
    plan = plan_of("1M", "1 rank", cluster)
    write_plan(plan, tmp_path / "plan.toml")
    assert read_plan(tmp_path / "plan.toml") == plan
