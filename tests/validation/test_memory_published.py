"""Published bytes: what was measured, what ran and what did not, what arithmetic forbids."""

from __future__ import annotations

import csv
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.cost.layer import held_parameters
from gigafactory.cost.memory import StageBytes, activation_bytes, stage_bytes
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import predict
from gigafactory.plan.rows import Row, parse_row
from gigafactory.plan.table import RowPrediction, predict_rows
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.spec.machine import Machine

PUBLISHED = loader.DATA / "published"
GIB = 2.0**30
BYTES_TOLERANCE = 0.05
RATIO_TOLERANCE = 3.0  # percentage points
PEAK_TOLERANCE = 0.10  # at the median
OOM_RECOGNISED = 5
RUNS_THAT_FIT = 0.98


@cache
def table(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def machine_of(key: Any) -> Machine:
    return machines.machine_of_row(*key)


def predicted(rows: list[Row]) -> list[RowPrediction]:
    answers = predict_rows(rows, machine_of)
    assert all(isinstance(answer, RowPrediction) for answer in answers), answers
    return answers  # type: ignore[return-value]


# Korthikanti et al. 2022, figures 1 and 7.

FIGURE = [row for row in table("memory") if row["source"].startswith("Korthikanti")]
MODELS = {"22B": "megatron-22b", "175B": "gpt3-175b", "530B": "megatron-530b", "1T": "megatron-1t"}
MODES: dict[str, dict[str, Any]] = {
    "none": {},
    "seqpar": {"sequence_parallel": True},
    "selective": {"recompute": "selective"},
    "seqpar+selective": {"sequence_parallel": True, "recompute": "selective"},
    "full recompute": {"recompute": "full"},
}


def stage_of_figure(row: dict[str, str], mode: str, stage: float) -> tuple[StageBytes, float]:
    """Return the bytes of a stage, and what recomputation of a layer works on."""
    pp = int(row["pp"])
    layout = Layout(
        data_parallel=1, tensor_parallel=int(row["tp"]), pipeline_parallel=pp,
        virtual_pipeline=int(row["vpp"]), micro_batch_size=int(row["micro_batch"]),
        global_batch_size=512, seq_len=2048, sharding="none", precision="fp16", **MODES[mode],
    )  # fmt: skip
    gpu = machines.cluster_of_row("a100-sxm-80", 8, 1600.0)
    model = loader.model(MODELS[row["model"]])
    rates = rates_of(machines.machine(gpu, "megatron-lm"), "fp16", model.head_dim)
    shape, grid = columns([Case(model, layout)])
    held, acts = held_parameters(shape), activation_bytes(shape, rates)
    parts = stage_bytes(shape, grid, held, acts, rates, stage=np.array([stage]))
    return StageBytes(*(np.ravel(part)[0] for part in parts)), float(np.ravel(acts.working)[0])


def saved(row: dict[str, str], mode: str) -> float:
    """Return the activations that the first stage saves; the figures leave out working memory."""
    parts, working = stage_of_figure(row, mode, 0.0)
    return float(parts.activations) - working


BARS = [row for row in FIGURE if row["unit"] == "GiB"]
RATIOS = [row for row in FIGURE if row["unit"] == "pct"]


def named(row: dict[str, str]) -> str:
    return f"{row['model']}-{row['quantity']}-{row['mode']}".replace(" ", "-")


def test_all_published_bars_are_looked_at() -> None:
    assert (len(BARS), len(RATIOS)) == (12, 12)


@pytest.mark.parametrize("row", BARS, ids=named)
def test_published_bytes_are_predicted_within_their_tolerance(row: dict[str, str]) -> None:
    if row["quantity"] == "activations":
        found = saved(row, row["mode"])
    else:
        # The figure leaves out embeddings: a stage between the ends, where there is one.
        parts, _ = stage_of_figure(row, row["mode"], 1.0 if int(row["pp"]) > 2 else 0.0)
        found = float(parts.weights + parts.gradients + parts.optimizer)
    assert found / GIB == pytest.approx(float(row["value"]), rel=BYTES_TOLERANCE)


@pytest.mark.parametrize("row", RATIOS, ids=named)
def test_published_ratios_are_predicted_within_their_tolerance(row: dict[str, str]) -> None:
    ratio = 100.0 * saved(row, row["mode"]) / saved(row, "none")
    assert ratio == pytest.approx(float(row["value"]), abs=RATIO_TOLERANCE)


# BLOOM's topology sweep.


def bloom_row(cells: dict[str, str], precision: str) -> Row:
    """Return a row of the sweep as one of a table of runs; the sweep does not tell precision."""
    taken = {k: v for k, v in cells.items() if k not in ("peak_gb_per_gpu", "oom", "source")}
    hidden = int(cells["hidden"])
    more = {
        "ffn_hidden": str(4 * hidden), "mlp": "plain", "software": "megatron-deepspeed",
        "software_version": "2022", "precision": precision, "gpus_per_node": "8",
        "node_network_gbps": "400",
    }  # fmt: skip
    return parse_row(taken | more, machines.known_model)


@cache
def bloom(precision: str) -> list[tuple[dict[str, str], RowPrediction]]:
    cells = table("bloom_memory")
    return list(zip(cells, predicted([bloom_row(c, precision) for c in cells]), strict=True))


@pytest.mark.parametrize("unit", [1e9, GIB], ids=["GB", "GiB"])
@pytest.mark.parametrize("precision", ["", "fp16", "bf16"])
def test_blooms_peaks_are_predicted_whatever_their_gigabyte_was(
    precision: str, unit: float
) -> None:
    errors = [
        abs(answer.memory_bytes / (float(cells["peak_gb_per_gpu"]) * unit) - 1.0)
        for cells, answer in bloom(precision)
        if cells["peak_gb_per_gpu"]
    ]
    assert len(errors) == 84
    assert median(errors) < PEAK_TOLERANCE


@pytest.mark.parametrize("precision", ["", "fp16", "bf16"])
def test_layouts_that_ran_out_of_memory_are_refused(precision: str) -> None:
    out = [answer for cells, answer in bloom(precision) if cells["oom"] == "1"]
    assert len(out) == 6
    assert sum(not answer.fits for answer in out) >= OOM_RECOGNISED


@pytest.mark.parametrize("precision", ["", "fp16", "bf16"])
def test_layouts_of_the_sweep_that_ran_are_said_to_fit(precision: str) -> None:
    ran = [answer for cells, answer in bloom(precision) if cells["oom"] == "0"]
    assert sum(answer.fits for answer in ran) >= RUNS_THAT_FIT * len(ran)


# Runs that were measured ran.


def test_measured_runs_are_said_to_fit() -> None:
    cells = table("runs")
    answers = predicted([parse_row(row, machines.known_model) for row in cells])
    refused = [row["id"] for row, a in zip(cells, answers, strict=True) if not a.fits]
    assert len(cells) == 587
    assert len(refused) <= (1.0 - RUNS_THAT_FIT) * len(cells), refused


def test_one_node_runs_are_said_to_fit() -> None:
    cells = table("single_node")
    answers = predicted([parse_row(row, machines.known_model) for row in cells])
    refused = [row["id"] for row, a in zip(cells, answers, strict=True) if not a.fits]
    assert len(refused) <= (1.0 - RUNS_THAT_FIT) * len(cells), refused


# What arithmetic forbids: model, GPU, software, precision, degrees. First states alone, nothing
# sharded or over too few ranks, then what a step must keep.
CANNOT = """
llama-3.1-8b h100-sxm megatron-core bf16 sharding=none
llama-3.1-8b a100-sxm-40 megatron-core bf16 tp=2 sharding=none
llama-3.1-70b h100-sxm megatron-core bf16 tp=4 dp=8
llama-3.1-70b h100-sxm pytorch-fsdp1 bf16 dp=8 sharding=zero3 recompute=full
llama-3.1-70b h200-sxm torchtitan bf16 dp=4 sharding=zero3 recompute=full
llama-3.1-70b b200 megatron-core fp8 dp=64
llama-3.1-70b gb200 megatron-core nvfp4 dp=128
llama-3.1-70b h100-sxm megatron-core bf16 dp=512 sharding=zero2
llama-3.1-405b h100-sxm megatron-core bf16 tp=8 pp=4 dp=8
llama-3.1-405b h100-sxm megatron-core fp8 tp=8 pp=2 dp=64
llama-3.1-405b h200-sxm torchtitan bf16 dp=32 sharding=zero3 recompute=full
llama-3.1-405b gb300 megatron-core fp8 tp=4 dp=32
llama-3.1-405b b300 megatron-core nvfp4 tp=8 pp=2 sharding=none
gpt3-175b a100-sxm-80 megatron-2021 fp16 tp=8 pp=2 sharding=none recompute=full
gpt3-175b a100-sxm-40 megatron-deepspeed fp16 tp=8 pp=2 dp=8 recompute=full
gpt3-175b a100-sxm-40 megatron-lm fp16 tp=8 pp=4 sharding=none recompute=full
bloom-176b a100-sxm-80 megatron-deepspeed bf16 tp=4 pp=2 dp=48 recompute=full
megatron-1t h100-sxm megatron-core bf16 tp=8 pp=8 dp=4
mpt-30b a100-sxm-40 pytorch-fsdp1 bf16 dp=8 sharding=zero3 recompute=full
mpt-70b h100-sxm pytorch-fsdp1 fp8 dp=8 sharding=zero3 recompute=full
grok-1 h100-sxm megatron-core bf16 tp=8 dp=8 ep=8
deepseek-v3 h100-sxm megatron-core bf16 pp=8 dp=8 ep=8 recompute=full
mixtral-8x7b h100-sxm megatron-core fp8 dp=64 ep=2
llama-3.1-70b h100-sxm torchtitan bf16 dp=512 sharding=zero3 micro=2
llama-3.1-70b b200 megatron-core fp8 dp=1024 sharding=zero3 micro=4
llama-3.1-405b h200-sxm megatron-core bf16 tp=8 pp=4 dp=512 sharding=zero3 micro=8
llama-3.1-405b h100-sxm meta-llama3 bf16 tp=8 pp=16 dp=64 micro=4
llama-3.1-8b h100-sxm pytorch-fsdp1 bf16 dp=64 sharding=zero3 micro=16 recompute=none
llama-3.1-8b a100-sxm-80 torchtitan bf16 dp=64 sharding=zero3 micro=48 recompute=full
mpt-7b a100-sxm-40 pytorch-fsdp1 bf16 dp=512 sharding=zero3 micro=128 seq=2048 recompute=full
llama-3.1-8b gb300 megatron-core fp8 dp=64 micro=32
nemotron-4-340b gb200 megatron-core bf16 tp=8 pp=4 dp=64 micro=8
""".strip().splitlines()
DEGREES = {
    "tp": "tensor_parallel", "pp": "pipeline_parallel", "dp": "data_parallel",
    "ep": "expert_parallel", "micro": "micro_batch_size", "seq": "seq_len",
}  # fmt: skip


def layout_of(precision: str, told: list[str]) -> Layout:
    values: dict[str, Any] = {"data_parallel": 1, "seq_len": 8192, "sharding": "zero1"}
    for name, value in (degree.split("=") for degree in told):
        values[DEGREES.get(name, name)] = int(value) if value.isdigit() else value
    values["sequence_parallel"] = values.get("tensor_parallel", 1) > 1
    rounds = 4 * values.get("pipeline_parallel", 1)
    batch = rounds * values["data_parallel"] * values.get("micro_batch_size", 1)
    return Layout(global_batch_size=batch, precision=precision, **values)  # type: ignore[arg-type]


def least_state_bytes(case: Case) -> float:
    """Return a lower bound on weights, gradients and optimizer state of one GPU.

    Two bytes of weight, two of gradient and ten of optimizer state a parameter are the least that
    any engine here keeps. Embeddings are left out, which not every stage holds, and experts count
    as spread evenly.
    """
    model, layout = case.model, case.layout
    inner = model.num_parameters - 2.0 * model.vocab_size * model.hidden_size
    split = layout.tensor_parallel * layout.pipeline_parallel
    if model.experts is not None:
        split = max(split, layout.pipeline_parallel * layout.expert_parallel
                    * layout.expert_tensor_parallel)  # fmt: skip
    held, everywhere = inner / split, inner / layout.num_gpus
    whole, spread = {"none": (14, 0), "zero1": (4, 10), "zero2": (2, 12)}.get(
        layout.sharding, (0, 14)
    )
    return held * whole + everywhere * spread


def least_activation_bytes(case: Case) -> float:
    """Return a lower bound on what the first stage keeps of its layers from forward to backward.

    Every engine keeps the input of a layer; one that recomputes nothing also keeps, in 16 bits,
    the input of the second norm and what the activation function of the MLP is fed.
    """
    model, layout = case.model, case.layout
    width = 1.0 * model.hidden_size
    if layout.recompute == "none":
        width += model.hidden_size + (2.0 if model.gated else 1.0) * model.ffn_hidden_size
    tokens = layout.micro_batch_size * layout.seq_len / layout.context_parallel
    layers = (model.num_layers // layout.pipeline_parallel) * layout.pipeline_parallel
    return 2.0 * tokens * width * layers / layout.tensor_parallel


@pytest.mark.parametrize("config", CANNOT)
def test_what_arithmetic_forbids_is_refused(config: str) -> None:
    name, gpu, software, precision, *degrees = config.split()
    case = Case(loader.model(name), layout_of(precision, degrees))
    machine = machines.machine(machines.cluster_of_row(gpu, 8, 3200.0), software)
    least = least_state_bytes(case) + least_activation_bytes(case)
    assert least > machine.cluster.accelerator.memory_bytes, f"{least / 1e9:.0f} GB could fit"
    assert not predict(case, machine).fits


def test_at_least_thirty_forbidden_layouts_are_asked_about() -> None:
    asked = [config.split() for config in CANNOT]
    assert len(asked) >= 30
    assert all(len({words[column] for words in asked}) >= 4 for column in range(4))
