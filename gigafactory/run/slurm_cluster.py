"""A cluster of the catalog as the configuration files of a Slurm that would run it.

Nodes carry the name of their leaf switch, so that Slurm's order of nodes, and with it the order of
ranks, follows the network. Each tier of the fabric becomes a level of switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import cbrt, ceil
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_one_of, require_positive
from gigafactory.spec.cluster import LARGEST_NODE

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.spec.cluster import Cluster

STATES: Final = ("plain", "cloud")
FLAT_FANOUT: Final = 65_533  # TreeWidth of powered-down nodes, whose names nobody resolves yet
LEAST_FANOUT: Final = 16
MIB: Final = 2**20  # RealMemory counts these
# Device files and the library that finds them: gres.conf(5), "File" and "AutoDetect".
DEVICES: Final = {
    "NVIDIA": ("/dev/nvidia{}", 0, "nvml"),
    "AMD": ("/dev/dri/renderD{}", 128, "rsmi"),
    "Intel": ("/dev/accel/accel{}", 0, ""),
    "AWS": ("/dev/neuron{}", 0, ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSite(Spec):
    """What a Slurm needs to know beside the catalog.

    The defaults of a host are those of a DGX H100: two processors of 56 cores and 2 TB (NVIDIA
    DGX H100/H200 User Guide, "Component Descriptions"); the catalog holds none.

    Attributes:
        controller: Host name of slurmctld.
        state: "plain" for servers that stand; "cloud" for ones that are powered up on demand.
        gpus_per_host: None for those of the cluster's node; a rack must say it.
        memory_bytes: Of one host.
    """

    controller: str = "controller"
    state: str = "plain"
    gpus_per_host: int | None = None
    sockets: int = 2
    cores_per_socket: int = 56
    memory_bytes: float = 2e12

    def __post_init__(self) -> None:
        require_one_of(self, "state", STATES)
        if not self.controller.isprintable() or not self.controller or " " in self.controller:
            rule = "must be a host name, with its address in parentheses where needed"
            raise fault(self, "controller", self.controller, rule)
        require_count(self, "sockets", "cores_per_socket", most=4096)
        require_positive(self, "memory_bytes")
        if self.gpus_per_host is not None:
            require_count(self, "gpus_per_host", most=LARGEST_NODE)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of switches: `size` hosts below each, the last one perhaps with fewer."""

    name: str
    size: int
    count: int

    def label(self, number: int) -> str:
        """Return the name of a switch of this level, counted from 1."""
        return f"{self.name}{number:0{len(str(self.count))}d}"

    def span(self, first: int, last: int) -> str:
        """Return the names of several switches as one expression."""
        if first == last:
            return self.label(first)
        digits = len(str(self.count))
        return f"{self.name}[{first:0{digits}d}-{last:0{digits}d}]"


def configuration(cluster: Cluster, site: SlurmSite) -> dict[str, str]:
    """Return the files of a Slurm for a cluster, by name: slurm.conf, gres.conf, topology.conf.

    Raises:
        SpecError: The accelerators are none that Slurm knows device files of, or the cluster's
            node is a rack and `gpus_per_host` does not say what its hosts hold.
    """
    if cluster.accelerator.vendor not in DEVICES:
        raise SpecError(
            f"slurm-cluster: accelerator {cluster.accelerator.name} must be made by one of "
            f"{', '.join(DEVICES)}, got {cluster.accelerator.vendor}",
            field="cluster",
        )
    per_host = gpus_per_host(cluster, site)
    found = levels(cluster, per_host)
    return {
        "slurm.conf": _slurm_conf(cluster, site, found, per_host),
        "gres.conf": _gres_conf(cluster, per_host),
        "topology.conf": _topology_conf(cluster, found, per_host),
    }


def write(cluster: Cluster, site: SlurmSite, folder: Path) -> list[Path]:
    """Write the files of a Slurm for a cluster into a folder, each whole; return their paths.

    Raises:
        SpecError: See `configuration`.
        CatalogError: A file cannot be written.
    """
    texts = configuration(cluster, site)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"{folder}: cannot be made: {error.strerror}", field="out") from None
    for name, text in texts.items():
        files.write_whole(folder / name, text)
    return [folder / name for name in texts]


def gpus_per_host(cluster: Cluster, site: SlurmSite) -> int:
    """Return the accelerators of one host, which is one node of Slurm.

    Raises:
        SpecError: The cluster's node is a rack of hosts and nobody said what each holds.
    """
    node = cluster.node
    count = site.gpus_per_host or node.num_accelerators
    if count > LARGEST_NODE:
        rule = f"must be given: node {node.name} is a rack of {node.num_accelerators}"
        raise SpecError(f"slurm-cluster: gpus_per_host {rule}", field="gpus_per_host")
    if node.num_accelerators % count:
        rule = f"must divide the {node.num_accelerators} accelerators of node {node.name}"
        raise SpecError(f"slurm-cluster: gpus_per_host {rule}, got {count}", field="gpus_per_host")
    return count


