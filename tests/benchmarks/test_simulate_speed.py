"""How fast a run is simulated, on one core: CPU seconds and memory, by pytest-benchmark.

100,000 GPUs x 90 days x 1,000 seeds (at most 10 s and 1 GB as a whole process), and one story of
100 days with its power each second around events (at most 5 s; ExaDigiT RAPS simulates 175 s in a
second at 9,472 nodes, so 100 days in 13.7 h). `make bench` prints the table; under `make test` each
runs once on a shorter time, and nothing is asserted of a time.
"""

from __future__ import annotations

import datetime as dt
import resource
import subprocess
import sys
import time
from typing import Any, Final

import numpy as np
import pytest

from gigafactory.simulate.montecarlo import courses
from gigafactory.simulate.power import Levels, Smoothing, around, sampled
from gigafactory.simulate.smoothing import smoothed
from gigafactory.simulate.story import story
from tests.made_scenario import made_scenario

GPUS: Final = 100_000
LEVELS: Final = Levels(
    training_w=147e6, quiet_w=45e6, it_swing_w=75e6, step_swing_w=80e6, step_s=2.7
)
WHOLE: Final = """
import resource, time
import numpy as np
from gigafactory.simulate.montecarlo import courses
from tests.made_scenario import made_scenario
course = courses(made_scenario("llama3-h100", {gpus}, {days}), {seeds}, np.random.default_rng(0))
assert course.goodput.shape == ({seeds},)
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.benchmark(group="100,000 GPUs x 90 days x 1,000 seeds", timer=time.process_time)
def test_a_monte_carlo_of_the_largest_machine(benchmark: Any) -> None:
    days, seeds = (90.0, 1_000) if benchmark.enabled else (1.0, 20)
    scenario = made_scenario("llama3-h100", GPUS, days)
    found = benchmark.pedantic(
        lambda: courses(scenario, seeds, np.random.default_rng(0)), rounds=1, iterations=1
    )
    assert found.goodput.shape == (seeds,)


def test_a_whole_process_tells_its_time_and_memory(benchmark: Any) -> None:
    days, seeds = (90.0, 1_000) if benchmark.enabled else (1.0, 20)

    def ran() -> tuple[float, float]:
        code = WHOLE.format(gpus=GPUS, days=days, seeds=seeds)
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        cpu, memory = out.stdout.split()
        return float(cpu), float(memory)

    cpu, memory = benchmark.pedantic(ran, rounds=1, iterations=1)
    benchmark.extra_info.update(cpu_s=cpu, peak_bytes=memory)
    assert memory > 0


@pytest.mark.benchmark(group="one story of 100 days with power", timer=time.process_time)
@pytest.mark.parametrize("profile", ["llama3-h100", "ft-hsdp"])
def test_a_story_with_power_each_second_around_events(benchmark: Any, profile: str) -> None:
    days = 100.0 if benchmark.enabled else 1.0
    scenario = made_scenario(profile, GPUS, days)
    smoothing = Smoothing(
        ramp_w_per_s=1e6, battery_w=150e6, battery_j=300 * 3.6e9, filler_share=0.5
    )

    def told() -> int:
        found = story(scenario, np.random.default_rng(0), dt.date(2026, 1, 1))
        _, trace = smoothed(found, LEVELS, smoothing)
        load, grid = sampled(trace, around(np.array(found.struck_s), found.wall_s))
        assert load.shape == grid.shape
        return found.interruptions

    assert benchmark.pedantic(told, rounds=1, iterations=1) > 0


def test_memory_does_not_grow_with_the_days() -> None:
    import tracemalloc

    peaks = []
    for days in (2.0, 20.0):
        tracemalloc.start()
        courses(made_scenario("llama3-h100", GPUS, days), 20, np.random.default_rng(0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
