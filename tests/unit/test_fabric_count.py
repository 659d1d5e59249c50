"""Switches, cables, optics of tree networks; heat and water."""

from __future__ import annotations

import datetime as dt

import pytest

from gigafactory.build.bill import bill
from gigafactory.catalog import loader
from gigafactory.cost.cooling import chillers, water_m3_per_day
from gigafactory.cost.fabric import fabric_count
from gigafactory.errors import SpecError


def test_one_switch_joins_what_fits_on_its_ports() -> None:
    counted = fabric_count(64, 64, [1.0])
    assert counted.switches == (1,)
    assert (counted.cables, counted.card_optics, counted.switch_optics) == ((64,), 64, 32)


def test_every_cable_ends_in_optics_at_both_ends() -> None:
    counted = fabric_count(4096, 64, [1.0, 1.0, 1.0])
    ends = 2 * sum(counted.cables)
    assert counted.card_optics + 2 * counted.switch_optics == ends
    assert counted.optics_w.low < counted.optics_w.expected < counted.optics_w.high


def test_a_thinned_spine_has_fewer_cables_and_switches() -> None:
    full, thin = fabric_count(6144, 64, [1.0, 1.0]), fabric_count(6144, 64, [1.0, 7.0])
    assert thin.cables == (6144, 878)
    assert thin.switches[0] == -(-(6144 + 6144 / 7) // 64)
    assert thin.switches[1] < full.switches[1] / 6


@pytest.mark.parametrize(("endpoints", "tiers"), [(0, [1.0]), (8, [])])
def test_a_network_of_nothing_is_refused(endpoints: int, tiers: list[float]) -> None:
    with pytest.raises(SpecError, match="must have endpoints and tiers"):
        fabric_count(endpoints, 64, tiers)


def test_water_and_chillers_grow_with_the_heat() -> None:
    assert water_m3_per_day(2e6, 1.5) == pytest.approx(2 * water_m3_per_day(1e6, 1.5))
    assert chillers(200e6).expected == pytest.approx(120)


@pytest.mark.parametrize("name", loader.names("clusters"))
def test_every_cluster_of_the_catalog_has_a_bill_whose_lines_name_their_source(name: str) -> None:
    cluster = loader.cluster(name)
    day = cluster.available or dt.date(2026, 1, 1)
    found = bill(cluster, loader.site(cluster.site), day)
    assert found.lines
    for line in found.lines:
        assert line.source, line.what
        assert line.amount.low <= line.amount.expected <= line.amount.high
    assert sum(found.fabric.switches) > 0
