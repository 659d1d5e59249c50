"""Kernel laws, their numbers, and the tables they are fitted to."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from pydantic import TypeAdapter, ValidationError

from gigafactory.cost.kernels import (
    TILES,
    attention_forward_time_s,
    attention_kernel,
    collective_time_s,
    gemm_time_s,
    grouped_gemm_time_s,
)
from gigafactory.errors import SpecError
from gigafactory.spec.kernels import (
    AttentionKernel,
    CollectiveKernel,
    GemmKernel,
    GroupedGemmKernel,
    KernelFit,
    KernelProvenance,
    scaled_fit,
)

GEMM = GemmKernel(
    peak_flops_per_s=1e15, launch_s=1e-6, k_overhead=0.0, wave_weight=1.0, tile_edge=0.0,
    num_sms=100, memory_bytes_per_s=1e15, operand_bytes=2.0,
)  # fmt: skip
ATTENTION = AttentionKernel(
    forward_flops_per_s=1e15, half_seq=0.0, launch_s=1e-6, wave_weight=1.0, num_sms=128,
    memory_bytes_per_s=1e15,
)  # fmt: skip
NCCL = {
    "all_gather_2": CollectiveKernel(
        kind="all_gather", group=2, latency_s=1e-6, bytes_per_s=2e11, sqrt_s_per_root_byte=1e-9
    ),
    "all_gather_8": CollectiveKernel(
        kind="all_gather", group=8, latency_s=3e-6, bytes_per_s=4e11, sqrt_s_per_root_byte=1e-9
    ),
}
FIT = KernelFit(
    accelerator="made-up",
    gemm={"bf16": GEMM, "fp8": replace(GEMM, operand_bytes=1.0, quantise_bytes_per_element=6.0)},
    attention={"64": ATTENTION, "128": replace(ATTENTION, half_seq=100.0)},
    grouped_gemm={"bf16": GroupedGemmKernel(relative_rate=0.9, launch_s=1e-5)},
    collectives=NCCL,
    provenance=KernelProvenance(package="none", version="0"),
)


def test_a_product_of_whole_waves_runs_at_peak_plus_launch() -> None:
    # 10 x 10 tiles of 256 x 256 on 100 multiprocessors: one full wave
    flops = 2 * 2560 * 2560 * 4096
    assert gemm_time_s(2560, 2560, 4096, GEMM) == pytest.approx(flops / 1e15 + 1e-6, rel=1e-3)


def test_one_row_beyond_a_wave_costs_two_waves_of_the_next_best_tile() -> None:
    # With a huge edge loss a tile (a, b) costs a + b. 25,600 rows are one wave of 100 tiles of
    # 256 x 256 (512); one row more is two waves of 192 x 256 (2 x 448), less than 2 x 512.
    edgy = replace(GEMM, tile_edge=1e9)
    whole, more = (gemm_time_s(m, 256, 65536, edgy) - 1e-6 for m in (25_600, 25_601))
    assert more / whole == pytest.approx(2 * 448 / 512)


def test_the_idle_part_of_a_wave_is_free_at_weight_zero() -> None:
    free = replace(GEMM, wave_weight=0.0, tile_edge=1e9)
    whole, more = (gemm_time_s(m, 256, 65536, free) - 1e-6 for m in (25_600, 25_601))
    assert more / whole == pytest.approx(1.01, rel=1e-3)


def test_a_flat_product_is_bound_by_memory() -> None:
    slow = replace(GEMM, memory_bytes_per_s=1e12)
    moved = 2 * (4096 * 128 + 128 * 4096 + 4096 * 4096)
    assert gemm_time_s(4096, 4096, 128, slow) == pytest.approx(moved / 1e12 + 1e-6, rel=0.01)


def test_quantising_is_charged_to_the_left_operand_and_can_be_left_out() -> None:
    kernel = FIT.gemm["fp8"]
    extra = gemm_time_s(4096, 1024, 8192, kernel) - gemm_time_s(
        4096, 1024, 8192, kernel, quantise=False
    )
    assert extra == pytest.approx(4096 * 8192 * 6.0 / 1e15)


def test_operands_beyond_the_cache_slow_a_product_down() -> None:
    lossy = replace(GEMM, cache_loss=0.1, cache_bytes=1e6)
    plain, slowed = (gemm_time_s(8192, 8192, 8192, kernel) - 1e-6 for kernel in (GEMM, lossy))
    operands = 2 * 2 * 8192**2
    assert slowed / plain == pytest.approx(1 + 0.1 * np.log1p(operands / 1e6), rel=1e-6)


def test_one_group_at_full_rate_is_the_dense_product() -> None:
    same = GroupedGemmKernel(relative_rate=1.0, launch_s=GEMM.launch_s)
    assert grouped_gemm_time_s(1, 4000, 3000, 2000, GEMM, same) == pytest.approx(
        gemm_time_s(4000, 3000, 2000, GEMM)
    )


def test_groups_share_waves_but_pad_their_rows_alone() -> None:
    same = GroupedGemmKernel(relative_rate=1.0, launch_s=GEMM.launch_s)
    joint = gemm_time_s(8 * 512, 4096, 4096, GEMM)
    assert grouped_gemm_time_s(8, 512, 4096, 4096, GEMM, same) == pytest.approx(joint, rel=0.02)
    assert grouped_gemm_time_s(8, 513, 4096, 4096, GEMM, same) > 1.05 * joint


def test_causal_attention_is_half_of_full_attention() -> None:
    full = attention_forward_time_s(4, 8192, 8192, 32, 8, 128, ATTENTION, causal=False) - 1e-6
    half = attention_forward_time_s(4, 8192, 8192, 32, 8, 128, ATTENTION) - 1e-6
    assert full / half == pytest.approx(2.0)
    assert full == pytest.approx(4 * 4 * 32 * 8192**2 * 128 / 1e15)


def test_half_seq_is_the_causal_length_of_half_the_rate() -> None:
    slow = replace(ATTENTION, half_seq=4096.0)
    times = [
        attention_forward_time_s(8, 4096, 4096, 32, 32, 128, k) - 1e-6 for k in (ATTENTION, slow)
    ]
    assert times[1] / times[0] == pytest.approx(2.0)


def test_a_context_slice_pays_for_the_keys_before_it() -> None:
    slices = [
        attention_forward_time_s(4, 2048, 2048 * (part + 1), 32, 8, 128, ATTENTION) - 1e-6
        for part in range(4)
    ]
    whole = attention_forward_time_s(4, 8192, 8192, 32, 8, 128, ATTENTION) - 1e-6
    assert sum(slices) == pytest.approx(whole)


def test_the_attention_kernel_is_the_next_wider_one() -> None:
    assert attention_kernel(FIT, 80).half_seq == 100.0
    assert attention_kernel(FIT, 64).half_seq == 0.0
    assert attention_kernel(FIT, 512).half_seq == 100.0
    with pytest.raises(SpecError, match="no attention kernel"):
        attention_kernel(replace(FIT, attention={}), 128)


def test_a_group_between_two_measured_ones_lies_between_them() -> None:
    two, four, eight = (float(collective_time_s("all_gather", 1e3, g, NCCL)) for g in (2, 4, 8))
    assert two < four < eight
    assert four - eight == pytest.approx(-1e-6, rel=0.01)  # latency is linear in log2(group)


def test_a_collective_nobody_fitted_is_refused() -> None:
    with pytest.raises(SpecError, match="no collective 'broadcast'"):
        collective_time_s("broadcast", 1e6, 8, NCCL)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("peak_flops_per_s", 0.0, "above 0"),
        ("launch_s", -1.0, "above 0"),
        ("wave_weight", 1.5, "not be above 1"),
        ("tile_edge", float("nan"), "finite"),
        ("num_sms", 0, "between"),
    ],
)
def test_impossible_numbers_are_refused_by_name(field: str, value: float, rule: str) -> None:
    with pytest.raises(SpecError, match=f"gemmkernel: {field} .*{rule}"):
        replace(GEMM, **{field: value})  # type: ignore[arg-type]


def test_keys_of_a_fit_must_name_what_they_hold() -> None:
    with pytest.raises(SpecError, match="collectives must be all_gather_2"):
        replace(FIT, collectives={"all_gather_4": NCCL["all_gather_2"]})
    with pytest.raises(SpecError, match="gemm must be keyed by"):
        replace(FIT, gemm={"int8": GEMM})
    with pytest.raises(SpecError, match="head dimension"):
        replace(FIT, attention={"wide": ATTENTION})


def test_a_fit_survives_toml_and_refuses_strangers() -> None:
    from dataclasses import asdict

    adapter = TypeAdapter(KernelFit)
    table = tomllib.loads(tomli_w.dumps(asdict(FIT)))
    assert adapter.validate_json(json.dumps(table)) == FIT
    table["gemm"]["bf16"]["colour"] = 1.0
    with pytest.raises(ValidationError, match="colour"):
        adapter.validate_json(json.dumps(table))


def test_a_scaled_fit_is_faster_by_its_ratios_and_says_it_was_not_measured() -> None:
    scaled = scaled_fit(
        FIT, name="other", flops_ratio={"bf16": 2.0}, memory_ratio=2.0, link_ratio=0.5
    )
    assert not scaled.measured
    assert scaled.accelerator == "other"
    assert set(scaled.gemm) == {"bf16"}
    before, after = (fit.gemm["bf16"] for fit in (FIT, scaled))
    assert (gemm_time_s(4096, 4096, 4096, before) - 1e-6) == pytest.approx(
        2 * (gemm_time_s(4096, 4096, 4096, after) - 1e-6)
    )
    assert scaled.collectives["all_gather_8"].bytes_per_s == 2e11
    assert "made-up" in scaled.provenance.note
    with pytest.raises(SpecError, match="ratio of memory"):
        scaled_fit(FIT, name="x", flops_ratio=1.0, memory_ratio=0.0, link_ratio=1.0)
    with pytest.raises(SpecError, match="bf16 is missing"):
        scaled_fit(FIT, name="x", flops_ratio={"fp8": 1.0}, memory_ratio=1.0, link_ratio=1.0)


def test_tiles_come_both_ways_round() -> None:
    assert {(b, a) for a, b in TILES} == set(TILES)


# --- the tables -------------------------------------------------------------------------------


Columns = dict[str, list[str] | list[int] | list[float]]


def _table(folder: Path, columns: Columns) -> str:
    """Return the name of a table written below `folder`."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame(columns).to_parquet(folder / "gemm.parquet")
    return "gemm.parquet"


