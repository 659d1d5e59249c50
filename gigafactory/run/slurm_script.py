"""The batch script of a run: one text that follows from plan, training and options alone.

One task per node starts torchrun, which starts a rank per accelerator. The script stays on the
first node of the allocation: it passes signals on to the ranks and, when the step has ended, asks
`gigafactory.run.slurm_session` whether the job is over or has to be queued again.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files
from gigafactory.errors import SpecError
from gigafactory.run.launch import STOP
from gigafactory.spec.base import Spec, fault, require_count
from gigafactory.spec.cluster import LARGEST_NODE

if TYPE_CHECKING:
    from gigafactory.spec.cluster import Cluster
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Training

WORKER: Final = "gigafactory.run.trainer"
SESSION: Final = "gigafactory.run.slurm_session"
LOGS: Final = "logs"
JOIN_S: Final = 600  # for the slowest node to import its libraries from a busy file system
END_S: Final = 30  # from the last byte of a checkpoint to the end of the last process
LEAVE_S: Final = 120  # for the last node to end after the first one has
SWITCH_WAIT: Final = "10"  # minutes that a tight placement may cost; sbatch --switches
LONGEST_LEAD_S: Final = 65_535  # sbatch --signal
SECONDS_PER_MINUTE: Final = 60
FIRST_PORT: Final = 20_000  # below the ports that Linux hands out by itself
NUM_PORTS: Final = 10_000
HASH_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions(Spec):
    """What a site needs to know of a job beside the plan.

    Attributes:
        partition: Empty for the site's default.
        account: Empty for the user's default.
        time_limit_s: Of one stay in the machine; a run that needs longer is queued again.
        lead_s: Seconds before the time limit at which the run is told to save itself.
        nodes_spare: Nodes held in the allocation that take over for failed ones.
        gpus: Whether to ask for GPUs; where there are none, ranks train on cores.
        ranks_per_node: Ranks that each node runs; None for the accelerators of the plan's node.
        extra: Further options of sbatch, one a line, which win over those of the script.
        environment: Variables of the run, each by name and value.
        python: The interpreter on the nodes that has Gigafactory and PyTorch.
    """

    time_limit_s: int
    lead_s: int
    partition: str = ""
    account: str = ""
    nodes_spare: int = 0
    gpus: bool = True
    ranks_per_node: int | None = None
    extra: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    python: str = sys.executable

    def __post_init__(self) -> None:
        require_count(self, "time_limit_s", least=SECONDS_PER_MINUTE)
        require_count(self, "lead_s", least=1, most=LONGEST_LEAD_S)
        require_count(self, "nodes_spare", least=0, most=10**6)
        if self.ranks_per_node is not None:
            require_count(self, "ranks_per_node", most=LARGEST_NODE)
        for option in self.extra:
            if not option.startswith("-") or not option.isprintable():
                rule = "must hold options of sbatch, each in one line and with its dashes"
                raise fault(self, "extra", option, rule)
        for name in ("partition", "account"):
            if not all(c.isalnum() or c in "_-.,+@" for c in getattr(self, name)):
                raise fault(self, name, getattr(self, name), "must be a name")


@dataclass(frozen=True, slots=True)
class Shape:
    """How the ranks of a plan lie on nodes."""

    nodes: int
    ranks_per_node: int


def shape(plan: Plan, ranks_per_node: int | None = None) -> Shape:
    """Return how many nodes a plan takes, and how many ranks each of them runs.

    Args:
        plan: The plan.
        ranks_per_node: Of the site's nodes; None for the accelerators of the plan's node.

    Raises:
        SpecError: The ranks do not fill their last node, or the plan's node is a rack of hosts.
    """
    node, ranks = plan.cluster.node, plan.layout.num_gpus
    per_node = ranks_per_node or node.num_accelerators
    if per_node > LARGEST_NODE:
        rule = f"must be given: node {node.name} of the plan is a rack of {per_node}"
        raise SpecError(f"slurm: ranks_per_node {rule}", field="ranks_per_node")
    if ranks <= per_node:
        return Shape(1, ranks)
    if ranks % per_node:
        least = ranks - ranks % per_node
        raise SpecError(
            f"plan: layout takes {ranks} ranks, which must fill nodes of {per_node} "
            f"({node.name}): {least} or {least + per_node} would",
            field="layout",
        )
    return Shape(ranks // per_node, per_node)


def duration(seconds: float) -> str:
    """Return seconds as Slurm writes them, rounded up to minutes.

    >>> duration(90_061.0)
    '1-01:02:00'
    """
    minutes = ceil(seconds / SECONDS_PER_MINUTE)
    return f"{minutes // 1440}-{minutes // 60 % 24:02d}:{minutes % 60:02d}:00"


def script(plan: Plan, training: Training, options: SlurmOptions, folder: str) -> str:
    """Return the batch script that trains a plan in a run folder.

    Args:
        plan: The plan; decides nodes, ranks and placement.
        training: Decides how often ranks are started again within one allocation.
        options: What the site and the user add.
        folder: Absolute path of the run folder, the same on all nodes.

    Raises:
        SpecError: The ranks do not fill their nodes, or no script can name the folder.
    """
    _check(folder)
    size = shape(plan, options.ranks_per_node)
    parts = (
        "#!/bin/bash",
        *(f"#SBATCH {line}" for line in _directives(plan, options, size, folder)),
        "",
        *_settings(options, size, folder),
        _RENDEZVOUS.format(first=FIRST_PORT, ports=NUM_PORTS),
        _ON_EACH_NODE.format(
            nodes=size.nodes,
            ranks=size.ranks_per_node,
            restarts=training.max_restarts,
            join=JOIN_S,
            worker=WORKER,
        ),
        _STEP.format(
            survive="--no-kill" if options.nodes_spare else f"--wait={LEAVE_S}",
            logs=LOGS,
            stop=STOP,
            patience=max(options.lead_s - END_S, options.lead_s // 2),
        ),
        _END,
    )
    return "\n".join(parts)


def _check(folder: str) -> None:
    if not folder.startswith("/") or not folder.isprintable() or '"' in folder:
        raise SpecError(
            f"out: must be an absolute path of printable characters without quotes, got {folder!r}",
            field="out",
        )


def _directives(plan: Plan, options: SlurmOptions, size: Shape, folder: str) -> list[str]:
    """Return the options of sbatch; where one stands twice, the last one counts."""
    told = [
        f"--job-name=giga-{plan.model.name}",
        f'--comment="gigafactory plan {files.digest(plan)[:HASH_DIGITS]}"',
        f"--nodes={size.nodes + options.nodes_spare}",
        "--ntasks-per-node=1",
        "--exclusive",
        "--mem=0",
        f"--time={duration(options.time_limit_s)}",
        f"--signal=B:TERM@{options.lead_s}",
        "--requeue",
        "--open-mode=append",
        f'--chdir="{folder}"',
        "--output=slurm-%j.out",
        "--export=NONE",
    ]
    if options.gpus:
        told.insert(4, f"--gpus-per-node={size.ranks_per_node}")
    told += [f"--{name}={value}" for name in ("partition", "account")
             if (value := getattr(options, name))]  # fmt: skip
    if options.nodes_spare:
        told.append("--no-kill")
    switches = fewest_switches(plan.cluster, size.nodes + options.nodes_spare)
    if switches:
        told.append(f"--switches={switches}@{SWITCH_WAIT}")
    return told + list(options.extra)


def fewest_switches(cluster: Cluster, nodes: int) -> int | None:
    """Return the leaf switches that `nodes` nodes need; None where one switch holds them all.

    None too where the nodes are the whole cluster, so that no placement is left to choose.
    """
    per_leaf = cluster.fabric.tiers[0].num_gpus // cluster.node.num_accelerators
    if per_leaf < 1 or per_leaf >= cluster.num_nodes or nodes >= cluster.num_nodes:
        return None
    return ceil(nodes / per_leaf)


def _settings(options: SlurmOptions, size: Shape, folder: str) -> list[str]:
    """Return the lines that set all that the run finds in its environment."""
    given = [f"export {name}={shlex.quote(value)}" for name, value in sorted(options.environment)]
    return [
        "# The environment of the submitting shell is not taken along: what counts stands here.",
        *given,
        f"export RUN={shlex.quote(folder)}",
        f"export PYTHON={shlex.quote(options.python)}",
        f"export RANKS_PER_NODE={size.ranks_per_node}",
        "export SLURM_EXPORT_ENV=ALL",
        f"export TORCH_ELASTIC_SHUTDOWN_TIMEOUT={END_S // 3}",
        "# Ranks of a node that joins late count restarts from zero; with a store of their own,",
        "# made anew in each round, all ranks find one another all the same.",
        "export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1",
    ]


_RENDEZVOUS: Final = """\
threads=$((SLURM_CPUS_ON_NODE / RANKS_PER_NODE))
export OMP_NUM_THREADS=$((threads > 1 ? threads : 1))

