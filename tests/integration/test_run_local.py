"""`giga run --on local`: real processes, really killed; what is left trains to the same losses."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.catalog import files
from gigafactory.run.record import CHECKPOINTS, RunFolder
from gigafactory.run.trainer.checkpoint import CORRUPT, PART, standing
from tests.made_training import DENSE, ROOT, plan, prepared_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Event

GIGA = "import sys; from gigafactory.cli import main; sys.argv[0] = 'giga'; main()"
LIMIT_S = 240.0  # a test that takes longer hangs; nothing is asserted of time
SEED = int(os.environ.get("KILL_SEED", "0")) or time.time_ns() % 10**9


@dataclass
class Run:
    """A `giga run` and its folder."""

    folder: RunFolder
    process: subprocess.Popen[str]

    def ended(self) -> tuple[int, str]:
        """Exit code, and what it printed on stderr."""
        _, told = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, told

    def until(self, seen: Callable[[], object]) -> None:
        limit = time.monotonic() + LIMIT_S
        while not seen():
            assert self.process.poll() is None, self.folder.path.joinpath("log.txt").read_text()
            assert time.monotonic() < limit, "it hangs"
            time.sleep(0.01)

    def until_step(self, step: int) -> None:
        self.until(lambda: any(s.step >= step for s in self.folder.steps()))

    def has_begun(self, times: int) -> bool:
        return len(self.workers()) >= times

    def workers(self) -> list[Event]:
        return [e for e in self.folder.events() if e.kind in ("start", "resume")]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def start(tmp_path: Path, text: Path) -> Iterator[Callable[..., Run]]:
    """Starts `giga run`; what still runs at the end of a test is ended."""
    runs: list[Run] = []

    def started(made: Plan, *options: str, name: str = "run") -> Run:
        path = tmp_path / f"{name}.toml"
        files.write_plan(made, path)
        out = tmp_path / name
        command = [
            sys.executable, "-c", GIGA, "run", str(path), "--out", str(out), "--data", str(text),
            "--learning-rate", "0.01", *options,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        runs.append(Run(RunFolder(out), process))
        return runs[-1]

    yield started
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()  # its workers end with it
            run.process.communicate()


def losses(folder: RunFolder) -> list[float]:
    steps = folder.steps()
    assert [s.step for s in steps] == list(range(1, len(steps) + 1)), "each step once, in order"
    return [s.loss for s in steps]


def test_killed_anywhere_it_trains_to_the_very_losses_of_an_undisturbed_run(
    start: Callable[..., Run],
) -> None:
    made = plan(steps=150, data_parallel=2, cores=2)
    calm = start(made, name="calm")
    assert calm.ended()[0] == 0
    sys.stdout.write(f"KILL_SEED={SEED}\n")
    moments = np.random.default_rng(SEED)
    run = start(made, "--checkpoint-interval", "0.3", "--max-restarts", "20")
    for kills in range(1, 4):
        run.until(partial(run.has_begun, kills))
        inside_a_write = kills == 2
        if inside_a_write:
            run.until(lambda: any((run.folder.path / CHECKPOINTS).glob(f"*{PART}")))
        else:
            time.sleep(moments.uniform(0.0, 1.5))
        if run.folder.result() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.workers()[-1].pid or 0, signal.SIGKILL)
    code, told = run.ended()
    assert code == 0, told
    assert losses(run.folder) == losses(calm.folder)
    result = run.folder.result()
    assert result is not None
    events = run.folder.events()
    assert result.restarts == sum(e.kind == "restart" for e in events) >= 1
    assert result.final_loss == losses(calm.folder)[-1]
    assert 0 < result.goodput < 1
    again = {s.step for s in run.folder.steps() if s.redo}
    assert len(again) <= sum(e.values["lost_steps"] for e in events if e.kind == "resume")
    assert not list((run.folder.path / CHECKPOINTS).glob(f"*{PART}"))


def test_stopped_by_a_signal_and_with_a_damaged_checkpoint_it_goes_on_from_the_one_before(
    start: Callable[..., Run],
) -> None:
    made = plan(steps=60, cores=2)
    calm = start(made, "--json", name="calm")
    told, _ = calm.process.communicate(timeout=LIMIT_S)
    answer = json.loads(told)
    assert (answer["schema"], answer["state"], answer["steps"]) == (1, "finished", 60)
    assert told.count("\n") == 1
    options = ("--checkpoint-interval", "0.2", "--keep-checkpoints", "3")
    run = start(made, *options, "--crash-at", "5")
    run.until_step(12)
    run.process.send_signal(signal.SIGTERM)
    code, told = run.ended()
    assert code == 0, told
    stopped = run.folder.result()
    assert stopped is not None
    assert (stopped.state, stopped.restarts) == ("stopped", 1)
    newest, older, *_ = standing(run.folder.path / CHECKPOINTS)
    assert int(newest.name[5:]) == stopped.steps < 60
    damaged = next(newest.glob("*.distcp"))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)

    again = start(made, *options, "--crash-at", "5", "--resume")
    code, told = again.ended()
    assert code == 0, told
    fallback = [e for e in run.folder.events() if e.kind == "fallback"]
    assert [e.detail for e in fallback] == [
        f"{newest.name} is not whole and is put aside: {damaged.name} has another checksum than "
        "its manifest"
    ]
    assert newest.with_name(newest.name + CORRUPT).exists()
    assert run.workers()[-1].step == int(older.name[5:])
    assert losses(run.folder) == losses(calm.folder)
    finished = run.folder.result()
    assert finished is not None
    assert finished.state == "finished"
    assert finished.sample
    assert finished.evaluation_loss is not None
    assert finished.evaluation_loss < 6.0 < losses(calm.folder)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_told_and_loses_nothing(start: Callable[..., Run], tmp_path: Path) -> None:
    made = plan(steps=60, cores=2)
    disk = tmp_path / "run" / CHECKPOINTS
    disk.mkdir(parents=True)
    mount, umount = (shutil.which(name) for name in ("mount", "umount"))
    assert mount
    assert umount
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=1500k", "tmpfs", disk], check=True)
    try:
        options = ("--checkpoint-interval", "0.2", "--checkpoint-failure", "stop")
        run = start(made, *options)
        code, told = run.ended()
        assert code == 1
        assert "No space left on device" in told
        failed = [e for e in run.folder.events() if e.kind == "checkpoint_failed"]
        assert "No space left on device" in failed[-1].detail
        assert len(standing(disk)) == 1, "the one before still stands"
        subprocess.run([mount, "-o", "remount,size=50m", disk], check=True)
        code, told = start(made, *options, "--resume").ended()
        assert code == 0, told
        assert len(losses(run.folder)) == 60
    finally:
        subprocess.run([umount, "-l", disk], check=True)


def test_a_folder_in_use_or_with_another_plan_is_refused(start: Callable[..., Run]) -> None:
    made = plan(steps=400, cores=2)
    run = start(made)
    run.until_step(1)
    code, told = start(made, "--resume").ended()
    assert code == 2
    assert "must not be in use by a live run" in told
    run.process.send_signal(signal.SIGTERM)
    assert run.ended()[0] == 0
    code, told = start(made).ended()
    assert code == 2
    assert "it holds a run; --resume goes on with it" in told
    longer = replace(made, model=replace(DENSE, num_layers=5))
    code, told = start(longer, "--resume", "--seed", "4").ended()
    assert code == 2
    assert "model.num_layers was 4, is 5" in told
    assert "seed was 0, is 4" in told


def test_a_worker_ends_with_its_launcher(start: Callable[..., Run]) -> None:
    run = start(plan(steps=4000, cores=2))
    run.until_step(1)
    worker = run.workers()[-1].pid
    run.process.kill()
    run.process.communicate()
    limit = time.monotonic() + LIMIT_S
    while worker is not None and os.path.exists(f"/proc/{worker}"):  # noqa: PTH110
        assert time.monotonic() < limit
        time.sleep(0.05)
