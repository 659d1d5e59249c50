"""What a batch script notes in the run folder, and whether its job is over or goes on.

    python -m gigafactory.run.slurm_session begin RUN
    python -m gigafactory.run.slurm_session end RUN --status S --asked nobody|time-limit|cancel

`end` exits with 0 when the run is over or was told to stop, 1 when it failed for good, and 75 when
the job has to be queued again. Runs on the first node of each allocation of the job.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog import files
from gigafactory.run import outcome
from gigafactory.run.launch import STOP
from gigafactory.run.record import RESULT, RunFolder
from gigafactory.run.slurm_ask import UNKNOWN, SlurmAwayError, view_of

if TYPE_CHECKING:
    from collections.abc import Mapping

OVER: Final = 0
FAILED: Final = 1
AGAIN: Final = 75  # EX_TEMPFAIL of sysexits.h: not over, to be queued again
ASKED: Final = ("nobody", "time-limit", "cancel")
NOTE: Final = "slurm.json"
STILL_RUNS: Final = ("RUNNING", "SIGNALING", "TIMEOUT", UNKNOWN)
LAUNCHER: Final = -1  # the rank of events that no rank told
WELL: Final = (
    "idle", "mix", "mixed", "alloc", "allocated", "comp", "completing", "resv", "reserved",
    "planned",
)  # fmt: skip
# What sinfo adds to the state of a node that is powered down or up, rebooted or planned for.
MARKS: Final = "~#!%$@^+-"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One stay of a job in the machine, as its environment tells it."""

    job_id: str
    restarts: int
    nodes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return what the run folder keeps of it."""
        return {"job_id": self.job_id, "restarts": self.restarts, "nodes": list(self.nodes)}


def this_allocation(environment: Mapping[str, str]) -> Allocation:
    """Return the allocation that this process is part of."""
    nodes = _told("scontrol", "show", "hostnames", environment.get("SLURM_JOB_NODELIST", ""))
    return Allocation(
        job_id=environment["SLURM_JOB_ID"],
        restarts=int(environment.get("SLURM_RESTART_COUNT", "0")),
        nodes=tuple(nodes.split()),
    )


def note_of(folder: RunFolder) -> dict[str, Any]:
    """Return what is noted of the job of a run: job_id, and its last allocation if it had one."""
    path = folder.path / NOTE
    if not path.is_file():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    return told if isinstance(told, dict) else {}


def write_note(folder: RunFolder, note: dict[str, Any]) -> None:
    """Note the job of a run, whole or not at all."""
    files.write_whole(folder.path / NOTE, json.dumps(note) + "\n")


def begin(folder: RunFolder, here: Allocation) -> int:
    """Make the folder ready for an allocation and note why the last one ended; return 0."""
    before = note_of(folder)
    ended = folder.result()
    if ended is not None and ended.state == "stopped":
        (folder.path / RESULT).unlink()  # it goes on
    (folder.path / STOP).unlink(missing_ok=True)
    if here.restarts and before.get("job_id") == here.job_id and not _explained(folder):
        _tell(folder, "failure", _lost(before.get("nodes", ())), here)
    write_note(folder, here.as_dict())
    return OVER


def end(folder: RunFolder, here: Allocation, *, status: int, asked: str) -> int:
    """Return what is to become of the job now that its step has ended, and note it.

    Args:
        folder: The run.
        here: The allocation.
        status: Exit status of the step; that of a spare node may be 1 in a run that is finished.
        asked: Why the ranks were asked to stop. Slurm sends the same signal before the time limit
            and when it takes the nodes back; only in the first case the job still runs. A job
            that is preempted may see its ranks, not its script, told to stop.
    """
    ended = folder.result()
    if ended is not None and ended.state != "stopped":
        return OVER if ended.state == "finished" else FAILED
    if asked == "cancel" and ended is None:
        reason = f"Slurm job {here.job_id} was cancelled, and its ranks did not end by themselves"
        folder.finish(outcome.of(folder, "stopped", reason=reason))
    if asked == "cancel" or (asked == "nobody" and (folder.path / STOP).exists()):
        return OVER
    state = _state(here.job_id)
    if state not in STILL_RUNS:
        return _taken_back(folder, here, state)
    if asked == "time-limit":
        _tell(folder, "signal", "time limit; saved, and queued again", here)
    elif ended is not None:
        _tell(folder, "signal", "the ranks were told to stop and the run was not; it goes on", here)
    else:
        _tell(folder, "failure", f"the step ended with status {status} before the run did", here)
    return _again(folder, here)


def _state(job_id: str) -> str:
    """Return the state of the job; UNKNOWN while the controller does not answer."""
    try:
        return view_of(job_id).state
    except SlurmAwayError:
        return UNKNOWN


def _again(folder: RunFolder, here: Allocation) -> int:
    """Return AGAIN, unless one allocation after the other ends without a step."""
    step = _last_step(folder)
    ends, most = _fruitless(folder, step), folder.training().max_restarts
    if ends <= most:
        return AGAIN
    reason = f"Slurm job {here.job_id} ended {ends} times without a step after step {step}"
    folder.finish(outcome.of(folder, "failed", reason=reason))
    return FAILED


def _taken_back(folder: RunFolder, here: Allocation, state: str) -> int:
    """Note that a node failed or another job goes first; Slurm itself queues the job again."""
    if state != "CANCELLED":
        _tell(folder, "failure", _lost(here.nodes), here)
    return OVER


def _tell(folder: RunFolder, kind: str, what: str, here: Allocation) -> None:
    """Write why an allocation ended; the first rank tells by itself where it goes on."""
    detail = f"Slurm job {here.job_id}: {what}"
    values = {"requeues": float(here.restarts)}
    folder.add_event(kind, step=_last_step(folder), detail=detail, values=values)


def _explained(folder: RunFolder) -> bool:
    """Return whether the events tell why the last allocation ended."""
    for event in reversed(folder.events()):
        if event.rank == LAUNCHER and event.kind in ("signal", "failure"):
            return True
        if event.kind in ("start", "resume"):
            return False
    return False


def _fruitless(folder: RunFolder, step: int) -> int:
    """Return how many allocations have ended since the run last made a step."""
    ends = [e for e in folder.events() if e.rank == LAUNCHER and e.kind in ("signal", "failure")]
    return sum((e.step or 0) >= step for e in ends)


def _last_step(folder: RunFolder) -> int:
    steps = folder.steps()
    return steps[-1].step if steps else 0


def _lost(nodes: tuple[str, ...] | list[str]) -> str:
    """Return what became of the nodes of the last allocation."""
    told = _told("sinfo", "-h", "-N", "-n", ",".join(nodes), "-o", "%N|%T|%E") if nodes else ""
    rows = dict.fromkeys(tuple(line.split("|", 2)) for line in told.splitlines() if "|" in line)
    ill = [
        f"{node} is {state} ({why})" for node, state, why in rows if state.rstrip(MARKS) not in WELL
    ]
    if ill:
        return f"node failure: {'; '.join(ill)}"
    return "Slurm took the nodes back: another job went first, or a node was lost"


def _told(*command: str) -> str:
    """Return what a Slurm command printed; nothing where it could not answer."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return run.stdout


def main(arguments: list[str] | None = None) -> int:
    """Run the command; see the top of this module."""
    parser = argparse.ArgumentParser(prog="slurm_session")
    parser.add_argument("moment", choices=("begin", "end"))
    parser.add_argument("run", type=Path)
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--asked", choices=ASKED, default="nobody")
    given = parser.parse_args(arguments)
    folder, here = RunFolder(given.run), this_allocation(os.environ)
    if given.moment == "begin":
        return begin(folder, here)
    return end(folder, here, status=given.status, asked=given.asked)


if __name__ == "__main__":
    sys.exit(main())
