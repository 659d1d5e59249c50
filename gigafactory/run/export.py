"""Which exporter writes which target, under which name of a file."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import files, machines
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.run.handover import ROPE_BASE, Handover
from gigafactory.spec.run import Training

if TYPE_CHECKING:
    from pathlib import Path

    from gigafactory.run.kubernetes_pod import Site
    from gigafactory.spec.plan import Plan

TARGETS: Final = ("torchtitan", "megatron", "kubernetes", "slurm", "slurm-cluster")
FILE_NAMES: Final = {
    "torchtitan": "train_plan.py", "megatron": "train.sh", "kubernetes": "train.yaml",
    "slurm": "job.sh",
}  # fmt: skip
EXECUTABLE: Final = ("megatron", "slurm")


def handover(
    plan: Plan,
    training: Training | None = None,
    *,
    rope_base: float = ROPE_BASE,
    gpus_per_node: int | None = None,
) -> Handover:
    """Return a plan as exporters take it, with its step predicted.

    Raises:
        SpecError: The catalog does not know the plan's software or accelerator; the model cannot
            be split so; hosts cannot start as many ranks each.
    """
    machine = machines.machine(plan.cluster, plan.software)
    told = predict(Case(plan.model, plan.layout, plan.job.capacity_factor), machine)
    return Handover(
        plan=plan,
        training=training or Training(),
        features=machine.software.features,
        step_time_s=told.step_time_s.expected,
        rope_base=rope_base,
        gpus_per_node=gpus_per_node,
    )


def text(order: Handover, target: str, *, module: str, site: Site | None, folder: str) -> str:
    """Return what a target reads.

    Args:
        order: What is exported.
        target: One of `FILE_NAMES`.
        module: What a torchtitan module will be imported as.
        site: Needed for Kubernetes.
        folder: Run folder of a Slurm job, the same on all hosts.

    Raises:
        SpecError: The target cannot express the plan.
    """
    if target == "torchtitan":
        from gigafactory.run import torchtitan

        return torchtitan.module(order, module)
    if target == "megatron":
        from gigafactory.run import megatron

        return megatron.script(order)
    if target == "kubernetes":
        from gigafactory.run import kubernetes

        assert site is not None
        return kubernetes.manifest(order, site)
    return _batch_script(order, folder)


def _batch_script(order: Handover, folder: str) -> str:
    from gigafactory.run import slurm_limits
    from gigafactory.run.slurm_script import SlurmOptions, script

    limit_s = ceil(slurm_limits.high_finish_s(order.plan))
    options = SlurmOptions(
        time_limit_s=limit_s,
        lead_s=slurm_limits.lead_s(order.plan, limit_s),
        ranks_per_node=order.host_gpus,
        python="python3",
    )
    return script(order.plan, order.training, options, folder)


def write(content: str, path: Path, target: str) -> None:
    """Write an export, whole or not at all; scripts may be executed.

    Raises:
        CatalogError: The file cannot be written.
    """
    files.write_whole(path, content)
    if target in EXECUTABLE:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it
