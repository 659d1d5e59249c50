"""Fitted numbers: the most special one counts, and bad ones are refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.spec.calibration import Factor, StepCalibration


def factor(value: float, spread: float = 0.0) -> Factor:
    return Factor(value=value, prior=value, spread=spread, reason="a test")


NUMBERS = StepCalibration(
    factors={
        "rate": factor(1.0),
        "rate.h100": factor(2.0, 0.1),
        "rate.h100.bf16": factor(3.0, 0.1),
        "share.megatron": factor(4.0),
        "share.megatron-core": factor(5.0),
    }
)
MACHINE = machines.machine(loader.cluster("llama3-16k"), "megatron-core")


def test_the_first_group_that_has_a_number_counts() -> None:
    assert NUMBERS.lookup("rate", "h100.bf16", "h100") == 3.0
    assert NUMBERS.lookup("rate", "h100.fp8", "h100") == 2.0
    assert NUMBERS.lookup("rate", "a100") == 1.0
    assert NUMBERS.lookup("rate") == 1.0


def test_a_number_that_is_not_there_is_named_with_its_groups() -> None:
    with pytest.raises(SpecError, match="no factor share for h100, a100"):
        NUMBERS.lookup("share", "h100", "a100")
    with pytest.raises(SpecError, match="no factor other for anything"):
        NUMBERS.lookup("other")


def test_software_comes_before_its_family() -> None:
    machine = replace(MACHINE, calibration=NUMBERS)
    assert machine.software.family == "megatron"
    assert machine.factor("share") == 5.0
    relative = replace(machine, software=replace(machine.software, name="megascale"))
    assert relative.factor("share") == 4.0


def test_only_numbers_with_a_spread_are_fitted() -> None:
    assert NUMBERS.num_fitted == 2


@pytest.mark.parametrize(("low", "high"), [(1.1, 1.2), (0.8, 0.9), (float("nan"), 1.0)])
def test_residuals_that_do_not_enclose_one_are_refused(low: float, high: float) -> None:
    with pytest.raises(SpecError, match=r"residual_low\.all must enclose 1"):
        StepCalibration(factors={}, residual_low={"all": low}, residual_high={"all": high})


def test_a_residual_without_its_upper_edge_is_refused() -> None:
    with pytest.raises(SpecError, match="residual_high None"):
        StepCalibration(factors={}, residual_low={"all": 0.9})


@pytest.mark.parametrize("name", ["value", "prior", "spread"])
def test_a_number_must_be_finite_and_not_negative(name: str) -> None:
    for value in (float("inf"), -1.0):
        changes: dict[str, Any] = {name: value}
        with pytest.raises(SpecError, match=f"factor: {name} must"):
            replace(factor(1.0), **changes)


def test_every_shipped_number_says_what_it_stands_for() -> None:
    shipped = machines.calibration()
    assert 0 < shipped.num_fitted <= len(shipped.factors)
    assert all(number.reason for number in shipped.factors.values())


def test_shipped_intervals_know_every_accelerator_and_software_that_ran() -> None:
    widths = machines.calibration().widths
    for name in ("accelerator.hopper.h100-sxm", "accelerator.ampere.a100-sxm-80",
                 "software.megatron.megatron-core", "software.fsdp.torchtitan"):  # fmt: skip
        assert widths[name].rows > 0
    for kind in ("accelerator", "software"):
        members = [w.factor for name, w in widths.items() if name.startswith(f"{kind}.")]
        assert widths[kind].factor == max(members)
    assert all(width.reason for width in widths.values())
