"""Trains run folders one after the other in one set of processes; started by torchrun."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from gigafactory.run.record import RunFolder
from gigafactory.run.trainer.build import build
from gigafactory.run.trainer.data import Dataset
from gigafactory.run.trainer.loop import Loop
from gigafactory.run.trainer.recorder import Recorder
from gigafactory.run.trainer.watchdog import Watchdog


def train(folder: RunFolder, watchdog: Watchdog) -> None:
    plan, training = folder.plan(), folder.training()
    data = Dataset.open(folder.path / "data", seq_len=plan.layout.seq_len, seed=0, verify=False)
    loop = Loop(
        plan, training, build(plan, training), data=data, watchdog=watchdog,
        recorder=Recorder(folder, dist.get_rank()),
    )  # fmt: skip
    loop.keeper.restore()
    assert loop.run() == "finished"
    loop.keeper.save(wait=True)


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    watchdog = Watchdog(200.0, print)
    for path in sys.argv[1:]:
        train(RunFolder(Path(path)), watchdog)
        watchdog.alive()
    dist.barrier()
    os._exit(0)


if __name__ == "__main__":
    main()
