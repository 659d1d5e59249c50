"""`giga calibrate` on this machine: it measures, plans are made on what it wrote, and they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("scipy", reason="fits need scipy")

from gigafactory.catalog import loader
from gigafactory.catalog.files import read_plan
from gigafactory.compare.promised import promised
from tests.made_run import begun, plan

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.drill

GIGA = [sys.executable, "-c", "from gigafactory.cli import main; main()"]


def giga(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GIGA, *arguments], capture_output=True, text=True, check=False)


def answer(*arguments: str) -> dict[str, Any]:
    done = giga(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("calibrate") / "machine.toml"
    told = answer("calibrate", "--quick", "--name", "Desk 7", "--out", str(path))
    return path, told


def test_it_writes_a_cluster_of_every_core_with_what_was_measured(
    measured: tuple[Path, dict[str, Any]],
) -> None:
    path, told = measured
    cluster = loader.cluster(str(path))
    assert cluster.measured is not None
    assert cluster.name == told["name"] == "desk-7"
    assert cluster.num_gpus == told["ranks"]
    assert 0 < told["free_share"] <= 1
    assert cluster.measured.kernels.provenance.version.startswith("torch ")
    spread = told["noise"]["gemm.fp32"]
    assert spread["p10"] <= spread["p50"] <= spread["p90"]


def test_a_plan_on_it_is_for_our_trainer_and_trains(
    measured: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    path, _ = measured
    out = tmp_path / "plan.toml"
    told = answer("plan", "grok-tiny", "--cluster", str(path), "--tokens", "4096",
                  "--seq-len", "128", "--global-batch-tokens", "1024", "-o", str(out))  # fmt: skip
    plan = read_plan(out)
    assert plan.software == "gigafactory"
    assert plan.cluster == loader.cluster(str(path))
    assert plan.layout.precision in plan.cluster.accelerator.peak_flops_per_s
    assert told["prediction"]["step_time_s"]["expected"] > 0
    ran = answer("run", str(out), "--out", str(tmp_path / "run"))
    assert (ran["state"], ran["steps"]) == ("finished", 4)


def test_more_ranks_than_cores_are_refused(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    done = giga("calibrate", "--ranks", str(cores + 1), "--out", str(tmp_path / "m.toml"))
    assert done.returncode == 2
    assert f"from 1 to the {cores} cores" in done.stderr
    assert not (tmp_path / "m.toml").exists()


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    done = giga("calibrate", "--out", str(tmp_path / "none" / "m.toml"))
    assert done.returncode == 2
    assert "measuring" not in done.stderr


def test_learning_from_a_run_and_measuring_are_two_things(tmp_path: Path) -> None:
    done = giga("calibrate", "--from-run", str(tmp_path), "--quick")
    assert done.returncode == 2
    assert "--quick" in done.stderr


def test_a_plan_on_what_a_run_taught_promises_what_that_run_took(tmp_path: Path) -> None:
    made = begun(tmp_path / "run")
    before = promised(plan()).step_time_s.expected
    made.steps(60, 1.1 * before, spans_s={"forward_backward": before})
    made.finish()
    out = tmp_path / "learned.toml"
    told = answer("calibrate", "--from-run", str(tmp_path / "run"), "--out", str(out))
    assert told["file"] == str(out)
    learned = promised(replace(plan(), cluster=loader.cluster(str(out)))).step_time_s.expected
    assert abs(learned / (1.1 * before) - 1.0) < abs(1.0 / 1.1 - 1.0) / 2, "most of the way"
    asked = ("plan", "llama-3.1-8b", "--cluster", str(out), "--tokens", "1e12")
    assert answer(*asked)["prediction"]["step_time_s"]["expected"] > 0


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    done = giga("calibrate", "--from-run", str(tmp_path), "--out", str(tmp_path / "m.toml"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
