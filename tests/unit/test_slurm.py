"""Batch scripts, time limits, verdicts and configuration files of Slurm, without a Slurm."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from gigafactory.catalog import loader
from gigafactory.errors import SpecError
from gigafactory.run import slurm_ask, slurm_limits
from gigafactory.run.launch import STOP
from gigafactory.run.record import RESULT, RunFolder, now
from gigafactory.run.slurm import Request, fitted
from gigafactory.run.slurm_advice import advice, is_hopeless, with_advice
from gigafactory.run.slurm_ask import Partition, partitions_in
from gigafactory.run.slurm_cluster import SlurmSite, configuration, levels, num_hosts
from gigafactory.run.slurm_script import SlurmOptions, fewest_switches, script, shape
from gigafactory.run.slurm_session import AGAIN, FAILED, OVER, Allocation, begin, end, note_of
from gigafactory.spec.run import RunResult, StepRecord, Training
from tests.tiny_plan import tiny_plan

if TYPE_CHECKING:
    from pathlib import Path

HERE: Final = Allocation("7", 0, ("n1", "n2"))
OPTIONS: Final = SlurmOptions(time_limit_s=3600, lead_s=60)
GPUS: Final = Partition("gpu", default=True, nodes=4, longest_s=3600.0, gpus_per_node=2)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run folder of which nothing is trained yet."""
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny_plan(), Training(max_restarts=2))
    return folder


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put commands of Slurm first that print files of their names, and return their folder."""
    for name in ("scontrol", "sinfo", "sacct"):
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\ncat "{command}.txt"\n', encoding="ascii")
        command.chmod(0o755)
        (tmp_path / f"{name}.txt").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "scontrol.txt").write_text("JobId=7 JobState=RUNNING Reason=None Restarts=0\n")
    return tmp_path


def train(run: RunFolder, to: int) -> None:
    for step in range(len(run.steps()) + 1, to + 1):
        run.add_step(StepRecord(step=step, loss=1.0, tokens=1, step_time_s=0.1, time=now()))


def stopped(run: RunFolder, state: str = "stopped") -> None:
    run.finish(RunResult(state=state, steps=3, final_loss=1.0, goodput=1.0, restarts=0))


# ---- verdicts


@pytest.mark.parametrize(("state", "verdict"), [("finished", OVER), ("failed", FAILED)])
def test_a_run_with_a_result_is_over_whatever_its_step_left(
    run: RunFolder, state: str, verdict: int
) -> None:
    stopped(run, state)
    assert end(run, HERE, status=1, asked="time-limit") == verdict
    assert run.events() == []


def test_a_run_that_was_cancelled_is_over(run: RunFolder) -> None:
    stopped(run)
    assert end(run, HERE, status=0, asked="cancel") == OVER


def test_a_cancelled_run_whose_ranks_hang_is_told_to_have_stopped(run: RunFolder) -> None:
    train(run, 2)
    assert end(run, HERE, status=143, asked="cancel") == OVER
    result = run.result()
    assert result is not None
    assert (result.state, result.steps) == ("stopped", 2)


def test_a_run_that_a_file_asked_to_stop_is_over(run: RunFolder) -> None:
    stopped(run)
    (run.path / STOP).touch()
    assert end(run, HERE, status=0, asked="nobody") == OVER


@pytest.mark.usefixtures("answers")
def test_a_run_saved_before_the_time_limit_goes_on(run: RunFolder) -> None:
    stopped(run)
    train(run, 3)
    assert end(run, HERE, status=0, asked="time-limit") == AGAIN
    (told,) = run.events()
    assert (told.kind, told.rank, told.step) == ("signal", -1, 3)


@pytest.mark.usefixtures("answers")
def test_a_run_whose_ranks_alone_were_told_to_stop_goes_on(run: RunFolder) -> None:
    stopped(run)
    assert end(run, HERE, status=0, asked="nobody") == AGAIN


def test_a_job_that_slurm_cancelled_is_over(run: RunFolder, answers: Path) -> None:
    (answers / "scontrol.txt").write_text("JobId=7 JobState=CANCELLED\n")
    assert end(run, HERE, status=1, asked="time-limit") == OVER
    assert run.events() == []


def test_a_failed_node_is_named_and_slurm_left_to_queue_the_job(
    run: RunFolder, answers: Path
) -> None:
    (answers / "scontrol.txt").write_text("JobId=7 JobState=PENDING Reason=BeginTime Restarts=1\n")
    (answers / "sinfo.txt").write_text("n1|idle|none\nn2|down*|Not responding\n")
    assert end(run, HERE, status=1, asked="time-limit") == OVER
    assert [e.kind for e in run.events()] == ["failure"]
    assert "n2 is down* (Not responding)" in run.events()[0].detail
    assert "n1" not in run.events()[0].detail


@pytest.mark.usefixtures("answers")
def test_a_crash_is_tried_again_until_no_step_comes_of_it(run: RunFolder) -> None:
    train(run, 1)
    assert end(run, HERE, status=9, asked="nobody") == AGAIN
    train(run, 2)
    assert [end(run, HERE, status=9, asked="nobody") for _ in range(3)] == [AGAIN, AGAIN, FAILED]
    result = run.result()
    assert result is not None
    assert (result.state, result.steps) == ("failed", 2)
    assert "without a step after step 2" in result.reason


@pytest.mark.usefixtures("answers")
def test_a_time_limit_too_short_for_a_step_ends_the_run(run: RunFolder) -> None:
    told = [end(run, HERE, status=0, asked="time-limit") for _ in range(3)]
    assert told == [AGAIN, AGAIN, FAILED]


def test_an_allocation_begins_with_a_folder_that_asks_for_nothing(run: RunFolder) -> None:
    stopped(run)
    (run.path / STOP).touch()
    assert begin(run, HERE) == OVER
    assert not (run.path / STOP).exists()
    assert not (run.path / RESULT).exists()
    assert note_of(run) == {"job_id": "7", "restarts": 0, "nodes": ["n1", "n2"]}
    assert run.events() == []


def test_an_end_that_nobody_told_of_is_told_when_the_next_allocation_begins(
    run: RunFolder, answers: Path
) -> None:
    begin(run, HERE)
    run.add_event("start", rank=0, pid=1)
    train(run, 4)
    (answers / "sinfo.txt").write_text("n1|down|Kill task failed\nn2|idle|none\n")
    begin(run, replace(HERE, restarts=1, nodes=("n2", "n3")))
    (told,) = (e for e in run.events() if e.kind == "failure")
    assert (told.rank, told.step) == (-1, 4)
    assert "n1 is down (Kill task failed)" in told.detail


@pytest.mark.usefixtures("answers")
def test_an_end_that_was_told_is_not_told_again(run: RunFolder) -> None:
    begin(run, HERE)
    run.add_event("start", rank=0, pid=1)
    end(run, HERE, status=0, asked="time-limit")
    begin(run, replace(HERE, restarts=1))
    assert [e.kind for e in run.events()] == ["start", "signal"]


# ---- scripts


def test_ranks_fill_whole_nodes() -> None:
    plan = tiny_plan()
    assert (shape(plan).nodes, shape(plan).ranks_per_node) == (2, 2)
    assert (shape(plan, 4).nodes, shape(plan, 8).ranks_per_node) == (1, 4)
    with pytest.raises(SpecError, match=r"takes 4 ranks, which must fill nodes of 3 .*: 3 or 6"):
        shape(plan, 3)


def test_a_rack_must_say_what_its_hosts_hold() -> None:
    plan = tiny_plan()
    rack = replace(plan.cluster.node, name="nvl72", num_accelerators=72)
    racked = replace(plan, cluster=replace(plan.cluster, node=rack))
    with pytest.raises(SpecError, match="ranks_per_node must be given: node nvl72"):
        shape(racked)
    assert shape(racked, 4).nodes == 1


def test_a_placement_asks_for_as_few_leaf_switches_as_can_hold_it() -> None:
    cluster = loader.cluster("gigafactory")  # 64 nodes to a leaf
    assert fewest_switches(cluster, 64) == 1
    assert fewest_switches(cluster, 65) == 2
    assert fewest_switches(cluster, 12_500) is None
    assert fewest_switches(tiny_plan().cluster, 2) is None


@pytest.mark.parametrize("folder", ["runs/a", '/runs/"a"', "/runs/a\nb"])
def test_a_folder_that_no_script_can_name_is_refused(folder: str) -> None:
    with pytest.raises(SpecError, match="out: must be an absolute path"):
        script(tiny_plan(), Training(), OPTIONS, folder)


def test_a_variable_cannot_leave_its_quotes() -> None:
    options = replace(OPTIONS, environment=(("TORCH_X", "'; rm -rf /; '"),))
    line = next(s for s in script(tiny_plan(), Training(), options, "/r").splitlines() if "X=" in s)
    assert line == """export TORCH_X=''"'"'; rm -rf /; '"'"''"""


@pytest.mark.parametrize(
    ("field", "value"),
    [("partition", "a b"), ("account", "$(x)"), ("extra", ("-x\n#SBATCH -y",)), ("lead_s", 70_000),
     ("time_limit_s", 59), ("nodes_spare", -1), ("ranks_per_node", 72)],
)  # fmt: skip
def test_an_option_that_would_break_the_script_is_refused(field: str, value: Any) -> None:
    with pytest.raises(SpecError, match=field):
        replace(OPTIONS, **{field: value})


# ---- limits


def test_the_time_limit_holds_the_latest_predicted_end_and_a_start() -> None:
    short, long = (slurm_limits.high_finish_s(tiny_plan(n)) for n in (1_000, 1_000_000))
    assert slurm_limits.START_S < short < long
    assert long - slurm_limits.START_S == pytest.approx((short - slurm_limits.START_S) * 1000)


def test_the_run_is_told_early_enough_to_save_itself_and_late_enough_to_train() -> None:
    plan = tiny_plan()
    assert slurm_limits.lead_s(plan, 60) == 30
    assert slurm_limits.lead_s(plan, 86_400) >= 2 * slurm_limits.slowest_step_s(plan)


def test_a_job_takes_what_the_partition_allows_and_has() -> None:
    plan, long = tiny_plan(), tiny_plan(10**9)
    told = fitted(long, Request(), [GPUS], {})
    assert (told.time_limit_s, told.gpus, told.ranks_per_node) == (3600, True, 2)
    assert fitted(plan, Request(), [GPUS], {}).time_limit_s < 3600
    assert fitted(long, Request(time="2-0"), [GPUS], {}).time_limit_s == 172_800
    cores = replace(GPUS, gpus_per_node=0, longest_s=None)
    told = fitted(long, Request(), [cores], {})
    assert (told.gpus, told.ranks_per_node) == (False, None)
    assert told.time_limit_s > 3600


def test_only_variables_that_concern_the_run_are_passed_on() -> None:
    told = {"NCCL_DEBUG": "WARN", "PATH": "/bin", "API_TOKEN": "secret", "HF_X": "two\nlines"}
    kept = dict(fitted(tiny_plan(), Request(), [GPUS], told).environment)
    assert kept == {"NCCL_DEBUG": "WARN", "PATH": "/bin"}


# ---- what Slurm says


def test_partitions_are_read_with_their_limits_and_gpus() -> None:
    told = "cpu*|8|infinite|(null)\ngpu|4|1-00:00:00|gpu:h100:6(S:0-1),gpu:a100:2,nic:8\n"
    first, second = partitions_in(told)
    assert (first.name, first.default, first.longest_s, first.gpus_per_node) == (
        "cpu",
        True,
        None,
        0,
    )
    assert (second.default, second.longest_s, second.gpus_per_node) == (False, 86_400.0, 8)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800.0), ("5:30", 330.0), ("1:00:00", 3600.0), ("2-12", 216_000.0),
     ("1-01:01:01", 90_061.0), ("UNLIMITED", None)],
)  # fmt: skip
def test_times_are_read_as_slurm_writes_them(text: str, seconds: float | None) -> None:
    assert slurm_limits.seconds_of(text) == seconds


def test_a_job_that_the_controller_forgot_is_asked_of_the_accounting(
    answers: Path,
) -> None:
    command = answers / "scontrol"
    command.write_text("#!/bin/sh\necho 'Invalid job id specified' >&2; exit 1\n")
    (answers / "sacct.txt").write_text("CANCELLED by 0|0:15|n[1-2]\n")
    view = slurm_ask.view_of("7")
    assert (view.state, view.nodes, view.live) == ("CANCELLED", "n[1-2]", False)
    (answers / "sacct.txt").write_text("")
    assert slurm_ask.view_of("7").state == "UNKNOWN"


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition "
         "combination specified", "--account"),
        ("error: QOSMaxNodePerUserLimit", "QOS"),
        ("AssocGrpGRES", "fewer GPUs"),
        ("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
         "shorter --time"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "--time"),
        ("Requested topology configuration is not available", "--switches"),
        ("Node count specification invalid", "fewer GPUs"),
        ("something else", ""),
    ],
)  # fmt: skip
def test_a_refusal_keeps_its_words_and_says_what_to_change(words: str, change: str) -> None:
    assert change in advice(words)
    assert bool(advice(words)) == bool(change)
    assert with_advice(f"{words}\n").startswith(words)


def test_a_job_that_waits_for_others_is_not_given_up() -> None:
    assert not any(map(is_hopeless, ("Priority", "Resources", "BeginTime", "Dependency", "None")))
    assert is_hopeless("PartitionTimeLimit")


# ---- cluster files


def expanded(told: str) -> list[str]:
    """Return the names of an expression such as a[1-2]-n[01-03]."""
    if "[" not in told:
        return [told]
    head, _, rest = told.partition("[")
    span, _, tail = rest.partition("]")
    first, _, last = span.partition("-")
    numbers = range(int(first), int(last or first) + 1)
    return [f"{head}{i:0{len(first)}d}{end}" for i in numbers for end in expanded(tail)]


def keys(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def buildable() -> list[str]:
    racks = {"abilene-1", "colossus2-1", "rainier"}
    return [name for name in loader.names("clusters") if name not in racks]


@pytest.mark.parametrize("name", buildable())
def test_every_node_of_a_cluster_hangs_below_one_switch_and_all_below_one_root(name: str) -> None:
    cluster = loader.cluster(name)
    files = configuration(cluster, SlurmSite())
    nodes = [n for line in files["slurm.conf"].splitlines() if line.startswith("NodeName")
             for n in expanded(keys(line)["NodeName"])]  # fmt: skip
    assert len(nodes) == len(set(nodes)) == cluster.num_nodes
    switches = [keys(line) for line in files["topology.conf"].splitlines() if "=" in line]
    below = [n for one in switches for n in expanded(one.get("Nodes", "")) if n]
    assert sorted(below) == sorted(nodes)
    children = [s for one in switches for s in expanded(one.get("Switches", "")) if s]
    names = [one["SwitchName"] for one in switches]
    assert len(children) == len(set(children))
    assert len(set(names) - set(children)) == 1
    assert set(children) < set(names)


def test_leaves_hold_as_many_hosts_as_their_tier_holds_gpus() -> None:
    cluster = loader.cluster("gigafactory")
    found = levels(cluster, 8)
    assert [(one.name, one.size, one.count) for one in found][:2] == [
        ("leaf", 64, 196),
        ("spine", 1024, 13),
    ]
    assert num_hosts(cluster, 8) == 12_500


def test_a_rack_wide_domain_is_the_lowest_switch() -> None:
    cluster = loader.cluster("abilene-1")
    with pytest.raises(SpecError, match="gpus_per_host must be given: node gb200-nvl72"):
        configuration(cluster, SlurmSite())
    assert levels(cluster, 4)[0].size == 18
    with pytest.raises(SpecError, match="must divide the 72 accelerators"):
        configuration(cluster, SlurmSite(gpus_per_host=5))


def test_an_accelerator_without_device_files_is_refused() -> None:
    cluster = loader.cluster_of("tpu-v5p", 256)
    with pytest.raises(SpecError, match=r"made by one of NVIDIA, AMD.*got Google"):
        configuration(cluster, SlurmSite())


def test_servers_that_are_powered_up_on_demand_are_cloud_nodes() -> None:
    told = configuration(loader.cluster("eos"), SlurmSite(state="cloud"))["slurm.conf"]
    assert "State=CLOUD" in told
    assert "ResumeProgram=" in told
    with pytest.raises(SpecError, match="state must be one of plain, cloud"):
        SlurmSite(state="steam")


def test_amd_devices_are_named_as_their_driver_names_them() -> None:
    told = configuration(loader.cluster("frontier"), SlurmSite())["gres.conf"]
    assert "File=/dev/dri/renderD[128-131]" in told
