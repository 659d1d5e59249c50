"""How a run stands: its state from lock, result and silence; drift, trouble, the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.compare.promised import Promised, promised
from gigafactory.compare.status import Seen, Status, status
from gigafactory.run.ledger import seconds_of
from gigafactory.spec.run import RunResult
from tests.made_run import Made, at, begun, plan

if TYPE_CHECKING:
    from pathlib import Path

ENDED = RunResult(state="finished", steps=40, final_loss=2.0, goodput=0.9, restarts=0)


@pytest.fixture(scope="module")
def ours() -> Promised:
    return promised(plan())


def seen(made: Made, ours: Promised, after_s: float = 1.0, **changes: Any) -> Status:
    folder = made.folder
    given: dict[str, Any] = {"result": None, "live": True, "hang_s": 60.0} | changes
    now = seconds_of(at(made.clock_s + after_s))
    return status(ours, Seen(steps=folder.steps(), events=folder.events(),
                             lost=folder.lost_steps(), now=now, **given))  # fmt: skip


def trained(path: Path, ours: Promised, factor: float = 1.0, number: int = 40) -> Made:
    made = begun(path)
    made.steps(number, factor * ours.step_time_s.expected)
    return made


@pytest.mark.parametrize(
    ("changes", "state", "trouble"),
    [
        ({}, "running", ""),
        ({"live": None}, "running", ""),
        ({"after_s": 3600.0}, "hung", "no step for"),
        ({"live": None, "after_s": 3600.0}, "hung", "no step for"),
        ({"live": False}, "dead", "no process has the run, and it left no result"),
        ({"live": False, "result": ENDED}, "finished", ""),
        ({"live": None, "result": ENDED, "after_s": 1e6}, "finished", ""),
        ({"live": True, "result": ENDED}, "running", ""),  # resumed: the result is an older one
    ],
)
def test_the_state_is_told_by_lock_result_and_silence(
    tmp_path: Path, ours: Promised, changes: dict[str, Any], state: str, trouble: str
) -> None:
    told = seen(trained(tmp_path, ours), ours, **changes)
    assert told.state == state
    assert bool(told.troubles) == bool(trouble)
    assert not trouble or told.troubles[0].startswith(trouble)  # an hour lost is also told


def test_a_run_that_failed_says_why(tmp_path: Path, ours: Promised) -> None:
    failed = RunResult(state="failed", steps=3, final_loss=None, goodput=0.1, restarts=5,
                       reason="rank 3 lost its GPU")  # fmt: skip
    told = seen(trained(tmp_path, ours), ours, live=False, result=failed)
    assert told.troubles == ("the run failed: rank 3 lost its GPU",)
    assert told.left_s is None


@pytest.mark.parametrize(
    ("factor", "number", "outside", "trouble"),
    [
        (1.0, 40, False, False),
        (1.5, 40, True, True),
        (0.5, 40, True, False),  # better than planned is worth knowing, and no trouble
        (1.5, 20, False, False),  # too few steps
    ],
)
def test_drift_is_the_median_of_enough_steps_outside_the_interval(
    tmp_path: Path, ours: Promised, factor: float, number: int, *, outside: bool, trouble: bool
) -> None:
    told = seen(trained(tmp_path, ours, factor, number), ours)
    row = told.rows[0]
    assert (row.name, row.outside, row.trouble) == ("step time", outside, trouble)
    assert any(t.startswith("step time") for t in told.troubles) == trouble


def test_only_the_last_steps_tell_drift(tmp_path: Path, ours: Promised) -> None:
    made = trained(tmp_path, ours, 1.5, 60)
    made.steps(60, ours.step_time_s.expected)
    assert not seen(made, ours).rows[0].outside


def test_memory_above_what_there_is_is_trouble(tmp_path: Path, ours: Promised) -> None:
    made = trained(tmp_path, ours)
    assert not seen(made, ours).rows[3].trouble
    small = ours.prediction.memory_capacity_bytes
    assert small > 6.2e10  # what the made run takes


def test_an_outage_that_the_plan_does_not_expect_is_goodput_below_it(
    tmp_path: Path, ours: Promised
) -> None:
    made = trained(tmp_path, ours)
    made.crash(30, detect_s=60.0, restart_s=1.0, ready_s=30.0)
    made.steps(20, ours.step_time_s.expected)
    told = seen(made, ours)
    (trouble,) = told.troubles
    assert trouble.startswith("goodput")
    assert "below the plan's" in trouble
    assert told.interruptions == 1


def test_starting_and_evaluating_are_no_loss_that_a_plan_prices(
    tmp_path: Path, ours: Promised
) -> None:
    made = trained(tmp_path, ours)
    made.evaluate(3.0, took_s=300.0)
    made.steps(10, ours.step_time_s.expected)
    told = seen(made, ours)
    assert told.troubles == ()
    assert told.so_far.goodput < 0.5
    assert told.rows[4].measured == pytest.approx(1.0)


def test_the_time_left_spans_the_paces_of_late(tmp_path: Path, ours: Promised) -> None:
    made = trained(tmp_path, ours, 1.0, 51)
    told = seen(made, ours, after_s=0.0)
    left = 200 - 51
    assert told.left_s is not None
    assert told.left_s.expected == pytest.approx(left * ours.step_time_s.expected, rel=1e-3)
    made.steps(50, 2 * ours.step_time_s.expected)
    told = seen(made, ours, after_s=0.0)
    assert told.left_s is not None
    assert told.left_s.low == pytest.approx(99 * ours.step_time_s.expected, rel=1e-3)
    assert told.left_s.high == pytest.approx(99 * 2 * ours.step_time_s.expected, rel=1e-3)


def test_the_last_hour_is_told_apart(tmp_path: Path, ours: Promised) -> None:
    made = begun(tmp_path)
    made.crash(0, detect_s=3600.0, restart_s=1.0, ready_s=1.0)
    made.steps(100, 36.0)
    told = seen(made, ours, after_s=0.0)
    assert told.last_hour.wall_s == pytest.approx(3600.0)
    assert told.last_hour.goodput == pytest.approx(1.0)
    assert told.so_far.goodput < 0.51


def test_a_loss_that_is_no_number_is_trouble(tmp_path: Path, ours: Promised) -> None:
    made = trained(tmp_path, ours)
    from dataclasses import replace

    last = made.folder.steps()[-1]
    made.folder.add_step(replace(last, step=41, loss=float("nan")))
    assert seen(made, ours).troubles == ("the loss of step 41 is nan",)
