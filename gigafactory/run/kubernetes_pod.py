"""The pod of one host: its container, what it runs, what it mounts, when it is taken for dead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog import files
from gigafactory.plan.promise import checkpoint_of
from gigafactory.run import megatron, torchtitan
from gigafactory.spec.base import Spec, fault, require_count, require_one_of

if TYPE_CHECKING:
    from gigafactory.run.handover import Handover

ENGINES: Final = ("gigafactory", "torchtitan", "megatron")
KINDS: Final = ("jobset", "trainjob")
DEVICES: Final = {
    "NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Intel": "habana.ai/gaudi",
}  # fmt: skip
COUNTED: Final = {"NVIDIA": "nvidia-smi -L | wc -l"}  # prints the devices that answer
ANNOTATION: Final = "gigafactory/plan-sha256"
JOB: Final = "node"  # Kubeflow looks for a Job and a container of this name
PLAN_FOLDER: Final = "/plan"
SHARED_FOLDER: Final = "/shared"
PORT: Final = 29_500
LONGEST_NAME: Final = 40  # host names add the Job, its index and the pod's, and hold 63 letters
SAVE_MARGIN_S: Final = 10  # torchrun is to end by itself before it is killed
LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

PREPARE_CODE: Final = """\
from pathlib import Path
from gigafactory.catalog import files
from gigafactory.run.record import RunFolder
from gigafactory.run.trainer import data
from gigafactory.spec.run import Training
plan = files.read_plan("{plan}/plan.toml")
training = files.loads(Training, Path("{plan}/training.toml").read_text())
folder = RunFolder(Path("{run}"))
if not (folder.path / "data").exists():
    folder.create(plan, training)
    data.prepare(training.data, vocab_size=plan.model.vocab_size, seed=training.seed,
                 folder=folder.path / "data")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Spec):
    """What a Kubernetes cluster needs to know of a run beside the plan.

    Attributes:
        image: Container image with the engine; no default, since registries are people's own.
        engine: What torchrun starts.
        kind: "jobset", or "trainjob" for Kubeflow Trainer.
        name: Of the objects; empty for the model's.
        claim: Volume claim that all pods share.
        topology_key: Node label of a block of hosts that belong together; empty for none.
        block_hosts: Hosts of such a block; None for the scale-up domain of racks, else all.
        queue: Kueue queue; empty for none.
        grace_s: Seconds between SIGTERM and SIGKILL; None for two steps and a checkpoint.
    """

    image: str
    engine: str = "gigafactory"
    kind: str = "jobset"
    name: str = ""
    namespace: str = ""
    claim: str = "training"
    topology_key: str = ""
    block_hosts: int | None = None
    queue: str = ""
    grace_s: int | None = None

    def __post_init__(self) -> None:
        require_one_of(self, "engine", ENGINES)
        require_one_of(self, "kind", KINDS)
        if self.grace_s is not None:
            require_count(self, "grace_s", least=SAVE_MARGIN_S + 1, most=86_400)
        if self.block_hosts is not None:
            require_count(self, "block_hosts", most=10**6)
        if not self.image or not self.image.isprintable() or " " in self.image:
            raise fault(self, "image", self.image, "must name a container image")
        for name in ("name", "namespace", "claim", "queue"):
            value = getattr(self, name)
            if value and (not LABEL.fullmatch(value) or len(value) > LONGEST_NAME):
                rule = f"must be at most {LONGEST_NAME} of a-z, 0-9 and -, a letter or digit last"
                raise fault(self, name, value, rule)
        if self.kind == "trainjob" and self.engine == "gigafactory":
            rule = "must be torchtitan or megatron with kind trainjob, which prepares no run folder"
            raise fault(self, "engine", self.engine, rule)

    def name_of(self, order: Handover) -> str:
        """Return the name of the objects."""
        plain = re.sub(r"[^a-z0-9]+", "-", order.plan.model.name.lower()).strip("-")
        return self.name or plain[:LONGEST_NAME].strip("-") or "run"


def config_files(order: Handover, site: Site) -> dict[str, str]:
    """Return what the pods find in the plan's folder."""
    told = {"plan.toml": files.dumps(order.plan), "training.toml": files.dumps(order.training)}
    if site.engine == "torchtitan":
        told[f"{torchtitan.MODULE}.py"] = torchtitan.module(order)
    if site.engine == "megatron":
        told["train.sh"] = megatron.script(order)
    return told


def grace_s(order: Handover, site: Site) -> int:
    """Return the seconds between SIGTERM and SIGKILL.

    Two steps, since one runs already and all ranks must agree, and a checkpoint to storage.
    """
    if site.grace_s is not None:
        return site.grace_s
    saved = checkpoint_of(order.plan.model, order.plan.layout)
    written_s = float(saved.blocking_s + saved.write_s)
    return ceil(2 * order.step_time_s + written_s) + 2 * SAVE_MARGIN_S


def grace_note(order: Handover, site: Site) -> str:
    """Return the note on what is left between SIGTERM and SIGKILL."""
    if site.engine == "torchtitan":
        return "SIGTERM: torchtitan saves nothing on it; the last checkpoint counts."
    return f"SIGTERM: {grace_s(order, site)} s for two steps and a last checkpoint (--grace)."


