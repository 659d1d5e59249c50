"""`giga plan`: from a model and a cluster to a dated, priced, explained training plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gigafactory.cli.request import Options, Request
    from gigafactory.plan.answer import Answer

Text = str | None


def plan(
    model: Annotated[str, typer.Argument(help="Catalog name, TOML file or config.json.")],
    tokens: Annotated[str, typer.Option(help="Tokens to train on, such as 15e12.")],
    cluster: Annotated[Text, typer.Option(help="Catalog name or TOML file.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs, with --gpu.")] = None,
    gpu: Annotated[Text, typer.Option(help="Accelerator; alone it asks for the size.")] = None,
    start: Annotated[Text, typer.Option(help="First day; default: cluster is there.")] = None,
    by: Annotated[Text, typer.Option(help="Day by which training must end.")] = None,
    seq_len: Annotated[int | None, typer.Option(help="Tokens per sequence.")] = None,
    global_batch_tokens: Annotated[
        Text, typer.Option(help="Tokens per step; default bound 16,777,216.")
    ] = None,
    power_cap: Annotated[Text, typer.Option(help="Facility power, such as 20MW.")] = None,
    budget: Annotated[Text, typer.Option(help="Dollars for the run.")] = None,
    precision: Annotated[
        Text, typer.Option(help="fp32, fp16, fp8, nvfp4, or any: what ends first. [bf16]")
    ] = None,
    site: Annotated[Text, typer.Option(help="Where it stands; default: the cluster's.")] = None,
    software: Annotated[
        Text, typer.Option(help="Profile. [megatron-core; gigafactory on a measured machine]")
    ] = None,
    faults: Annotated[str, typer.Option(help="Failure profile.")] = "llama3-h100",
    rank_by: Annotated[
        str, typer.Option(help="step: fastest step; finish: earliest end under failures.")
    ] = "step",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Plan file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Find the best layout, and what it promises: time, memory, dates, megawatts, dollars."""
    from gigafactory.cli.request import Options

    options = Options(
        model=model, tokens=tokens, cluster=cluster, gpus=gpus, gpu=gpu, start=start, by=by,
        seq_len=seq_len, global_batch_tokens=global_batch_tokens, power_cap=power_cap,
        budget=budget, precision=precision, site=site, software=software, faults=faults,
        rank_by=rank_by,
    )  # fmt: skip
    _deliver(options, output, html, as_json=as_json)


def _deliver(options: Options, output: Path | None, html: Path | None, *, as_json: bool) -> None:
    """Answer what the options ask, into the files and onto the screen."""
    import datetime as dt
    import time

    from rich.console import Console

    from gigafactory.catalog.files import require_folder, write_plan
    from gigafactory.cli.request import understand
    from gigafactory.report import as_json as machine
    from gigafactory.report import plan as report

    require_folder(output)
    require_folder(html)
    request = understand(options, dt.date.today())
    for warning in request.warnings:
        typer.echo(f"giga: {warning}", err=True)
    begun = time.perf_counter()
    answer = _answer(request)
    wall_s = time.perf_counter() - begun
    if output is not None:
        write_plan(answer.promise.plan, output)
    if html is not None:
        _write_page(request, answer, html)
    if as_json:
        typer.echo(machine.one_line(machine.plan_json(answer, wall_s)))
        return
    report.print_answer(answer, Console(highlight=False), wall_s)


def _answer(request: Request) -> Answer:
    from gigafactory.cli.progress import counted
    from gigafactory.plan.answer import answer, answer_any_precision

    question, job, around, growth = request.question, request.job, request.around, request.growth
    with counted("layouts priced") as progress:
        plan_it = answer_any_precision if request.any_precision else answer
        found = plan_it(question, job, around, request.limits, progress)
    if growth is None:
        return found
    from gigafactory.cli.growth import grown

    return grown(found, question, job, around, growth, request.not_before)


def _write_page(request: Request, answer: Answer, path: Path) -> None:
    """Write the page with its scaling curves: one search per batch bound."""
    from gigafactory.cli.curves import curves
    from gigafactory.report.page import write_page

    write_page(answer, curves(request), path)
