"""`giga calibrate`: measures this machine, or learns a cluster from its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from gigafactory.run.measure.samples import Measurements
    from gigafactory.spec.cluster import Cluster

ATTEMPTS: Final = 3  # on a machine that others use, times may fall where the work grows


def calibrate(
    out: Annotated[Path, typer.Option(help="Cluster file to write.")] = Path("machine.toml"),
    ranks: Annotated[
        int | None, typer.Option(help="Processes at work at once; default: a core or GPU each.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="25 s and few shapes, not 60 s.")] = False,
    name: Annotated[str, typer.Option(help="Of the machine; default: its host name.")] = "",
    from_run: Annotated[
        list[Path] | None, typer.Option(help="Run folder to learn its cluster from; several.")
    ] = None,
    log: Annotated[
        list[Path] | None, typer.Option(help="Log of a run of --plan to learn from.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan that the run of --log followed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Measure this machine, or learn a cluster from its runs, into a file for `giga plan`."""
    from gigafactory.catalog import files

    files.require_folder(out)
    if from_run or log or plan:
        _require_no_measurement(ranks, name, quick=quick)
        _learn(from_run or [], log or [], plan, out, as_json=as_json)
        return
    told, cluster = _measured(ranks, name, quick=quick)
    files.write_whole(out, files.dumps(cluster))
    _print(cluster, told, out, as_json=as_json)


def _measured(ranks: int | None, name: str, *, quick: bool) -> tuple[Measurements, Cluster]:
    """Return what was measured and what follows; what others' work spoilt is measured again."""
    from gigafactory.compare.machine import cluster_of
    from gigafactory.errors import SpecError
    from gigafactory.run.measure.machine import measure

    for left in reversed(range(ATTEMPTS)):
        typer.echo("giga: measuring, all ranks at once", err=True)
        told = measure(ranks=ranks, quick=quick, name=name)
        try:
            return told, cluster_of(told)
        except SpecError as spoilt:
            if not left:
                raise
            typer.echo(f"giga: disturbed, so once more ({spoilt})", err=True)
    raise AssertionError(ATTEMPTS)


def _require_no_measurement(ranks: int | None, name: str, *, quick: bool) -> None:
    from gigafactory.errors import SpecError

    if ranks is not None or name or quick:
        raise SpecError("calibrate: --ranks, --quick and --name measure this machine; --from-run "
                        "and --log do not", field="from_run")  # fmt: skip


def _learn(
    runs: list[Path], logs: list[Path], plan: Path | None, out: Path, *, as_json: bool
) -> None:
    """Write the cluster that runs tell of."""
    from gigafactory.catalog import files
    from gigafactory.compare.learned import learn_from
    from gigafactory.report.as_json import one_line
    from gigafactory.report.learned import learned_json, learned_sheets
    from gigafactory.report.sheet import console, print_sheets

    found = learn_from(runs, logs, plan)
    files.write_whole(out, files.dumps(found.cluster))
    if as_json:
        typer.echo(one_line({**learned_json(found), "file": str(out)}))
        return
    print_sheets(learned_sheets(found), console())
    typer.echo(f"{out}: giga plan MODEL --cluster {out} --tokens T")


def _print(cluster: Cluster, told: Measurements, out: Path, *, as_json: bool) -> None:
    from gigafactory.report.as_json import one_line
    from gigafactory.report.machine import as_text, machine_json

    if as_json:
        typer.echo(one_line({"schema": 1, "file": str(out), **machine_json(cluster, told)}))
        return
    typer.echo(as_text(cluster, told))
    typer.echo(f"{out}: giga plan MODEL --cluster {out} --tokens T")
