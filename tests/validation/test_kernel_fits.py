"""The shipped kernel fits against measured points.

`data/kernel_samples.csv` holds every N-th measured point that was compared (and, collectives
aside, not fitted), N per kernel so that 60 products, 10 attentions, 10 expert layers and 5
message sizes remain. Source: PyPI aiconfigurator-core 0.12.0, systems/data (Apache-2.0); the
last column is the table's folder. Written by gigafactory/compare/kernels.py --samples.
"""

import csv
import json
import tomllib
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

import gigafactory
from gigafactory.cost.kernels import (
    attention_forward_time_s,
    collective_time_s,
    gemm_time_s,
    grouped_gemm_time_s,
)
from gigafactory.spec.kernels import KernelFit

SAMPLES = Path(__file__).parent / "data" / "kernel_samples.csv"
FITS = Path(gigafactory.__file__).parent / "catalog" / "data" / "calibration"
ACCELERATORS = ("a100", "h100", "h200", "b200", "b300", "gb200", "gb300")

# Mean error claimed, all accelerators together (docs/explanation/kernels.md has each one's).
CLAIMED = {
    "gemm_bf16": 0.055, "gemm_fp8": 0.045, "gemm_nvfp4": 0.055, "attention": 0.06,
    "grouped_bf16": 0.08, "grouped_fp8": 0.12, "grouped_nvfp4": 0.18, "collective": 0.08,
}  # fmt: skip

Shape = dict[str, float]


@cache
def fit_of(accelerator: str) -> KernelFit:
    """Return a shipped fit, read as strictly as the catalog reads it."""
    table = tomllib.loads((FITS / f"{accelerator}.toml").read_text(encoding="utf-8"))
    assert table.pop("schema") == 1
    return TypeAdapter(KernelFit).validate_json(json.dumps(table))


@cache
def samples() -> dict[tuple[str, str], list[tuple[Shape, float]]]:
    """Return shapes and measured times by accelerator and kernel."""
    found: dict[tuple[str, str], list[tuple[Shape, float]]] = defaultdict(list)
    with SAMPLES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            parts = (part.split("=") for part in row["shape"].split())
            shape = {name: float(value) for name, value in parts}
            found[row["accelerator"], row["kernel"]].append((shape, float(row["time_s"])))
    return dict(found)


def predicted_s(fit: KernelFit, kernel: str, s: Shape) -> float:
    """Return the time that the shipped numbers give a measured shape."""
    family, _, which = kernel.partition("_")
    if family == "gemm":
        return float(gemm_time_s(s["m"], s["n"], s["k"], fit.gemm[which]))
    if family == "attention":
        return float(
            attention_forward_time_s(
                s["batch"], s["seq"], s["seq"], s["heads"], s["kv_heads"], int(which),
                fit.attention[which],
            )
        )  # fmt: skip
    if family == "collective":
        kind, _, group = which.rpartition("_")
        return float(collective_time_s(kind, s["bytes"], int(group), fit.collectives))
    dense, grouped = fit.gemm[which], fit.grouped_gemm[which]
    rows, inter = s["tokens"] * s["top_k"] / s["experts"], s["inter"] / s["tp"]
    up = grouped_gemm_time_s(s["experts"], rows, 2 * inter, s["hidden"], dense, grouped)
    down = grouped_gemm_time_s(s["experts"], rows, s["hidden"], inter, dense, grouped)
    elements = s["tokens"] * s["top_k"] * s["hidden"]
    moved = grouped.moved_bytes_per_element * elements / dense.memory_bytes_per_s
    return float(up + down + moved)


def errors(kernel: str, accelerators: tuple[str, ...] = ACCELERATORS) -> list[float]:
    """Return |predicted / measured - 1| of every sample of a kernel (or family of kernels)."""
    return [
        abs(predicted_s(fit_of(accelerator), name, shape) / time - 1)
        for (accelerator, name), points in samples().items()
        for shape, time in points
        if name.startswith(kernel) and accelerator in accelerators
    ]