# Ranks meet on the first node, at the address by which Slurm itself reaches it.
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
HEAD=$(scontrol -o show node "$HEAD" | sed -n 's/.* NodeAddr=\\([^ ]*\\).*/\\1/p')
export HEAD
export PORT=$(({first} + SLURM_JOB_ID % {ports}))
"""

_ON_EACH_NODE: Final = """\
# shellcheck disable=SC2016  # expanded on each node
on_each_node='
echo "$(date -u +%FT%TZ) $SLURMD_NODENAME is node $SLURM_NODEID of $SLURM_JOB_NODELIST"
exec "$PYTHON" -m torch.distributed.run \\
  --nnodes={nodes}:{nodes} --nproc-per-node={ranks} --max-restarts={restarts} \\
  --rdzv-backend=c10d --rdzv-endpoint="$HEAD:$PORT" \\
  --rdzv-id="$SLURM_JOB_ID.${{SLURM_RESTART_COUNT:-0}}" \\
  --rdzv-conf="is_host=$((SLURM_NODEID == 0)),join_timeout={join}" \\
  -m {worker} "$RUN"
'
"""

_STEP: Final = """\
session() {{ "$PYTHON" -m {session} "$1" "$RUN" "${{@:2}}"; }}

asked=nobody step='' timer=''
stop() {{  # a file in the run folder asks all ranks to save their state and end
  asked=$1
  echo "$(date -u +%FT%TZ) $asked: the ranks are asked to stop"
  touch "$RUN/{stop}"
  hurry
}}
hurry() {{  # those that hang end as well
  [ -n "$step" ] && [ -z "$timer" ] || return 0
  (sleep {patience} && kill -TERM "$step") &
  timer=$!
}}
trap 'stop time-limit' TERM  # of --signal, or the nodes are taken back
trap 'stop cancel' USR1      # scancel --batch --signal=USR1 JOB

session begin || exit 1
mkdir -p {logs}
srun {survive} --kill-on-bad-exit=0 --cpus-per-task="$SLURM_CPUS_ON_NODE" \\
  --output={logs}/node-%n.log --open-mode=append bash -c "$on_each_node" &
step=$!
[ "$asked" = nobody ] || hurry
""".replace("{session}", SESSION)

_END: Final = """\
while wait "$step"; status=$?; kill -0 "$step" 2>/dev/null; do :; done  # a trap ends a wait
[ -z "$timer" ] || kill "$timer" 2>/dev/null

session end --status "$status" --asked "$asked"
verdict=$?
if [ "$verdict" = 75 ]; then  # not over: EX_TEMPFAIL of sysexits.h
  for _ in {1..12}; do  # a controller that is away comes back
    scontrol requeue "$SLURM_JOB_ID" && sleep infinity
    sleep 10
  done
fi
exit "$verdict"
"""
