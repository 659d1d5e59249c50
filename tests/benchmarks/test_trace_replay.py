"""How fast recorded steps are replayed and asked what slows them: CPU seconds, by pytest-benchmark.

`make bench` prints the table; under `make test` each runs once, and nothing is asserted of a time.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from gigafactory.cost.schedule import replay
from gigafactory.simulate.stragglers import what_if
from gigafactory.simulate.trace_table import table_of
from gigafactory.simulate.traces import OPERATIONS, read_trace, trace_of
from tests.made_trace import made_seconds, recorded

TRACE: Final = Path(__file__).parents[1] / "validation" / "data" / "straggler" / "trace-AR.csv.gz"
EVENTS: Final = (128, 8, 256)  # stages, chunks, microbatches


@pytest.mark.benchmark(group="replay of 524,288 passes", timer=time.process_time)
def test_replay_of_a_large_pipeline(benchmark: Any) -> None:
    pp, vpp, microbatches = EVENTS
    even = np.ones((pp, vpp))
    events = benchmark.pedantic(
        replay, (even, 2 * even, 0.1, pp, vpp, microbatches), rounds=3, iterations=1
    )
    assert len(events) == 2 * pp * vpp * microbatches


@pytest.mark.benchmark(group="recorded steps", timer=time.process_time)
def test_reading_ten_thousand_operations(benchmark: Any) -> None:
    assert benchmark(lambda: read_trace(TRACE)).stages == 4


@pytest.mark.benchmark(group="recorded steps", timer=time.process_time)
def test_asking_what_slows_ten_thousand_operations(benchmark: Any) -> None:
    trace = read_trace(TRACE)
    assert benchmark(lambda: what_if(trace)).cause == "workers"


@pytest.mark.benchmark(group="recorded steps", timer=time.process_time)
def test_asking_what_slows_a_thousand_workers(benchmark: Any) -> None:
    made = recorded(made_seconds((8, 1, 16, 2, 128), np.random.default_rng(0)))
    trace = trace_of(table_of(made, "made", OPERATIONS))
    found = benchmark.pedantic(what_if, (trace,), rounds=2, iterations=1)
    assert len(found.replica_slowdowns) == 128