@pytest.mark.parametrize("kernel", CLAIMED)
def test_each_kernel_keeps_the_error_claimed_for_it(kernel: str) -> None:
    found = errors(kernel)
    assert len(found) >= 40
    assert np.mean(found) <= CLAIMED[kernel]


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_each_accelerator_keeps_the_errors_its_file_states(accelerator: str) -> None:
    fit = fit_of(accelerator)
    for (name, kernel), points in samples().items():
        if name != accelerator or len(points) < 30:
            continue
        stated = fit.residuals[kernel]
        found = np.array([predicted_s(fit, kernel, s) / t - 1 for s, t in points])
        # The sample's mean scatters around the stated one: three standard errors, no more.
        slack = 3 * np.abs(found).std() / len(points) ** 0.5
        assert np.abs(found).mean() <= stated.mean + slack, kernel
        assert abs(np.median(found)) <= stated.p90, kernel


def test_h100_products_reach_four_to_five_percent() -> None:
    assert np.mean(errors("gemm_bf16", ("h100",))) <= 0.05
    assert np.mean(errors("gemm_fp8", ("h100", "h200"))) <= 0.04


def test_a_peak_ten_percent_off_would_be_noticed() -> None:
    fit, points = fit_of("h100"), samples()["h100", "gemm_bf16"]
    wrong = replace(fit.gemm["bf16"], peak_flops_per_s=0.9 * fit.gemm["bf16"].peak_flops_per_s)
    spoiled = replace(fit, gemm={**fit.gemm, "bf16": wrong})
    found = [abs(predicted_s(spoiled, "gemm_bf16", s) / t - 1) for s, t in points]
    assert np.mean(found) > CLAIMED["gemm_bf16"]


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_every_fit_names_package_version_and_digest_of_each_table(accelerator: str) -> None:
    fit = fit_of(accelerator)
    assert fit.measured
    assert fit.accelerator == accelerator
    assert (fit.provenance.package, fit.provenance.version) == ("aiconfigurator-core", "0.12.0")
    tables = {residual.table for residual in fit.residuals.values()}
    assert tables == set(fit.provenance.sha256)
    assert all(len(digest) == 64 for digest in fit.provenance.sha256.values())


def test_every_kernel_shipped_has_samples_and_residuals() -> None:
    for accelerator in ACCELERATORS:
        fit = fit_of(accelerator)
        kernels = {
            *(f"gemm_{key}" for key in fit.gemm),
            *(f"attention_{key}" for key in fit.attention),
            *(f"grouped_{key}" for key in fit.grouped_gemm),
            *(f"collective_{key}" for key in fit.collectives),
        }
        assert kernels == set(fit.residuals)
        assert kernels == {name for key, name in samples() if key == accelerator}


# Bus bandwidth of all-reduce over eight GPUs of one node, bytes and GB/s, measured by others on
# other machines: H100 and H200 by Azure (github.com/Azure/AI-benchmarking-guide, results of
# ND H100 v5 and ND H200 v5, NCCL 2.18 and 2.20), from the message on that fills the links.
AZURE_ALL_REDUCE = {
    "h100": ((16e6, 234.45), (67e6, 361.78), (268e6, 423.38), (1e9, 466.35), (8e9, 478.87)),
    "h200": ((16e6, 240.41), (67e6, 368.11), (268e6, 432.24), (1e9, 467.58), (8e9, 479.98)),
}


@pytest.mark.parametrize("accelerator", AZURE_ALL_REDUCE)
def test_large_all_reduce_agrees_with_machines_of_others(accelerator: str) -> None:
    collectives = fit_of(accelerator).collectives
    for message, measured in AZURE_ALL_REDUCE[accelerator]:
        time = float(collective_time_s("all_reduce", message, 8, collectives))
        assert 1.75 * message / time / 1e9 == pytest.approx(measured, rel=0.1)
