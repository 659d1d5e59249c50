"""Parts of the trainer that need no second process."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gigafactory.run.record import RunFolder
from gigafactory.run.trainer import spans
from gigafactory.run.trainer.checkpoint import (
    CORRUPT,
    MANIFEST,
    clear_parts,
    folder_name,
    prune,
    standing,
)
from gigafactory.run.trainer.mender import next_batch
from gigafactory.run.trainer.policy import FEWEST, LossWatch
from gigafactory.run.trainer.recorder import Recorder, lost
from gigafactory.run.trainer.restore import fault, put_aside
from gigafactory.spec.run import Event, StepRecord
from tests.made_training import environment

if TYPE_CHECKING:
    from pathlib import Path


def step(number: int) -> StepRecord:
    return StepRecord(
        step=number, loss=1.0, tokens=1, step_time_s=1.0, time="2026-01-01T00:00:00.000000Z"
    )


def settled(watch: LossWatch, steps: int = FEWEST) -> LossWatch:
    for i in range(steps):
        watch.add(3.0 + 0.1 * (-1) ** i)
    return watch


def test_a_loss_far_above_its_mean_is_wrong_and_one_below_never() -> None:
    watch = settled(LossWatch(8.0))
    assert watch.wrong(3.3, 1.0) == ""
    assert watch.wrong(0.1, 1.0) == ""
    assert "above its mean" in watch.wrong(9.0, 1.0)


def test_a_spike_cannot_be_told_from_the_fall_at_the_beginning() -> None:
    assert settled(LossWatch(8.0), FEWEST - 1).wrong(9.0, 1.0) == ""


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_is_wrong_from_the_first_step(broken: float) -> None:
    assert LossWatch(8.0).wrong(broken, 1.0)
    assert LossWatch(8.0).wrong(1.0, broken)


def test_a_watch_goes_on_from_its_saved_state() -> None:
    watch = settled(LossWatch(8.0))
    again = LossWatch(**watch.state())
    watch.add(2.9)
    again.add(2.9)
    assert again == watch


def test_batches_passed_over_stay_so_after_another_crash() -> None:
    events = [
        Event(
            time="2026-01-01T00:00:00.000000Z",
            kind="spike",
            values={"batch": 17.0, "back_to_step": 10.0},
        ),
        Event(
            time="2026-01-01T00:00:00.000000Z",
            kind="spike",
            values={"batch": 30.0, "back_to_step": 20.0},
        ),
    ]
    assert next_batch(events, step=10, batch=10) == 18
    assert next_batch(events, step=15, batch=21) == 21


def test_steps_lost_twice_are_still_known_to_be_done_again() -> None:
    events = [
        Event(time="2026-01-01T00:00:00.000000Z", kind="resume", values={"highest_step": 9.0})
    ]
    assert lost(events, [step(5)]) == 9
    assert lost([], [step(5)]) == 5


def test_a_full_disk_delays_what_is_told_and_keeps_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(RunFolder(tmp_path), rank=0)
    recorder.step(step(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gigafactory.run.lines.append", full)
        recorder.step(step(2))
        recorder.event("spike")
    assert [s.step for s in recorder.folder.steps()] == [1]
    recorder.step(step(3))
    assert [s.step for s in recorder.folder.steps()] == [1, 2, 3]
    assert [e.kind for e in recorder.folder.events()] == ["spike"]


def test_spans_nest_and_sum_to_the_step() -> None:
    spans.taken(0.0)
    begun = time.perf_counter()
    with spans.inside("forward_backward"):
        time.sleep(0.01)
        with spans.inside("expert_comm"):
            time.sleep(0.02)
    took = time.perf_counter() - begun
    told = spans.taken(took)
    assert told["expert_comm"] > told["forward_backward"] > 0
    assert sum(told.values()) == pytest.approx(took)


def written(folder: Path, number: int) -> Path:
    path = folder / folder_name(number)
    path.mkdir()
    (path / "a").write_text("abc")
    # The SHA-256 of "abc", FIPS 180-2 appendix B.1.
    told = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (path / MANIFEST).write_text(f'{{"files": {{"a": {{"sha256": "{told}", "bytes": 3}}}}}}')
    return path


def test_a_whole_checkpoint_has_no_fault(tmp_path: Path) -> None:
    assert fault(written(tmp_path, 1)) == ""


@pytest.mark.parametrize(
    ("content", "told"), [("abd", "another checksum"), ("ab", "2 bytes, not 3"), (None, "missing")]
)
def test_a_changed_file_is_named(tmp_path: Path, content: str | None, told: str) -> None:
    path = written(tmp_path, 1)
    if content is None:
        (path / "a").unlink()
    else:
        (path / "a").write_text(content)
    assert told in fault(path)
    assert "a " in fault(path)


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"files": 3}'])
def test_a_torn_manifest_is_a_fault(tmp_path: Path, manifest: str) -> None:
    path = written(tmp_path, 1)
    (path / MANIFEST).write_text(manifest)
    assert MANIFEST in fault(path)


def test_only_finished_checkpoints_stand_and_the_newest_are_kept(tmp_path: Path) -> None:
    for number in (1, 20, 3):
        written(tmp_path, number)
    (tmp_path / "step-00000030.part").mkdir()
    put_aside(written(tmp_path, 25))
    assert [p.name for p in standing(tmp_path)] == [folder_name(n) for n in (20, 3, 1)]
    prune(tmp_path, 2)
    clear_parts(tmp_path)
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {folder_name(20), folder_name(3), folder_name(25) + CORRUPT}


def test_a_hung_process_leaves_its_stack_and_ends() -> None:
    program = (
        "import time; from gigafactory.run.trainer.watchdog import Watchdog\n"
        "Watchdog(0.2, lambda stack: print(stack, flush=True))\n"
        "def stuck(): time.sleep(60)\n"
        "stuck()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 75
    assert "in stuck" in done.stdout
