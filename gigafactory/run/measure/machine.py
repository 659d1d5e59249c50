"""Starts the ranks that measure this machine, and collects what they found."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import MissingExtra, SpecError
from gigafactory.run.local import KEPT_MEMORY, LOOPBACK, num_places
from gigafactory.run.measure.samples import Measurements, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET_S: Final = 60.0
QUICK_S: Final = 25.0
GRACE_S: Final = 600.0  # start, and the least number of rounds on a machine that is busy
POLL_S: Final = 0.05
LAST_LINES: Final = 3


def measure(*, ranks: int | None = None, quick: bool = False, name: str = "") -> Measurements:
    """Return what was measured of this machine.

    Args:
        ranks: Processes that measure at the same time; None for one on each core or GPU.
        quick: Few shapes, about 25 seconds; else about a minute.
        name: Of the machine; empty for its host name.

    Raises:
        SpecError: More ranks than the machine has places, or a rank that failed.
        MissingExtra: PyTorch is not installed.
    """
    places, what = num_places()
    count = places if ranks is None else ranks
    if not 1 <= count <= places:
        raise SpecError(f"ranks must be from 1 to the {places} {what} of this machine, got {count}",
                        field="ranks")  # fmt: skip
    threads = max(len(os.sched_getaffinity(0)) // count, 1)
    load = os.getloadavg()[0]
    began, clock = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="giga-calibrate-") as folder:
        told = _measured(Path(folder), count, threads, quick=quick)
    return Measurements(
        host=name or platform.node() or "this-machine",
        ranks=count,
        threads=threads,
        processor=told.pop("processor") or _processor(),
        cores=len(os.sched_getaffinity(0)),
        load=(load, os.getloadavg()[0]),
        began=began,
        wall_s=time.perf_counter() - clock,
        precisions=tuple(told.pop("precisions")),
        samples=tuple(
            Sample(kernel=s["kernel"], shape=s["shape"], seconds=tuple(s["seconds"]))
            for s in told.pop("samples")
        ),
        **told,
    )


def _measured(folder: Path, ranks: int, threads: int, *, quick: bool) -> dict[str, Any]:
    """Return what the ranks wrote."""
    out = folder / "samples.json"
    budget_s = QUICK_S if quick else BUDGET_S
    place = {
        "ranks": ranks, "threads": threads, "budget_s": budget_s, "quick": quick,
        "store": str(folder / "store"), "out": str(out),
    }  # fmt: skip
    log = folder / "log.txt"
    with log.open("wb") as file, _started(ranks, threads, place, file) as processes:
        _wait(processes, time.monotonic() + budget_s + GRACE_S, log)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


class _started:  # noqa: N801 - used as a function
    """The processes of all ranks, ended when the block is left."""

    def __init__(self, ranks: int, threads: int, place: dict[str, Any], log: Any) -> None:
        environment = KEPT_MEMORY | os.environ | {"OMP_NUM_THREADS": str(threads)}
        if Path("/sys/class/net", LOOPBACK).exists():
            environment.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        self.processes = [
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "gigafactory.run.measure.rank",
                 json.dumps(place | {"rank": rank})],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )
            for rank in range(ranks)
        ]  # fmt: skip

    def __enter__(self) -> list[subprocess.Popen[bytes]]:
        return self.processes

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def _wait(processes: list[subprocess.Popen[bytes]], ends: float, log: Path) -> None:
    """Wait for all ranks.

    Raises:
        SpecError: One failed, or they took too long.
        MissingExtra: PyTorch is not installed.
    """
    while any(process.poll() is None for process in processes):
        if any(process.poll() for process in processes):
            break
        if time.monotonic() > ends:
            raise SpecError("calibrate: the ranks did not end in time; is the machine overloaded?")
        time.sleep(POLL_S)
    if not any(process.poll() for process in processes):
        return
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = " ".join(lines[-LAST_LINES:])
    if "No module named 'torch'" in last:
        raise MissingExtra("calibrate: install gigafactory[train]")
    raise SpecError(f"calibrate: a rank failed: {' '.join(last.split())[-300:]}")


def _processor() -> str:
    """Return the name of the processor."""
    return next(_named(), platform.processor() or platform.machine())


def _named() -> Iterator[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        if line.startswith("model name"):
            yield line.partition(":")[2].strip()
