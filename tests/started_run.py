"""A `giga run` in a process of its own, and its folder beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gigafactory.catalog import files
from gigafactory.run.record import RunFolder
from tests.made_training import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Event

GIGA = "import sys; from gigafactory.cli import main; sys.argv[0] = 'giga'; main()"
LIMIT_S = 240.0  # a test that takes longer hangs; nothing is asserted of time


@dataclass
class Run:
    """A `giga run` and its folder."""

    folder: RunFolder
    process: subprocess.Popen[str]

    def ended(self) -> tuple[int, str]:
        """Exit code, and what it printed on stderr."""
        _, told = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, told

    def until(self, seen: Callable[[], object]) -> None:
        limit = time.monotonic() + LIMIT_S
        while not seen():
            assert self.process.poll() is None, self.folder.path.joinpath("log.txt").read_text()
            assert time.monotonic() < limit, "it hangs"
            time.sleep(0.01)

    def until_step(self, step: int) -> None:
        self.until(lambda: step == 0 or any(s.step >= step for s in self.folder.steps()))

    def has_begun(self, times: int) -> bool:
        return len(self.workers()) >= times

    def workers(self) -> list[Event]:
        return [e for e in self.folder.events() if e.kind in ("start", "resume")]


@dataclass
class Starter:
    """Starts `giga run`s that train on `text` in folders of `place`; ends what is left of them."""

    place: Path
    text: Path
    runs: list[Run] = field(default_factory=list)

    def __call__(self, made: Plan, *options: str, name: str = "run") -> Run:
        path = self.place / f"{name}.toml"
        files.write_plan(made, path)
        out = self.place / name
        command = [
            sys.executable, "-c", GIGA, "run", str(path), "--out", str(out),
            "--data", str(self.text), "--learning-rate", "0.01", *options,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.runs.append(Run(RunFolder(out), process))
        return self.runs[-1]

    def close(self) -> None:
        """End what still runs; close what a failed test left open."""
        for run in self.runs:
            if run.process.poll() is None:
                run.process.kill()  # its workers end with it
            if run.process.stdout and not run.process.stdout.closed:
                run.process.communicate()


def losses(folder: RunFolder) -> list[float]:
    steps = folder.steps()
    assert [s.step for s in steps] == list(range(1, len(steps) + 1)), "each step once, in order"
    return [s.loss for s in steps]
