"""A private Slurm on loopback: real slurmctld and slurmds in a folder of their own.

No munge, no systemd, no cgroups. Every daemon is a child of the test and is ended by its id, with
the steps it started.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
NEEDED: Final = ("slurmctld", "slurmd", "sbatch", "scontrol")
MISSING: Final = [one for one in NEEDED if shutil.which(one) is None]
REASON: Final = (
    f"no {', '.join(MISSING)} here: apt-get install --no-install-recommends slurmctld slurmd "
    "slurm-client slurm-wlm-basic-plugins"
)
CONF: Final = """\
ClusterName=giga
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={slurmd_port}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
TopologyPlugin=topology/tree
MpiDefault=none
ReturnToService=2
SlurmdTimeout=4
SlurmctldTimeout=10
KillWait=3
MinJobAge=300
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
"""


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, outside the ephemeral range's churn."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(one.getsockname()[1])
        return found


def wait_until(what: str, holds: Callable[[], object], *, within_s: float = 400.0) -> None:
    """Wait for a condition; the limit only ends a test that would hang."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        time.sleep(0.1)


@dataclass
class Slurm:
    """A running cluster; `nodes` are the names of those with a slurmd."""

    folder: Path
    nodes: tuple[str, ...] = ()
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        """The configuration; SLURM_CONF of everything that talks to this cluster."""
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of this cluster has in its environment."""
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground of its own session."""
        log = (self.folder / f"{name}.out").open("ab")
        with log:
            self.daemons[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers."""
        self.start("slurmctld", "slurmctld", "-D", "-c", "-f", str(self.conf))
        wait_until("slurmctld answers", lambda: self.ask("sinfo", "-h").returncode == 0)

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        self.start(name, "slurmd", "-D", "-f", str(self.conf), "-N", name)

    def ask(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Return what a Slurm command printed."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )

    def states(self) -> dict[str, str]:
        """Return the state of each node, such as `idle`."""
        told = self.ask("sinfo", "-h", "-N", "-o", "%N %t").stdout.split()
        return dict(zip(told[::2], told[1::2], strict=True))

    def job(self, job_id: str) -> dict[str, str]:
        """Return what slurmctld knows of a job."""
        told = self.ask("scontrol", "-o", "show", "job", job_id).stdout
        return dict(part.split("=", 1) for part in told.split() if "=" in part)

    def bring_back(self, *names: str) -> None:
        """Start slurmds of nodes that died, and wait until the controller trusts them again."""
        for name in names:
            self.start_node(name)
        wait_until("they are idle", lambda: all(self.states()[name] == "idle" for name in names))

    def nodes_of(self, job_id: str) -> list[str]:
        """Return the nodes of a job."""
        told = self.ask("scontrol", "show", "hostnames", self.job(job_id)["NodeList"])
        return told.stdout.split()

    def training_nodes(self, job_id: str) -> set[str]:
        """Return the nodes on which ranks of a job run; a spare node only waits."""
        return {
            name for name in self.nodes_of(job_id) if any(map(_is_rank, self.processes_of(name)))
        }

    def fail_node(self, name: str) -> None:
        """Let a node die: its slurmd, the step managers and all that they run, at once."""
        processes = [self.daemons.pop(name)]
        for pid in (processes[0].pid, *self.processes_of(name)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        processes[0].wait()

    def processes_of(self, name: str) -> list[int]:
        """Return the step managers of a node and the tasks they started."""
        running = (one for one in Path("/proc").iterdir() if one.name.isdigit())
        return [int(one.name) for one in running if self._belongs(one, name)]

    def _belongs(self, process: Path, name: str) -> bool:
        log = self.folder / f"slurmd.{name}.log"
        with contextlib.suppress(OSError):
            variables = (process / "environ").read_bytes().split(b"\0")
            mine = f"SLURM_CONF={self.conf}".encode() in variables
            if mine and f"SLURMD_NODENAME={name}".encode() in variables:
                return True
            return any(fd.readlink() == log for fd in (process / "fd").iterdir())
        return False

    def stop(self) -> None:
        """End everything this cluster started, by process id."""
        leftover = [pid for name in self.nodes for pid in self.processes_of(name)]
        for process in self.daemons.values():
            process.kill()
        for process in self.daemons.values():
            process.wait()
        for pid in leftover:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Ask the kernel to end this process when the test that started it is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _is_rank(pid: int) -> bool:
    """Return whether a process is a rank that torchrun started."""
    with contextlib.suppress(OSError):
        return b"LOCAL_RANK=" in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def small_cluster(folder: Path, *, nodes: int = 4, cpus: int = 2) -> Slurm:
    """Return a running cluster of a few nodes, two to a leaf switch, which all stand here."""
    host = socket.gethostname().split(".")[0]
    ports = free_ports(nodes + 2)
    (folder / "state").mkdir(parents=True)
    names = tuple(f"n{i}" for i in range(1, nodes + 1))
    text = CONF.format(host=host, port=ports[0], slurmd_port=ports[1], folder=folder,
                       user=getpass.getuser())  # fmt: skip
    for name, port in zip(names, ports[2:], strict=True):
        text += (
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
            "RealMemory=1000 State=UNKNOWN\n"
        )
    text += f"PartitionName=train Nodes={','.join(names)} Default=YES MaxTime=7-0 State=UP\n"
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    leaves = [names[i : i + 2] for i in range(0, nodes, 2)]
    lines = [f"SwitchName=leaf{i} Nodes={','.join(leaf)}" for i, leaf in enumerate(leaves)]
    lines.append(f"SwitchName=spine Switches=leaf[0-{len(leaves) - 1}]")
    (folder / "topology.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    cluster = Slurm(folder, names)
    try:
        cluster.start_controller()
        for name in names:
            cluster.start_node(name)
        wait_until("all nodes are idle", lambda: set(cluster.states().values()) == {"idle"})
    except BaseException:
        cluster.stop()
        raise
    return cluster
