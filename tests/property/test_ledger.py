"""The ledger of any history, cut anywhere: every second of wall time in exactly one category."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.run.ledger import GOOGLE, history, seconds_of
from gigafactory.spec.run import EVENT_KINDS, Event, StepRecord
from tests.made_run import at

SECONDS: Final = st.floats(0, 100)
OPERATIONS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("steps"), st.integers(1, 4), st.floats(0, 20)),
        st.tuples(st.just("wait"), SECONDS, st.just(0.0)),
        st.tuples(st.just("evaluate"), SECONDS, st.floats(0, 30)),
        st.tuples(st.just("save"), SECONDS, st.floats(0, 30)),
        st.tuples(st.just("crash"), st.integers(0, 8), SECONDS),
        st.tuples(st.just("silent crash"), st.integers(0, 8), SECONDS),
        st.tuples(st.just("stop and resume"), st.integers(0, 0), SECONDS),
        st.tuples(st.just("clock back"), st.floats(0, 50), st.just(0.0)),
        st.tuples(st.sampled_from(EVENT_KINDS), SECONDS, SECONDS),
    ),
    max_size=12,
)


class Writer:
    """Plays operations into records, as a trainer and its launcher would write them."""

    def __init__(self) -> None:
        self.clock = self.step = 0.0
        self.steps: list[StepRecord] = []
        self.lost: list[StepRecord] = []
        self.events: list[Event] = []

    def event(self, kind: str, after: float = 0.0, **fields: Any) -> None:
        self.clock += after
        self.events.append(Event(time=at(self.clock), kind=kind, **fields))

    def play(self, kind: str, first: float, then: float) -> None:
        if kind == "steps":
            self._steps(int(first), then)
        elif kind == "wait":
            self.clock += first
        elif kind == "evaluate":
            self.event("evaluate", first, duration_s=then, values={"loss": 1.0})
        elif kind == "save":
            self.event("checkpoint_begin")
            self.event("checkpoint_end", first, duration_s=then)
        elif kind == "clock back":
            self.clock -= first
        elif kind in EVENT_KINDS:
            self.event(kind, first, duration_s=then)
        else:
            self._down(kind, int(first), then)

    def _steps(self, number: int, took: float) -> None:
        for _ in range(number):
            self.step += 1
            self.clock += took
            self.steps.append(
                StepRecord(step=int(self.step), loss=1.0, tokens=1, step_time_s=took,
                           time=at(self.clock), spans_s={"data": took / 4, "checkpoint": took / 8})
            )  # fmt: skip

    def _down(self, kind: str, back: int, took: float) -> None:
        if kind == "crash":
            self.event("failure", took / 3)
            self.event("restart", took / 3)
        elif kind == "stop and resume":
            self.event("finish")
        keep = max(len(self.steps) - back, 0)
        self.lost += self.steps[keep:]
        self.steps = self.steps[:keep]
        self.step = float(keep)
        self.event("resume", took, duration_s=took / 2, values={"restore_s": took / 4})


@given(OPERATIONS, st.floats(0, 1), st.floats(0, 1), SECONDS)
def test_every_second_is_in_exactly_one_category(
    operations: list[tuple[str, float, float]], cut_steps: float, cut_events: float, more: float
) -> None:
    writer = Writer()
    writer.event("start", 1.0, duration_s=1.0)
    for operation in operations:
        writer.play(*operation)
    steps = writer.steps[: round(cut_steps * len(writer.steps))]
    events = writer.events[: round(cut_events * len(writer.events))]
    times = [*(s.time for s in (*steps, *writer.lost)), *(e.time for e in events)]
    ends = [seconds_of(time) for time in times]
    until = max(ends, default=seconds_of(at(0.0))) + more
    told = history(steps, events, writer.lost, until)
    whole = told.ledger()
    assert set(whole.seconds) == set(GOOGLE)
    assert min(whole.seconds.values()) >= 0.0
    assert sum(whole.seconds.values()) == pytest.approx(whole.wall_s, abs=1e-6)
    assert whole.wall_s == pytest.approx(until - told.begin, abs=1e-6)
    middle = told.end_s * cut_events
    parts = [told.ledger(0.0, middle), told.ledger(middle)]
    for name, seconds in whole.seconds.items():
        assert sum(p.seconds[name] for p in parts) == pytest.approx(seconds, abs=1e-6)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), max_size=5))
def test_only_steps_that_still_count_are_productive(rounds: list[tuple[int, int]]) -> None:
    writer = Writer()
    writer.event("start")
    for number, back in rounds:
        writer.play("steps", number, 2.0)
        writer.play("crash", back, 9.0)
    told = history(writer.steps, writer.events, writer.lost).ledger()
    of_steps = ("productive", "program_startup", "data_loading", "checkpoint_save")
    assert sum(told.seconds[name] for name in of_steps) == pytest.approx(2.0 * len(writer.steps))
    assert told.seconds["wasted_progress"] == pytest.approx(2.0 * len(writer.lost))
