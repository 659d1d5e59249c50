"""The options of `giga run`, as its signature names them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Seconds = float | None
Count = int | None

Plan = Annotated[Path, typer.Argument(help="Plan file of `giga plan -o`.")]
Out = Annotated[Path, typer.Option(help="Run folder.")]
On = Annotated[str, typer.Option(help="local: this machine; slurm.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
Data = Annotated[
    str | None, typer.Option(help="Text or JSONL file, or a folder; default: Python's own.")
]
Steps = Annotated[Count, typer.Option(help="Steps; default: the plan's tokens.")]
Seed = Annotated[Count, typer.Option(help="Of weights and order of the data.")]
CheckpointInterval = Annotated[Seconds, typer.Option(help="Seconds; default: the plan's.")]
KeepCheckpoints = Annotated[Count, typer.Option(help="Newest ones kept.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak.")]
WarmupSteps = Annotated[Count, typer.Option(help="Default: 2 % of the run.")]
EvaluateEvery = Annotated[Count, typer.Option(help="Steps; default: ten times.")]
Compile = Annotated[
    bool | None, typer.Option("--compile/--no-compile", help="torch.compile the layers.")
]
MaxRestarts = Annotated[Count, typer.Option(help="After failures.")]
Hang = Annotated[Seconds, typer.Option(help="Seconds of a step that count as hung.")]
SpikePolicy = Annotated[
    str | None, typer.Option(help="stop, skip or rollback: steps with a broken loss.")
]
SpikeSigmas = Annotated[
    float | None, typer.Option(help="Standard deviations above its running mean: a broken loss.")
]
CheckpointFailure = Annotated[
    str | None, typer.Option(help="continue or stop: a checkpoint that cannot be written.")
]
CrashAt = Annotated[Count, typer.Option(help="Drill: kill a rank before this step.")]
Partition = Annotated[str, typer.Option(help="Slurm; default: the site's.")]
Account = Annotated[str, typer.Option(help="Slurm; default: yours.")]
Time = Annotated[str, typer.Option(help="Slurm: limit of one stay; default: the predicted end.")]
NodesSpare = Annotated[int, typer.Option(help="Slurm: nodes held for failed ones.")]
SbatchOption = Annotated[
    list[str] | None, typer.Option(help="Slurm: any option of sbatch; may be repeated.")
]
Detach = Annotated[
    bool, typer.Option("--detach", help="Slurm: submit and leave; `giga watch` looks.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]
