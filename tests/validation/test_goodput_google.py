"""The same history in Google's calculator, from its own recorder: the same seconds.

The calculator reads Cloud Logging; here its recorder writes to, and it reads from, a list in
memory, which both take as an argument. Nothing else of it is replaced. Its release 0.2.3 counts
data loading twice at a restart that loads none and from the second restart on, and its mean of the
steps that follow a start holds the checkpoints saved between them: the histories leave that out.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest

from gigafactory.run.ledger import GOOGLE, history
from tests.made_run import BEGIN, Made, begun

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("ml_goodput_measurement", reason="ml-goodput-measurement is not installed")
NESTED: Final = "EVALUATION"


class Memory:
    """What stands in for Cloud Logging: entries in the order they were written."""

    job_start_time = None

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def write_cloud_logging_entry(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)

    def read_cloud_logging_entries(self, *_: Any, **__: Any) -> tuple[list[Any], tuple[Any, Any]]:
        return self.entries, (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), "none")


class Both:
    """Plays one history into our run folder and into Google's recorder."""

    def __init__(self, made: Made, cache: Path) -> None:
        from ml_goodput_measurement.src import goodput

        self.made, self.memory = made, Memory()
        self.recorder = goodput.GoodputRecorder("job", "log", True, self.memory)
        self.calculator = goodput.GoodputCalculator("job", "log", self.memory, cache_dir=str(cache))
        self.recorder.record_job_start_time(self.when(0.0))
        self.setup(0.0, 4.0, 4.0, 2.0)

    @staticmethod
    def when(seconds: float) -> dt.datetime:
        return BEGIN + dt.timedelta(seconds=seconds)

    def setup(self, begin: float, starting: float, preparing: float, data: float) -> None:
        first, second = begin + starting, begin + starting + preparing
        r = self.recorder
        r.record_tpu_init_start_time(self.when(begin))
        r.record_tpu_init_end_time(self.when(first))
        r.record_training_preparation_start_time(self.when(first))
        r.record_training_preparation_end_time(self.when(second))
        r.record_data_loading_start_time(self.when(second))
        r.record_data_loading_end_time(self.when(second + data))

    def steps(self, number: int, took_s: float) -> None:
        for _ in range(number):
            self.recorder.record_step_start_time(self.made.step + 1, self.when(self.made.clock_s))
            self.made.steps(1, took_s)

    def evaluate(self, took_s: float) -> None:
        begin = self.made.clock_s
        self.recorder.record_custom_badput_event_start_time(self.when(begin), NESTED)
        self.made.evaluate(3.0, took_s)
        self.recorder.record_custom_badput_event_end_time(self.when(begin + took_s), NESTED)

    def save(self, took_s: float) -> None:
        self.memory.entries.append({
            "event_type": "save", "step": self.made.step, "directory": "gs://bucket/persistent",
            "checkpoint_manager_blocking_duration_secs": took_s,
            "checkpointer_blocking_duration_secs": took_s,
            "wait_for_prev_duration_secs": 0.0, "get_old_steps_duration_secs": 0.0,
        })  # fmt: skip
        self.made.event("checkpoint_end", took_s, duration_s=took_s)

    def crash(self, to_step: int, *, down_s: float, ready_s: float) -> None:
        """Die inside a step; be ready again after starting, loading and restoring in thirds."""
        self.recorder.record_step_start_time(self.made.step + 1, self.when(self.made.clock_s))
        begin = self.made.clock_s + down_s
        self.recorder.record_job_start_time(self.when(begin))
        self.recorder.record_tpu_init_start_time(self.when(begin))
        self.recorder.record_tpu_init_end_time(self.when(begin + ready_s / 3))
        self.recorder.record_data_loading_start_time(self.when(begin + ready_s / 3))
        self.recorder.record_data_loading_end_time(self.when(begin + 2 * ready_s / 3))
        self.memory.entries.append({
            "event_type": "restore", "step": to_step, "directory": "gs://bucket/persistent",
            "checkpoint_manager_duration_secs": ready_s / 3,
            "checkpointer_duration_secs": ready_s / 3, "broadcast_duration_secs": 0.0,
        })  # fmt: skip
        self.made.event("failure", down_s / 2)
        self.made.folder.rewind(to_step)
        self.made.step = to_step
        values = dict.fromkeys(("initialisation_s", "data_s", "restore_s"), ready_s / 3)
        self.made.event("resume", down_s / 2 + ready_s, duration_s=ready_s, values=values)

    def finish(self) -> None:
        self.recorder.record_job_end_time(self.when(self.made.clock_s))

    def theirs(self) -> dict[str, float]:
        from ml_goodput_measurement.src.goodput_utils import BadputType, GoodputType

        self.calculator.get_job_goodput()
        told = self.calculator.get_job_goodput_details()
        kinds = {"BadputType": told["badput_time"], "GoodputType": told["goodput_time"]}
        enums = {"BadputType": BadputType, "GoodputType": GoodputType}
        found = {}
        for ours, google in GOOGLE.items():
            family, name = google.split(".")
            value = kinds[family].get(enums[family][name], 0.0)
            found[ours] = sum(value.values()) if isinstance(value, dict) else float(value)
        return found

    def ours(self) -> dict[str, float]:
        folder = self.made.folder
        told = history(folder.steps(), folder.events(), folder.lost_steps())
        return told.ledger().seconds


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(begun(tmp_path / "run"), tmp_path)


def test_a_run_without_trouble(both: Both) -> None:
    both.steps(1, 7.0)
    both.steps(9, 2.0)
    both.finish()
    assert both.ours() == pytest.approx(both.theirs(), abs=1e-3)
    assert both.ours()["program_startup"] == pytest.approx(5.0)


def test_evaluations_and_checkpoints_between_steps(both: Both) -> None:
    both.steps(4, 2.0)
    both.evaluate(5.0)
    both.steps(3, 2.0)
    both.save(1.5)
    both.steps(3, 2.0)
    both.finish()
    assert both.ours() == pytest.approx(both.theirs(), abs=1e-3)


def test_an_outage_loses_steps_and_restores(both: Both) -> None:
    both.steps(8, 2.0)
    both.save(1.5)
    both.steps(5, 2.0)
    both.crash(8, down_s=30.0, ready_s=12.0)
    both.steps(1, 4.0)
    both.steps(6, 2.0)
    both.finish()
    assert both.ours() == pytest.approx(both.theirs(), abs=1e-3)
    assert both.ours()["wasted_progress"] == pytest.approx(10.0)


def test_three_outages_one_of_them_without_a_lost_step(both: Both) -> None:
    both.steps(6, 2.0)
    for back, down in ((2, 10.0), (0, 20.0), (4, 5.0)):
        both.crash(both.made.step - back, down_s=down, ready_s=8.0)
        both.steps(6, 2.0)
    both.finish()
    ours, theirs = both.ours(), both.theirs()
    assert ours.pop("data_loading") == pytest.approx(2.0 + 3 * 8.0 / 3, abs=1e-3)
    theirs.pop("data_loading")
    assert ours == pytest.approx(theirs, abs=1e-3)
