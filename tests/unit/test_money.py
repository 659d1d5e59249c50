"""Rent, ownership, purchase."""

import datetime as dt

import pytest

from gigafactory.cost.money import (
    capex,
    owned_usd_per_gpu_hour,
    owned_usd_per_gpu_hour_interval,
    rent_usd,
    run_usd,
)
from gigafactory.errors import SpecError
from gigafactory.spec.interval import Interval
from gigafactory.spec.site import DatedPrice, PriceBook, Site

POINT = Interval.point
BOOK = PriceBook(
    name="h100",
    title="H100",
    accelerator="h100",
    rent_usd_per_gpu_hour=(
        DatedPrice(date=dt.date(2023, 1, 1), usd=POINT(9.0)),
        DatedPrice(date=dt.date(2025, 1, 1), usd=POINT(2.3)),
    ),
    network_usd_per_gpu=POINT(6_600.0),
    straight_line_years=POINT(4.0),
)


def test_owning_100k_h100_costs_a_dollar_fifty_nine_an_hour() -> None:
    # $51.6k a GPU (Cheah 2024), 4 years, 150 MW for 100,000 GPUs at $78 a MWh: 1.473 + 0.117
    price = owned_usd_per_gpu_hour(51_600.0, 1_500.0, years=4, usd_per_mwh=78.0)
    assert price == pytest.approx(1.59, abs=0.005)


def test_an_idle_half_doubles_the_price_of_an_owned_hour() -> None:
    whole = owned_usd_per_gpu_hour(51_600.0, 1_500.0, years=4, usd_per_mwh=78.0)
    half = owned_usd_per_gpu_hour(51_600.0, 1_500.0, years=4, usd_per_mwh=78.0, used_share=0.5)
    assert half == pytest.approx(2 * whole)


def test_the_owned_interval_is_low_where_all_is_cheap_and_lasts() -> None:
    price = owned_usd_per_gpu_hour_interval(
        Interval(low=40_000.0, expected=51_600.0, high=60_000.0),
        Interval(low=1_200.0, expected=1_400.0, high=1_800.0),
        years=Interval(low=3.0, expected=4.0, high=5.0),
        usd_per_mwh=Interval(low=78.0, expected=78.0, high=94.0),
    )
    assert price.low == pytest.approx(
        owned_usd_per_gpu_hour(40_000.0, 1_200.0, years=5, usd_per_mwh=78.0)
    )
    assert price.high == pytest.approx(
        owned_usd_per_gpu_hour(60_000.0, 1_800.0, years=3, usd_per_mwh=94.0)
    )


@pytest.mark.parametrize("share", [0.0, 1.1, -1.0])
def test_a_share_in_use_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(SpecError, match="used_share"):
        owned_usd_per_gpu_hour_interval(
            POINT(1.0), POINT(1.0), years=POINT(4.0), usd_per_mwh=POINT(78.0), used_share=share
        )


def test_rent_is_gpu_hours_times_price() -> None:
    assert rent_usd(16_384, 54 * 86_400.0, 2.0) == pytest.approx(16_384 * 54 * 24 * 2.0)


def test_a_run_is_dearest_when_it_is_longest() -> None:
    time_s = Interval(low=3_600.0, expected=7_200.0, high=10_800.0)
    usd = run_usd(10, time_s, Interval(low=1.0, expected=2.0, high=3.0))
    assert (usd.low, usd.expected, usd.high) == (10.0, 40.0, 90.0)


def test_capex_adds_servers_network_and_construction() -> None:
    bill = capex(
        1_000,
        server_usd_per_gpu=POINT(40_000.0),
        network_usd_per_gpu=POINT(6_000.0),
        construction_usd_per_w=POINT(9.0),
        contracted_w=1.8e6,
    )
    assert bill.total_usd.expected == pytest.approx(40e6 + 6e6 + 16.2e6)


def test_the_price_of_a_day_is_the_last_one_seen_before() -> None:
    for date, usd in (("2022-06-01", 9.0), ("2024-12-31", 9.0), ("2025-01-01", 2.3)):
        assert BOOK.rent_on(dt.date.fromisoformat(date)) == POINT(usd)
    assert BOOK.server_on(dt.date(2025, 1, 1)) is None


def test_prices_out_of_order_are_refused() -> None:
    with pytest.raises(SpecError, match="order of date"):
        PriceBook(
            name="x",
            title="x",
            accelerator="x",
            rent_usd_per_gpu_hour=BOOK.rent_usd_per_gpu_hour[::-1],
            network_usd_per_gpu=POINT(0.0),
            straight_line_years=POINT(4.0),
        )


def test_a_book_without_any_price_is_refused() -> None:
    with pytest.raises(SpecError, match="must hold a price"):
        PriceBook(
            name="x",
            title="x",
            accelerator="x",
            network_usd_per_gpu=POINT(0.0),
            straight_line_years=POINT(4.0),
        )


def test_a_site_that_makes_energy_is_refused() -> None:
    with pytest.raises(SpecError, match="pue must be at least 1"):
        Site(
            name="x",
            title="x",
            pue=POINT(0.9),
            electricity_usd_per_mwh=POINT(78.0),
            co2_kg_per_mwh=POINT(0.0),
            construction_usd_per_w=POINT(9.0),
        )
