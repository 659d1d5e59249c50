"""Where the machine stands and what it costs: power, climate, prices by date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from gigafactory.spec.base import Spec, fault, require_positive
from gigafactory.spec.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Spec):
    """One place to put a cluster.

    Attributes:
        pue: Facility power over IT power.
        electricity_usd_per_mwh: Price of energy at the meter.
        co2_kg_per_mwh: Mean carbon dioxide of the grid it draws from.
        construction_usd_per_w: Building, cooling and substation per watt of facility power.
        grid_power_w: What the grid connection carries, where it is known.
        source: Where each number comes from; "default" covers those not named.

    Raises:
        SpecError: A value is out of range; a PUE below 1 would make energy.
    """

    name: str
    title: str
    pue: Interval
    electricity_usd_per_mwh: Interval
    co2_kg_per_mwh: Interval
    construction_usd_per_w: Interval
    grid_power_w: float | None = None
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_positive(self, "grid_power_w")
        if self.pue.low < 1:
            raise fault(self, "pue", self.pue.low, "must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedPrice(Spec):
    """A price and the day it was seen."""

    date: dt.date
    usd: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook(Spec):
    """What one accelerator costs, rented or bought.

    Attributes:
        accelerator: Name of the accelerator in the catalog.
        rent_usd_per_gpu_hour: Rent by date, oldest first; empty where none is published.
        accelerator_usd: One accelerator or its share of a board, by date, oldest first.
        server_usd_per_gpu: One accelerator's share of a whole server, by date, oldest first.
        network_usd_per_gpu: Switches, cables and optics; low is a small cluster, high three tiers.
        straight_line_years: Years over which the purchase is written off.
        source: Where each number comes from; "default" covers those not named.

    Raises:
        SpecError: Prices are not in order of date, or nothing can be priced.
    """

    name: str
    title: str
    accelerator: str
    rent_usd_per_gpu_hour: tuple[DatedPrice, ...] = ()
    accelerator_usd: tuple[DatedPrice, ...] = ()
    server_usd_per_gpu: tuple[DatedPrice, ...] = ()
    network_usd_per_gpu: Interval
    straight_line_years: Interval
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.straight_line_years.low <= 0:
            low = self.straight_line_years.low
            raise fault(self, "straight_line_years", low, "must be above 0")
        if not self.rent_usd_per_gpu_hour and not self.server_usd_per_gpu:
            raise fault(self, "server_usd_per_gpu", (), "must hold a price where no rent is known")
        for name in ("rent_usd_per_gpu_hour", "accelerator_usd", "server_usd_per_gpu"):
            dates = [price.date.isoformat() for price in getattr(self, name)]
            if dates != sorted(set(dates)):
                raise fault(self, name, dates, "must be in order of date, one price a day")

    def rent_on(self, date: dt.date) -> Interval | None:
        """Return the rent per accelerator and hour that held on `date`; None if none is known."""
        return price_on(self.rent_usd_per_gpu_hour, date)

    def server_on(self, date: dt.date) -> Interval | None:
        """Return the server's share per accelerator that held on `date`; None if none is known."""
        return price_on(self.server_usd_per_gpu, date)


def price_on(prices: tuple[DatedPrice, ...], date: dt.date) -> Interval | None:
    """Return the last price seen up to `date`, or the first one for a day before all of them."""
    known = [price.usd for price in prices if price.date <= date]
    if known:
        return known[-1]
    return prices[0].usd if prices else None
