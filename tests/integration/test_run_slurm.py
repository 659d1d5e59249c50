"""Runs through a real Slurm: one controller and four nodes on loopback, started by the test."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.catalog import loader
from gigafactory.errors import SpecError
from gigafactory.run.record import RunFolder
from gigafactory.run.slurm import Request, SlurmExecutor, SlurmJob
from gigafactory.spec.run import Training
from tests.slurm_daemons import MISSING, REASON, Slurm, small_cluster, wait_until
from tests.tiny_plan import tiny_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(MISSING), reason=REASON)
WORKER = "tests.stand_in_worker"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Start a cluster of four nodes with two ranks each."""
    cluster = small_cluster(tmp_path_factory.mktemp("slurm") / "cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        patch.setenv("PYTHONPATH", os.getcwd())
        yield cluster
    cluster.stop()


def submitted(folder: Path, *, steps: int, **request: Any) -> SlurmJob:
    run = RunFolder(folder)
    run.create(tiny_plan(), Training())
    os.environ["GIGAFACTORY_STEPS"]=str(steps)
    job = SlurmExecutor(Request(worker=WORKER, **request), print).submit(run)
    job.longest_poll_s = 1.0
    return job


def test_a_run_trains_on_two_nodes_of_two_ranks_to_its_end(slurm: Slurm, tmp_path: Path) -> None:
    job = submitted(tmp_path / "run", steps=10)
    result = job.wait()
    print(job.output())
    assert result.state == "finished"
    assert [s.step for s in job.folder.steps()] == list(range(1, 11))


def test_a_failed_node_is_replaced_by_a_free_one(slurm: Slurm, tmp_path: Path) -> None:
    job = submitted(tmp_path / "run", steps=60)
    wait_until("steps", lambda: len(job.folder.steps()) > 10)
    slurm.fail_node("n2")
    result = job.wait()
    print(job.output(), *job.folder.events(), sep="\n")
    slurm.start_node("n2")
    wait_until("idle", lambda: slurm.states()["n2"] == "idle")
    assert result.state == "finished"


def test_a_spare(slurm: Slurm, tmp_path: Path) -> None:
    job = submitted(tmp_path / "run", steps=1000, nodes_spare=1)
    wait_until("steps", lambda: len(job.folder.steps()) > 10)
    busy = "n2" if "start" in (job.folder.path / "logs/node-1.log").read_text() else "n3"
    slurm.fail_node(busy)
    n=len(job.folder.steps())
    wait_until("steps", lambda: len(job.folder.steps()) > n+10)
    print(job.poll())
    job.cancel()
    result = job.wait()
    print(job.output(), *job.folder.events(), sep="\n")
    slurm.start_node(busy)
    wait_until("idle", lambda: slurm.states()[busy] == "idle")
    assert result.state == "stopped"


def test_time_limit(slurm: Slurm, tmp_path: Path) -> None:
    job = submitted(tmp_path / "run", steps=200, time="1")
    result = job.wait()
    print(job.output(), *job.folder.events(), sep="\n")
    assert result.state == "finished"
