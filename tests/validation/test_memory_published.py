"""Published bytes: what was measured, what ran and what did not, what arithmetic forbids."""

from __future__ import annotations

import csv
from functools import cache
from statistics import median
from typing import Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.cost.columns import Grid, Shape
from gigafactory.cost.layer import held_parameters
from gigafactory.cost.memory import StageBytes, activation_bytes, stage_bytes
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.rows import Row, parse_row
from gigafactory.plan.table import RowPrediction, predict_rows
from gigafactory.spec.layout import Layout
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
    assert (len(BARS), len(RATIOS)) == (12, 12) or len(RATIOS) == 12


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
        "ffn_hidden": str(4 * hidden), "mlp": "plain", "sp": "0", "software": "megatron-deepspeed",
        "software_version": "2022", "precision": precision, "gpus_per_node": "8",
        "node_network_gbps": "400",
    }  # fmt: skip
    # The table lists rows whose batch its replicas do not divide; memory does not depend on it.
    share = int(cells["dp"]) * int(cells["micro_batch"])
    batch = str(-(-int(cells["global_batch_seqs"]) // share) * share)
    # A model of 96 heads and 14,336 wide has no whole head size; the nearest is taken.
    return parse_row(taken | more | {"global_batch_seqs": batch}, machines.known_model)


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
