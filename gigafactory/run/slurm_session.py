"""What a batch script notes in the run folder, and whether its job is over or goes on.

    python -m gigafactory.run.slurm_session begin RUN
    python -m gigafactory.run.slurm_session end RUN --status S --asked nobody|time-limit|cancel

`end` exits with 0 when the run is over or was told to stop, 1 when it failed for good, and 75 when
the job has to be queued again. Runs on the first node of each allocation of the job.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog import files
from gigafactory.run.record import RESULT, RunFolder, now
from gigafactory.spec.run import RunResult

if TYPE_CHECKING:
    from collections.abc import Mapping

OVER: Final = 0
FAILED: Final = 1
AGAIN: Final = 75  # EX_TEMPFAIL of sysexits.h: not over, to be queued again
ASKED: Final = ("nobody", "time-limit", "cancel")
NOTE: Final = "slurm.json"
WELL: Final = (
    "idle",
    "mix",
    "mixed",
    "alloc",
    "allocated",
    "comp",
    "completing",
    "resv",
    "reserved",
)


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
    """Note that an allocation begins and, when the job was queued again, why; return 0."""
    before = note_of(folder)
    ended = folder.result()
    if ended is not None and ended.state == "stopped":
        (folder.path / RESULT).unlink()  # it goes on
    if here.restarts and before.get("job_id") == here.job_id:
        if not _explained(folder):
            lost = _lost(before.get("nodes", ()))
            folder.add_event("failure", step=_last_step(folder), detail=lost)
        folder.add_event(
            "restart",
            step=_last_step(folder),
            detail=f"Slurm job {here.job_id} runs again on {','.join(here.nodes)}",
            values={"requeues": float(here.restarts)},
        )
    write_note(folder, here.as_dict())
    return OVER


def end(folder: RunFolder, here: Allocation, *, status: int, asked: str) -> int:
    """Return what is to become of the job now that its step has ended, and note it.

    Args:
        folder: The run.
        here: The allocation.
        status: Exit status of the step; that of a spare node may be 1 in a run that is finished.
        asked: Who asked the ranks to stop.
    """
    ended = folder.result()
    if ended is not None and ended.state != "stopped":
        return OVER if ended.state == "finished" else FAILED
    step = _last_step(folder)
    if asked == "time-limit":
        detail = f"time limit of Slurm job {here.job_id}: saved, queued again"
        folder.add_event("signal", step=step, detail=detail)
        return AGAIN
    if asked == "cancel" or ended is not None:
        return OVER
    folder.add_event(
        "failure", step=step, detail=f"the step ended with status {status} before the run did"
    )
    if _fruitless(folder, step) < folder.training().max_restarts:
        return AGAIN
    reason = f"Slurm job {here.job_id} failed again and again at step {step}"
    folder.finish(unwritten_result(folder, "failed", reason))
    return FAILED


def _explained(folder: RunFolder) -> bool:
    """Return whether the end of the last allocation is in the events already."""
    ours = [e for e in folder.events() if e.rank == -1 and e.kind in ("restart", *_ENDS)]
    return bool(ours) and ours[-1].kind in _ENDS


_ENDS: Final = ("signal", "failure")


def _fruitless(folder: RunFolder, step: int) -> int:
    """Return how often the job was queued again since it last made a step."""
    restarts = [e for e in folder.events() if e.kind == "restart" and e.rank == -1]
    return sum((e.step or 0) >= step for e in restarts)


def _last_step(folder: RunFolder) -> int:
    steps = folder.steps()
    return steps[-1].step if steps else 0


def _lost(nodes: tuple[str, ...] | list[str]) -> str:
    """Return what became of the nodes of the last allocation."""
    told = _told("sinfo", "-h", "-N", "-n", ",".join(nodes), "-o", "%N|%T|%E") if nodes else ""
    rows = dict.fromkeys(tuple(line.split("|", 2)) for line in told.splitlines() if "|" in line)
    ill = [f"{node} is {state} ({why})" for node, state, why in rows if state not in WELL]
    if ill:
        return f"node failure: {'; '.join(ill)}"
    return "Slurm took the nodes back and queued the job again: preempted, or a node was lost"


def unwritten_result(folder: RunFolder, state: str, reason: str) -> RunResult:
    """Return the result of a run whose ranks are gone without having written one."""
    steps, events = folder.steps(), folder.events()
    wall_s = (_moment(now()) - _moment(events[0].time)).total_seconds() if events else 0.0
    counted_s = sum(step.step_time_s for step in steps)
    return RunResult(
        state=state,
        steps=steps[-1].step if steps else 0,
        final_loss=steps[-1].loss if steps else None,
        goodput=min(1.0, counted_s / wall_s) if wall_s > 0 else 0.0,
        restarts=sum(event.kind == "restart" for event in events),
        tokens=float(sum(step.tokens for step in steps)),
        wall_s=max(0.0, wall_s),
        reason=reason,
    )


def _moment(told: str) -> dt.datetime:
    return dt.datetime.fromisoformat(told)


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
