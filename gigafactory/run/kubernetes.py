"""A plan as Kubernetes objects: a JobSet, or a Kubeflow TrainJob, that runs torchrun on each host.

The objects are plain dictionaries until the end: `objects` makes them, `manifest` writes YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import MissingExtra
from gigafactory.run.handover import Handover, header, refuse
from gigafactory.run.kubernetes_pod import (
    ANNOTATION,
    DEVICES,
    JOB,
    Site,
    config_files,
    grace_note,
    pod,
    prepare_pod,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET: Final = "Kubernetes (JobSet v1alpha2)"
TRAIN_JOB_TARGET: Final = "Kubernetes (Kubeflow Trainer v1alpha1)"
PREPARE: Final = "prepare"
DISRUPTED: Final = "PodFailurePolicy"  # reason of a Job that ended by a rule of its own


def manifest(order: Handover, site: Site) -> str:
    """Return the YAML documents that train a plan on a Kubernetes cluster.

    Raises:
        SpecError: The plan does not run there; names every reason.
        MissingExtra: PyYAML is not installed.
    """
    refuse("Kubernetes", faults(order, site))
    target = TRAIN_JOB_TARGET if site.kind == "trainjob" else TARGET
    return header(order, target, notes(order, site)) + _yaml(objects(order, site))


def faults(order: Handover, site: Site) -> Iterator[str]:
    """Yield why a plan does not run on Kubernetes as asked."""
    accelerator = order.plan.cluster.accelerator
    if accelerator.vendor not in DEVICES:
        known = ", ".join(DEVICES)
        yield f"accelerators of {accelerator.vendor} are none of {known} (torchrun starts those)"
    blocks = _blocks(order, site)
    if order.num_hosts % blocks:
        yield f"blocks of {blocks} hosts must divide the {order.num_hosts} hosts (block_hosts)"
    if site.kind == "trainjob" and blocks != order.num_hosts:
        yield "a TrainJob is one Job: block_hosts is for a JobSet"


def notes(order: Handover, site: Site) -> list[str]:
    """Return what the manifest leaves to the cluster."""
    told = [
        "Network: a fabric's own devices (RDMA, EFA) are named by each cluster; add its resource.",
        f"Volume claim {site.claim!r} (ReadWriteMany) holds checkpoints, data and tokenizer.",
        grace_note(order, site),
    ]
    if not site.topology_key and order.num_hosts > 1:
        told.append(
            "Placement: hosts anywhere; --topology-key with --block-hosts keeps blocks together."
        )
    return told


def objects(order: Handover, site: Site) -> list[dict[str, Any]]:
    """Return the objects in the order they are applied."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**_metadata(order, site), "name": f"{site.name_of(order)}-plan"},
        "data": config_files(order, site),
    }
    if site.kind == "trainjob":
        return [config, _runtime(order, site), _train_job(order, site)]
    return [config, _job_set(order, site)]


def _metadata(order: Handover, site: Site) -> dict[str, Any]:
    told: dict[str, Any] = {"name": site.name_of(order)}
    if site.namespace:
        told["namespace"] = site.namespace
    return told | {"annotations": {ANNOTATION: order.plan_hash}}


def _blocks(order: Handover, site: Site) -> int:
    """Return the hosts of one Job: a block that stays together, else all of them."""
    if site.block_hosts:
        return site.block_hosts
    domain = order.plan.cluster.scale_up_domain // order.host_gpus
    rack = domain > 1 and site.kind == "jobset" and order.num_hosts % domain == 0
    return domain if rack else order.num_hosts


def _job_set(order: Handover, site: Site) -> dict[str, Any]:
    metadata = _metadata(order, site)
    if site.topology_key:
        metadata["annotations"]["alpha.jobset.sigs.k8s.io/exclusive-topology"] = site.topology_key
    if site.queue:
        metadata["labels"] = {"kueue.x-k8s.io/queue-name": site.queue}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": metadata,
        "spec": _job_set_spec(order, site),
    }


def _job_set_spec(order: Handover, site: Site) -> dict[str, Any]:
    """Return the jobs, and what happens when one fails: all start again from a checkpoint."""
    hosts = _blocks(order, site)
    workers: dict[str, Any] = {
        "name": JOB,
        "replicas": order.num_hosts // hosts,
        "template": {"spec": _job(order, site, hosts)},
    }
    jobs = [workers]
    if site.engine == "gigafactory":
        workers["dependsOn"] = [{"name": PREPARE, "status": "Complete"}]
        jobs = [_prepare(order, site), workers]
    return {
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        "coordinator": {"replicatedJob": JOB, "jobIndex": 0, "podIndex": 0},
        "successPolicy": {"operator": "All", "targetReplicatedJobs": [JOB]},
        "failurePolicy": {
            "maxRestarts": order.training.max_restarts,
            "rules": [
                {  # a host that was drained or lost is no fault of the run
                    "name": "disrupted",
                    "action": "RestartJobSetAndIgnoreMaxRestarts",
                    "onJobFailureReasons": [DISRUPTED],
                }
            ],
        },
        "replicatedJobs": jobs,
    }


def _job(order: Handover, site: Site, hosts: int) -> dict[str, Any]:
    """Return one Job: a pod per host, in the order of ranks; one pod lost is the Job lost."""
    return {
        "completionMode": "Indexed",
        "completions": hosts,
        "parallelism": hosts,
        "backoffLimit": 0,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                }
            ]
        },
        "template": {
            "metadata": {"annotations": {ANNOTATION: order.plan_hash}},
            "spec": pod(order, site, hosts_per_job=hosts),
        },
    }


def _prepare(order: Handover, site: Site) -> dict[str, Any]:
    return {
        "name": PREPARE,
        "replicas": 1,
        "template": {
            "spec": {"backoffLimit": 1, "template": {"spec": prepare_pod(order, site)}},
        },
    }


def _runtime(order: Handover, site: Site) -> dict[str, Any]:
    """Return the TrainingRuntime: torch, the hosts, and the Job that each of them runs."""
    job = _job(order, site, order.num_hosts)
    ancestor = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {**_metadata(order, site), "name": f"{site.name_of(order)}-runtime"},
        "spec": {
            "mlPolicy": {"numNodes": order.num_hosts, "torch": {}},
            "template": {
                "spec": {
                    "replicatedJobs": [
                        {"name": JOB, "template": {"metadata": ancestor, "spec": job}}
                    ]
                }
            },
        },
    }


def _train_job(order: Handover, site: Site) -> dict[str, Any]:
    devices = {DEVICES[order.plan.cluster.accelerator.vendor]: str(order.host_gpus)}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": _metadata(order, site),
        "spec": {
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": "TrainingRuntime",
                "name": f"{site.name_of(order)}-runtime",
            },
            "trainer": {
                "image": site.image,
                "numNodes": order.num_hosts,
                "numProcPerNode": order.host_gpus,
                "resourcesPerNode": {"limits": devices},
            },
        },
    }


def _yaml(documents: list[dict[str, Any]]) -> str:
    """Return YAML in the order given, texts of several lines as they stand."""
    try:
        import yaml
    except ImportError:
        raise MissingExtra(
            "export: PyYAML is not installed; pip install 'gigafactory[export]'"
        ) from None

    # No aliases: kubectl reads them, people do not.
    dumper: Any = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    dumper.add_representer(str, _text)
    told: str = yaml.dump_all(
        documents, Dumper=dumper, sort_keys=False, explicit_start=True, width=100
    )
    return told


def _text(dumper: Any, value: str) -> Any:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)
