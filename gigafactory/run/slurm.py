"""Runs through Slurm: submitted, followed, cancelled and collected.

The job's own script notes in the run folder why it was queued again, so a run may be left alone
and looked at later; whoever follows it only reads.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.run import slurm_limits
from gigafactory.run.slurm_advice import is_hopeless, with_advice
from gigafactory.run.slurm_ask import Away, JobView, Partition, ask, partitions, view_of
from gigafactory.run.slurm_script import LEAVE_S, LOGS, WORKER, SlurmOptions, script
from gigafactory.run.slurm_session import note_of, unwritten_result, write_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult

SCRIPT: Final = "job.sh"
FIRST_POLL_S: Final = 0.5
LONGEST_POLL_S: Final = 30.0  # a slurmctld serves thousands of users
SLOWER: Final = 1.5  # each pause over the last one, while nothing changes
PATIENCE_S: Final = 1800.0  # a slurmctld that restarts or fails over comes back
PASSED_ON: Final = (
    "CUDA_", "FI_", "GIGAFACTORY_", "GLOO_", "HF_", "HSA_", "NCCL_", "RCCL_", "TORCH_", "UCX_",
)  # fmt: skip
PASSED_ON_WHOLE: Final = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SLURM_CONF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked of Slurm beside the plan; the rest follows from plan and site.

    Attributes:
        time: Time limit as sbatch takes it; empty for the predicted end, at most the partition's.
        extra: Further options of sbatch, as they were typed.
        worker: Module that each rank runs.
    """

    partition: str = ""
    account: str = ""
    time: str = ""
    nodes_spare: int = 0
    extra: tuple[str, ...] = ()
    worker: str = WORKER


@dataclass(frozen=True, slots=True)
class SlurmExecutor:
    """Submits runs to the Slurm whose commands are on this machine."""

    request: Request = field(default_factory=Request)

    def submit(self, folder: RunFolder) -> SlurmJob:
        """Write the batch script of a run and hand it to Slurm.

        Raises:
            SpecError: Slurm is absent or refuses, in its own words; or a job of this run lives.
        """
        require_no_live_job(folder)
        plan, training = folder.plan(), folder.training()
        options = fitted(plan, self.request, partitions(), os.environ)
        text = script(plan, training, options, str(folder.path.resolve()))
        files.write_whole(folder.path / SCRIPT, text)
        told = ask("sbatch", "--parsable", folder.path / SCRIPT)
        job_id = told.strip().split(";")[0]
        write_note(folder, {"job_id": job_id})
        return SlurmJob(folder, job_id, grace_s=options.lead_s + LEAVE_S)


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """A job of Slurm that trains into a run folder.

    Attributes:
        grace_s: How long the ranks may take to save their state and end.
    """

    folder: RunFolder
    job_id: str
    grace_s: float = LEAVE_S

    def poll(self) -> JobView:
        """Return the state of the job.

        Raises:
            SpecError: It waits for something that will not come; it is cancelled.
        """
        view = view_of(self.job_id)
        if view.state == "PENDING" and not view.restarts and is_hopeless(view.reason):
            ask("scancel", self.job_id)
            raise SpecError(
                f"slurm: job {self.job_id} would never start: {with_advice(view.reason)}",
                field="on",
            )
        return view

    def wait(
        self,
        seen: Callable[[JobView], None] = lambda _: None,
        *,
        longest_poll_s: float = LONGEST_POLL_S,
    ) -> RunResult:
        """Follow the job to its end and return how the run ended.

        Args:
            seen: Called with every change.
            longest_poll_s: Pause between two questions while nothing changes.

        Raises:
            SpecError: The job would never start, or slurmctld was away for half an hour.
        """
        last, pause, answered = None, FIRST_POLL_S, time.monotonic()
        while True:
            try:
                view = self.poll()
            except Away:
                if time.monotonic() - answered > PATIENCE_S:
                    raise
                view = JobView("PENDING", "slurmctld does not answer")
            else:
                answered = time.monotonic()
            if view != last:
                seen(view)
                last, pause = view, FIRST_POLL_S
            if not view.live:
                return self.collect(view)
            time.sleep(pause)
            pause = min(pause * SLOWER, longest_poll_s)

    def cancel(self) -> None:
        """Let the run save its state and end; after its grace, end it."""
        if self.poll().state == "RUNNING":
            ask("scancel", "--batch", "--signal=USR1", self.job_id)
            deadline = time.monotonic() + self.grace_s
            while time.monotonic() < deadline and self.poll().live:
                time.sleep(FIRST_POLL_S)
        if self.poll().live:
            ask("scancel", self.job_id)

    def collect(self, view: JobView) -> RunResult:
        """Return how the run ended: what its ranks wrote, else what Slurm says of the job."""
        told = self.folder.result()
        if told is None:
            tail = " / ".join(self.output().strip().splitlines()[-2:])
            reason = f"Slurm job {self.job_id}: {view}{f': {tail}' if tail else ''}"
            stopped = view.state in ("CANCELLED", "PREEMPTED")
            told = unwritten_result(self.folder, "stopped" if stopped else "failed", reason)
            self.folder.finish(told)
        return told

    def output(self) -> str:
        """Return what the script and the first node of the job printed."""
        places = (f"slurm-{self.job_id}.out", f"{LOGS}/node-0.log")
        return "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in (self.folder.path / place for place in places)
            if path.is_file()
        )


