"""Every published run: where its predicted seconds go sums to the prediction, part by part."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.compare.runs import Group, published_runs
from gigafactory.cost.attribution import Charge, charges
from gigafactory.cost.layer import price_layer
from gigafactory.cost.step import exposed_parts, step_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray


@cache
def charged() -> list[tuple[Group, list[Charge], dict[str, NDArray[np.float64]]]]:
    """Return every group of runs with its charges and the parts that they must sum to."""
    found = []
    for group in published_runs().groups:
        rates = group.rates(group.machine.calibration)
        price, layer = price_layer(group.shape, rates)
        step = step_parts(price, group.grid, rates)
        parts = exposed_parts(price, layer, group.grid, step)
        parts["step"] = step.total_s
        whole = {name: np.asarray(part) for name, part in parts.items()}
        found.append((group, charges(group.shape, group.grid, rates), whole))
    return found


def total(several: list[Charge]) -> NDArray[np.float64]:
    return np.asarray(sum(np.asarray(charge.exposed) for charge in several))


def test_the_operators_of_every_published_run_sum_to_its_step() -> None:
    priced = 0
    for _, found, parts in charged():
        assert total(found) == pytest.approx(parts["step"], rel=1e-9)
        priced += len(parts["step"])
    assert priced > 900


def test_the_operators_of_every_published_run_sum_to_each_part_of_it() -> None:
    for _, found, parts in charged():
        assert {charge.part for charge in found} <= parts.keys()
        for name in parts.keys() - {"step"}:
            told = total([charge for charge in found if charge.part == name])
            gap = np.abs(told - parts[name]) / parts["step"]
            assert gap.max() <= 1e-9, name


def test_no_link_or_card_of_a_published_run_is_busy_longer_than_the_step() -> None:
    for group, found, parts in charged():
        for resource in ("link", "network", "memory", "matmul"):
            busy = sum(
                np.asarray(charge.exposed) + np.asarray(charge.hidden)
                for charge in found
                if charge.resource == resource
            )
            assert np.all(busy <= parts["step"] * (1 + 1e-9)), (
                group.machine.cluster.name,
                resource,
            )
