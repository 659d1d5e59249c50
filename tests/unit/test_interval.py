"""The interval of a prediction: a product of what is known, wider where nothing was measured."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.interval import OUTSIDE
from gigafactory.plan.predict import predict, predict_all
from gigafactory.plan.rows import MachineKey, Row, parse_row
from gigafactory.plan.table import RowPrediction, predict_rows
from gigafactory.spec.calibration import Extent, StepCalibration, Width
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.prediction import Prediction

LLAMA, MIXTRAL = loader.model("llama-3.1-8b"), loader.model("mixtral-8x7b")
WIDTHS = {
    "base": 0.1,
    "experts": 2.0,
    "pipeline": 1.25,
    "unpublished": 1.5,
    "accelerator.hopper.h100-sxm": 0.8,
    "accelerator.hopper": 1.6,
    "accelerator": 2.4,
    "software.megatron.megatron-core": 0.5,
    "software.megatron": 3.0,
    "software": 4.0,
}
RANGES = {"num_gpus": Extent(low=1, high=4096), "seq_len": Extent(low=512, high=65_536)}
NUMBERS = replace(
    machines.calibration(),
    widths={name: Width(factor=factor, reason="a test") for name, factor in WIDTHS.items()},
    ranges=RANGES,
    precision_runs={"hopper.bf16": 10},
    residual_low={},
    residual_high={},
)


def machine(gpu: str = "h100", software: str = "megatron-core", **numbers: Any) -> Machine:
    known = machines.machine(machines.cluster_of_row(gpu, 8, 3200.0), software)
    return replace(known, calibration=replace(NUMBERS, **numbers))


def layout(**changes: Any) -> Layout:
    plain: dict[str, Any] = {"data_parallel": 8, "global_batch_size": 64, "seq_len": 4096}
    return Layout(**{**plain, **changes})


def half(told: Prediction) -> float:
    """Return the half-width, which is the same on both sides of the expected time."""
    up = log(told.step_time_s.high / told.step_time_s.expected)
    assert up == pytest.approx(log(told.step_time_s.expected / told.step_time_s.low))
    return up


def outside(told: Prediction) -> dict[str, tuple[str, str]]:
    head = "outside what was measured: "
    return {
        one.what.removeprefix(head): (str(one.value), one.source)
        for one in told.assumptions
        if one.what.startswith(head)
    }


def test_a_plain_run_has_base_times_accelerator_times_software() -> None:
    assert half(predict(Case(LLAMA, layout()), machine())) == pytest.approx(0.1 * 0.8 * 0.5)


@pytest.mark.parametrize(
    ("case", "factor"),
    [
        (Case(MIXTRAL, layout()), 2.0),
        (Case(LLAMA, layout(pipeline_parallel=2)), 1.25),
        (Case(LLAMA, layout(), unpublished=("recompute",)), 1.5),
        (Case(MIXTRAL, layout(pipeline_parallel=2), unpublished=("vpp",)), 2.0 * 1.25 * 1.5),
    ],
)
def test_every_trait_multiplies_the_width(case: Case, factor: float) -> None:
    assert half(predict(case, machine())) == pytest.approx(0.1 * 0.8 * 0.5 * factor)


def test_an_accelerator_without_runs_is_as_wide_as_its_generation_and_says_so() -> None:
    told = predict(Case(LLAMA, layout()), machine("h800"))
    assert half(told) == pytest.approx(0.1 * 1.6 * 0.5)
    value, source = outside(told)["accelerator h800-sxm"]
    assert value == "kernels of h100, scaled by data sheet ratios"
    assert source == "measured: none; as wide as its widest relative"
    relative = [one for one in told.assumptions if one.what == "kernels of a relative"]
    assert [one.source for one in relative] == ["measured = false"]


def test_a_generation_without_runs_is_wider_still() -> None:
    told = predict(Case(LLAMA, layout()), machine("b200"))
    assert half(told) == pytest.approx(0.1 * 2.4 * 0.5 * (1 + OUTSIDE))
    assert set(outside(told)) == {"accelerator b200", "precision bf16 on blackwell"}


def test_software_without_runs_is_as_wide_as_its_family_and_says_so() -> None:
    told = predict(Case(LLAMA, layout()), machine(software="megascale"))
    assert half(told) == pytest.approx(0.1 * 0.8 * 3.0)
    assert outside(told)["software megascale"][0] == "numbers of the megatron family"
    far = predict(Case(LLAMA, layout()), machine(software="torchtitan"))
    assert half(far) == pytest.approx(0.1 * 0.8 * 4.0)


def test_a_precision_without_runs_widens_and_says_so() -> None:
    told = predict(Case(LLAMA, layout(precision="fp8")), machine())
    assert half(told) == pytest.approx(0.1 * 0.8 * 0.5 * (1 + OUTSIDE))
    assert outside(told) == {
        "precision fp8 on hopper": ("kernel tables alone", "measured: none; half-width + 25%")
    }


def test_more_gpus_than_any_run_widen_by_a_share_per_doubling_and_say_so() -> None:
    far = Case(LLAMA, layout(data_parallel=16_384, global_batch_size=16_384))
    told = predict(far, machine())
    assert half(told) == pytest.approx(0.1 * 0.8 * 0.5 * (1 + 2 * OUTSIDE))
    assert outside(told) == {"GPUs": ("16,384", "measured: 1 to 4,096; half-width + 50%")}


def test_sequences_longer_than_runs_and_kernel_tables_widen() -> None:
    numbers = {"seq_len": Extent(low=512, high=8192)}
    inside = predict(Case(LLAMA, layout(seq_len=16_384)), machine(ranges=numbers))
    assert not outside(inside)  # the attention table goes to 16,384
    told = predict(Case(LLAMA, layout(seq_len=65_536)), machine(ranges=numbers))
    assert outside(told)["tokens in a sequence"][0] == "65,536"
    assert half(told) == pytest.approx(half(inside) * (1 + 2 * OUTSIDE))


def test_products_beyond_runs_and_kernel_tables_widen() -> None:
    wide = replace(LLAMA, hidden_size=262_144, ffn_hidden_size=524_288)
    numbers = {"hidden": Extent(low=1024, high=4096), "width": Extent(low=1024, high=4096)}
    told = outside(predict(Case(wide, layout()), machine(ranges=numbers)))
    assert told["columns of a product (hidden size)"] == (
        "262,144", "measured: 1,024 to 65,536; half-width + 50%",
    )  # fmt: skip
    assert told["columns of an MLP product"][1].endswith("half-width + 75%")


def test_a_prediction_tells_its_interval() -> None:
    told = predict(Case(LLAMA, layout(), unpublished=("sharding", "recompute")), machine())
    found = {one.what: str(one.value) for one in told.assumptions}
    wide = 0.1 * 0.8 * 0.5 * 1.5
    assert found["interval of the step time, 80% of runs like it"] == (
        f"{exp(-wide) - 1:+.1%} to {exp(wide) - 1:+.1%}"
    )


def test_what_was_measured_on_this_very_machine_stands_above() -> None:
    low, high = {"h100": 0.8, "h100.fp8": 0.6}, {"h100": 1.25, "h100.fp8": 1.5}
    own = machine(software="megascale", residual_low=low, residual_high=high)
    for precision, ends in (("bf16", (0.8, 1.25)), ("fp8", (0.6, 1.5))):
        told = predict(Case(LLAMA, layout(precision=precision)), own)
        step = told.step_time_s
        assert (step.low / step.expected, step.high / step.expected) == pytest.approx(ends)
        assert not outside(told)


def test_numbers_without_widths_give_no_width() -> None:
    told = predict(Case(LLAMA, layout()), machine(widths={}, ranges={}))
    assert told.step_time_s.low == told.step_time_s.expected == told.step_time_s.high


def test_a_table_and_a_single_prediction_have_one_interval() -> None:
    cases = [
        Case(LLAMA, layout(pipeline_parallel=pp, global_batch_size=2**14, data_parallel=dp))
        for pp in (1, 2)
        for dp in (8, 16_384)
    ]
    key = MachineKey("h100", 8, 3200.0, "megatron-core", frozenset())
    rows = predict_rows([Row((case,), key) for case in cases], lambda _: machine())
    for case, together, row in zip(cases, predict_all(cases, machine()), rows, strict=True):
        alone = predict(case, machine()).step_time_s
        assert isinstance(row, RowPrediction)
        assert together.step_time_s.low == pytest.approx(alone.low, rel=1e-12)
        assert row.step_time_low_s == pytest.approx(alone.low, rel=1e-12)
        assert row.step_time_high_s == pytest.approx(alone.high, rel=1e-12)


def test_empty_cells_that_decide_the_time_are_told() -> None:
    cells = {
        "layers": "32", "hidden": "4096", "ffn_hidden": "14336", "mlp": "gated", "heads": "32",
        "vocab": "128256", "seq_len": "8192", "global_batch_seqs": "128", "micro_batch": "1",
        "gpu": "h100", "n_gpus": "8", "tp": "1", "pp": "1", "dp": "8", "software": "megatron-core",
        "sharding": "zero1", "recompute": "", "precision": "",
    }  # fmt: skip
    assert parse_row(cells, lambda _: None).cases[0].unpublished == ("recompute", "precision")
    staged = {**cells, "pp": "2", "n_gpus": "16", "recompute": "none", "precision": "bf16"}
    assert {case.unpublished for case in parse_row(staged, lambda _: None).cases} == {("vpp",)}


@given(doublings=st.integers(0, 10), seq=st.integers(9, 24))
def test_the_expected_time_stays_inside_however_far_the_case_lies(doublings: int, seq: int) -> None:
    dp = 8 * 2**doublings
    told = predict(
        Case(LLAMA, layout(data_parallel=dp, global_batch_size=dp, seq_len=2**seq)), machine()
    ).step_time_s
    assert told.low < told.expected < told.high < float("inf")
    assert told.high / told.expected >= exp(0.1 * 0.8 * 0.5) * (1 - 1e-12)


def test_impossible_widths_spans_and_counts_are_refused() -> None:
    with pytest.raises(SpecError, match="width: factor must be above 0"):
        Width(factor=0.0, reason="a test")
    with pytest.raises(SpecError, match=r"extent: low must not be above high 1\.0, got 2\.0"):
        Extent(low=2.0, high=1.0)
    with pytest.raises(SpecError, match=r"precision_runs.hopper.fp8 must be above 0"):
        StepCalibration(factors={}, precision_runs={"hopper.fp8": 0})
