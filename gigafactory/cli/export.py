"""`giga export`: a plan as other engines and schedulers read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gigafactory.run.handover import Handover

Text = str | None
Count = int | None


def export(
    source: Annotated[str, typer.Argument(help="Plan file; for slurm-cluster a cluster.")],
    to: Annotated[
        str, typer.Option(help="torchtitan, megatron, kubernetes, slurm or slurm-cluster.")
    ],
    out: Annotated[Path | None, typer.Option(help="File or folder; default: stdout.")] = None,
    training: Annotated[
        Path | None, typer.Option(help="training.toml of a run folder: rates, seed, evaluation.")
    ] = None,
    rope_base: Annotated[int, typer.Option(help="Base of the rotary frequencies.")] = 10_000,
    gpus_per_node: Annotated[Count, typer.Option(help="Of one host; default: the node's.")] = None,
    run_folder: Annotated[Text, typer.Option(help="slurm: absolute path, shared.")] = None,
    controller: Annotated[Text, typer.Option(help="slurm-cluster: host of slurmctld.")] = None,
    cloud: Annotated[
        bool, typer.Option("--cloud", help="slurm-cluster: hosts are powered up on demand.")
    ] = False,
    image: Annotated[Text, typer.Option(help="kubernetes: container image (required).")] = None,
    engine: Annotated[
        Text, typer.Option(help="kubernetes: gigafactory, torchtitan or megatron.")
    ] = None,
    kind: Annotated[Text, typer.Option(help="kubernetes: jobset or trainjob.")] = None,
    name: Annotated[Text, typer.Option(help="kubernetes: of the objects.")] = None,
    namespace: Annotated[Text, typer.Option(help="kubernetes.")] = None,
    claim: Annotated[Text, typer.Option(help="kubernetes: shared volume claim.")] = None,
    topology_key: Annotated[Text, typer.Option(help="kubernetes: node label of a block.")] = None,
    block_hosts: Annotated[Count, typer.Option(help="kubernetes: hosts of a block.")] = None,
    queue: Annotated[Text, typer.Option(help="kubernetes: Kueue queue.")] = None,
    grace: Annotated[Count, typer.Option(help="kubernetes: seconds from SIGTERM on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Write a plan for torchtitan, Megatron-LM, Kubernetes or Slurm; refuse what is lost in it."""
    pods = {
        "image": image, "engine": engine, "kind": kind, "name": name, "namespace": namespace,
        "claim": claim, "topology_key": topology_key, "block_hosts": block_hosts, "queue": queue,
        "grace_s": grace,
    }  # fmt: skip
    given = {key: value for key, value in pods.items() if value is not None}
    _check(to, given, run_folder)
    if to == "slurm-cluster":
        site = {"gpus_per_host": gpus_per_node, "state": "cloud" if cloud else "plain"}
        if controller is not None:
            site["controller"] = controller
        _write_cluster(source, out, site, as_json=as_json)
        return
    _refuse_of_clusters(to, cloud=cloud, controller=controller)
    order = _order(Path(source), training, float(rope_base), gpus_per_node)
    content, path = _content(order, to, out, given, run_folder or "")
    _deliver(order, to, content, path, as_json=as_json)


def _refuse_of_clusters(to: str, *, cloud: bool, controller: str | None) -> None:
    """Refuse options that only a cluster's export has."""
    from gigafactory.errors import SpecError

    if cloud or controller is not None:
        option = "cloud" if cloud else "controller"
        rule = f"{option} must go with --to slurm-cluster, not {to}"
        raise SpecError(f"export: {rule}", field=option)


def _check(to: str, pods: dict[str, Any], run_folder: str | None) -> None:
    """Refuse unknown targets, options of another one, and targets without what they need."""
    from gigafactory.errors import SpecError
    from gigafactory.run.export import TARGETS

    if to not in TARGETS:
        raise SpecError(f"export: to must be one of {', '.join(TARGETS)}, got {to!r}", field="to")
    if to != "kubernetes" and pods:
        option = next(iter(pods)).removesuffix("_s")
        raise SpecError(f"export: {option} must go with --to kubernetes, not {to}", field=option)
    if to != "slurm" and run_folder is not None:
        rule = f"run_folder must go with --to slurm, not {to}"
        raise SpecError(f"export: {rule}", field="run_folder")
    if to == "kubernetes" and "image" not in pods:
        raise SpecError("export: image must be given: --image of your registry", field="image")
    if to == "slurm" and run_folder is None:
        rule = "run_folder must be given: an absolute path that all hosts share"
        raise SpecError(f"export: {rule}", field="run_folder")


def _order(
    plan: Path, training: Path | None, rope_base: float, gpus_per_node: int | None
) -> Handover:
    from gigafactory.catalog import files, loader, read
    from gigafactory.run.export import handover
    from gigafactory.spec.run import Training

    told = None
    if training is not None:
        table = read.toml_table(training)
        told = loader.from_table(Training, table, str(training), sourced=False)
    return handover(files.read_plan(plan), told, rope_base=rope_base, gpus_per_node=gpus_per_node)


def _content(
    order: Handover, to: str, out: Path | None, pods: dict[str, Any], folder: str
) -> tuple[str, Path | None]:
    """Return the text, and the file it goes to; None for stdout."""
    from gigafactory.catalog.files import require_folder
    from gigafactory.run.export import FILE_NAMES, text
    from gigafactory.run.kubernetes_pod import Site

    path = out / FILE_NAMES[to] if out is not None and out.is_dir() else out
    require_folder(path)
    module = (path or Path(FILE_NAMES["torchtitan"])).stem
    site = Site(**pods) if to == "kubernetes" else None
    return text(order, to, module=module, site=site, folder=folder), path


def _deliver(order: Handover, to: str, content: str, path: Path | None, *, as_json: bool) -> None:
    from gigafactory.report.as_json import one_line
    from gigafactory.run.export import write

    if path is not None:
        write(content, path, to)
    told = {
        "schema": 1, "to": to, "plan_sha256": order.plan_hash, "num_hosts": order.num_hosts,
        "steps": order.steps, "checkpoint_steps": order.checkpoint_steps,
        "step_time_s": order.step_time_s, "files": [] if path is None else [str(path)],
        "text": content if path is None else None,
    }  # fmt: skip
    if as_json:
        typer.echo(one_line(told))
    elif path is None:
        typer.echo(content, nl=False)
    else:
        typer.echo(f"{path} written", err=True)


def _write_cluster(source: str, out: Path | None, site: dict[str, Any], *, as_json: bool) -> None:
    from gigafactory.catalog import loader
    from gigafactory.errors import SpecError
    from gigafactory.report.as_json import one_line
    from gigafactory.run.slurm_cluster import SlurmSite, write

    if out is None:
        raise SpecError("export: out must be given: a folder for the files", field="out")
    paths = write(loader.cluster(source), SlurmSite(**site), out)
    if as_json:
        typer.echo(one_line({"schema": 1, "to": "slurm-cluster", "files": [str(p) for p in paths]}))
        return
    for path in paths:
        typer.echo(f"{path} written", err=True)
