"""Gaps, causes, repairs and stages as they are drawn, against their own means and variations."""

from dataclasses import replace

import numpy as np
import pytest

from gigafactory.catalog import loader
from gigafactory.errors import SpecError
from gigafactory.simulate.failures import (
    SLOW,
    bursts_of,
    drawn_gaps,
    failures,
    rate_per_component,
    repair_table,
    variation_of,
)
from gigafactory.simulate.recovery import drawn_restart_s, drawn_within, stages
from gigafactory.simulate.spares import Depot
from gigafactory.spec.faults import BringUp, Bursts, Elastic, SlowSpells
from gigafactory.spec.interval import Interval

DRAWS = 400_000
LLAMA3 = loader.faults("llama3-h100")


@pytest.mark.parametrize("variation", [1.0, 1.3, 1.76, 3.0])
def test_gaps_have_mean_one_and_the_variation_asked_for(variation: float) -> None:
    found = drawn_gaps(bursts_of(variation), np.random.default_rng(0), DRAWS)
    assert found.mean() == pytest.approx(1.0, abs=4 * variation / DRAWS**0.5)
    assert found.std() / found.mean() == pytest.approx(variation, rel=0.02)
    assert variation_of(bursts_of(variation)) == pytest.approx(variation)


def test_a_fitted_mixture_keeps_its_mean() -> None:
    bursts = Bursts(short_share=0.2, short_over_mean=0.03)
    found = drawn_gaps(bursts, np.random.default_rng(0), DRAWS)
    assert found.mean() == pytest.approx(1.0, abs=0.01)
    assert found.std() == pytest.approx(variation_of(bursts), rel=0.02)


def test_causes_come_in_the_shares_that_were_counted() -> None:
    model = failures(LLAMA3, 16_384)
    drawn = np.bincount(model.cause(np.random.default_rng(0), DRAWS), minlength=len(model.causes))
    for name, number in zip(model.causes, drawn / DRAWS, strict=True):
        assert number == pytest.approx(LLAMA3.causes[name] / 419, abs=3e-3)


def test_hardware_takes_its_server_out_and_software_does_not() -> None:
    model = failures(LLAMA3, 16_384)
    drains = dict(zip(model.causes, model.drains.tolist(), strict=True))
    assert drains["Faulty GPU"]
    assert drains["NIC"]
    assert not drains["Software bug"]
    assert not drains["Silent data corruption"]


def test_rates_by_component_sum_to_the_published_rate() -> None:
    rates = rate_per_component(LLAMA3)
    assert sum(rates.values()) == pytest.approx(3.79)
    assert rates["hbm"] == pytest.approx(3.79 * 72 / 419)
    assert next(iter(rates)) == "gpu"


def test_repairs_have_the_published_median_and_mean() -> None:
    table = repair_table(LLAMA3)
    assert np.median(table) / 86_400 == pytest.approx(0.94, rel=0.03)
    drawn = failures(LLAMA3, 8).repair_s(np.random.default_rng(0), DRAWS)
    assert drawn.mean() / 86_400 == pytest.approx(6.05, rel=0.03)


def test_slow_spells_shorten_the_gaps_between_events_and_not_between_failures() -> None:
    profile = replace(
        LLAMA3, slow=SlowSpells(per_1000_node_days=3.79, slowdown=1.3, duration_s=600.0)
    )
    model, plain = failures(profile, 16_384), failures(LLAMA3, 16_384)
    assert model.causes[-1] == SLOW
    assert model.slow_share == pytest.approx(0.5)
    assert model.gap_s(16_384) == pytest.approx(plain.gap_s(16_384) / 2)


def test_detection_keeps_its_ends_and_its_mean() -> None:
    span = Interval(low=60.0, expected=150.0, high=600.0)
    drawn = drawn_within(span, np.random.default_rng(0), DRAWS)
    assert drawn.min() >= 60.0
    assert drawn.max() <= 600.0
    assert drawn.mean() == pytest.approx(150.0, rel=0.01)


def test_restarts_keep_their_mean_and_their_variation() -> None:
    drawn = drawn_restart_s(np.full(DRAWS, 600.0), 0.36, np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(600.0, rel=0.01)
    assert drawn.std() / drawn.mean() == pytest.approx(0.36, rel=0.01)


def test_stages_sum_to_the_published_restart_and_communicators_grow_with_size() -> None:
    small, large = stages(LLAMA3, 16_384, 5.0), stages(LLAMA3, 98_304, 5.0)
    assert small.total == pytest.approx(200.0)
    assert large.total == pytest.approx(900.0)
    assert (small.communicator, large.communicator) == (17.0, 200.0)
    assert stages(LLAMA3, 98_304, 5.0, warm=True).total == pytest.approx(600.0)
    assert stages(LLAMA3, 16_384, 2000.0).total == pytest.approx(2017.0)


def test_a_depot_waits_for_the_earliest_repair_when_spares_run_out() -> None:
    depot = Depot(1, spares=1, gap_s=60.0, longest_s=1e6)
    row, one = np.array([0]), np.array([1])
    assert depot.take(row, np.array([0.0]), np.array([5000.0]), one)[0] == 0.0
    wait = depot.take(row, np.array([600.0]), np.array([90_000.0]), one)[0]
    assert wait == pytest.approx(4400.0, abs=60.0)
    assert depot.take(row, np.array([5200.0]), np.array([100.0]), one)[0] == pytest.approx(
        100.0, abs=60.0
    )
    assert depot.most[0] == 2


def test_a_depot_waits_for_a_whole_group_of_servers() -> None:
    depot = Depot(1, spares=0, gap_s=60.0, longest_s=1e7)
    wait = depot.take(np.array([0]), np.array([0.0]), np.array([3e6]), np.array([8]))
    assert wait[0] == pytest.approx(3e6, abs=1e7 / 1000)
    assert depot.most[0] == 8


@pytest.mark.parametrize(("make", "field"), [
    (lambda: Elastic(replicas=1, stall_s=1.0, absent_s=1.0), "replicas"),
    (lambda: Elastic(replicas=4, stall_s=-1.0, absent_s=1.0), "stall_s"),
    (lambda: SlowSpells(per_1000_node_days=1.0, slowdown=0.9, duration_s=1.0), "slowdown"),
    (lambda: BringUp(days=3.0, factor=0.5), "factor"),
    (lambda: Bursts(short_share=1.0, short_over_mean=0.5), "short_share"),
    (lambda: Bursts(short_share=0.5, short_over_mean=1.5), "short_over_mean"),
    (lambda: replace(LLAMA3, group_nodes=(1, 8), group_share=(0.5, 0.6)), "group_share"),
    (lambda: replace(LLAMA3, components={"NIC": "flux"}), "components"),
    (lambda: replace(LLAMA3, repair_quantiles_s=(3.0, 1.0)), "repair_quantiles_s"),
    (lambda: replace(LLAMA3, causes={"NIC": -1}), "causes"),
    (lambda: replace(LLAMA3, planned_per_day=-1.0), "planned_per_day"),
    (lambda: replace(LLAMA3, communicator_s=(1.0,)), "communicator_s"),
])  # fmt: skip
def test_a_profile_that_makes_no_sense_is_refused(make: object, field: str) -> None:
    with pytest.raises(SpecError) as error:
        make()  # type: ignore[operator]
    assert error.value.field == field
