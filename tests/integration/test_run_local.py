"""`giga run --on local`: real processes, really killed; what is left trains to the same losses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.run.record import CHECKPOINTS
from gigafactory.run.trainer.checkpoint import CORRUPT, PART, standing
from tests.made_training import DENSE, plan
from tests.started_run import LIMIT_S, Starter, losses

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.drill

SEED = int(os.environ.get("KILL_SEED", "0")) or time.time_ns() % 10**9


def test_killed_anywhere_it_trains_to_the_very_losses_of_an_undisturbed_run(
    start: Starter,
) -> None:
    made = plan(steps=200, data_parallel=2, cores=2)
    calm = start(made, name="calm")
    assert calm.ended()[0] == 0
    sys.stdout.write(f"KILL_SEED={SEED}\n")
    moments = np.random.default_rng(SEED)
    run = start(made, "--checkpoint-interval", "0.3", "--max-restarts", "20")
    for kills in range(1, 4):
        # Moments are counted in steps: a fast machine has trained to the end in a second or two.
        run.until(partial(run.has_begun, kills))
        inside_a_write = kills == 2
        if inside_a_write:
            run.until(lambda: any((run.folder.path / CHECKPOINTS).glob(f"*{PART}")))
        else:
            run.until_step(int(moments.integers(0, 50)) + 50 * (kills - 1))
            time.sleep(moments.uniform(0.0, 0.1))
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
    start: Starter,
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
def test_a_full_disk_is_told_and_loses_nothing(start: Starter, tmp_path: Path) -> None:
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


def test_a_folder_in_use_or_with_another_plan_is_refused(start: Starter) -> None:
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


def test_a_worker_ends_with_its_launcher(start: Starter) -> None:
    run = start(plan(steps=4000, cores=2))
    run.until_step(1)
    worker = run.workers()[-1].pid
    run.process.kill()
    run.process.communicate()
    limit = time.monotonic() + LIMIT_S
    while worker is not None and os.path.exists(f"/proc/{worker}"):  # noqa: PTH110
        assert time.monotonic() < limit
        time.sleep(0.05)
