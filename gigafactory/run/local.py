"""Runs on this machine: torchrun, one process per core group or GPU, restarted when one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.run.launch import STOP

if TYPE_CHECKING:
    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult

LOG: Final = "log.txt"
POLL_S: Final = 0.1
LOOPBACK: Final = "lo"
GRACE_S: Final = 5.0
# glibc gives freed memory back and takes it again in every step, a page fault at a time: up to a
# sixth of a small model's step on a CPU. What a rank has freed it keeps.
KEPT_MEMORY: Final = {
    "MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**32),
}  # fmt: skip


def num_places() -> tuple[int, str]:
    """Return how many ranks this machine holds, and what each of them gets."""
    gpus = _num_gpus()
    if gpus:
        return gpus, "GPUs"
    return len(os.sched_getaffinity(0)), "cores"


def _num_gpus() -> int:
    """Return the number of NVIDIA GPUs, without importing torch for it."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Starts runs on this machine."""

    def require_room(self, plan: Plan) -> None:
        """Refuse a plan for more ranks than this machine holds.

        Raises:
            SpecError: Says what would fit.
        """
        layout = plan.layout
        places, what = num_places()
        if layout.num_gpus <= places:
            return
        raise SpecError(
            f"plan: layout takes {layout.num_gpus} ranks (tensor {layout.tensor_parallel} x "
            f"pipeline {layout.pipeline_parallel} x data {layout.data_parallel} x context "
            f"{layout.context_parallel}), this machine has {places} {what}; {_offer(plan, places)}",
            field="layout",
        )

    def submit(self, folder: RunFolder) -> LocalJob:
        """Start, or start again, the run in a folder that was made ready."""
        plan, training = folder.plan(), folder.training()
        ranks = plan.layout.num_gpus
        places, _ = num_places()
        environment = (
            KEPT_MEMORY
            | os.environ
            | {
                "OMP_NUM_THREADS": str(max(places // ranks, 1)),
                # Otherwise ranks of a restart find the addresses of the attempt before.
                "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            }
        )
        if Path("/sys/class/net", LOOPBACK).exists():
            environment.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        log = (folder.path / LOG).open("ab")
        command = [
            sys.executable, "-m", "gigafactory.run.trainer.agent", str(os.getpid()),
            "--nnodes=1", f"--nproc-per-node={ranks}", f"--max-restarts={training.max_restarts}",
            "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "--local-addr=127.0.0.1",
            "-m", "gigafactory.run.trainer", str(folder.path),
        ]  # fmt: skip
        with log:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        return LocalJob(folder, process)


def _offer(plan: Plan, places: int) -> str:
    """Return which smaller layout of the same kind would fit."""
    layout = plan.layout
    copy = layout.num_gpus // layout.data_parallel
    sequences = layout.global_batch_size // layout.micro_batch_size
    fits = [d for d in range(places // copy, 0, -1) if sequences % d == 0]
    if not fits:
        return f"one copy of the model takes {copy} of them; plan it for --gpus {places}"
    return f"data_parallel {fits[0]} ({fits[0] * copy} ranks) would fit"


@dataclass(slots=True)
class LocalJob:
    """A run on this machine; `folder` says how it goes."""

    folder: RunFolder
    process: subprocess.Popen[bytes]
    _told: set[int] = field(default_factory=set)

    @property
    def job_id(self) -> str:
        """The process id of torchrun's agent."""
        return str(self.process.pid)

    def poll(self) -> bool:
        """Return whether it goes on; tells the folder of a worker that is gone."""
        going = self.process.poll() is None
        if self.folder.result() is None:
            self._look_after_worker()
        return going

    def wait(self, timeout_s: float | None = None) -> RunResult | None:
        """Return how it ended; None where it did not within `timeout_s`."""
        limit = None if timeout_s is None else time.monotonic() + timeout_s
        while self.poll():
            if limit is not None and time.monotonic() > limit:
                return None
            time.sleep(POLL_S)
        return self.folder.result() or self._failed()

    def cancel(self, *, now: bool = False) -> None:
        """Ask the ranks to save their state and stop, or end them now."""
        if now:
            self._kill()
            return
        try:
            (self.folder.path / STOP).touch()
        except OSError:
            self.process.terminate()  # on a full disk; torchrun passes the signal on

    def output(self) -> str:
        """Return what its processes printed."""
        path = self.folder.path / LOG
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _kill(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                try:
                    self.process.wait(GRACE_S)
                except subprocess.TimeoutExpired:
                    continue

    def _look_after_worker(self) -> None:
        """Write that the first rank's process is gone, when it went without a word of its own."""
        events = self.folder.events()
        last = next((e for e in reversed(events) if e.kind in LIFE), None)
        if last is None or last.pid is None or last.kind not in ("start", "resume"):
            return
        if last.pid not in self._told and not _runs(last.pid):
            self._told.add(last.pid)
            detail = f"process {last.pid} of rank 0 is gone"
            self.folder.add_event("failure", detail=detail, pid=last.pid)

    def _failed(self) -> RunResult:
        """Write, and return, that the run failed without a result of its own."""
        from gigafactory.run.outcome import of

        lines = [line for line in self.output().splitlines() if "Error" in line]
        code = self.process.returncode
        reason = f"torchrun ended with {code}" + (f": {lines[-1].strip()}" if lines else "")
        self.folder.add_event("finish", detail=f"failed: {reason}")
        result = of(self.folder, "failed", reason=reason)
        self.folder.finish(result)
        return result


LIFE: Final = ("start", "resume", "restart", "failure", "hang", "finish")


def _runs(pid: int) -> bool:
    """Return whether a process is there, and not only waits to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
