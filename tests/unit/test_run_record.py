"""The run folder: whole or nothing, one writer, readers of later releases."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gigafactory.errors import CatalogError, SpecError
from gigafactory.run import lines
from gigafactory.run.record import RunFolder
from gigafactory.spec.run import Event, RunResult, StepRecord, Training
from tests.made_run import at, plan

if TYPE_CHECKING:
    from pathlib import Path

STEP = StepRecord(step=1, loss=1.0, tokens=1, step_time_s=1.0, time=at(1))
HOLDER = """
import sys, time
from pathlib import Path
from gigafactory.run.record import RunFolder
RunFolder(Path(sys.argv[1])).lock()
print("locked", flush=True)
time.sleep(60)
"""
WRITER = """
import sys
from pathlib import Path
from gigafactory.run.record import RunFolder
for number in range(200):
    folder, rank = RunFolder(Path(sys.argv[1])), int(sys.argv[2])
    folder.add_event("sample", rank=rank, step=number, detail="x" * 300)
"""


def test_what_was_asked_is_read_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan(), Training(seed=3))
    assert folder.plan() == plan()
    assert folder.training() == Training(seed=3)
    folder.require()
    assert folder.result() is None


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"has no plan\.toml"):
        RunFolder(tmp_path).require()
    with pytest.raises(SpecError, match="does not exist"):
        RunFolder(tmp_path / "none").require()


def test_a_result_is_read_back_and_keys_of_later_releases_are_passed_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    ended = RunResult(state="finished", steps=3, final_loss=float("nan"), goodput=0.9, restarts=0)
    folder.finish(ended)
    text = (tmp_path / "result.json").read_text()
    assert "NaN" not in text
    (tmp_path / "result.json").write_text(text.replace('"schema": 1', '"schema": 1, "later": 2'))
    told = folder.result()
    assert told is not None
    assert (told.steps, told.final_loss) == (3, None)
    (tmp_path / "result.json").write_text('{"state": "odd"}')
    with pytest.raises(CatalogError, match=r"result\.json: is no result of a run"):
        folder.result()


def test_a_key_of_a_later_release_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_text(lines.encode(STEP).replace('"tokens"', '"later": [1], "tokens"'))
    assert lines.read(path, StepRecord) == [STEP]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('{"step": "one", "loss": 1, "tokens": 1, "step_time_s": 1, "time": "2026-01-01"}',
         "line 2: is no StepRecord: step must be a whole number, got 'one'"),
        ('{"step": 1}', "line 2: is no StepRecord"),
        ('{"step": 1, "loss": 1, "tokens": 1, "step_time_s": 1, "time": "soon"}', "line 2"),
    ],
)  # fmt: skip
def test_a_whole_line_that_is_no_record_is_named(tmp_path: Path, line: str, rule: str) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_text(lines.encode(STEP) + line + "\n")
    with pytest.raises(CatalogError, match=rule):
        lines.read(path, StepRecord)


def test_bytes_that_a_power_cut_left_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b"\0" * (3 << 20) + b"\n" + lines.encode(STEP).encode() + b"\xff\xfe\n")
    assert lines.read(path, StepRecord) == [STEP]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    whole = lines.encode(STEP)
    code = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from gigafactory.run import lines\nfrom gigafactory.spec.run import StepRecord\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) * 5 // 2},) * 2)\n"
        f"step = {STEP!r}\n"
        "lines.append(Path(sys.argv[1]), step); lines.append(Path(sys.argv[1]), step)\n"
        "try:\n    lines.append(Path(sys.argv[1]), step)\n"
        "except OSError as error:\n    print(error.filename)\n"
    )
    path = tmp_path / "steps.jsonl"
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert told.stdout.strip() == str(path)
    assert path.read_text() == whole * 2
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != len(whole)


def test_writers_of_one_file_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(rank)])
        for rank in range(3)
    ]
    assert [rank.wait(60) for rank in ranks] == [0, 0, 0]
    found = RunFolder(tmp_path).events()
    for rank in range(3):
        assert [e.step for e in found if e.rank == rank] == list(range(200))


def test_a_live_run_keeps_its_folder_and_a_killed_one_does_not(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.is_live() is None
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert folder.is_live() is True
        with pytest.raises(SpecError, match=f"process {holder.pid} has it"):
            folder.lock()
        holder.kill()
        holder.wait(60)
    assert folder.is_live() is False
    handle = folder.lock()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    assert folder.is_live() is True
    os.close(handle)
    assert folder.is_live() is False


def test_a_rewind_that_was_cut_short_counts_no_step_twice(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    steps = [StepRecord(step=n, loss=1.0, tokens=1, step_time_s=1.0, time=at(n)) for n in (1, 2, 3)]
    for step in steps:
        folder.add_step(step)
    lines.append(tmp_path / "lost.jsonl", steps[2])  # then the process died
    assert (folder.steps(), folder.lost_steps()) == (steps, [])
    folder.rewind(1)
    assert (folder.steps(), folder.lost_steps()) == (steps[:1], [steps[2], steps[1]])


def test_events_of_a_kind_that_is_not_known_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"time": "2026-01-01T00:00:00Z", "kind": "party"}\n')
    with pytest.raises(CatalogError, match="line 1: is no Event"):
        lines.read(path, Event)
