"""Slurm's own commands: asked, and understood; no library of it is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.run.slurm_advice import with_advice
from gigafactory.run.slurm_limits import seconds_of

if TYPE_CHECKING:
    from pathlib import Path

LIVE: Final = (
    "PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED", "REQUEUE_HOLD",
    "REQUEUE_FED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT",
)  # fmt: skip
UNKNOWN: Final = "UNKNOWN"
ABSENT: Final = (
    "slurm: no {command} on this machine: run on a login node of the cluster, or install Slurm's "
    "client commands (Debian: slurm-client) and set SLURM_CONF; `giga export plan.toml --to slurm` "
    "writes the batch script without Slurm"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, as `sinfo` tells it.

    Attributes:
        longest_s: Longest a job may stay; None without a limit.
        gpus_per_node: GPUs of its nodes; 0 where it has none.
    """

    name: str
    default: bool
    nodes: int
    longest_s: float | None
    gpus_per_node: int


@dataclass(frozen=True, slots=True)
class JobView:
    """What Slurm says of a job at one moment.

    Attributes:
        state: Slurm's own word, such as PENDING; UNKNOWN when nobody remembers the job.
        reason: Why it waits or ended, Slurm's own word.
        nodes: Where it runs, as Slurm writes it.
        restarts: How often it was queued again.
    """

    state: str
    reason: str = ""
    nodes: str = ""
    restarts: int = 0

    @property
    def live(self) -> bool:
        """Whether the job may still run."""
        return self.state in LIVE

    def __str__(self) -> str:
        where = f" on {self.nodes}" if self.nodes else ""
        why = f" ({self.reason})" if self.reason not in ("", "None") else ""
        again = f", queued again {self.restarts} times" if self.restarts else ""
        return f"{self.state}{where}{why}{again}"


class SlurmAwayError(SpecError):
    """The controller does not answer; it may soon."""


def ask(command: str, *arguments: str | Path) -> str:
    """Return what a command of Slurm printed.

    Raises:
        SlurmAwayError: The controller does not answer.
        SpecError: The command is not there, or refuses; in Slurm's words, and what to change.
    """
    if shutil.which(command) is None:
        raise SpecError(ABSENT.format(command=command), field="on")
    run = subprocess.run(  # noqa: S603
        (command, *map(str, arguments)), capture_output=True, text=True, check=False,
        env=clean_environment(),
    )  # fmt: skip
    if run.returncode:
        told = run.stderr or run.stdout
        away = re.search(r"unable to contact|timed out|connect failure", told, re.IGNORECASE)
        kind = SlurmAwayError if away else SpecError
        raise kind(f"slurm: {with_advice(told)}", field="on")
    return run.stdout


def clean_environment() -> dict[str, str]:
    """Return the environment without what an enclosing job would pass on to the next one."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "SLURMD_", "SRUN_")) or name == "SLURM_CONF"
    }


def partitions() -> list[Partition]:
    """Return the partitions that `sinfo` lists; one with several kinds of nodes stands for each.

    Raises:
        SpecError: Slurm is not there or does not answer.
    """
    return partitions_in(ask("sinfo", "-h", "-e", "-o", "%P|%D|%l|%G"))


def partitions_in(told: str) -> list[Partition]:
    """Return the partitions in the answer of sinfo.

    >>> partitions_in("gpu*|4|7-00:00:00|gpu:h100:8(S:0-1)")[0].gpus_per_node
    8
    """
    found = []
    for line in told.splitlines():
        name, nodes, longest, gres = line.split("|")
        found.append(
            Partition(
                name=name.rstrip("*"),
                default=name.endswith("*"),
                nodes=int(nodes),
                longest_s=seconds_of(longest),
                gpus_per_node=_gpus_in(gres),
            )
        )
    return found


def _gpus_in(gres: str) -> int:
    """Return the GPUs of a node, such as 8 in `gpu:h100:8(S:0-1),nic:8`."""
    return sum(int(count) for count in re.findall(r"\bgpu(?::[^:,(]+)?:(\d+)", gres))


def view_of(job_id: str) -> JobView:
    """Return what Slurm says of a job: its controller, else its accounting, else UNKNOWN.

    Raises:
        SlurmAwayError: The controller does not answer.
    """
    try:
        told = ask("scontrol", "-o", "show", "job", job_id)
    except SlurmAwayError:
        raise
    except SpecError:  # long over: slurmctld forgets a job after MinJobAge
        return _accounted(job_id)
    fields = dict(part.split("=", 1) for part in told.split() if "=" in part)
    nodes = fields.get("NodeList", "")
    return JobView(
        state=fields.get("JobState", UNKNOWN),
        reason=fields.get("Reason", ""),
        nodes="" if nodes == "(null)" else nodes,
        restarts=int(fields.get("Restarts", "0")),
    )


def _accounted(job_id: str) -> JobView:
    try:
        told = ask("sacct", "-n", "-P", "-X", "-j", job_id, "-o", "State,ExitCode,NodeList")
    except SpecError:
        told = ""
    for line in reversed(told.splitlines()):
        state, code, nodes = line.split("|")
        return JobView(state=state.split()[0], reason=f"exit code {code}", nodes=nodes)
    return JobView(UNKNOWN)
