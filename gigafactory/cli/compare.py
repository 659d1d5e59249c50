"""`giga compare`: a run held against its plan, and what explains the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gigafactory.errors import SpecError


def compare(
    run: Annotated[
        Path | None, typer.Argument(help="Run folder, or with --log a plan file.")
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(help="Log of Megatron-LM, torchtitan, NeMo, or CSV; several of one run."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Recorded operations (Parquet, CSV) against their own typical times."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the answer as one page.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when off-prediction.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Hold a run against its plan: step time, memory, goodput, and what explains the difference.

    With --trace instead: what slows a recorded run down, whose operations were written down.
    """
    if trace is not None:
        _require_only_a_trace(run, log, html, check=check)
        _tell_stragglers(trace, as_json=as_json)
        return
    if run is None:
        raise SpecError("compare: name a run folder, a plan with --log, or --trace", field="run")
    _tell_difference(run, log, html, check=check, as_json=as_json)


def _tell_difference(
    run: Path, log: list[Path] | None, html: Path | None, *, check: bool, as_json: bool
) -> None:
    from gigafactory.catalog.files import require_folder
    from gigafactory.compare.comparison import of_log, of_run
    from gigafactory.report import as_json as machine
    from gigafactory.report.comparison import (
        comparison_json,
        print_comparison,
        verdict,
        write_comparison,
    )
    from gigafactory.report.sheet import console

    require_folder(html)
    told = of_log(run, log) if log else of_run(run)
    if html is not None:
        write_comparison(told, html)
    if as_json:
        typer.echo(machine.one_line(comparison_json(told)))
    else:
        print_comparison(told, console())
    if check and not told.inside:
        typer.echo(f"giga: {told.name}: {verdict(told)}", err=True)
        raise SystemExit(1)


def _require_only_a_trace(
    run: Path | None, log: list[Path] | None, html: Path | None, *, check: bool
) -> None:
    if run or log or html or check:
        raise SpecError("compare: --trace stands alone: a recorded run is held against itself, so "
                        "there is no plan, --log, --html or --check", field="trace")  # fmt: skip


def _tell_stragglers(trace: Path, *, as_json: bool) -> None:
    from gigafactory.report.as_json import one_line
    from gigafactory.report.sheet import console, print_sheets
    from gigafactory.report.stragglers import straggler_json, straggler_sheets
    from gigafactory.simulate.stragglers import what_if
    from gigafactory.simulate.traces import read_trace

    found = what_if(read_trace(trace))
    if as_json:
        typer.echo(one_line(straggler_json(found)))
    else:
        print_sheets(straggler_sheets(found), console())