def _read(folder: Path, columns: Columns, least: int = 3, dtype: str = "bfloat16") -> object:
    from gigafactory.compare.tables import read_points, require_growth

    table = _table(folder, columns)
    points = read_points(
        folder, table, match={"gemm_dtype": dtype}, columns={"m": "m", "n": "n"}, least=least
    )
    require_growth(points, "m")
    return points


GOOD: Columns = {
    "gemm_dtype": ["bfloat16"] * 4,
    "m": [1, 8, 64, 512],
    "n": [1] * 4,
    "latency": [1.0, 1.0, 1.5, 9.0],
}


def test_a_sound_table_is_read_in_seconds(tmp_path: Path) -> None:
    from gigafactory.compare.tables import Points

    points = _read(tmp_path, GOOD)
    assert isinstance(points, Points)
    assert points.time_s == pytest.approx([1e-3, 1e-3, 1.5e-3, 9e-3])
    assert points.shapes() == "m 1-512, n 1-1"


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_time_is_refused(tmp_path: Path, bad: float) -> None:
    with pytest.raises(SpecError, match=r"gemm.parquet: latency must be a finite number above 0"):
        _read(tmp_path, GOOD | {"latency": [1.0, bad, 2.0, 3.0]})


def test_a_time_that_falls_far_as_work_grows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="latency must not fall when m grows 8-fold"):
        _read(tmp_path, GOOD | {"latency": [9.0, 2.0, 1.0, 0.5]})


