"""Logs of other engines: each format by lines written here in it, restarts, and what is wrong.

Origin of the formats (facts, the lines are our own): Megatron-LM `training_log` and
`report_memory`, Megatron-DeepSpeed's the same with seconds, torchtitan `MetricsProcessor.log`,
NeMo 1's Lightning progress bar, NeMo 2's line a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gigafactory.errors import SpecError
from gigafactory.run.logs import Log, read_log

if TYPE_CHECKING:
    from pathlib import Path

MEGATRON_2020 = (
    " iteration      100/   50000 | elapsed time per iteration (ms): 812.5 | "
    "learning rate 1.500E-04 | lm loss 6.125000E+00 | loss scale 65536.0 |"
)
MEGATRON_2023 = (
    " iteration      100/   50000 | consumed samples:        25600 | elapsed time per iteration "
    "(ms): 812.5 | learning rate: 1.500E-04 | global batch size:   256 | lm loss: 6.125000E+00 | "
    "loss scale: 1.0 | grad norm: 1.250 | number of skipped iterations:   0 |"
)
MEGATRON_2025 = (
    "[node-7:0]: [2025-03-01 10:00:05] iteration      100/   50000 | consumed samples:       25600 "
    "| elapsed time per iteration (ms): 812.5 | throughput per GPU (TFLOP/s/GPU): 412.3 | learning "
    "rate: 1.500000E-04 | global batch size:   256 | lm loss: 6.125000E+00 | loss scale: 1.0 |"
)
DEEPSPEED = (
    "[default7]: iteration      100/   50000 | consumed samples:        25600 | consumed tokens:   "
    "52428800 | elapsed time per iteration (s): 0.8125 | learning rate: 1.500E-04 | global batch "
    "size:   256 | lm loss: 6.125000E+00 | samples per second: 315.1 | TFLOPs: 140.10 |"
)
TITAN = (
    "[rank0]:[titan] 2026-02-01 10:00:05,250 - root - INFO - \x1b[31mstep: 100  \x1b[32mloss:  "
    "6.12500  \x1b[38;2;180;60;0mgrad_norm:  1.2500  \x1b[36mmemory: 40.00GiB(50.00%)  "
    "\x1b[34mtps: 10,082  \x1b[35mtflops: 415.20  \x1b[39mmfu: 41.98%\x1b[0m"
)
TITAN_2024 = (
    "2024-10-01 10:00:05,250 - root - INFO - step: 100  loss:  6.1250  "
    "memory: 40.00GiB(50.00%)  wps: 10,082  mfu: 41.98%"
)
NEMO_1 = (
    "Epoch 0: : 100%|##########| 100/500 [01:21<05:25, v_num=, reduced_train_loss=6.125, "
    "global_step=100.0, consumed_samples=25600.0, train_step_timing in s=0.8125]"
)
NEMO_2 = (
    "Training epoch 0, iteration 100/499 | lr: 1.5e-04 | global_batch_size: 256 | global_step: 100 "
    "| reduced_train_loss: 6.125 | train_step_timing in s: 0.8125 | consumed_samples: 25856"
)


def log(tmp_path: Path, *lines: str, name: str = "run.log") -> Log:
    path = tmp_path / name
    path.write_text("starting\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return read_log([path])


def megatron(step: int, ms: float, *, time: str = "") -> str:
    stamp = f" [{time}]" if time else ""
    return (
        f"{stamp} iteration {step:8d}/     500 | consumed samples: {step * 256:12d} | elapsed time "
        f"per iteration (ms): {ms:.1f} | global batch size:   256 | lm loss: 2.5E+00 |"
    )


def titan(step: int, tps: int, second: float, rank: str = "") -> str:
    return (
        f"{rank}[titan] 2026-02-01 10:00:{second:06.3f} - root - INFO - step: {step:2d}  "
        f"loss:  3.00000  grad_norm:  1.0000  memory: 40.00GiB(50.00%)  tps: {tps:,}  "
        f"tflops: 400.00  mfu: 40.00%"
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (MEGATRON_2020, "megatron"), (MEGATRON_2023, "megatron"), (MEGATRON_2025, "megatron"),
        (DEEPSPEED, "megatron"), (NEMO_1, "nemo"), (NEMO_2, "nemo"),
        (TITAN, "torchtitan"), (TITAN_2024, "torchtitan"),
    ],
    ids=["megatron-2020", "megatron-2023", "megatron-2025", "deepspeed", "nemo-1", "nemo-2",
         "torchtitan", "torchtitan-2024"],
)  # fmt: skip
def test_a_line_of_every_release_tells_the_same_step(tmp_path: Path, line: str, name: str) -> None:
    told = log(tmp_path, line)
    (point,) = told.points
    assert (told.format, point.step, point.loss, point.line) == (name, 100, 6.125, 2)
    # 64 accelerators, 256 sequences of 2048 tokens: 10,082 tokens/s each are 0.8125 s.
    assert point.seconds(256 * 2048, 64) == pytest.approx(0.8125, rel=1e-3)
    if name == "torchtitan":
        assert told.memory_bytes == 40 * 2**30
        assert point.time is not None
        assert point.time % 1 == pytest.approx(0.25)


def test_memory_of_megatron_is_that_of_the_fullest_rank(tmp_path: Path) -> None:
    told = log(
        tmp_path,
        "[Rank 0] (after 10 iterations) memory (MB) | allocated: 1.0 | max allocated: 2.0 | "
        "reserved: 3.0 | max reserved: 1024.0",
        "[Rank 8] (after 10 iterations) memory (MB) | allocated: 1.0 | max allocated: 2.0 | "
        "reserved: 3.0 | max reserved: 2048.0",
        megatron(10, 800),
    )
    assert told.memory_bytes == 2 * 2**30


def test_arguments_that_megatron_prints_are_kept(tmp_path: Path) -> None:
    told = log(tmp_path, "  num_layers ...................................... 32",
               "  log_interval .................................... 10",
               "  params_dtype .................................... torch.bfloat16",
               megatron(10, 800))  # fmt: skip
    assert told.arguments == {"num_layers": "32", "params_dtype": "torch.bfloat16"}


def test_a_step_that_is_done_again_is_a_restart(tmp_path: Path) -> None:
    told = log(tmp_path, *(megatron(n, 800 + n) for n in (1, 2, 3, 4, 3, 4, 5)))
    assert (told.restarts, len(told.points)) == (1, 7)
    assert [p.first_step for p in told.points] == [1, 1, 1, 1, 3, 3, 3]


def test_a_run_goes_on_in_the_next_file(tmp_path: Path) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text("\n".join(megatron(n, 800 + n) for n in (1, 2, 3)))
    second.write_text("\n".join(megatron(n, 700 + n) for n in (3, 4)))
    told = read_log([first, second])
    assert (told.name, told.restarts, len(told.points)) == ("a.log, b.log", 1, 5)


def test_ranks_that_print_the_same_step_are_one(tmp_path: Path) -> None:
    told = log(
        tmp_path,
        titan(4, 10_050, 1.0, "[rank0]:"), titan(4, 10_049, 1.0, "[rank1]:"),
        titan(5, 10_010, 2.6, "[rank0]:"), titan(4, 10_050, 1.001, "[rank2]:"),
        titan(5, 10_011, 2.6, "[rank1]:"), titan(6, 10_020, 4.2, "[rank1]:"),
    )  # fmt: skip
    assert [p.step for p in told.points] == [4, 5, 6]
    assert told.restarts == 0


def test_a_progress_bar_that_is_drawn_again_is_one_step(tmp_path: Path) -> None:
    bar = NEMO_1.replace("100.0", "{0}.0").replace("0.8125", "0.8{0}")
    told = log(tmp_path, "\r".join(bar.format(n) for n in (1, 1, 2, 2, 3)))
    assert [p.step for p in told.points] == [1, 2, 3]
    assert told.restarts == 0


def test_a_csv_table(tmp_path: Path) -> None:
    path = tmp_path / "steps.txt"
    path.write_text("\ufeffstep, step_time_s, loss, memory_bytes\n1, 0.5, 3.0, 1e9\n2, 0.25,,2e9\n")
    told = read_log([path])
    assert told.format == "csv"
    assert [(p.step, p.step_time_s, p.loss) for p in told.points] == [
        (1, 0.5, 3.0),
        (2, 0.25, None),
    ]
    assert told.memory_bytes == 2e9


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("a.log", "hello\n", "holds no step in a format known here: megatron, torchtitan, nemo, "
         "csv"),
        ("a.log", "", "holds no step"),
        ("a.log", megatron(1, 800) + "\n" + TITAN,
         r"must be of one format, got megatron \(line 1\) and torchtitan \(line 2\)"),
        ("a.log", megatron(1, 0), "line 1: step time must be above 0, got 0"),
        ("a.log", megatron(1, -5), "line 1: step time must be above 0, got -0.005"),
        ("a.csv", "step,seconds\n1,2\n", "column missing: step_time_s"),
        ("a.csv", "step,step_time_s\n1,fast\n", "line 2: could not convert string to float"),
        ("a.csv", "step,step_time_s\none,1\n", "line 2: invalid literal"),
        ("a.csv", "step,step_time_s\n1,nan\n", "line 2: step time must be above 0, got nan"),
    ],
)  # fmt: skip
def test_a_log_at_fault_is_named_with_its_rule(
    tmp_path: Path, name: str, text: str, rule: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=rule) as raised:
        read_log([path])
    assert str(path) in str(raised.value)


def test_all_files_at_fault_are_named_at_once(tmp_path: Path) -> None:
    good, bad, gone = tmp_path / "good.log", tmp_path / "bad.log", tmp_path / "gone.log"
    good.write_text(megatron(1, 800))
    bad.write_text("nothing")
    with pytest.raises(SpecError, match=r"bad\.log: holds no step.*gone\.log: cannot be read"):
        read_log([good, bad, gone])
    bad.write_text(TITAN)
    with pytest.raises(SpecError, match="one format, got megatron and torchtitan"):
        read_log([good, bad])
