"""`giga run`: trains a plan for real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gigafactory.cli import run_options as options

if TYPE_CHECKING:
    from gigafactory.run.launch import Executor, Job
    from gigafactory.run.record import RunFolder
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import RunResult


def run(
    plan: options.Plan,
    out: options.Out,
    on: options.On = "local",
    resume: options.Resume = False,
    data: options.Data = None,
    steps: options.Steps = None,
    seed: options.Seed = None,
    checkpoint_interval: options.CheckpointInterval = None,
    keep_checkpoints: options.KeepCheckpoints = None,
    learning_rate: options.LearningRate = None,
    warmup_steps: options.WarmupSteps = None,
    evaluate_every: options.EvaluateEvery = None,
    compile: options.Compile = None,
    max_restarts: options.MaxRestarts = None,
    hang: options.Hang = None,
    spike_policy: options.SpikePolicy = None,
    spike_sigmas: options.SpikeSigmas = None,
    checkpoint_failure: options.CheckpointFailure = None,
    crash_at: options.CrashAt = None,
    partition: options.Partition = "",
    account: options.Account = "",
    time: options.Time = "",
    nodes_spare: options.NodesSpare = 0,
    sbatch_option: options.SbatchOption = None,
    detach: options.Detach = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a plan; exit 0 finished or stopped by a signal, 1 failed."""
    asked = {
        "data": data and str(Path(data).resolve()), "checkpoint_interval_s": checkpoint_interval,
        "seed": seed, "keep_checkpoints": keep_checkpoints, "learning_rate": learning_rate,
        "warmup_steps": warmup_steps, "evaluate_every": evaluate_every, "compile": compile,
        "max_restarts": max_restarts, "hang_s": hang, "spike_policy": spike_policy,
        "spike_sigmas": spike_sigmas, "checkpoint_failure": checkpoint_failure,
        "crash_at": crash_at,
    }  # fmt: skip
    wishes = {"partition": partition, "account": account, "time": time,
              "nodes_spare": nodes_spare, "extra": tuple(sbatch_option or ())}  # fmt: skip
    executor = _executor(on, {k: v for k, v in wishes.items() if v}, detach=detach)
    given = {name: value for name, value in asked.items() if value is not None}
    result = _trained(plan, steps, out, executor, given, resume=resume, detach=detach)
    _tell(result, out, as_json=as_json)


def _tell(result: RunResult | None, out: Path, *, as_json: bool) -> None:
    """Say how a run ended, or where a detached one is to be found."""
    if result is None:
        _print_job(out, as_json=as_json)
        return
    _print(result, out, as_json=as_json)
    raise typer.Exit(1 if result.state == "failed" else 0)


def _executor(on: str, wishes: dict[str, Any], *, detach: bool) -> Executor:
    from gigafactory.errors import SpecError

    if on == "slurm":
        from gigafactory.run.slurm import Request, SlurmExecutor

        return SlurmExecutor(Request(**wishes), tell=lambda line: typer.echo(line, err=True))
    if on != "local":
        raise SpecError(f"run: on must be local or slurm, got {on!r}", field="on")
    for name in (*wishes, *(("detach",) if detach else ())):
        option = {"extra": "sbatch_option"}.get(name, name)
        raise SpecError(f"run: {option} must go with --on slurm, not local", field=option)
    from gigafactory.run.local import LocalExecutor

    return LocalExecutor()


def _trained(
    path: Path,
    steps: int | None,
    out: Path,
    executor: Executor,
    asked: dict[str, Any],
    *,
    resume: bool,
    detach: bool,
) -> RunResult | None:
    """Return how the run ended; None where it was only started."""
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
    job = executor.submit(folder)
    return None if detach else _follow(folder, plan, job)


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


def _print_job(out: Path, *, as_json: bool) -> None:
    """Print which job of Slurm trains into a folder, and how to look after it."""
    from gigafactory.report.as_json import one_line
    from gigafactory.run.record import RunFolder
    from gigafactory.run.slurm_session import note_of

    job_id = str(note_of(RunFolder(out))["job_id"])
    if as_json:
        typer.echo(one_line({"schema": 1, "state": "submitted", "job_id": job_id, "out": str(out)}))
        return
    typer.echo(
        f"{out}: Slurm job {job_id} submitted; `giga watch {out}` shows it, "
        f"`scancel --batch --signal=USR1 {job_id}` saves its state and ends it"
    )


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
