"""Exported objects are what Kubernetes, JobSet and Kubeflow accept, by their own schemas."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from gigafactory.catalog import files, loader
from gigafactory.errors import SpecError
from gigafactory.run import kubernetes
from gigafactory.run.kubernetes_pod import Site
from gigafactory.spec.plan import Plan
from gigafactory.spec.run import Training
from tests.made_plans import MEGATRON, TORCHTITAN, handed, made_plan

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = "1.37.0"
RACKS: Final = made_plan(
    "llama-3.1-405b", tensor_parallel=8, pipeline_parallel=9, data_parallel=8, cluster="abilene-1"
)
CASES: Final[dict[str, tuple[Plan, dict[str, Any]]]] = {
    "own": (MEGATRON["llama-3.1-8b"], {}),
    "megatron": (MEGATRON["llama-3.1-405b"], {"engine": "megatron", "queue": "research"}),
    "torchtitan": (TORCHTITAN["mixtral-8x7b"], {"engine": "torchtitan", "namespace": "team"}),
    "racks": (RACKS, {"engine": "megatron", "topology_key": "nvidia.com/gpu.clique"}),
    "blocks": (MEGATRON["grok-1"], {"block_hosts": 64, "topology_key": "example.com/leaf"}),
    "trainjob": (TORCHTITAN["llama-3.1-8b"], {"engine": "torchtitan", "kind": "trainjob"}),
    "trainjob-megatron": (MEGATRON["llama-3.1-8b"], {"engine": "megatron", "kind": "trainjob"}),
}  # fmt: skip


def documents(name: str) -> list[dict[str, Any]]:
    """Return what a YAML reader finds in an export."""
    plan, wishes = CASES[name]
    text = kubernetes.manifest(handed(plan), Site(image="example.com/trainer:1", **wishes))
    return list(yaml.safe_load_all(text))


def lost(told: object, kept: object, at: str = "") -> list[str]:
    """Return the paths of what one side holds and the other does not hold alike."""
    if isinstance(told, dict):
        held = kept if isinstance(kept, dict) else {}
        return [x for key in told for x in lost(told[key], held.get(key), f"{at}.{key}")]
    if isinstance(told, list):
        held_list = kept if isinstance(kept, list) else []
        if len(told) != len(held_list):
            return [at]
        return [x for i, item in enumerate(told) for x in lost(item, held_list[i], f"{at}[{i}]")]
    return [] if told == kept else [at]


def jobs(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the Jobs within an object, each as Kubernetes itself would be given it."""
    spec = document["spec"]
    if document["kind"] == "TrainingRuntime":
        spec = spec["template"]["spec"]
    return [
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job["name"]},
         "spec": job["template"]["spec"]}
        for job in spec.get("replicatedJobs", [])
    ]  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_kubernetes_accepts_the_map_and_every_job(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    config, *rest = documents(name)
    validate.validate(config, VERSION, strict=True)
    found = [job for document in rest for job in jobs(document)]
    assert found
    for job in found:
        validate.validate(job, VERSION, strict=True)


def test_kubernetes_would_notice_a_wrong_field() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    job = jobs(documents("own")[1])[1]
    job["spec"]["backOffLimit"] = 0
    with pytest.raises(validate.ValidationError):
        validate.validate(job, VERSION, strict=True)


@pytest.mark.parametrize("name", CASES)
def test_jobset_and_kubeflow_know_every_field(name: str) -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models")
    classes = {
        "JobSet": models.JobsetV1alpha2JobSet,
        "TrainJob": models.TrainerV1alpha1TrainJob,
        "TrainingRuntime": models.TrainerV1alpha1TrainingRuntime,
    }
    for document in documents(name)[1:]:
        read = classes[document["kind"]].from_dict(document)
        assert lost(document, read.to_dict()) == []


def test_kubeflow_would_drop_a_field_it_does_not_know() -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models")
    document = documents("own")[1]
    document["spec"]["failurePolicy"]["maxRestart"] = 5
    read = models.JobsetV1alpha2JobSet.from_dict(document)
    assert lost(document, read.to_dict()) == [".spec.failurePolicy.maxRestart"]


@pytest.mark.parametrize("name", [name for name in CASES if "trainjob" not in name])
def test_every_host_has_a_pod_and_every_rank_a_place(name: str, tmp_path: Path) -> None:
    plan, job_set = CASES[name][0], documents(name)[1]
    node = job_set["spec"]["replicatedJobs"][-1]
    spec = node["template"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    gpus = int(container["resources"]["limits"]["nvidia.com/gpu"])
    assert spec["parallelism"] == spec["completions"]
    assert node["replicas"] * spec["parallelism"] * gpus == plan.layout.num_gpus
    hosts = plan.layout.num_gpus // gpus
    (tmp_path / "rank.sh").write_text(
        container["command"][-1].split("\n")[0] + "\necho $PET_NODE_RANK"
    )
    held = {e["name"]: e["value"] for e in container["env"] if "value" in e}
    assert held["PET_NNODES"] == str(hosts)
    last = {"JOB_INDEX": node["replicas"] - 1, "JOB_COMPLETION_INDEX": spec["parallelism"] - 1}
    environment = {**held, **{key: str(value) for key, value in last.items()}}
    ran = subprocess.run(
        ["bash", "-e", str(tmp_path / "rank.sh")],  # noqa: S607
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ran.stdout) == hosts - 1


def test_racks_become_jobs_that_stay_together() -> None:
    job_set = documents("racks")[1]
    node = job_set["spec"]["replicatedJobs"][-1]
    assert (node["replicas"], node["template"]["spec"]["parallelism"]) == (8, 18)
    key = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    assert job_set["metadata"]["annotations"][key] == "nvidia.com/gpu.clique"


def test_the_plan_and_the_training_come_back_from_the_map() -> None:
    data = documents("own")[0]["data"]
    assert files.loads(Plan, data["plan.toml"]) == CASES["own"][0]
    assert files.loads(Training, data["training.toml"]) == handed(CASES["own"][0]).training


def test_commands_are_valid_shell_and_code() -> None:
    for name in CASES:
        for document in documents(name)[1:]:
            for job in jobs(document):
                command = job["spec"]["template"]["spec"]["containers"][0]["command"]
                if command[0] == "python":
                    compile(command[-1], "prepare", "exec")
                else:
                    subprocess.run(["bash", "-n", "-c", command[-1]], check=True)  # noqa: S607


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"image": ""}, "image"),
        ({"name": "Grok_1"}, "name must be at most 40"),
        ({"engine": "nemo"}, "engine must be one of"),
        ({"kind": "trainjob"}, "prepares no run folder"),
        ({"grace_s": 1}, "grace_s must be between 11"),
        ({"block_hosts": 3}, "blocks of 3 hosts must divide the 8 hosts"),
    ],
)
def test_what_makes_no_sense_is_refused(wishes: dict[str, Any], reason: str) -> None:
    order = handed(MEGATRON["llama-3.1-8b"])
    with pytest.raises(SpecError, match=reason):
        kubernetes.manifest(order, Site(**({"image": "example.com/trainer:1"} | wishes)))


def test_accelerators_that_torchrun_does_not_start_are_refused() -> None:
    plan = made_plan("llama-3.1-8b", data_parallel=64, tensor_parallel=8)
    cluster = loader.cluster("gigafactory")
    tpu = loader.accelerator("tpu-v5p")
    moved = {**{name: getattr(cluster, name) for name in cluster.__slots__}, "accelerator": tpu}
    order = handed(
        Plan(
            model=plan.model, cluster=type(cluster)(**moved), job=plan.job, layout=plan.layout,
            checkpoint=plan.checkpoint,
        )
    )  # fmt: skip
    with pytest.raises(SpecError, match="accelerators of Google are none of NVIDIA, AMD, Intel"):
        kubernetes.manifest(order, Site(image="example.com/trainer:1"))
