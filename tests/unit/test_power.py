"""Power from the server to the meter."""

import pytest

from gigafactory.cost.power import (
    IDLE_SHARE,
    ServerPower,
    co2_kg,
    energy_j,
    energy_mwh,
    machine_power,
    server_power,
    server_power_w,
    swing_w,
)
from gigafactory.errors import SpecError
from gigafactory.spec.interval import Interval

H100 = server_power(1_275.0, 1_060.0)
PUE = Interval(low=1.05, expected=1.25, high=1.3)


def test_training_utilisation_gives_back_the_measured_draw() -> None:
    draw_w = server_power_w(H100.idle_w, H100.nameplate_w, H100.utilisation)
    assert draw_w == pytest.approx(1_060.0)


def test_a_server_nobody_measured_takes_shares_of_its_nameplate() -> None:
    b200 = server_power(14_300.0 / 8)
    assert b200.idle_w == pytest.approx(IDLE_SHARE * 14_300.0 / 8)
    assert b200.training_w == pytest.approx(0.831 * 14_300.0 / 8, rel=1e-3)


def test_power_levels_out_of_order_are_refused() -> None:
    with pytest.raises(SpecError, match="must hold"):
        ServerPower(idle_w=300.0, training_w=1_300.0, nameplate_w=1_275.0)


def test_gpus_left_over_draw_idle_power() -> None:
    full = machine_power(H100, num_gpus=100_000, gpus_used=100_000, pue=PUE)
    part = machine_power(H100, num_gpus=100_000, gpus_used=98_304, pue=PUE)
    saved_w = 1_696 * (1_060.0 - H100.idle_w) * 1.11
    assert full.it_w - part.it_w == pytest.approx(saved_w)
    assert full.facility_w.high == part.facility_w.high  # the substation is ordered for all


def test_a_stopped_machine_still_draws_idle_power() -> None:
    idle = machine_power(H100, num_gpus=1_000, gpus_used=0, pue=PUE)
    assert idle.it_w == pytest.approx(1_000 * H100.idle_w * 1.11)
    assert idle.swing_w == 0


def test_lower_utilisation_draws_less() -> None:
    common = {"num_gpus": 1_000, "gpus_used": 1_000, "pue": PUE}
    half = machine_power(H100, utilisation=0.5, **common)  # type: ignore[arg-type]
    whole = machine_power(H100, utilisation=1.0, **common)  # type: ignore[arg-type]
    assert half.it_w < whole.it_w
    assert whole.it_w == pytest.approx(1_000 * 1_275.0 * 1.11)


@pytest.mark.parametrize(("used", "busy"), [(1_001, 0.5), (-1, 0.5), (10, 1.5), (10, -0.1)])
def test_impossible_use_is_refused(used: int, busy: float) -> None:
    with pytest.raises(SpecError, match="must be between"):
        machine_power(H100, num_gpus=1_000, gpus_used=used, pue=PUE, utilisation=busy)


def test_a_pause_of_all_servers_swings_by_their_dynamic_range() -> None:
    assert swing_w(100_000, 1_060.0, 371.0) == pytest.approx(68.9e6)


def test_energy_and_carbon_follow_from_power() -> None:
    assert energy_j(1_000.0, 3_600.0) == 3.6e6
    assert energy_mwh(150e6, 86_400.0) == pytest.approx(3_600.0)
    assert co2_kg(3_600.0, 300.0) == pytest.approx(1.08e6)
