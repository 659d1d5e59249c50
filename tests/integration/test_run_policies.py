"""What a run does about a broken loss, a checkpoint that fails and a rank that hangs: as asked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from gigafactory.run.record import CHECKPOINTS
from gigafactory.run.trainer.checkpoint import standing
from tests.made_training import plan
from tests.started_run import Run, Starter, losses

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.run import Event

pytestmark = pytest.mark.drill

STEPS = 60
FLAT = ("--learning-rate", "1e-5")  # the loss stays where it began, but for its noise
NERVOUS = (*FLAT, "--spike-sigmas", "1.2")  # so that the noise counts as spikes


def spikes(run: Run) -> list[Event]:
    return [e for e in run.folder.events() if e.kind == "spike"]


def test_the_policy_stop_ends_a_run_whose_loss_is_not_finite(start: Starter) -> None:
    run = start(plan(steps=STEPS, cores=2), "--learning-rate", "1e30", "--spike-policy", "stop")
    code, told = run.ended()
    assert code == 1
    (spike,) = spikes(run)
    assert "nan" in spike.detail
    assert spike.detail in told
    result = run.folder.result()
    assert result is not None
    assert (result.state, result.restarts) == ("failed", 0), "trying again would not help"
    assert len(losses(run.folder)) == spike.step, "the broken step is not among those that count"


def test_the_policy_skip_makes_no_update_and_goes_on(start: Starter) -> None:
    made = plan(steps=STEPS, cores=2)
    calm = start(made, *FLAT, name="calm")
    assert calm.ended()[0] == 0
    run = start(made, *NERVOUS, "--spike-policy", "skip")
    code, told = run.ended()
    assert code == 0, told
    first = spikes(run)[0]
    assert "no update" in first.detail
    assert first.step is not None
    before = first.step + 1  # the loss of the skipped step itself is of the weights before it
    assert losses(run.folder)[:before] == losses(calm.folder)[:before]
    assert losses(run.folder)[before:] != losses(calm.folder)[before:]
    assert len(losses(run.folder)) == STEPS


def test_the_policy_rollback_goes_back_and_on_behind_the_batch(start: Starter) -> None:
    run = start(
        plan(steps=STEPS, cores=2), *NERVOUS, "--spike-policy", "rollback",
        "--checkpoint-interval", "0.05", "--max-restarts", "30",
    )  # fmt: skip
    code, told = run.ended()
    assert code == 0, told
    assert len(losses(run.folder)) == STEPS
    told_spikes = spikes(run)
    assert told_spikes
    for spike in told_spikes:
        assert spike.values["back_to_step"] <= spike.values["highest_step"]
        assert f"on with batch {int(spike.values['batch']) + 1}" in spike.detail
    assert len({e.values["batch"] for e in told_spikes}) == len(told_spikes), "none is met again"
    again = {
        step
        for spike in told_spikes
        for step in range(
            int(spike.values["back_to_step"]) + 1, int(spike.values["highest_step"]) + 1
        )
    }  # none, where a checkpoint stood at the very step
    assert {s.step for s in run.folder.steps() if s.redo} == again


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_checkpoint_that_fails_does_not_stop_a_run_that_may_go_on(
    start: Starter, tmp_path: Path
) -> None:
    disk = tmp_path / "run" / CHECKPOINTS
    disk.mkdir(parents=True)
    mount, umount = (shutil.which(name) for name in ("mount", "umount"))
    assert mount
    assert umount
    subprocess.run([mount, "-t", "tmpfs", "-o", "size=1500k", "tmpfs", disk], check=True)
    try:
        run = start(
            plan(steps=STEPS, cores=2), "--checkpoint-interval", "0.2",
            "--checkpoint-failure", "continue",
        )  # fmt: skip
        code, told = run.ended()
        assert code == 0, told
        failed = [e for e in run.folder.events() if e.kind == "checkpoint_failed"]
        assert failed
        assert "No space left on device" in failed[-1].detail
        assert len(losses(run.folder)) == STEPS
        assert len(standing(disk)) == 1, "the one before still stands"
    finally:
        subprocess.run([umount, "-l", disk], check=True)


def test_a_rank_that_hangs_is_found_told_and_trained_past(start: Starter) -> None:
    made = plan(steps=150, data_parallel=2, cores=2)
    calm = start(made, name="calm")
    assert calm.ended()[0] == 0
    run = start(made, "--checkpoint-interval", "0.3", "--hang", "8")
    run.until_step(10)
    hung = run.workers()[-1].pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    code, told = run.ended()
    assert code == 0, told
    hangs = [e for e in run.folder.events() if e.kind == "hang"]
    assert hangs
    (stack, *_) = run.folder.path.glob("hang-rank*.txt")
    assert stack.name in hangs[0].detail
    hung_in = stack.read_text()
    assert "in _step" in hung_in or "in save" in hung_in, "in a step, or in the checkpoint after it"
    result = run.folder.result()
    assert result is not None
    assert result.restarts == 1
    assert losses(run.folder) == losses(calm.folder)
