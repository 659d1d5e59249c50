"""Frames of `giga watch`: a run folder made by hand beside a prediction made by hand.

GIGAFACTORY_REGENERATE=1 writes the .txt files anew; read their difference before committing it.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gigafactory.compare.promised import Promised
from gigafactory.compare.status import Seen, status
from gigafactory.cost.goodput import GoodputEstimate
from gigafactory.report.watch import View, frame
from gigafactory.run.ledger import seconds_of
from gigafactory.spec.interval import Interval
from tests.made_answer import PREDICTION, PROMISE
from tests.made_run import Made, at, begun

if TYPE_CHECKING:
    from gigafactory.spec.run import RunResult

HERE = Path(__file__).parent
REGENERATE = "GIGAFACTORY_REGENERATE"
SPANS = {"data": 0.25, "forward_backward": 8.75, "data_comm": 0.5, "optimizer": 0.25, "other": 0.25}
PROMISED = Promised(
    plan=PROMISE.plan,
    prediction=PREDICTION,
    estimate=GoodputEstimate(
        goodput=Interval(low=0.9, expected=0.95, high=0.98),
        lost={"checkpoint": 0.01, "rework": 0.02, "restart": 0.01, "detect": 0.01},
        mtbf_s=Interval(low=36_000.0, expected=72_000.0, high=144_000.0),
        interval_s=600.5, optimal_interval_s=600.5, blocking_s=0.5, restart_s=120.0,
        detect_s=Interval(low=10.0, expected=30.0, high=60.0),
    ),
)  # fmt: skip


def played(path: Path, step_s: float) -> Made:
    """Return a run of two outages that takes `step_s` a step."""
    spans = {name: part * step_s / 10.0 for name, part in SPANS.items()}
    made = begun(path)
    made.steps(1, 3 * step_s)
    made.steps(120, step_s, spans_s=spans)
    made.event("checkpoint_begin", 0.0)
    made.event("checkpoint_end", 1.5, duration_s=1.5, step=made.step)
    made.evaluate(4.75, took_s=12.0)
    made.steps(40, step_s, spans_s=spans)
    made.crash(121, detect_s=60.0, restart_s=30.0, ready_s=90.0)
    made.steps(300, step_s, spans_s=spans)
    made.evaluate(3.25, took_s=12.0)
    made.steps(200, step_s, spans_s=spans)
    return made


def view(made: Made, *, live: bool | None, after_s: float, result: RunResult | None) -> View:
    """Return the run some seconds after its last record."""
    folder = made.folder
    steps, events = folder.steps(), folder.events()
    seen = Seen(steps=steps, events=events, lost=folder.lost_steps(), result=result, live=live,
                now=seconds_of(at(made.clock_s + after_s)), hang_s=600.0)  # fmt: skip
    return View(
        plan=PROMISED.plan,
        status=status(PROMISED, seen),
        losses=[(float(s.step), s.loss) for s in steps],
        evaluations=[(float(e.step or 0), e.values["loss"]) for e in events if "loss" in e.values],
        events=events,
    )


def drawn(told: View, width: int, height: int) -> str:
    lines = [line.plain.rstrip() for line in frame(told, width, height)]
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    return "".join(f"{line}\n" for line in lines)


def same_as(name: str, text: str) -> None:
    path = HERE / name
    if REGENERATE in os.environ:
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8")
    lines = difflib.unified_diff(golden.splitlines(), text.splitlines(), name, "drawn", lineterm="")
    assert text == golden, "\n".join(lines)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 40)])
def test_a_run_as_planned(tmp_path: Path, width: int, height: int) -> None:
    told = view(played(tmp_path, 10.5), live=True, after_s=4.0, result=None)
    assert told.status.troubles == ()
    same_as(f"watch-{width}x{height}.txt", drawn(told, width, height))


def test_a_run_in_trouble(tmp_path: Path) -> None:
    told = view(played(tmp_path, 12.5), live=True, after_s=900.0, result=None)
    assert len(told.status.troubles) == 3
    same_as("watch-trouble.txt", drawn(told, 80, 24))


@pytest.mark.parametrize(("width", "height"), [(20, 5), (40, 10), (79, 23), (131, 18), (300, 100)])
def test_a_frame_fits_any_screen(tmp_path: Path, width: int, height: int) -> None:
    drawn(view(played(tmp_path, 12.5), live=False, after_s=4.0, result=None), width, height)


def test_a_run_that_has_not_trained_yet_has_a_frame(tmp_path: Path) -> None:
    told = view(begun(tmp_path), live=True, after_s=4.0, result=None)
    assert (told.status.state, told.status.troubles) == ("waiting", ())
    assert "waiting" in drawn(told, 80, 24)
