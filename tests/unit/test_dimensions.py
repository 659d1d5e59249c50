"""Cost formulas are plain arithmetic, so pint can check their dimensions in a test."""

from typing import Any

import pint
import pytest

from gigafactory.cost import goodput, money, power, storage

u: Any = pint.UnitRegistry()
u.define("FLOP = count")
u.define("USD = [money]")
u.define("GPU = [gpu]")

GAP: Any = 3.0 * u.hour
WRITE: Any = 20.0 * u.s
RESTART: Any = 5.0 * u.minute
DETECT: Any = 150.0 * u.s


def is_a(quantity: Any, unit: str) -> bool:
    return bool(u.Quantity(quantity).check(u.parse_units(unit).dimensionality))


@pytest.mark.parametrize(
    "interval",
    [
        goodput.young_interval_s(GAP, WRITE),
        goodput.daly_interval_s(GAP, WRITE, RESTART, DETECT),
        goodput.rfo_interval_s(GAP, WRITE, RESTART, DETECT),
        goodput.optimal_interval_s(GAP, WRITE),
    ],
)
def test_checkpoint_intervals_are_times(interval: Any) -> None:
    assert is_a(interval, "s")


def test_shares_of_time_have_no_dimension_and_do_not_depend_on_its_unit() -> None:
    mixed = goodput.time_shares(GAP, 20 * u.minute, WRITE, RESTART, DETECT)
    plain = goodput.time_shares(10_800.0, 1_200.0, 20.0, 300.0, 150.0)
    for name in ("goodput", "checkpoint", "rework", "restart", "detect"):
        share = u.Quantity(getattr(mixed, name))
        assert is_a(share, "")
        assert share.to("").magnitude == pytest.approx(float(getattr(plain, name)))


def test_expected_wall_time_is_a_time() -> None:
    assert is_a(goodput.expected_wall_time_s(2 * u.day, 0.9), "s")


def test_checkpoints_are_bytes_and_their_writes_are_times() -> None:
    total = storage.checkpoint_bytes(314e9, 14 * u.byte)
    assert is_a(total, "byte")
    assert is_a(storage.write_time_s(total, 2e12 * u.byte / u.s), "s")
    assert is_a(storage.host_copy_time_s(total, 64, 48e9 * u.byte / u.s), "s")
    assert is_a(storage.needed_write_bytes_per_s(total, 5 * u.minute), "byte/s")


def test_power_from_server_to_meter_is_power() -> None:
    busy = power.server_power_w(300 * u.W, 1.275 * u.kW, 0.7)
    assert is_a(busy, "W")
    servers = power.servers_w(100, 90, busy, 300 * u.W)
    assert is_a(power.facility_power_w(servers, 0.11, 1.2), "W")
    assert is_a(power.swing_w(90, busy, 300 * u.W), "W")


def test_energy_is_energy_and_carbon_is_mass() -> None:
    assert is_a(power.energy_j(150 * u.MW, 1 * u.day), "J")
    assert is_a(power.co2_kg(3_600 * u.MWh, 300 * u.kg / u.MWh), "kg")


def test_money_is_money() -> None:
    assert is_a(money.gpu_hours(8 * u.GPU, 1 * u.day), "GPU*s")
    assert is_a(money.rent_usd(8 * u.GPU, 1 * u.s, 2 * u.USD / (u.GPU * u.s)), "USD")


def test_energy_and_write_off_of_an_owned_hour_add_up_in_dollars() -> None:
    # The hour, the year and the joule are constants of the formula: 1.473 + 0.117 USD an hour.
    whole = money.owned_usd_per_gpu_hour(51_600 * u.USD, 1_500.0, years=4, usd_per_mwh=78 * u.USD)
    assert is_a(whole, "USD")
