"""What the trainer costs beside a plain loop, what its checkpoints cost, how fast it recovers."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore

from gigafactory.catalog import files, loader
from gigafactory.run.record import RunFolder
from gigafactory.run.trainer.build import build
from gigafactory.run.trainer.data import Dataset
from gigafactory.run.trainer.loop import Loop
from gigafactory.run.trainer.recorder import Recorder
from gigafactory.run.trainer.watchdog import Watchdog
from tests.benchmarks.plain_loop import PlainLoop
from tests.made_training import DENSE, ROOT, plan, prepared_text, run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from gigafactory.spec.model import Model
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Event

pytestmark = pytest.mark.drill

PAIRS = 5
KILLS = 20
INTERVAL_S = 2.0
SMALL = replace(
    DENSE, name="made-3M", num_layers=4, hidden_size=192, ffn_hidden_size=512, num_heads=6,
    num_kv_heads=6, head_dim=32, vocab_size=4096, context_length=256,
)  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A process group of this process only."""
    store = FileStore(str(tmp_path_factory.mktemp("store") / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_text(tmp_path_factory.mktemp("text"), vocab_size=4096)


def trainer(path: Path, made: Plan, text: Path, **asked: Any) -> Loop:
    folder = run_folder(path, made, text, evaluate_every=10**6, **asked)
    data = Dataset.open(path / "data", seq_len=made.layout.seq_len, seed=0)
    return Loop(
        made, folder.training(), build(made, folder.training()), data=data,
        recorder=Recorder(folder, 0), watchdog=Watchdog(3600.0, print),
    )  # fmt: skip


def advance(loop: Loop, steps: int) -> None:
    """Train so many steps and no more; nothing is evaluated, as at the end of a run."""
    last = loop.progress.step + steps
    loop.asked_to_stop = lambda: loop.progress.step + 1 >= last
    loop.run()


def took(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def alternated(
    one: Callable[[], object], other: Callable[[], object], times: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Wall and processor time of each, turn by turn: what disturbs the machine meets both."""
    spent = [[0.0, 0.0], [0.0, 0.0]]
    for turn in range(2 * times):
        first = (turn + turn // 2) % 2  # one, other, other, one
        cpu = time.process_time()
        spent[first][0] += took(one if first == 0 else other)
        spent[first][1] += time.process_time() - cpu
    return (spent[0][0], spent[0][1]), (spent[1][0], spent[1][1])


def shaped(model: Model, precision: str) -> Plan:
    return plan(
        model, steps=10**6, seq_len=256, global_batch_size=8, micro_batch_size=4,
        precision=precision, cores=1,
    )  # fmt: skip


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("default")  # torch.compile warns of its own insides
@pytest.mark.parametrize(("precision", "compiled"), [("fp32", False), ("bf16", True)])
def test_tokens_per_second_beside_a_plain_loop(
    benchmark: BenchmarkFixture, tmp_path: Path, text: Path, precision: str, compiled: bool
) -> None:
    if compiled and not benchmark.enabled:
        pytest.skip("compiling takes half a minute")
    made = shaped(SMALL, precision)
    loop = trainer(tmp_path / "run", made, text, compile=compiled, checkpoint_interval_s=1e6)
    tokens = np.fromfile(next((tmp_path / "run" / "data").glob("train-*")), dtype=np.uint16)
    plain = PlainLoop(made, tokens, compiled=compiled)
    plain.run(2)
    advance(loop, 2)
    each_s = took(lambda: plain.run(2)) / 2
    steps = max(3, int(3.0 / each_s)) if benchmark.enabled else 1
    ratios, cpu_ratios = [], []
    for _ in range(PAIRS if benchmark.enabled else 1):
        hand, ours = alternated(lambda: plain.run(1), lambda: advance(loop, 1), steps)
        ratios.append(hand[0] / ours[0])
        cpu_ratios.append(hand[1] / ours[1])
    ratio, cpu_ratio = statistics.median(ratios), statistics.median(cpu_ratios)
    speed = made.layout.tokens_per_step * steps / ours[0]
    sys.stdout.write(
        f"\n{precision}, compiled {compiled}: {ratio:.3f} of a plain loop's tokens/s, pairs "
        f"{[round(r, 3) for r in ratios]}; by processor time {cpu_ratio:.3f}, pairs "
        f"{[round(r, 3) for r in cpu_ratios]}; {speed:,.0f} tokens/s\n"
    )
    benchmark.extra_info["ratio"] = ratio
    benchmark.pedantic(lambda: advance(loop, 1), rounds=3)  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("alone")
def test_asynchronous_checkpoints_every_20_s(
    benchmark: BenchmarkFixture, tmp_path: Path, text: Path
) -> None:
    made = shaped(loader.model("grok-tiny"), "fp32")
    loop = trainer(tmp_path / "run", made, text, checkpoint_interval_s=1e6)
    advance(loop, 2)
    loop.keeper.save(wait=True)
    each_s = took(lambda: advance(loop, 3)) / 3
    steps = max(3, int(20.0 / each_s)) if benchmark.enabled else 1

    def saving() -> None:
        loop.keeper.save()
        advance(loop, steps)

    costs = []
    for pair in range(PAIRS if benchmark.enabled else 1):
        both = [lambda: advance(loop, steps), saving]
        times = [took(run) for run in (both if pair % 2 == 0 else both[::-1])]
        without, with_ = times if pair % 2 == 0 else times[::-1]
        costs.append(with_ / without - 1)
        loop.keeper.checkpoints.wait()
    cost = statistics.median(costs)
    sys.stdout.write(
        f"\ncheckpoints of {made.model.num_parameters / 1e6:.1f}M parameters every 20 s cost "
        f"{cost:.2%}, pairs {[f'{c:.2%}' for c in costs]}\n"
    )
    benchmark.extra_info["cost"] = cost
    benchmark.pedantic(lambda: loop.keeper.save(wait=True), rounds=1)  # type: ignore[no-untyped-call]


def begun_at(pid: int) -> float:
    """When a process began, in seconds since the epoch."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123
        boot = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def seconds(time_: str) -> float:
    return dt.datetime.fromisoformat(time_).timestamp()


class Victim:
    """A run whose worker is killed again and again."""

    def __init__(self, folder: RunFolder, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process
        self.again_s: list[float] = []
        self.lost_s: list[float] = []

    def until(self, seen: Callable[[], bool]) -> None:
        while not seen():
            assert self.process.poll() is None
            time.sleep(0.005)

    def workers(self) -> list[Event]:
        return [e for e in self.folder.events() if e.kind in ("start", "resume")]

    def kill(self, number: int, wait_s: float) -> None:
        """Wait until the worker after so many kills trains, note how it got there, kill it."""
        self.until(lambda: len(self.workers()) > number)
        worker = self.workers()[number]
        resumed, pid = worker.step or 0, worker.pid or 0
        self.until(lambda: any(s.step > resumed for s in self.folder.steps()))
        first = next(s for s in self.folder.steps() if s.step == resumed + 1)
        if number:
            self.again_s.append(seconds(first.time) - begun_at(pid))
            self.lost_s.append(worker.values["lost_s"])
        time.sleep(wait_s)
        os.kill(pid, signal.SIGKILL)


def started(tmp_path: Path, text: Path) -> Victim:
    made = plan(replace(DENSE, vocab_size=4096), steps=6000, data_parallel=2, cores=2)
    path = tmp_path / "plan.toml"
    files.write_plan(made, path)
    folder = RunFolder(tmp_path / "run")
    command = [
        sys.executable, "-c", "from gigafactory.cli import main; main()", "run", str(path),
        "--out", str(folder.path), "--data", str(text), "--checkpoint-interval", str(INTERVAL_S),
        "--max-restarts", str(2 * KILLS), "--evaluate-every", "100000", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return Victim(folder, process)


def test_twenty_kills_at_random_moments(
    benchmark: BenchmarkFixture, tmp_path: Path, text: Path
) -> None:
    if not benchmark.enabled:
        pytest.skip("tests/integration/test_run_local.py kills a few times, this one twenty")
    seed = int(os.environ.get("KILL_SEED", "0")) or time.time_ns() % 10**9
    moments = np.random.default_rng(seed)
    victim = started(tmp_path, text)
    for number in range(KILLS):
        victim.kill(number, moments.uniform(0, 2 * INTERVAL_S))
    victim.until(lambda: len(victim.workers()) > KILLS)
    (victim.folder.path / "stop").touch()
    answer = json.loads(victim.process.communicate()[0])
    numbers = [s.step for s in victim.folder.steps()]
    worst, lost = max(victim.again_s), max(victim.lost_s)
    sys.stdout.write(
        f"\nKILL_SEED={seed}: {answer['restarts']} of {KILLS} kills recovered; training again "
        f"{statistics.median(victim.again_s):.1f} s (median), {worst:.1f} s (worst) after the new "
        f"process began; lost at most {lost:.1f} s of {INTERVAL_S:g} s intervals; each step "
        f"once: {numbers == list(range(1, len(numbers) + 1))}\n"
    )
    benchmark.extra_info |= {"again_s": worst, "lost_s": lost}
    assert answer["state"] == "stopped"
    benchmark.pedantic(victim.folder.steps, rounds=1)  # type: ignore[no-untyped-call]
