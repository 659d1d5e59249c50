"""A real slurmctld with the files of `giga export gigafactory --to slurm-cluster`.

12,500 nodes of 8 GPUs, none of which exists: they are cloud nodes that nobody powers up.
"""

from __future__ import annotations

import datetime as dt
import getpass
import socket
from typing import TYPE_CHECKING, Final

import pytest

from gigafactory.catalog import loader
from gigafactory.run.slurm_script import SlurmOptions, script
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.spec.run import Training
from tests.integration.test_cli_command import giga
from tests.slurm_daemons import MISSING, REASON, Slurm, free_ports, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(MISSING), reason=REASON)

NODES: Final = 12_500
PLANNED: Final = 12_288  # nodes of 98,304 GPUs
# What makes a controller run for a test: no munge, no cgroups, folders of its own. In slurm.conf
# the last word counts.
HERE: Final = """
SlurmctldPort={port}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Start a controller with the exported files."""
    folder = tmp_path_factory.mktemp("gigafactory")
    (folder / "state").mkdir()
    host = socket.gethostname().split(".")[0]
    ran = giga("export", "gigafactory", "--to", "slurm-cluster", "--out", folder, "--cloud",
               "--controller", f"{host}(127.0.0.1)")  # fmt: skip
    assert ran.code == 0, ran.err
    with (folder / "slurm.conf").open("a", encoding="utf-8") as conf:
        (port,) = free_ports(1)
        conf.write(HERE.format(folder=folder, port=port, user=getpass.getuser()))
    cluster = Slurm(folder)
    try:
        cluster.start_controller()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Write the batch script of Grok-1 on 98,304 GPUs."""
    layout = Layout(
        data_parallel=3072, tensor_parallel=4, sequence_parallel=True, pipeline_parallel=8,
        virtual_pipeline=8, expert_parallel=8, global_batch_size=24_576, seq_len=8192,
        schedule="interleaved",
    )  # fmt: skip
    plan = Plan(
        model=loader.model("grok-1"),
        cluster=loader.cluster("gigafactory"),
        job=Job(tokens=15e12, seq_len=8192, global_batch_size=24_576, start=dt.date(2025, 9, 30)),
        layout=layout,
        checkpoint=CheckpointPolicy(interval_s=600.0),
    )
    options = SlurmOptions(time_limit_s=86_400, lead_s=120, partition="train")
    path = tmp_path / "job.sh"
    path.write_text(script(plan, Training(), options, str(tmp_path)), encoding="utf-8")
    return path


def test_options_of_a_slurm_cluster_are_refused_elsewhere(tmp_path: Path) -> None:
    ran = giga("export", tmp_path / "plan.toml", "--to", "megatron", "--cloud")
    assert (ran.code, "cloud must go with --to slurm-cluster" in ran.err) == (2, True)


def test_all_nodes_and_gpus_of_the_catalog_stand_in_the_controller(slurm: Slurm) -> None:
    told = slurm.ask("sinfo", "-h", "-o", "%D %G %R").stdout.split()
    assert told == [str(NODES), "gpu:h100:8", "train"]
    assert "leaf196" in slurm.ask("scontrol", "show", "topology", "core1").stdout


def test_the_job_of_a_plan_would_start(slurm: Slurm, job: Path) -> None:
    run = slurm.ask("sbatch", "--test-only", str(job))
    assert run.returncode == 0, run.stderr
    assert f"using {PLANNED * 112} processors" in run.stderr


@pytest.mark.parametrize(("nodes", "starts"), [(NODES, True), (NODES + 1, False)])
def test_one_node_more_than_there_are_is_rejected(
    slurm: Slurm, job: Path, nodes: int, *, starts: bool
) -> None:
    run = slurm.ask("sbatch", "--test-only", f"--nodes={nodes}", "--switches=196", str(job))
    assert (run.returncode == 0) == starts, run.stderr
    if not starts:
        assert "Requested node configuration is not available" in run.stderr


def test_a_job_of_one_leaf_is_placed_below_one_switch(slurm: Slurm, job: Path) -> None:
    run = slurm.ask("sbatch", "--test-only", "--nodes=64", "--switches=1", str(job))
    assert run.returncode == 0, run.stderr
    nodes = run.stderr.partition("on nodes ")[2].split()[0]
    assert nodes.startswith("leaf")
    assert nodes.endswith("-n[01-64]")


def test_the_job_of_a_plan_is_given_its_nodes(slurm: Slurm, job: Path) -> None:
    job_id = slurm.ask("sbatch", "--parsable", str(job)).stdout.strip()
    wait_until("nodes are given", lambda: slurm.job(job_id)["JobState"] == "CONFIGURING")
    told = slurm.job(job_id)
    assert told["NumNodes"] == str(PLANNED)
    assert told["TresPerNode"] == "gres:gpu:8"
    assert told["Requeue"] == "1"
    assert "gigafactory plan" in slurm.ask("squeue", "-h", "-o", "%k").stdout
    slurm.ask("scancel", job_id)