def pod(order: Handover, site: Site, *, hosts_per_job: int) -> dict[str, Any]:
    """Return the pod of one host."""
    vendor = order.plan.cluster.accelerator.vendor
    device = DEVICES[vendor]
    shared = {"name": "shared", "persistentVolumeClaim": {"claimName": site.claim}}
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_s(order, site),
        "tolerations": [{"key": device, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [_container(order, site, hosts_per_job, {device: str(order.host_gpus)})],
        "volumes": [
            {"name": "plan", "configMap": {"name": f"{site.name_of(order)}-plan"}},
            shared,
            {"name": "shm", "emptyDir": {"medium": "Memory"}},  # NCCL and data loaders
        ],
    }


def _container(
    order: Handover, site: Site, hosts_per_job: int, devices: dict[str, str]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": JOB,
        "image": site.image,
        "command": ["bash", "-ec", _command(site)],
        "env": _environment(order, site, hosts_per_job),
        "ports": [{"containerPort": PORT, "name": "rendezvous"}],
        "resources": {"limits": devices},
        "securityContext": {"capabilities": {"add": ["IPC_LOCK"]}},  # pins memory for RDMA
        "volumeMounts": [
            {"name": "plan", "mountPath": PLAN_FOLDER},
            {"name": "shared", "mountPath": SHARED_FOLDER},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
        ],
    }
    return told | _probes(order)


def _probes(order: Handover) -> dict[str, Any]:
    """Return the probe that finds accelerators which no longer answer."""
    counted = COUNTED.get(order.plan.cluster.accelerator.vendor)
    if counted is None:
        return {}
    check = {"exec": {"command": ["sh", "-c", f'test "$({counted})" -eq {order.host_gpus}']}}
    slow = {"periodSeconds": 60, "timeoutSeconds": 30}
    return {
        "startupProbe": {**check, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6},
        "livenessProbe": {**check, **slow, "failureThreshold": 3},
    }


def _environment(order: Handover, site: Site, hosts_per_job: int) -> list[dict[str, Any]]:
    """Return what torchrun reads; Kubeflow sets the rendezvous itself."""
    name = site.name_of(order)
    end = str(grace_s(order, site) - SAVE_MARGIN_S)
    told = {
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": end,
        # Shared across restarts, torchrun's store leaves late hosts with another count of them.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "RUN_FOLDER": _run_folder(order, site),
    }
    if site.kind == "jobset":
        told |= {
            "PET_NNODES": str(order.num_hosts),
            "PET_NPROC_PER_NODE": str(order.host_gpus),
            "PET_MASTER_ADDR": f"{name}-{JOB}-0-0.{name}",
            "PET_MASTER_PORT": str(PORT),
            "HOSTS_PER_JOB": str(hosts_per_job),
        }
    if site.engine == "megatron":
        told |= {
            "MEGATRON_LM": "/opt/megatron-lm",
            "DATA_PATH": f"{SHARED_FOLDER}/data/text_document",
            "TOKENIZER_MODEL": f"{SHARED_FOLDER}/tokenizer",
            "CHECKPOINT_DIR": f"{_run_folder(order, site)}/checkpoints",
        }
    plain: list[dict[str, Any]] = [{"name": key, "value": told[key]} for key in told]
    if site.kind == "jobset":
        at = "metadata.annotations['jobset.sigs.k8s.io/job-index']"
        plain.append({"name": "JOB_INDEX", "valueFrom": {"fieldRef": {"fieldPath": at}}})
    return plain


def _run_folder(order: Handover, site: Site) -> str:
    return f"{SHARED_FOLDER}/runs/{site.name_of(order)}-{order.plan_hash[:12]}"


def _command(site: Site) -> str:
    """Return the shell line of a host; ranks follow the pods' own order."""
    rank = "export PET_NODE_RANK=$((JOB_INDEX * HOSTS_PER_JOB + JOB_COMPLETION_INDEX))\n"
    lines = rank if site.kind == "jobset" else ""
    if site.engine == "megatron":
        lines += (
            'export NODE_RANK="$PET_NODE_RANK" MASTER_ADDR="$PET_MASTER_ADDR" '
            'MASTER_PORT="$PET_MASTER_PORT"\n'
        )
        return f"{lines}exec bash {PLAN_FOLDER}/train.sh\n"
    if site.engine == "torchtitan":
        return (
            f"{lines}export PYTHONPATH={PLAN_FOLDER}\n"
            f"exec torchrun -m torchtitan.train --module {torchtitan.MODULE} --config train "
            f'--hf_assets_path={SHARED_FOLDER}/tokenizer --dump_folder="$RUN_FOLDER"\n'
        )
    return f'{lines}exec torchrun -m gigafactory.run.trainer "$RUN_FOLDER"\n'


def prepare_pod(order: Handover, site: Site) -> dict[str, Any]:
    """Return the pod that makes the run folder and the data, once, before the others start."""
    code = PREPARE_CODE.format(plan=PLAN_FOLDER, run=_run_folder(order, site))
    return {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "prepare",
                "image": site.image,
                "command": ["python", "-c", code],
                "volumeMounts": [
                    {"name": "plan", "mountPath": PLAN_FOLDER},
                    {"name": "shared", "mountPath": SHARED_FOLDER},
                ],
            }
        ],
        "volumes": [
            {"name": "plan", "configMap": {"name": f"{site.name_of(order)}-plan"}},
            {"name": "shared", "persistentVolumeClaim": {"claimName": site.claim}},
        ],
    }
