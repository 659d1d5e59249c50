"""Kernel tables at fault are refused by name, whichever kernel they are of."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from gigafactory.compare import kernel_points as kernels
from gigafactory.compare.kernel_sources import MACHINES
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gigafactory.compare.tables import Points

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

TABLE = "made.parquet"
A100 = replace(
    MACHINES[0],
    gemm={"bf16": (TABLE, "bfloat16"), "fp8": (TABLE, "fp8")},
    attention=TABLE,
    grouped={key: (TABLE, "moe", name, "balanced") for key, name in
             (("bf16", "bfloat16"), ("fp8", "fp8"))},
    collectives=TABLE,
)  # fmt: skip
SIZES = [2**i for i in range(8, 21)]

Rows = list[dict[str, float | str]]


def gemm_rows() -> Rows:
    shapes = product(SIZES, SIZES, SIZES)
    return [{"m": m, "n": n, "k": k, "gemm_dtype": "bfloat16", "latency": 1e-9 * m * n * k}
            for m, n, k in shapes]  # fmt: skip


def attention_rows() -> Rows:
    shapes = product(SIZES[1:9], SIZES[:5], (1, 2, 4), (1, 2, 4))
    return [
        {"isl": seq, "batch_size": batch, "num_heads": 4 * heads, "num_key_value_heads": kv,
         "attn_dtype": "bfloat16", "kv_cache_dtype": "bfloat16", "head_dim": 128,
         "window_size": 0, "step": 0, "kernel_source": A100.attention_source,
         "latency": 1e-9 * seq**2 * batch * heads}
        for seq, batch, heads, kv in shapes
    ]  # fmt: skip


def grouped_rows() -> Rows:
    shapes = product(SIZES[2:], (1024, 2048, 4096), (1024, 2048, 4096))
    return [
        {"num_tokens": tokens, "hidden_size": hidden, "inter_size": inter, "topk": 2,
         "num_experts": 4, "moe_tp_size": 1, "moe_ep_size": 1, "moe_dtype": "bfloat16",
         "kernel_source": "moe", "distribution": "balanced",
         "latency": 1e-9 * tokens * hidden * inter}
        for tokens, hidden, inter in shapes
    ]  # fmt: skip


def collective_rows() -> Rows:
    return [{"message_size": 2.0**i, "op_name": "all_gather", "nccl_dtype": "half", "num_gpus": 8,
             "latency": 1e-3 + 2.0**i * 1e-9} for i in range(10, 30)]  # fmt: skip


READ: dict[str, tuple[Callable[[], Rows], Callable[[Path], Points], str]] = {
    "gemm": (gemm_rows, lambda at: kernels.gemm_points(at, A100, "bf16"), "m"),
    "attention": (attention_rows, lambda at: kernels.attention_points(at, A100, 128), "isl"),
    "grouped": (grouped_rows, lambda at: kernels.grouped_points(at, A100, "bf16"), "num_tokens"),
    "collective": (
        collective_rows,
        lambda at: kernels.collective_points(at, A100, "all_gather", 8),
        "message_size",
    ),
}


def written(folder: Path, rows: Rows) -> Path:
    pandas.DataFrame(rows).to_parquet(folder / TABLE)
    return folder


@pytest.mark.parametrize("kernel", READ)
def test_a_sound_table_is_read(kernel: str, tmp_path: Path) -> None:
    rows, read, _ = READ[kernel]
    assert len(read(written(tmp_path, rows()))) >= kernels.LEAST_COLLECTIVE


@pytest.mark.parametrize("kernel", READ)
def test_too_few_shapes_are_refused_with_both_counts(kernel: str, tmp_path: Path) -> None:
    rows, read, _ = READ[kernel]
    with pytest.raises(SpecError, match=r"made.parquet: .* at least \d+ shapes, got 5"):
        read(written(tmp_path, rows()[:5]))


@pytest.mark.parametrize("kernel", READ)
@pytest.mark.parametrize("time", [-1.0, 0.0, float("nan"), float("inf")])
def test_an_impossible_time_is_refused_with_the_number_of_rows(
    kernel: str, time: float, tmp_path: Path
) -> None:
    rows, read, _ = READ[kernel]
    told = rows()
    told[3]["latency"] = told[7]["latency"] = time
    with pytest.raises(SpecError, match=r"latency must be a finite number above 0.* in 2 rows"):
        read(written(tmp_path, told))


@pytest.mark.parametrize("kernel", READ)
def test_times_that_fall_as_work_grows_are_refused_with_axis_and_shape(
    kernel: str, tmp_path: Path
) -> None:
    rows, read, axis = READ[kernel]
    told = [{**row, "latency": 1.0 / float(row[axis])} for row in rows()]
    with pytest.raises(SpecError, match=r"latency must not fall when \w+ grows 8-fold.* first at"):
        read(written(tmp_path, told))


@pytest.mark.parametrize("read", [kernels.gemm_points, kernels.grouped_points])
def test_times_of_another_dtype_are_refused_with_those_there_are(
    read: Callable[[Path, object, str], Points], tmp_path: Path
) -> None:
    rows = gemm_rows() if read is kernels.gemm_points else grouped_rows()
    with pytest.raises(SpecError, match="'fp8', it has: bfloat16"):
        read(written(tmp_path, rows), A100, "fp8")


def test_a_table_of_shapes_too_small_for_training_is_refused(tmp_path: Path) -> None:
    small = [{**row, "m": float(row["m"]) / 2.0**14} for row in gemm_rows()]
    with pytest.raises(SpecError, match=r"rows with m >= 128.* must give at least 24 shapes"):
        kernels.gemm_points(written(tmp_path, small[:2028]), A100, "bf16")
