"""Runs of the factory as posts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.grok.sources import run_words
from gigafactory.grok.sources.runs import RunSource
from gigafactory.run.record import RunFolder
from gigafactory.spec.post import Post
from gigafactory.spec.run import EVENT_KINDS, Event, RunResult, StepRecord
from tests.grok_platforms.reading import Reading, read

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 2, 14, 2, tzinfo=UTC)


def folder(tmp_path: Path) -> RunFolder:
    path = tmp_path / "tiny"
    path.mkdir(exist_ok=True)
    (path / "plan.toml").touch()
    return RunFolder(path)


def steps(run: RunFolder, first: int, last: int, loss: float = 5.0, **more: Any) -> None:
    for n in range(first, last + 1):
        time = (START + timedelta(seconds=n)).isoformat()
        run.add_step(
            StepRecord(step=n, loss=loss - n / 100, tokens=2048, step_time_s=0.5, time=time, **more)
        )


def once(run: RunFolder, cursor: str | None = None) -> Reading:
    return read(RunSource(run.path, follow=False), lambda _: False, cursor)


def texts(reading: Reading) -> str:
    return "\n".join(reading.standing().values())


def test_an_event_is_a_sentence_with_its_time_its_reason_and_its_line(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.add_event("start", pid=7, detail="torch 2.6")
    run.add_event("finish", detail="failed: CUDA out of memory", step=41)
    posts = [one for one in once(run).changes if isinstance(one, Post)]
    assert [one.source for one in posts] == ["run:tiny", "run:tiny"]
    assert posts[1].author == "factory"
    assert posts[1].url == f"{(run.path / 'events.jsonl').as_uri()}#L2"
    told = f"On {posts[1].created_at:%Y-%m-%d} at {posts[1].created_at:%H:%M:%S} UTC"
    reason = "run tiny stopped for good after step 41: failed: CUDA out of memory."
    assert posts[1].text == f"{told}, {reason}"


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_every_kind_of_event_has_words_of_its_own(kind: str) -> None:
    text = run_words.event_text("tiny", Event(time="2026-01-02T14:02:31Z", kind=kind))
    assert text.startswith("On 2026-01-02 at 14:02:31 UTC, run tiny ")
    assert kind == "finish" or kind in run_words.DID


def test_the_loss_of_every_step_can_be_asked_for(tmp_path: Path) -> None:
    run = folder(tmp_path)
    steps(run, 1, 45, gradient_norm=1.25)
    reading = once(run)
    assert list(reading.standing()) == [f"steps/{n}" for n in (1, 11, 21, 31, 41)]
    assert (
        "At step 40 of run tiny the loss was 4.6 and the gradient norm 1.25; the step took 0.5 s."
    ) in reading.standing()["steps/31"]
    assert "trained steps 41 to 45" in reading.standing()["steps/41"]


def test_a_loss_that_is_no_number_is_said_as_it_is(tmp_path: Path) -> None:
    run = folder(tmp_path)
    steps(run, 1, 1, loss=float("nan"))
    assert "the loss was nan" in texts(once(run))


def test_a_reading_goes_on_where_the_last_one_ended_and_says_nothing_twice(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.add_event("start")
    steps(run, 1, 14)
    first = once(run)
    assert once(run, first.cursor).changes == []
    steps(run, 15, 20)
    run.add_event("checkpoint_end", step=20)
    second = once(run, first.cursor)
    assert len(second.changes) == 2
    assert "trained steps 11 to 20" in texts(second)
    assert second.changes[-1].id == "steps/11"  # the same post, edited


def test_steps_that_a_restart_threw_away_are_forgotten_and_then_told_anew(tmp_path: Path) -> None:
    run = folder(tmp_path)
    steps(run, 1, 34)
    reading = once(run)
    assert "steps/31" in reading.standing()
    run.rewind(15)
    reading.batches += once(run, reading.cursor).batches
    assert reading.deleted() == {"steps/21", "steps/31"}
    assert "steps 11 to 15" in reading.standing()["steps/11"]
    steps(run, 16, 30, loss=9.0, redo=True)
    reading.batches += once(run, reading.cursor).batches
    assert "At step 25 of run tiny the loss was 8.75" in texts(reading)
    assert "trained again after a restart" in reading.standing()["steps/21"]
    assert "steps/31" not in reading.standing()


def test_a_result_is_told_and_told_anew_when_the_run_is_resumed(tmp_path: Path) -> None:
    run = folder(tmp_path)
    result = RunResult(state="stopped", steps=40, final_loss=4.5, goodput=0.9, restarts=1)
    run.finish(result)
    reading = once(run)
    assert "Run tiny stopped after 40 steps, with a final loss of 4.5." in texts(reading)
    assert once(run, reading.cursor).changes == []


def test_a_live_run_is_followed(tmp_path: Path) -> None:
    run = folder(tmp_path)
    looks = 0

    async def grow(_wait_s: float) -> None:
        nonlocal looks
        looks += 1
        steps(run, looks * 10 - 9, looks * 10)

    source = RunSource(run.path, sleep=grow)
    reading = read(source, lambda one: len(one.standing()) >= 3)
    assert list(reading.standing()) == ["steps/1", "steps/11", "steps/21"]


def test_the_last_steps_wait_for_more_and_not_for_ever(tmp_path: Path) -> None:
    run = folder(tmp_path)
    steps(run, 1, 3)
    clock = [START]

    async def tick(_wait_s: float) -> None:
        clock[0] += timedelta(seconds=4)

    source = RunSource(run.path, sleep=tick, now=lambda: clock[0])
    read(source, lambda one: bool(one.standing()))
    assert clock[0] - START == timedelta(seconds=12)


def test_torn_and_strange_lines_are_told_and_passed_over(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.add_event("start")
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"time": 3}\n{"time": "2026-01-01T00:00:00Z", "kind": "party"}\n[]\n{"ti')
    reading = once(run)
    assert len(reading.changes) == 1
    assert reading.kinds == ["malformed"] * 3
    assert once(run, reading.cursor).incidents == []  # the torn line waits


@pytest.mark.parametrize(
    "cursor", ["x", "{}", '{"events": {"offset": "a"}}', '{"events": {"z": 1}}']
)
def test_a_cursor_of_something_else_reads_from_the_start(tmp_path: Path, cursor: str) -> None:
    run = folder(tmp_path)
    run.add_event("start")
    assert len(once(run, cursor).changes) == 1


def test_a_folder_without_a_run_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"must be a run folder, has no events\.jsonl"):
        once(RunFolder(tmp_path))
