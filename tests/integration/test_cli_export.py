"""`giga export`: one plan file, and every target that reads it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

import pytest

from gigafactory.catalog import files
from gigafactory.run.record import RunFolder
from gigafactory.spec.run import Training
from tests.integration.test_cli_command import answered, giga, refused, told
from tests.made_plans import TORCHTITAN, made_plan

POD: Final = ("--to", "kubernetes", "--image", "example.com/trainer:1")
OUTS: Final = {
    "torchtitan": (("--to", "torchtitan"), "train_plan.py"),
    "megatron": (("--to", "megatron"), "train.sh"),
    "kubernetes": (POD, "train.yaml"),
    "slurm": (("--to", "slurm", "--run-folder", "/shared/run"), "job.sh"),
}


@pytest.fixture(autouse=True)
def _beside_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_plan(TORCHTITAN["llama-3.1-405b-interleaved"], "plan.toml")


@pytest.mark.parametrize("target", OUTS)
def test_every_target_writes_a_file_named_for_it_into_a_folder(target: str) -> None:
    words, name = OUTS[target]
    Path("out").mkdir()
    answered("export", "plan.toml", *words, "--out", "out")
    written = (Path("out") / name).read_text(encoding="utf-8")
    assert written == answered("export", "plan.toml", *words).out
    assert "llama-3.1-405b" in written
    runs = bool((Path("out") / name).stat().st_mode & stat.S_IXUSR)
    assert runs == (target in ("megatron", "slurm"))


def test_machine_output_holds_the_text_or_the_file_it_went_to() -> None:
    shown = told("export", "plan.toml", "--to", "megatron")
    assert shown["files"] == []
    assert shown["text"] == answered("export", "plan.toml", "--to", "megatron").out
    assert shown["plan_sha256"] in shown["text"]
    assert shown["checkpoint_steps"] == max(1, round(1800 / shown["step_time_s"]))
    written = told("export", "plan.toml", "--to", "megatron", "--out", "train.sh")
    assert (written["files"], written["text"]) == (["train.sh"], None)


def test_the_training_of_a_run_folder_arrives() -> None:
    plan = made_plan("llama-3.1-8b", data_parallel=8, tokens=1e12)
    RunFolder(Path("run")).create(plan, Training(learning_rate=2.5e-4, warmup_steps=77, seed=5))
    words = ("export", "run/plan.toml", "--training", "run/training.toml")
    script = answered(*words, "--to", "megatron").out
    assert "--lr 0.00025\n" in script
    assert "--lr-warmup-iters 77\n" in script
    assert "--seed 5\n" in script
    module = answered(*words, "--to", "torchtitan").out
    assert '"lr": 0.00025' in module
    assert "warmup_steps=77" in module


def test_a_module_is_imported_under_the_name_of_its_file() -> None:
    answered("export", "plan.toml", "--to", "torchtitan", "--out", "my_plan.py")
    assert "--module my_plan " in Path("my_plan.py").read_text(encoding="utf-8")


def test_the_files_of_a_slurm_cluster_go_into_a_folder() -> None:
    answered("export", "gigafactory", "--to", "slurm-cluster", "--out", "conf")
    assert sorted(p.name for p in Path("conf").iterdir()) == [
        "gres.conf", "slurm.conf", "topology.conf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--to", "nemo"), "to must be one of torchtitan, megatron, kubernetes, slurm"),
        (("--to", "kubernetes"), "image must be given"),
        (("--to", "slurm"), "run_folder must be given"),
        (("--to", "slurm", "--run-folder", "here"), "absolute path"),
        (("--to", "megatron", "--image", "x"), "image must go with --to kubernetes"),
        (("--to", "torchtitan", "--run-folder", "/x"), "run_folder must go with --to slurm"),
        (("--to", "torchtitan", "--out", "my-plan.py"), "Python can import"),
        (("--to", "megatron", "--out", "none/train.sh"), "no folder none"),
        (("--to", "megatron", "--gpus-per-node", "3"), "must divide the 8192 GPUs"),
        (("--to", "megatron", "--training", "none.toml"), "none.toml"),
        ((*POD, "--engine", "nemo"), "engine must be one of"),
        (("--to", "slurm-cluster"), "out must be given"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_change(
    words: tuple[str, ...], reason: str
) -> None:
    assert reason in refused("export", "plan.toml", *words)


def test_a_plan_that_a_target_cannot_express_leaves_the_file_as_it_was() -> None:
    files.write_plan(made_plan("gpt3-175b", data_parallel=8, seq_len=2048), "gpt3.toml")
    Path("train_plan.py").write_text("mine", encoding="utf-8")
    left = giga("export", "gpt3.toml", "--to", "torchtitan", "--out", "train_plan.py")
    assert left.code == 2
    assert "gated MLPs only" in left.err
    assert Path("train_plan.py").read_text(encoding="utf-8") == "mine"
