"""Odds of sites really built, networks really counted, machines really priced."""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from gigafactory.build.bill import bill, fabric_of
from gigafactory.build.delivery import delivery
from gigafactory.build.reference_class import back_test, survival
from gigafactory.catalog import loader, projects
from gigafactory.catalog.observed import DATA, SEEN_ON, observed_sites
from gigafactory.cost.fabric import CABLE_USD, fabric_count
from gigafactory.cost.money import owned_usd_per_gpu_hour

PROMISED: Final = dt.date(2024, 5, 25)
SELF: Final = ("xAI Colossus 1 Memphis Tennessee",)
NETWORKS: Final = list(
    csv.DictReader((DATA / "networks.csv").read_text(encoding="utf-8").splitlines())
)


@pytest.mark.parametrize(
    ("as_of", "days", "share"),
    [
        (PROMISED, 485, 0.00), (PROMISED, 516, 0.20),
        (SEEN_ON, 485, 0.14), (SEEN_ON, 516, 0.31),
        (SEEN_ON, 365, 0.06), (SEEN_ON, 730, 0.48), (SEEN_ON, 900, 0.69),
    ],
)  # fmt: skip
def test_kaplan_meier_gives_the_published_odds(as_of: dt.date, days: int, share: float) -> None:
    view = survival(observed_sites(), as_of, SELF)
    assert round(view.p_done(days), 2) == share


def test_the_day_of_the_promise_knows_nothing_of_later_days() -> None:
    view = survival(observed_sites(), PROMISED, SELF)
    assert (view.n, view.censored) == (10, 5)
    later = [replace(one, operational=dt.date(2030, 1, 1)) if one.operational > PROMISED else one
             for one in observed_sites()]  # fmt: skip
    assert survival(later, PROMISED, SELF) == view


def test_the_back_test_never_uses_the_site_itself_nor_what_came_later() -> None:
    tests = back_test(observed_sites(), SEEN_ON, in_hindsight=False)
    began = {one.name: one.began for one in observed_sites()}
    for test in tests:
        known = [one for one in observed_sites()
                 if one.operational <= began[test.site] and one.name != test.site]  # fmt: skip
        assert test.known == len(known) >= 3
    hindsight = back_test(observed_sites(), SEEN_ON, in_hindsight=True)
    assert len(hindsight) == 11
    assert {test.known for test in hindsight} == {10}


@pytest.mark.parametrize("row", NETWORKS, ids=lambda row: row["key"])
def test_the_bill_counts_the_networks_of_the_reference_architectures(row: dict[str, str]) -> None:
    fabric = loader.fabric(row["fabric"])
    node = "dgx-b300" if row["fabric"] == "xdr-superpod" else "dgx-b200"
    gpu = loader.node(node).accelerator
    cluster = replace(
        loader.cluster("eos"), num_gpus=int(row["gpus"]), fabric=fabric, node=loader.node(node),
        accelerator=loader.accelerator(gpu),
    )  # fmt: skip
    counted = fabric_of(cluster)
    tiers = [int(row[tier]) for tier in ("leaf", "spine", "core") if int(row[tier])]
    assert list(counted.switches) == tiers
    assert list(counted.cables) == [int(row["cables_per_tier"])] * int(row["tiers"])


def test_switches_of_a_hundred_thousand_gpus_are_those_of_the_published_bill() -> None:
    # Cheah 2024: 8,192 switches of 64 ports for 13,107 nodes; 2,560 for 4,096 nodes.
    assert sum(fabric_count(13_107 * 8, 64, [1.0] * 3).switches) == pytest.approx(8192, abs=1)
    assert sum(fabric_count(4_096 * 8, 64, [1.0] * 3).switches) == 2560


def test_published_parts_add_up_to_51_600_dollars_a_gpu() -> None:
    # Cheah 2024, 13,107 nodes: nodes $310,000, switches $36,000, $655 M of facility and life.
    gpus = 13_107 * 8
    counted = fabric_count(gpus, 64, [1.0] * 3)
    network = sum(counted.switches) * 36_000 + sum(counted.cables) * CABLE_USD
    assert (13_107 * 310_000 + network + 655e6) / gpus == pytest.approx(51_600, rel=0.002)
    hour = owned_usd_per_gpu_hour(51_600.0, 1_500.0, years=4, usd_per_mwh=78.0)
    assert 1.585 <= hour <= 1.65


def test_the_bill_of_the_gigafactory_holds_the_published_levels() -> None:
    found = bill(loader.cluster("gigafactory"), loader.site("memphis"), PROMISED)
    assert found.facility_w is not None
    assert found.facility_w.low <= 142.7e6 <= 181e6 <= found.facility_w.high
    assert found.usd_per_gpu is not None
    assert found.usd_per_gpu.low <= 51_600 <= found.usd_per_gpu.high
    assert found.usd_per_gpu_hour is not None
    assert found.usd_per_gpu_hour.low <= 1.59 <= 1.65 <= found.usd_per_gpu_hour.high
    capex = found.capex_usd
    assert capex is not None
    assert capex.low <= 5.3e9  # Epoch AI: $4.7 to 5.3 B
    assert capex.high >= 4.7e9
    racks = next(line for line in found.lines if line.what.startswith("racks"))
    assert racks.amount.expected > 1500  # ServeTheHome tour of Colossus
    water = next(line for line in found.lines if line.what.startswith("water"))
    assert water.amount.low <= 1e6 * 3.785e-3 <= water.amount.high  # a million gallons a day


def test_colossus_went_as_the_record_says_with_the_grid_off_its_critical_path() -> None:
    found = delivery(projects.project("colossus-1"), 2_000, np.random.default_rng(0))
    assert [(p.num_gpus, p.p10, p.p90) for p in found.growth.phases] == [
        (25_000, dt.date(2024, 8, 11), dt.date(2024, 8, 11)),
        (100_000, dt.date(2024, 9, 2), dt.date(2024, 9, 2)),
    ]
    assert found.p_on_time == 1.0
    tasks = {task.name: task for task in found.tasks}
    assert tasks["grid-150mw"].criticality == 0.0
    assert tasks["power-100k"].taken == {"more-turbines": 1.0, "grid-150mw": 0.0}
    assert 230 <= (tasks["grid-150mw"].finish[0] - dt.date(2024, 9, 2)).days <= 270


@pytest.mark.parametrize("name", loader.names("projects"))
def test_every_figure_of_a_project_has_a_source_or_is_listed_as_assumed(name: str) -> None:
    made = projects.project(name)
    found = delivery(made, 500, np.random.default_rng(0))
    listed = {one.where for one in found.assumed}
    for task, spec in made.tasks.items():
        assert spec.source or f"tasks.{task}" in listed
    for risk, event in made.risks.items():
        assert event.source or f"risks.{risk}" in listed
    for choice, one in made.alternatives.items():
        assert one.source or not one.weights or f"alternatives.{choice}" in listed
    assert found.bill is not None
    assert all(line.source for line in found.bill.lines)
