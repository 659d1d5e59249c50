"""Runs through a real Slurm: one controller and four nodes on loopback, started by the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.run import launch
from gigafactory.run.record import RunFolder
from gigafactory.run.slurm import Request, SlurmExecutor, SlurmJob
from gigafactory.spec.run import Training
from tests.integration.test_cli_command import giga
from tests.slurm_daemons import MISSING, REASON, Slurm, small_cluster, wait_until
from tests.tiny_plan import tiny_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.spec.run import Event

pytest.importorskip("torch")
pytestmark = [pytest.mark.drill, pytest.mark.skipif(bool(MISSING), reason=REASON)]

GIGA: Final = (sys.executable, "-c", "from gigafactory.cli import main; main()")
ROOT: Final = Path(__file__).parents[2]
UNDERWAY: Final = 5  # steps after which something happens to a run
LONG: Final = 100  # steps of a run that something happens to
ENDLESS: Final = 100_000  # steps of a run that is ended


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Start a cluster of four nodes, each for two ranks."""
    cluster = small_cluster(tmp_path_factory.mktemp("slurm") / "cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        patch.setenv("PYTHONPATH", str(ROOT))
        yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a text to train on: this package's own specs."""
    path = tmp_path_factory.mktemp("text") / "specs.txt"
    specs = sorted((ROOT / "gigafactory" / "spec").glob("*.py"))
    path.write_text("\n".join(s.read_text(encoding="utf-8") for s in specs), encoding="utf-8")
    return path


def submitted(folder: Path, text: Path, *, steps: int, **request: Any) -> SlurmJob:
    """Return a run of a tiny model that Slurm has taken."""
    executor, run = SlurmExecutor(Request(**request)), RunFolder(folder)
    asked = {"data": str(text), "checkpoint_interval_s": 0.2, "evaluate_every": steps}
    launch.make_ready(run, tiny_plan(steps), asked, executor, resume=False)
    job = executor.submit(run)
    job.longest_poll_s = 0.5
    return job


def state_at_end(job: SlurmJob) -> str:
    """Return how a run ended; shows all of it when a test fails."""
    result = job.wait()
    print(result, *job.folder.events(), job.output(), sep="\n")  # noqa: T201
    assert result is not None
    return result.state


def events(job: SlurmJob, kind: str, *, of_slurm: bool = False) -> list[Event]:
    """Return the events of a kind that ranks told, or else the batch script."""
    return [e for e in job.folder.events() if e.kind == kind and (e.rank == -1) == of_slurm]


def wait_for_steps(job: SlurmJob, resumes: int = 0) -> None:
    """Wait until a run trains, after it has resumed so many times, and has a checkpoint."""

    def trains() -> bool:
        steps, resumed = job.folder.steps(), events(job, "resume")
        begun = resumed[-1].step or 0 if resumed else 0
        saved = any(job.folder.path.glob("checkpoints/step-????????"))
        enough = bool(steps) and steps[-1].step >= begun + UNDERWAY
        return len(resumed) == resumes and enough and saved

    wait_until(f"the run trains, resumed {resumes} times", trains)


def require_each_step_once(job: SlurmJob) -> None:
    told = job.folder.steps()
    assert [s.step for s in told] == list(range(1, len(told) + 1))


def test_giga_run_trains_on_two_nodes_of_two_ranks_to_its_end(
    slurm: Slurm, tmp_path: Path, text: Path
) -> None:
    files.write_plan(tiny_plan(20), tmp_path / "plan.toml")
    options = ("--on", "slurm", "--out", tmp_path / "run", "--data", text, "--json")
    run = subprocess.run(
        (*GIGA, "run", tmp_path / "plan.toml", *options), capture_output=True, text=True,
        check=False, env=slurm.environment,
    )  # fmt: skip
    print(run.stderr)  # noqa: T201
    assert run.returncode == 0
    assert json.loads(run.stdout)["state"] == "finished"
    assert "RUNNING on n[1-2]" in run.stderr
    folder = RunFolder(tmp_path / "run")
    assert [s.step for s in folder.steps()] == list(range(1, 21))
    logs = (folder.path / "logs").glob("node-*.log")
    assert sorted(log.name for log in logs) == ["node-0.log", "node-1.log"]


def test_a_run_whose_node_dies_is_queued_again_and_resumes_on_a_free_one(
    slurm: Slurm, tmp_path: Path, text: Path
) -> None:
    job = submitted(tmp_path / "run", text, steps=LONG)
    wait_for_steps(job)
    dead = next(n for n in slurm.nodes_of(job.job_id) if n != slurm.job(job.job_id)["BatchHost"])
    slurm.fail_node(dead)
    assert state_at_end(job) == "finished"
    (failure,) = events(job, "failure", of_slurm=True)
    assert f"{dead} is down" in failure.detail
    assert len(events(job, "restart")) == 1
    (resumed,) = events(job, "resume")
    assert resumed.pid
    assert (resumed.step or 0) > 0
    assert slurm.job(job.job_id)["Restarts"] == "1"
    assert dead not in slurm.nodes_of(job.job_id)
    require_each_step_once(job)
    assert job.folder.steps()[-1].loss < job.folder.steps()[0].loss
    assert any(step.redo for step in job.folder.steps()) == (resumed.values["lost_steps"] > 0)
    slurm.bring_back(dead)


def test_a_spare_node_takes_over_without_the_queue_and_a_cancel_saves_the_run(
    slurm: Slurm, tmp_path: Path, text: Path
) -> None:
    job = submitted(tmp_path / "run", text, steps=ENDLESS, nodes_spare=1)
    wait_for_steps(job)
    trains = slurm.training_nodes(job.job_id) - {slurm.job(job.job_id)["BatchHost"]}
    assert len(trains) == 1
    slurm.fail_node(*trains)
    wait_for_steps(job, resumes=1)
    assert slurm.job(job.job_id)["Restarts"] == "0"
    assert not events(job, "failure", of_slurm=True)
    job.cancel()
    assert state_at_end(job) == "stopped"
    last = job.folder.steps()[-1].step
    assert (job.folder.path / "checkpoints" / f"step-{last:08d}").is_dir()
    assert slurm.job(job.job_id)["JobState"] == "COMPLETED"
    require_each_step_once(job)
    slurm.bring_back(*trains)


def test_a_run_saves_itself_before_the_time_limit_and_goes_on_in_the_next_stay(
    slurm: Slurm, tmp_path: Path, text: Path
) -> None:
    job = submitted(tmp_path / "run", text, steps=ENDLESS, time="10")
    wait_for_steps(job)
    slurm.ask("scontrol", "update", f"JobId={job.job_id}", "TimeLimit=1")  # the end draws near
    wait_until("it is queued again", lambda: slurm.job(job.job_id)["Restarts"] == "1")
    slurm.ask("scontrol", "update", f"JobId={job.job_id}", "TimeLimit=10")
    wait_for_steps(job, resumes=1)
    (resumed,) = events(job, "resume")
    assert resumed.values["lost_steps"] == 0
    (signal,) = events(job, "signal", of_slurm=True)
    assert "time limit" in signal.detail
    assert signal.step == resumed.step
    assert not events(job, "failure", of_slurm=True)
    (job.folder.path / "stop").touch()
    assert state_at_end(job) == "stopped"
    require_each_step_once(job)


def test_a_run_in_the_queue_can_be_cancelled_and_its_folder_is_not_given_away_before(
    slurm: Slurm, tmp_path: Path, text: Path
) -> None:
    job = submitted(tmp_path / "run", text, steps=LONG, extra=("--hold",))
    with pytest.raises(SpecError, match=rf"in use by a live run, Slurm job {job.job_id}"):
        SlurmExecutor().submit(job.folder)
    job.cancel()
    assert state_at_end(job) == "stopped"
    assert slurm.job(job.job_id)["JobState"] == "CANCELLED"


@pytest.mark.parametrize(
    ("request_", "words", "change"),
    [
        ({"partition": "nope"}, "Invalid partition name specified", "--partition"),
        ({"nodes_spare": 3}, "takes 5 nodes, 3 of them spare, the partition has 4", "--nodes-sp"),
        ({"time": "8-00:00:00"}, "PartitionTimeLimit|PartitionConfig", "--time|--partition"),
        ({"time": "soon"}, "--time must be minutes", "H:M:S"),
        ({"extra": ("--frobnicate",)}, "unrecognized option '--frobnicate'", "sbatch --help"),
        ({"extra": ("--gres=gpu:8",)}, "Invalid generic resource", "sinfo"),
        ({"extra": ("--mem=99999",)}, "Memory specification can not be satisfied", "drop --mem"),
        ({"extra": ("no option",)}, "extra must hold options of sbatch", "dashes"),
    ],
)  # fmt: skip
def test_what_slurm_refuses_is_told_in_its_own_words_with_what_to_change(
    slurm: Slurm, tmp_path: Path, request_: dict[str, Any], words: str, change: str
) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(SpecError, match=words) as refused:
        _start(run, SlurmExecutor(Request(**request_)))
    assert refused.match(change)
    assert "\n" not in str(refused.value)
    assert not slurm.ask("squeue", "-h").stdout


def _start(run: RunFolder, executor: SlurmExecutor) -> None:
    """Submit a run without data, which never starts, and look at it until it is refused."""
    plan = tiny_plan()
    executor.require_room(plan)
    run.create(plan, Training())
    job = executor.submit(run)
    job.longest_poll_s = 0.2
    wait_until("it is refused", lambda: not job.poll())


def test_a_machine_without_slurm_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpecError, match="no sinfo on this machine: run on a login node"):
        SlurmExecutor().require_room(tiny_plan())