def levels(cluster: Cluster, per_host: int) -> list[Level]:
    """Return the levels of switches from the hosts upwards; the last one is a single switch.

    A scale-up domain that spans hosts is the lowest level.
    """
    hosts = num_hosts(cluster, per_host)
    tiers = [(tier.name, tier.num_gpus // per_host) for tier in cluster.fabric.tiers]
    if cluster.scale_up_domain > per_host:
        tiers.insert(0, ("domain", cluster.scale_up_domain // per_host))
    found: list[Level] = []
    below = 1
    for name, told in tiers:
        size = told // below * below  # whole switches of the level below
        if size > below or (size and not found):
            found.append(Level(name, size, ceil(hosts / size)))
            below = size
        if size >= hosts:
            return found
    return [*found, Level("site", ceil(hosts / below) * below, 1)]


def num_hosts(cluster: Cluster, per_host: int) -> int:
    """Return the number of hosts, the last one perhaps not full."""
    return ceil(cluster.num_gpus / per_host)


def host_names(cluster: Cluster, found: list[Level], per_host: int) -> list[str]:
    """Return expressions that name all hosts: full leaves in one, then the rest of the last."""
    leaf, hosts = found[0], num_hosts(cluster, per_host)
    full, rest = divmod(hosts, leaf.size)
    told = [f"{leaf.span(1, full)}-{_hosts(leaf, leaf.size)}"] if full else []
    return told + ([f"{leaf.label(full + 1)}-{_hosts(leaf, rest)}"] if rest else [])


def _hosts(leaf: Level, count: int) -> str:
    digits = len(str(leaf.size))
    return f"n[{1:0{digits}d}-{count:0{digits}d}]" if count > 1 else f"n{1:0{digits}d}"


def _topology_conf(cluster: Cluster, found: list[Level], per_host: int) -> str:
    """Return topology.conf: hosts below leaf switches, and level upon level above them."""
    leaf, hosts = found[0], num_hosts(cluster, per_host)
    lines = [
        f"# {cluster.title}: {cluster.fabric.title}.",
        "# In a network of rails a leaf stands for the switches of all rails of its hosts.",
    ]
    for number in range(1, leaf.count + 1):
        count = min(leaf.size, hosts - (number - 1) * leaf.size)
        name = leaf.label(number)
        lines.append(f"SwitchName={name} Nodes={name}-{_hosts(leaf, count)}")
    for below, level in pairwise(found):
        each = level.size // below.size
        for number in range(1, level.count + 1):
            span = below.span((number - 1) * each + 1, min(number * each, below.count))
            lines.append(f"SwitchName={level.label(number)} Switches={span}")
    return "\n".join(lines) + "\n"


def _gres_conf(cluster: Cluster, per_host: int) -> str:
    """Return gres.conf: the device files of one host."""
    pattern, first, library = DEVICES[cluster.accelerator.vendor]
    span = f"[{first}-{first + per_host - 1}]" if per_host > 1 else str(first)
    lines = [f"Name=gpu Type={gpu_type(cluster)} File={pattern.format(span)}"]
    if library:
        lines.insert(
            0,
            f"# AutoDetect={library} finds them by itself, with their links, where it is built in.",
        )
    return "\n".join(lines) + "\n"


def gpu_type(cluster: Cluster) -> str:
    """Return the short name of the accelerator, such as h100, which AutoDetect also finds."""
    return cluster.accelerator.name.split("-")[0]


def _slurm_conf(cluster: Cluster, site: SlurmSite, found: list[Level], per_host: int) -> str:
    """Return slurm.conf for nodes that each run one job, on all their accelerators."""
    names = host_names(cluster, found, per_host)
    node = (
        f"Sockets={site.sockets} CoresPerSocket={site.cores_per_socket} ThreadsPerCore=1 "
        f"RealMemory={int(site.memory_bytes / MIB)} Gres=gpu:{gpu_type(cluster)}:{per_host} "
        f"State={'CLOUD' if site.state == 'cloud' else 'UNKNOWN'}"
    )
    return _SLURM_CONF.format(
        title=cluster.title,
        name=cluster.name,
        controller=site.controller,
        power=_CLOUD if site.state == "cloud" else "",
        fanout=_fanout(cluster, site, per_host),
        nodes="\n".join(f"NodeName={name} {node}" for name in names),
        all=",".join(names),
    )


def _fanout(cluster: Cluster, site: SlurmSite, per_host: int) -> int:
    """Return how many daemons one daemon passes a message on to: three hops reach every node."""
    if site.state == "cloud":
        return FLAT_FANOUT
    return max(LEAST_FANOUT, ceil(cbrt(num_hosts(cluster, per_host))))


_CLOUD: Final = """\
# Put here what powers servers up and down; /bin/true leaves them as they are.
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=INFINITE
ResumeTimeout=600
SuspendTimeout=60
PrivateData=cloud
"""

_SLURM_CONF: Final = """\
# {title}
ClusterName={name}
SlurmctldHost={controller}
SlurmUser=slurm
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
AuthType=auth/munge
ProctrackType=proctrack/cgroup
TaskPlugin=task/affinity,task/cgroup
MpiDefault=none

# Whole nodes, placed by switch: a job may wait for a tight placement (sbatch --switches=N@TIME).
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
TopologyPlugin=topology/tree
SchedulerType=sched/backfill
SchedulerParameters=max_switch_wait=3600
GresTypes=gpu

# A failed node is noticed, its job queued again and started on others without anybody's help.
SlurmdTimeout=60
JobRequeue=1
ReturnToService=1
KillWait=120
UnkillableStepTimeout=180
MessageTimeout=60
TreeWidth={fanout}
{power}
# Sockets, cores and memory as `slurmd -C` prints them on one of the hosts.
{nodes}
PartitionName=train Nodes={all} Default=YES MaxTime=INFINITE State=UP OverSubscribe=EXCLUSIVE
"""
