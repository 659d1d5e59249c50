"""Histories small enough to count by hand, and what each second of them was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gigafactory.run.ledger import Ledger, history
from gigafactory.spec.run import Event, StepRecord
from tests.made_run import Made, at, begun

if TYPE_CHECKING:
    from pathlib import Path


def told(made: Made, **window: float) -> Ledger:
    folder = made.folder
    return history(folder.steps(), folder.events(), folder.lost_steps()).ledger(**window)


def seconds(ledger: Ledger) -> dict[str, float]:
    return {name: round(value, 6) for name, value in ledger.seconds.items() if value > 1e-9}


def test_a_run_without_trouble(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(1, 5.0)
    made.steps(4, 2.0, spans_s={"data": 0.5, "forward_backward": 1.25, "checkpoint": 0.25})
    made.evaluate(3.0, took_s=4.0)
    made.event("checkpoint_begin")
    made.event("checkpoint_end", 1.5)
    made.finish()
    assert seconds(told(made)) == {
        "initialisation": 4.0, "training_preparation": 4.0, "data_loading": 2.0 + 4 * 0.5,
        "program_startup": 5.0 - 1.25, "productive": 5 * 1.25, "checkpoint_save": 4 * 0.25 + 1.5,
        "evaluation": 4.0, "other": 0.5,
    }  # fmt: skip


def test_an_outage_is_lost_steps_recovery_and_a_new_start(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(6, 2.0)
    made.crash(4, detect_s=3.0, restart_s=2.0, ready_s=10.0)
    made.steps(4, 2.0)
    found = told(made)
    assert seconds(found) == {
        "productive": 16.0, "initialisation": 4.0 + 4.0, "training_preparation": 4.0,
        "data_loading": 2.0, "wasted_progress": 4.0, "infrastructure_recovery": 5.0,
        "checkpoint_restore": 6.0,
    }  # fmt: skip
    assert found.goodput == pytest.approx(16.0 / found.wall_s)
    first, lost_s = found.lost()[0]
    assert (first, lost_s) == ("initialisation", 8.0)


def test_a_window_counts_what_fell_into_it_alone(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.steps(6, 2.0)
    made.crash(6, detect_s=3.0, restart_s=2.0, ready_s=10.0)
    assert seconds(told(made, since_s=21.0, until_s=26.0)) == {
        "productive": 1.0, "infrastructure_recovery": 4.0,
    }  # fmt: skip


def test_a_resume_that_tells_what_was_lost_stands_in_for_steps_that_are_not_on_record() -> None:
    steps = [StepRecord(step=n, loss=1.0, tokens=1, step_time_s=1.0, time=at(n)) for n in (1, 2)]
    after = StepRecord(step=3, loss=1.0, tokens=1, step_time_s=1.0, time=at(13), redo=True)
    events = [
        Event(time=at(0), kind="start"),
        Event(time=at(6), kind="failure"),
        Event(time=at(12), kind="resume", duration_s=4.0, values={"lost_s": 3.0}),
    ]
    found = history([*steps, after], events).ledger()
    assert seconds(found) == {
        "productive": 3.0, "wasted_progress": 3.0, "infrastructure_recovery": 3.0,
        "training_preparation": 4.0,
    }  # fmt: skip


def test_a_checkpoint_that_is_written_while_steps_run_costs_what_no_step_ran_in(
    tmp_path: Path,
) -> None:
    made = begun(tmp_path)
    made.steps(2, 1.0)
    made.event("checkpoint_begin", 0.0)
    made.clock_s += 0.25  # copied to host memory; then steps go on
    made.steps(3, 1.0)
    made.event("checkpoint_end", 0.0, duration_s=3.25)
    made.steps(1, 1.0)
    assert seconds(told(made))["checkpoint_save"] == 0.25


def test_being_stopped_and_resumed_is_an_outage_nobody_counts_as_an_interruption(
    tmp_path: Path,
) -> None:
    made = begun(tmp_path)
    made.steps(2, 1.0)
    made.event("signal", detail="SIGTERM")
    made.event("finish")
    made.event("resume", 100.0, duration_s=10.0)
    made.steps(2, 1.0)
    folder = made.folder
    found = history(folder.steps(), folder.events())
    assert found.interruptions == 0
    assert seconds(found.ledger())["infrastructure_recovery"] == 90.0


@pytest.mark.parametrize("crashes", [1, 3])
def test_interruptions_are_outages_that_nobody_asked_for(tmp_path: Path, crashes: int) -> None:
    made = begun(tmp_path)
    for _ in range(crashes):
        made.steps(2, 1.0)
        made.crash(made.step - 1, detect_s=1.0, restart_s=1.0, ready_s=1.0)
    folder = made.folder
    assert history(folder.steps(), folder.events(), folder.lost_steps()).interruptions == crashes


def test_a_ranks_last_word_before_the_others_finish_their_step_is_no_outage_of_its_own(
    tmp_path: Path,
) -> None:
    made = begun(tmp_path)
    made.steps(3, 1.0)
    made.event("failure", 0.25, rank=1)
    made.clock_s -= 0.25
    made.steps(1, 1.0)
    made.crash(3, detect_s=1.0, restart_s=1.0, ready_s=1.0)
    made.steps(1, 1.0)
    folder = made.folder
    assert history(folder.steps(), folder.events(), folder.lost_steps()).interruptions == 1
    assert seconds(told(made))["infrastructure_recovery"] == 2.0


def test_a_clock_that_goes_back_counts_nothing_twice() -> None:
    times = [1.0, 2.0, 1.5, 2.5, 3.5]
    steps = [
        StepRecord(step=n, loss=1.0, tokens=1, step_time_s=1.0, time=at(t))
        for n, t in enumerate(times)
    ]
    found = history(steps, []).ledger()
    assert found.wall_s == pytest.approx(3.5)
    assert sum(found.seconds.values()) == pytest.approx(3.5)


def test_a_run_of_nothing_has_a_ledger_of_nothing() -> None:
    found = history([], []).ledger()
    assert (found.wall_s, found.goodput, found.lost()) == (0.0, 0.0, [])
