"""What Slurm's refusals mean, and what to change: its own words stay, a line is added."""

from __future__ import annotations

import re
from typing import Final

# What Slurm says (message of sbatch, or the reason a job is pending) -> what to do about it.
# Messages: slurm_errno.c and sbatch of 20.11 to 24.05; reasons: squeue(1), "JOB REASON CODES".
_ADVICE: Final[tuple[tuple[str, str], ...]] = (
    (r"invalid partition name|invalid partition specified|PartitionInactive|PartitionDown",
     "choose another with --partition; `sinfo -s` lists those there are"),
    (r"invalid account|InvalidAccount",
     "name one of yours with --account; `sacctmgr show assoc user=$USER` lists them"),
    (r"invalid qos|InvalidQOS",
     "name one of yours with --sbatch-option=--qos=NAME; `sacctmgr show assoc user=$USER` "
     "lists them"),
    (r"QOS\w*(Max|Grp)\w*|Assoc\w*(Max|Grp)\w*|accounting/QOS policy",
     "a limit of your account or QOS: a plan for fewer GPUs, a shorter --time, fewer spares, or "
     "--sbatch-option=--qos=NAME with a higher limit (`sacctmgr show qos`)"),
    (r"time limit is invalid|PartitionTimeLimit|invalid --time",
     "ask for less with --time, such as 24:00:00 or 2-00:00:00: the run saves itself before the "
     "limit and is queued again until it is done"),
    (r"memory specification|MaxMemPerLimit",
     "the nodes have less memory than was asked for: drop --mem from --sbatch-option"),
    (r"generic resource|gres",
     "the nodes offer no such GPUs: `sinfo -o '%P %G'` lists what they have; name it with "
     "--sbatch-option=--gres=NAME:COUNT"),
    (r"topology configuration|switch",
     "no placement has so few leaf switches: allow more with --sbatch-option=--switches=COUNT"),
    (r"node count|more processors|node configuration is not available|PartitionNodeLimit|"
     r"PartitionConfig|allocation failure|BadConstraints|too many nodes",
     "the partition has too few nodes of this kind: plan for fewer GPUs (`giga plan --gpus`), "
     "lower --nodes-spare, or choose another --partition; `sinfo -s` lists them"),
    (r"unable to contact slurm controller|socket timed out|communication",
     "slurmctld does not answer: `scontrol ping`; on another machine set SLURM_CONF"),
    (r"access/permission denied|not permitted|invalid user|group",
     "this user may not submit there: another --partition or --account"),
    (r"unrecognized option|invalid option|ambiguous",
     "sbatch does not know an option of --sbatch-option; `sbatch --help` lists them"),
    (r"JobHeld", "it was held: `scontrol release JOB` lets it go on"),
    (r"ReqNodeNotAvail|DOWN, DRAINED|reserved",
     "nodes are down, drained or reserved: `sinfo -R` says why; it waits until they are back"),
)  # fmt: skip
HOPELESS: Final = (
    "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "BadConstraints", "InvalidQOS",
    "InvalidAccount", "QOSJobLimit", "AccountNotAllowed", "QOSNotAllowed",
    "MaxMemPerLimit",
)  # fmt: skip
TEMPORARY: Final = r"busy|DOWN, DRAINED|not available \(down|unavailable"


def advice(told: str) -> str:
    """Return what to change after a refusal or a reason of Slurm; empty where nothing is known.

    >>> advice("sbatch: error: Batch job submission failed: Invalid qos specification")[:41]
    'name one of yours with --sbatch-option=--'
    """
    for pattern, change in _ADVICE:
        if re.search(pattern, told, re.IGNORECASE):
            return change
    return ""


def with_advice(told: str) -> str:
    """Return Slurm's words as they are, followed by what to change."""
    words = " / ".join(line.strip() for line in told.splitlines() if line.strip())
    change = advice(words)
    return f"{words or 'no message'}; {change}" if change else words or "no message"


def is_temporary(told: str) -> bool:
    """Return whether a refusal passes by itself, so that a job may well wait for it."""
    return re.search(TEMPORARY, told, re.IGNORECASE) is not None


def is_hopeless(reason: str) -> bool:
    """Return whether a job that is pending for this reason will never start as it is."""
    return reason in HOPELESS