def test_a_controller_that_does_not_answer_is_told_in_its_own_words(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = slurm.conf.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("SlurmctldPort")]
    (tmp_path / "slurm.conf").write_text("\n".join([*kept, "SlurmctldPort=1", "MessageTimeout=2"]))
    (tmp_path / "topology.conf").write_text("SwitchName=leaf Nodes=n[1-4]\n")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(SpecError, match=r"Unable to contact slurm controller .*scontrol ping"):
        SlurmExecutor().require_room(tiny_plan())


@pytest.mark.parametrize(
    "option", [("--partition", "gpu"), ("--nodes-spare", "1"), ("--detach",), ("--time", "1")]
)
def test_options_of_slurm_are_refused_on_this_machine(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    ran = giga("run", tmp_path / "plan.toml", "--out", tmp_path / "run", *option)
    assert ran.code == 2
    words = f"{option[0].removeprefix('--').replace('-', '_')} must go with --on slurm"
    assert words in ran.err


def test_the_environment_of_an_enclosing_job_is_not_passed_on(slurm: Slurm) -> None:
    from gigafactory.run.slurm_ask import clean_environment

    assert clean_environment()["SLURM_CONF"] == str(slurm.conf)
    assert not [name for name in clean_environment() if name.startswith("SLURM_JOB")]
    assert "PATH" in os.environ
