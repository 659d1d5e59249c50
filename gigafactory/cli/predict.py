"""`giga predict`: one prediction per row of a table of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def predict(
    cases: Annotated[Path, typer.Argument(help="CSV table; columns: docs/reference/files.md.")],
    out: Annotated[Path, typer.Option(help="CSV table to write, one row per case.")],
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Predict every row of a table: step time with its interval, MFU, memory, fits or not."""
    from gigafactory.cli.progress import counted
    from gigafactory.report.table import predict_table

    with counted("rows predicted") as progress:
        told = predict_table(cases, out, progress)
    if as_json:
        typer.echo(json.dumps({"schema": 1, **told._asdict()}))
        return
    typer.echo(f"{told.rows} rows, {told.errors} with an error, written to {out}", err=True)
