"""Runs through Slurm: submitted, followed, cancelled and collected.

The job's own script notes in the run folder why it was queued again, so a run may be left alone
and looked at later; whoever follows it only reads.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from math import ceil, inf
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.run import outcome, slurm_limits
from gigafactory.run.slurm_advice import advice, is_hopeless, with_advice
from gigafactory.run.slurm_ask import JobView, Partition, SlurmAwayError, ask, partitions, view_of
from gigafactory.run.slurm_script import LOGS, SlurmOptions, script, shape
from gigafactory.run.slurm_session import note_of, write_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult

SCRIPT: Final = "job.sh"
FIRST_POLL_S: Final = 0.5
LONGEST_POLL_S: Final = 30.0  # a slurmctld serves thousands of users
SLOWER: Final = 1.5  # each pause over the last one, while nothing changes
NOT_SEEN: Final = JobView("PENDING")
PATIENCE_S: Final = 1800.0  # a slurmctld that restarts or fails over comes back
PASSED_ON: Final = (
    "CUDA_", "FI_", "GIGAFACTORY_", "GLOO_", "HF_", "HSA_", "NCCL_", "RCCL_", "TORCH_", "UCX_",
)  # fmt: skip
PASSED_ON_WHOLE: Final = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SLURM_CONF")


def _say_nothing(line: str) -> None:
    del line


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked of Slurm beside the plan; the rest follows from plan and site.

    Attributes:
        time: Time limit as sbatch takes it; empty for the predicted end, at most the partition's.
        extra: Further options of sbatch, as they were typed.
    """

    partition: str = ""
    account: str = ""
    time: str = ""
    nodes_spare: int = 0
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlurmExecutor:
    """Submits runs to the Slurm whose commands are on this machine.

    Attributes:
        tell: Called with a line for people whenever the state of a job changes.
    """

    request: Request = field(default_factory=Request)
    tell: Callable[[str], None] = _say_nothing

    def require_room(self, plan: Plan) -> None:
        """Refuse a plan that no partition holds, or that no job can be made of.

        Raises:
            SpecError: Says what would fit, or that Slurm is absent, in its own words.
        """
        known = partitions()
        options = fitted(plan, self.request, known, {})
        needed = shape(plan, options.ranks_per_node).nodes + options.nodes_spare
        offered = sum(p.nodes for p in mine(known, self.request.partition))
        if offered and needed > offered:
            spare = f", {options.nodes_spare} of them spare" if options.nodes_spare else ""
            raise SpecError(
                f"plan: takes {needed} nodes{spare}, the partition has {offered}; "
                f"{advice('PartitionNodeLimit')}",
                field="layout",
            )

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
        return SlurmJob(folder, job_id, self.tell)


@dataclass(slots=True)
class SlurmJob:
    """A job of Slurm that trains into a run folder.

    Slurm is asked more and more seldom while nothing changes.

    Attributes:
        view: What Slurm last said of it.
    """

    folder: RunFolder
    job_id: str
    tell: Callable[[str], None] = _say_nothing
    longest_poll_s: float = LONGEST_POLL_S
    view: JobView = NOT_SEEN
    _due: float = 0.0
    _pause_s: float = FIRST_POLL_S
    _away_since: float | None = None

    def poll(self) -> bool:
        """Return whether it goes on.

        Raises:
            SpecError: It waits for something that will not come, and is cancelled; or slurmctld
                was away for half an hour.
        """
        now = time.monotonic()
        if self.view.live and now >= self._due:
            before = self.view
            self.look()
            changed = self.view != before
            self._pause_s = FIRST_POLL_S if changed else self._pause_s * SLOWER
            self._due = now + min(self._pause_s, self.longest_poll_s)
        return self.view.live

    def look(self) -> JobView:
        """Return what Slurm says of the job now, and tell what has changed.

        Raises:
            SpecError: As `poll`.
        """
        before = self.view
        try:
            self.view, self._away_since = view_of(self.job_id), None
        except SlurmAwayError as away:
            self._bear(away)
        if self.view != before:
            change = advice(self.view.reason) if self.view.state == "PENDING" else ""
            self.tell(f"Slurm job {self.job_id}: {self.view}{f'; {change}' if change else ''}")
        if self.view.state == "PENDING" and not self.view.restarts:
            self._require_hope()
        return self.view

    def _bear(self, away: SlurmAwayError) -> None:
        """Go on with what is known while slurmctld is away, though not for ever."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            self.tell(str(away))
        if now - self._away_since > PATIENCE_S:
            raise away

    def _require_hope(self) -> None:
        """Refuse a job that would never start, and cancel it."""
        if is_hopeless(self.view.reason):
            ask("scancel", self.job_id)
            reason, self.view = self.view.reason, JobView("CANCELLED", self.view.reason)
            raise SpecError(
                f"slurm: job {self.job_id} would never start: {with_advice(reason)}", field="on"
            )

    def wait(self, timeout_s: float | None = None) -> RunResult | None:
        """Return how it ended; None where it did not within `timeout_s`."""
        limit = inf if timeout_s is None else time.monotonic() + timeout_s
        while self.poll():
            left = limit - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, FIRST_POLL_S))
        return self.folder.result() or self._unwritten()

    def cancel(self, *, now: bool = False) -> None:
        """Ask the ranks to save their state and stop, or end them now.

        A job that waits in the queue ends at once: its state is saved already.
        """
        if not now and self.look().state == "RUNNING":
            ask("scancel", "--batch", "--signal=USR1", self.job_id)
        else:
            ask("scancel", self.job_id)
        self._due = 0.0

    def _unwritten(self) -> RunResult:
        """Write, and return, how a run ended whose ranks left no result."""
        stopped = self.view.state in ("CANCELLED", "PREEMPTED")
        tail = " / ".join(self.output().strip().splitlines()[-2:])
        reason = f"Slurm job {self.job_id}: {self.view}{f': {tail}' if tail else ''}"
        state = "stopped" if stopped else "failed"
        self.folder.add_event("finish", detail=f"{state}: {reason}")
        told = outcome.of(self.folder, state, reason=reason)
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
    here = mine(known, request.partition)
    gpus = max((p.gpus_per_node for p in here), default=0)
    limit = _limit_s(plan, request.time, here)
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
    )


def mine(known: list[Partition], name: str) -> list[Partition]:
    """Return the partition of a name, or the default one, a part for each kind of its nodes."""
    return [p for p in known if (p.name == name if name else p.default)]


def _limit_s(plan: Plan, time_limit: str, here: list[Partition]) -> int:
    """Return the time limit: as asked for, else to the predicted end if the partition allows."""
    if time_limit:
        try:
            asked = slurm_limits.seconds_of(time_limit)
        except ValueError:
            rule = "must be minutes, H:M:S or D-H[:M[:S]]"
            raise SpecError(f"--time {rule}, got {time_limit!r}", field="time") from None
        return ceil(slurm_limits.LONGEST_S if asked is None else asked)
    offered = [p.longest_s for p in here if p.longest_s is not None]
    return ceil(min((slurm_limits.high_finish_s(plan), *offered)))