def test_too_few_points_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="at least 5 shapes, got 4"):
        _read(tmp_path, GOOD, least=5)


def test_a_number_format_the_table_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no gemm_dtype 'fp8', it has: bfloat16"):
        _read(tmp_path, GOOD, dtype="fp8")


def test_a_missing_column_or_table_is_refused(tmp_path: Path) -> None:
    from gigafactory.compare.tables import read_points

    with pytest.raises(SpecError, match="column latency is missing"):
        _read(tmp_path, {key: value for key, value in GOOD.items() if key != "latency"})
    with pytest.raises(SpecError, match="no such table"):
        read_points(tmp_path, "none.parquet", match={}, columns={"m": "m"}, least=1)


def test_the_fit_finds_the_numbers_that_made_its_points() -> None:
    pytest.importorskip("scipy")
    from gigafactory.compare.kernels import fit_gemm
    from gigafactory.compare.tables import Points

    true = GemmKernel(
        peak_flops_per_s=8e14, launch_s=4e-6, k_overhead=150.0, wave_weight=0.3, tile_edge=2.0,
        num_sms=132, memory_bytes_per_s=2.5e12, operand_bytes=2.0, cache_loss=0.03,
    )  # fmt: skip
    sizes = np.array([128.0, 512.0, 1024.0, 2048.0, 3000.0, 4096.0, 8192.0, 16384.0])
    m, n, k = (axis.ravel() for axis in np.meshgrid(sizes, sizes, sizes))
    time = np.asarray(gemm_time_s(m, n, k, true))
    points = Points(table="made", columns={"m": m, "n": n, "k": k}, time_s=time)
    start = replace(true, memory_bytes_per_s=3.35e12, cache_loss=0.0, wave_weight=0.9)
    found = fit_gemm(points, start)
    again = np.asarray(gemm_time_s(m, n, k, found))
    assert np.mean(np.abs(again / time - 1)) < 0.01
    assert found.peak_flops_per_s == pytest.approx(8e14, rel=0.03)
    assert fit_gemm(points, start) == found  # deterministic


def test_a_fit_is_written_whole_and_loads_through_the_catalog(tmp_path: Path) -> None:
    from gigafactory.catalog import check
    from gigafactory.compare.kernels import write_fit

    path = write_fit(FIT, tmp_path)
    assert sorted(tmp_path.iterdir()) == [path]
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    assert table.pop("schema") == 1
    assert check.build(KernelFit, table, str(path), sourced=True) == FIT
