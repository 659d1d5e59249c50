"""`giga run`: trains a plan for real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gigafactory.run.launch import Executor, Job
    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult

Seconds = float | None
Count = int | None


def run(
    plan: Annotated[Path, typer.Argument(help="Plan file of `giga plan -o`.")],
    out: Annotated[Path, typer.Option(help="Run folder.")],
    on: Annotated[str, typer.Option(help="local: this machine.")] = "local",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    data: Annotated[
        str | None, typer.Option(help="Text or JSONL file, or a folder; default: Python's own.")
    ] = None,
    steps: Annotated[Count, typer.Option(help="Steps; default: the plan's tokens.")] = None,
    seed: Annotated[Count, typer.Option(help="Of weights and order of the data.")] = None,
    checkpoint_interval: Annotated[
        Seconds, typer.Option(help="Seconds; default: the plan's.")
    ] = None,
    keep_checkpoints: Annotated[Count, typer.Option(help="Newest ones kept.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak.")] = None,
    warmup_steps: Annotated[Count, typer.Option(help="Default: 2 % of the run.")] = None,
    evaluate_every: Annotated[Count, typer.Option(help="Steps; default: ten times.")] = None,
    compile: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile the layers.")
    ] = None,
    max_restarts: Annotated[Count, typer.Option(help="After failures.")] = None,
    hang: Annotated[Seconds, typer.Option(help="Seconds of a step that count as hung.")] = None,
    spike_policy: Annotated[
        str | None, typer.Option(help="stop, skip or rollback: steps with a broken loss.")
    ] = None,
    checkpoint_failure: Annotated[
        str | None, typer.Option(help="continue or stop: a checkpoint that cannot be written.")
    ] = None,
    crash_at: Annotated[Count, typer.Option(help="Drill: kill a rank before this step.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Train a plan; exit 0 finished or stopped by a signal, 1 failed."""
    asked = {
        "data": None if data is None else str(Path(data).resolve()) if data else "",
        "seed": seed, "checkpoint_interval_s": checkpoint_interval, "compile": compile,
        "keep_checkpoints": keep_checkpoints, "learning_rate": learning_rate,
        "warmup_steps": warmup_steps, "evaluate_every": evaluate_every, "hang_s": hang,
        "max_restarts": max_restarts, "spike_policy": spike_policy, "crash_at": crash_at,
        "checkpoint_failure": checkpoint_failure,
    }  # fmt: skip
    _deliver(plan, steps, out, _executor(on), asked, resume=resume, as_json=as_json)


def _deliver(
    plan: Path,
    steps: int | None,
    out: Path,
    executor: Executor,
    asked: dict[str, Any],
    *,
    resume: bool,
    as_json: bool,
) -> None:
    given = {name: value for name, value in asked.items() if value is not None}
    result = _trained(plan, steps, out, executor, given, resume=resume)
    _print(result, out, as_json=as_json)
    raise typer.Exit(1 if result.state == "failed" else 0)


def _executor(on: str) -> Executor:
    from gigafactory.errors import SpecError

    if on == "local":
        from gigafactory.run.local import LocalExecutor

        return LocalExecutor()
    raise SpecError(f"run: on must be local, got {on!r}", field="on")


def _trained(
    path: Path,
    steps: int | None,
    out: Path,
    executor: Executor,
    asked: dict[str, Any],
    *,
    resume: bool,
) -> RunResult:
    from gigafactory.catalog.files import read_plan
    from gigafactory.run import launch
    from gigafactory.run.record import RunFolder

    plan = _shortened(read_plan(path), steps)
    folder = RunFolder(out.resolve())
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.lock()
    told = folder.result()
    if resume and told is not None and told.state == "finished":
        return told
    launch.make_ready(folder, plan, asked, executor, resume=resume)
    return _follow(folder, plan, executor.submit(folder))


def _shortened(plan: Plan, steps: int | None) -> Plan:
    from dataclasses import replace

    from gigafactory.errors import SpecError

    if steps is None:
        return plan
    if steps < 1:
        raise SpecError(f"run: steps must be at least 1, got {steps}", field="steps")
    tokens = float(steps * plan.layout.tokens_per_step)
    return replace(plan, job=replace(plan.job, tokens=tokens))


def _follow(folder: RunFolder, plan: Plan, job: Job) -> RunResult:
    """Show how a job goes until it ends; pass a signal to stop on, and a second one at once."""
    import signal

    from gigafactory.cli.training import shown

    asked = 0

    def stop(*_: object) -> None:
        nonlocal asked
        asked += 1
        job.cancel(now=asked > 1)

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        return shown(folder, plan, job)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if job.poll():
            job.cancel(now=True)


def _print(result: RunResult, out: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from gigafactory.report.as_json import one_line

    if as_json:
        typer.echo(one_line({"schema": 1, **asdict(result)}))
        return
    loss = "none" if result.final_loss is None else f"{result.final_loss:.4f}"
    held_out = result.evaluation_loss
    typer.echo(
        f"{out}: {result.state}, {result.steps:,} steps, loss {loss}"
        + ("" if held_out is None else f", held-out loss {held_out:.4f}")
        + f", {result.tokens_per_s:,.0f} tokens/s, goodput {result.goodput:.1%}, "
        f"{result.restarts} restarts"
    )
    if result.reason:
        typer.echo(f"giga: {result.reason}", err=True)
    if result.sample:
        typer.echo(result.sample)
