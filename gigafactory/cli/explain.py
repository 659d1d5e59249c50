"""`giga explain`: where each millisecond and each byte of a step goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    plan: Annotated[Path | None, typer.Argument(help="Plan file of `giga plan -o`.")] = None,
    case: Annotated[
        str | None, typer.Option(help="Id of a published run, beside its prediction.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a Perfetto trace of one step.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Show where the time and the memory of one step go, and what would shorten it."""
    from gigafactory.catalog.files import require_folder
    from gigafactory.errors import SpecError
    from gigafactory.report import as_json as machine
    from gigafactory.report.explain import print_explanation
    from gigafactory.report.explained import of_case, of_plan
    from gigafactory.report.sheet import console

    if (plan is None) == (case is None):
        raise SpecError("explain: either a plan file or --case ID is needed", field="plan")
    require_folder(trace)
    require_folder(html)
    told = of_plan(plan) if plan is not None else of_case(case or "")
    if trace is not None:
        from gigafactory.plan.timeline import timeline
        from gigafactory.report.trace import write_trace

        write_trace(timeline(told.case, told.machine), trace)
    if html is not None:
        from gigafactory.report.explain_page import write_explanation

        write_explanation(told, html)
    if as_json:
        typer.echo(machine.one_line(machine.explain_json(told)))
        return
    print_explanation(told, console())
