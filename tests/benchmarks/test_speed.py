"""How fast the planner is, on one core: printed as a table by `make bench`.

Under `make test` each figure is taken once, so that the code keeps running; nothing is asserted
of a time. With GIGAFACTORY_REGENERATE=1 the table goes to docs/explanation/performance.md.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.catalog.files import write_whole
from gigafactory.plan.search import Found, search
from gigafactory.plan.space import Question

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "performance.md"
GIGA = [sys.executable, "-c", "from gigafactory.cli import main; main()"]
PLAN = ["plan", "grok-1", "--cluster", "gigafactory", "--tokens", "15e12"]
MEASURE = """
import resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, capture_output=True)
seconds = time.perf_counter() - begun
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
RUNS = str(loader.DATA / "published" / "runs.csv")


@pytest.fixture(scope="module")
def figures() -> list[tuple[str, str, str]]:
    return []


def question(num_gpus: int = 100_000, batch: int = 2_048) -> Question:
    cluster = replace(loader.cluster("gigafactory"), num_gpus=num_gpus)
    return Question(
        model=loader.model("grok-1"),
        machine=machines.machine(cluster, "megatron-core"),
        seq_len=8_192,
        global_batch_size=batch,
        num_gpus=num_gpus,
    )


def best_of(times: int, run: Callable[[], object]) -> float:
    """Return the shortest CPU time of some calls."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        run()
        taken.append(time.process_time() - begun)
    return min(taken)


def repeats(request: pytest.FixtureRequest) -> int:
    return 5 if request.config.getoption("benchmark_enable", default=False) else 1


def element_s() -> float:
    """Return the seconds of one element of a plain numpy product in the cache: the yardstick."""
    a = np.ones(50_000)
    return best_of(5, lambda: [a * a for _ in range(200)]) / 200 / a.size


@pytest.mark.parametrize("batch", [2_048, 24_576])
def test_search_prices_layouts(
    batch: int, figures: list[tuple[str, str, str]], request: pytest.FixtureRequest
) -> None:
    found: list[Found] = []
    asked = question(batch=batch)
    seconds = best_of(repeats(request), lambda: found.append(search(asked)))
    rate, yardstick = found[0].priced / seconds, element_s()
    assert found[0].priced >= 10_000
    figures.append(
        (
            f"search grok-1 on gigafactory, {batch:,} sequences a step",
            f"{rate / 1e6:.2f} M priced layouts/s",
            f"{found[0].considered:,} considered, {found[0].priced:,} priced in {seconds:.2f} s; "
            f"one costs as much as {1 / rate / yardstick:.0f} elements of a numpy product",
        )
    )


def test_search_grows_with_divisors_not_with_gpus(
    figures: list[tuple[str, str, str]], request: pytest.FixtureRequest
) -> None:
    base = best_of(repeats(request), lambda: search(question(1_000)))
    for size in (1_000, 10_000, 100_000, 1_000_000):
        asked = question(size)
        seconds = best_of(repeats(request), lambda asked=asked: search(asked))  # type: ignore[misc]
        figures.append(
            (f"the same search, {size:,} GPUs", f"{seconds:.2f} s", f"x {seconds / base:.1f}")
        )


def whole(arguments: list[str]) -> tuple[float, float]:
    """Return wall seconds and peak megabytes of a process of its own."""
    # A small process starts the command: a child's peak counts what it was forked from.
    command = [sys.executable, "-c", MEASURE, *GIGA, *arguments]
    told = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, text=True)
    seconds, kilobytes = told.stdout.split()
    return float(seconds), float(kilobytes) / 1024


@pytest.mark.parametrize(
    ("label", "arguments"),
    [
        ("giga --help", ["--help"]),
        ("giga plan grok-1 --cluster gigafactory --tokens 15e12", PLAN),
        ("giga predict runs.csv (587 runs)", ["predict", RUNS, "--out"]),
    ],
)
def test_whole_commands(
    label: str,
    arguments: list[str],
    figures: list[tuple[str, str, str]],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    if arguments[-1] == "--out":
        arguments = [*arguments, str(tmp_path / "out.csv")]
    runs = [whole(arguments) for _ in range(repeats(request))]
    seconds, megabytes = min(s for s, _ in runs), max(m for _, m in runs)
    figures.append((label, f"{seconds:.2f} s", f"peak {megabytes:.0f} MB"))


def test_table_is_printed(figures: list[tuple[str, str, str]]) -> None:
    table = "| what | measured | |\n|---|---|---|\n" + "".join(
        f"| {what} | {value} | {more} |\n" for what, value, more in figures
    )
    assert len(figures) > 0
    sys.stdout.write(f"\n{table}")
    if os.environ.get("GIGAFACTORY_REGENERATE"):
        write_whole(
            PAGE,
            "# Performance\n\nWritten by `GIGAFACTORY_REGENERATE=1 make bench`; one core of a "
            "shared machine, best of five. CPU time for a search, wall time for a whole process, "
            "interpreter and imports included.\n\n" + table,
        )