def require_no_live_job(folder: RunFolder) -> None:
    """Refuse a run folder that a job of Slurm still trains into.

    Raises:
        SpecError: Names the job, its state and how to end it.
    """
    job_id = note_of(folder).get("job_id")
    view = view_of(job_id) if job_id else None
    if view is not None and view.live:
        raise SpecError(
            f"{folder.path}: out must not be in use by a live run, Slurm job {job_id} is {view}; "
            f"`scancel --batch --signal=USR1 {job_id}` lets it save its state and end",
            field="out",
        )


def fitted(
    plan: Plan, request: Request, known: list[Partition], environment: Mapping[str, str]
) -> SlurmOptions:
    """Return the options of a job that suit the plan, the user's wishes and the partition.

    Args:
        plan: The plan.
        request: What the user asked for.
        known: The site's partitions.
        environment: Of the submitting process; what concerns the run is passed on by name.

    Raises:
        SpecError: A wish at fault.
    """
    mine = [p for p in known if (p.name == request.partition if request.partition else p.default)]
    gpus = max((p.gpus_per_node for p in mine), default=0)
    limit = _limit_s(plan, request.time, mine)
    return SlurmOptions(
        time_limit_s=limit,
        lead_s=slurm_limits.lead_s(plan, limit),
        partition=request.partition,
        account=request.account,
        nodes_spare=request.nodes_spare,
        gpus=gpus > 0,
        ranks_per_node=gpus or None,
        extra=request.extra,
        environment=tuple(
            (name, value)
            for name, value in sorted(environment.items())
            if value.isprintable() and (name in PASSED_ON_WHOLE or name.startswith(PASSED_ON))
        ),
        worker=request.worker,
    )


def _limit_s(plan: Plan, time_limit: str, mine: list[Partition]) -> int:
    """Return the time limit: as asked for, else to the predicted end if the partition allows."""
    if time_limit:
        try:
            asked = slurm_limits.seconds_of(time_limit)
        except ValueError:
            rule = "must be minutes, H:M:S or D-H[:M[:S]]"
            raise SpecError(f"--time {rule}, got {time_limit!r}", field="time") from None
        return ceil(slurm_limits.LONGEST_S if asked is None else asked)
    offered = [p.longest_s for p in mine if p.longest_s is not None]
    return ceil(min((slurm_limits.high_finish_s(plan), *offered)))
