"""How fast a long run is read, followed and drawn, on one core of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gigafactory.report.watch import frame
from gigafactory.report.watched import Watched
from gigafactory.run import lines
from gigafactory.run.ledger import history, seconds_of
from gigafactory.spec.run import StepRecord
from tests.made_run import at, begun

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from gigafactory.run.record import RunFolder

NUM_STEPS = 20_000
NEW_STEPS = 100
SPANS = {"data": 0.02, "forward_backward": 1.5, "data_comm": 0.1, "optimizer": 0.1, "other": 0.03}


def records(first: int, number: int) -> str:
    return "".join(
        lines.encode(
            StepRecord(step=n, loss=3.25, tokens=1 << 20, step_time_s=1.75, time=at(10 + 1.75 * n),
                       learning_rate=1e-4, gradient_norm=0.5, spans_s=SPANS, memory_bytes=6e10)
        )
        for n in range(first, first + number)
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = begun(tmp_path_factory.mktemp("run")).folder
    (made.path / "steps.jsonl").write_text(records(1, NUM_STEPS), encoding="utf-8")
    return made


def test_reading_a_long_run(benchmark: BenchmarkFixture, folder: RunFolder) -> None:
    found = benchmark(folder.steps)
    assert len(found) == NUM_STEPS
    if benchmark.stats:
        benchmark.extra_info["steps_per_s"] = NUM_STEPS / benchmark.stats.stats.min


def test_following_a_long_run(
    benchmark: BenchmarkFixture, folder: RunFolder, tmp_path: Path
) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes((folder.path / "steps.jsonl").read_bytes())
    tail = lines.Tail(path, StepRecord)
    tail.poll()
    told = records(NUM_STEPS + 1, NEW_STEPS)

    def grow() -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(told)

    def follow() -> None:
        grow()
        assert tail.poll()

    benchmark(follow)
    assert len(tail.records) >= NUM_STEPS + NEW_STEPS
    tail.close()


def test_the_ledger_of_a_long_run(benchmark: BenchmarkFixture, folder: RunFolder) -> None:
    steps, events = folder.steps(), folder.events()
    told = benchmark(lambda: history(steps, events).ledger())
    assert told.goodput > 0.9


def test_drawing_a_long_run(benchmark: BenchmarkFixture, folder: RunFolder) -> None:
    watched, now = Watched(folder.path), seconds_of(at(10 + 1.75 * NUM_STEPS))
    watched.look(now)
    lines_drawn = benchmark(lambda: frame(watched.look(now), 120, 40))
    assert len(lines_drawn) > 10
