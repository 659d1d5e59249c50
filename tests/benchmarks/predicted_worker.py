"""One rank of `test_predicted`: trains a few steps of each plan of a folder as the trainer does."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from gigafactory.catalog.files import read_plan
from gigafactory.run.record import RunFolder
from gigafactory.run.trainer.build import build
from gigafactory.run.trainer.loop import Loop
from gigafactory.run.trainer.worker import threads_per_rank
from gigafactory.spec.run import StepRecord, Training

LEAST, MOST, ABOUT_S = 3, 9, 1.5  # steps counted, and the time they should take together


class Text:
    """Sequences of random tokens: what a step takes does not depend on them."""

    def __init__(self, vocab_size: int, seq_len: int) -> None:
        self.vocab_size, self.seq_len = vocab_size, seq_len

    def sequences(self, step: int, count: int, *, rank: int, ranks: int) -> np.ndarray[Any, Any]:
        drawn = np.random.default_rng([step, rank])
        return drawn.integers(0, self.vocab_size, (count // ranks, self.seq_len + 1))

    def evaluation(self, index: int, count: int) -> np.ndarray[Any, Any]:
        return self.sequences(index, count, rank=0, ranks=1)


def trained(path: Path, folder: Path) -> dict[str, float]:
    """Return the median wall time of a plan's steps, this thread's own time, and the memory."""
    plan = read_plan(path)
    torch.set_num_threads(threads_per_rank(plan))
    records: list[StepRecord] = []
    recorder: Any = SimpleNamespace(folder=RunFolder(folder), step=records.append)
    watchdog: Any = SimpleNamespace(alive=lambda: None)
    text = Text(plan.model.vocab_size, plan.layout.seq_len)
    training = Training(checkpoint_interval_s=1e9)
    loop = Loop(
        plan, training, build(plan, training), data=text, recorder=recorder, watchdog=watchdog
    )
    own = [stepped(loop)]  # the first one makes the optimizer ready
    wanted = torch.tensor([min(max(int(ABOUT_S / records[0].step_time_s), LEAST), MOST)])
    dist.broadcast(wanted, 0)
    own += [stepped(loop) for _ in range(int(wanted))]
    wall = [record.step_time_s for record in records[1:]]
    memory = records[-1].memory_bytes or 0.0
    return {
        "wall_s": float(np.median(wall)),
        "own_s": float(np.median(own[1:])),
        "memory_bytes": memory,
    }


def stepped(loop: Loop) -> float:
    """Train one step; return this thread's own time."""
    dist.barrier()
    loop._stepped_at = time.perf_counter()
    began = time.thread_time()
    loop._step()
    return time.thread_time() - began


def main() -> None:
    """Train every plan of a folder in order of name; the first rank writes what it took."""
    folder, rank, ranks = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=ranks
    )
    told = {path.stem: trained(path, folder / "run") for path in sorted(folder.glob("*.toml"))}
    found: list[Any] = [None] * ranks
    dist.all_gather_object(found, told)
    if rank == 0:
        slowest = {
            case: {key: max(one[case][key] for one in found) for key in told[case]} for case in told
        }
        (folder / "told.json").write_text(json.dumps(slowest), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
