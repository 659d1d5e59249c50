"""`giga calibrate`: measures this machine, or learns a cluster from its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gigafactory.run.measure.samples import Measurements
    from gigafactory.spec.cluster import Cluster


def calibrate(
    out: Annotated[Path, typer.Option(help="Cluster file to write.")] = Path("machine.toml"),
    ranks: Annotated[
        int | None, typer.Option(help="Processes at work at once; default: a core or GPU each.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="15 s and few shapes, not 60 s.")] = False,
    name: Annotated[str, typer.Option(help="Of the machine; default: its host name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Measure this machine's kernels and exchanges into a file for `giga plan --cluster`."""
    from gigafactory.catalog import files
    from gigafactory.compare.machine import cluster_of
    from gigafactory.run.measure.machine import measure

    files.require_folder(out)
    typer.echo("giga: measuring, all ranks at once", err=True)
    told = measure(ranks=ranks, quick=quick, name=name)
    cluster = cluster_of(told)
    files.write_whole(out, files.dumps(cluster))
    _print(cluster, told, out, as_json=as_json)


def _print(cluster: Cluster, told: Measurements, out: Path, *, as_json: bool) -> None:
    from gigafactory.report.as_json import one_line
    from gigafactory.report.machine import as_text, machine_json

    if as_json:
        typer.echo(one_line({"schema": 1, "file": str(out), **machine_json(cluster, told)}))
        return
    typer.echo(as_text(cluster, told))
    typer.echo(f"{out}: giga plan MODEL --cluster {out} --tokens T")
