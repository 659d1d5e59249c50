"""`giga compare`: a run held against its plan, and what explains the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    run: Annotated[Path, typer.Argument(help="Run folder, or with --log a plan file.")],
    log: Annotated[
        list[Path] | None,
        typer.Option(help="Log of Megatron-LM, torchtitan, NeMo, or CSV; several of one run."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the answer as one page.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when off-prediction.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Hold a run against its plan: step time, memory, goodput, and what explains the difference."""
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
