"""The bill of a site: what is counted, what it draws, what it costs, what a late month costs.

Every line carries its interval and where it comes from. Counts follow from the cluster's servers,
its fabric's tiers and the switches and racks of the catalog; power and owned price are those of
`giga plan`, so that the two never differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import loader, projects
from gigafactory.cost import cooling, money
from gigafactory.cost.fabric import CABLE_USD, DEFAULT_PORTS, FabricCount, fabric_count
from gigafactory.plan.promise import power_estimate
from gigafactory.spec.interval import Interval
from gigafactory.units import HOURS_PER_YEAR, J_PER_MWH, SECONDS_PER_HOUR

if TYPE_CHECKING:
    import datetime as dt

    from gigafactory.spec.cluster import Cluster
    from gigafactory.spec.fitout import Switch
    from gigafactory.spec.promise import PowerEstimate
    from gigafactory.spec.site import PriceBook, Site

HOURS_PER_MONTH: Final = HOURS_PER_YEAR / 12
DAYS_PER_MONTH: Final = HOURS_PER_MONTH / 24
TIERS: Final = ("leaf", "spine", "core", "super-core")
TREE: Final = "NVIDIA DGX SuperPOD reference architectures, SU tables: half of the ports up"
TOTAL: Final = "to buy and build it all"
PER_GPU: Final = "to buy and build, per GPU"
PER_HOUR: Final = "a GPU-hour on it, all hours used"
DELAY: Final = "a month's delay: write-off of what stands idle"
CHEAH: Final = "Eugene Cheah, H100 Freakonomics cluster table (Aug 2024)"
POWER: Final = (
    "server: node entry of the catalog; 10-12 % of network and storage (SemiAnalysis, Epoch AI); "
    "PUE: site entry; low: as drawn in training, high: nameplate, what is contracted"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a bill.

    Attributes:
        unit: "" for a count, else W, m3/day, USD, USD/GPU, USD/GPU-hour, USD/year, USD/month.
    """

    what: str
    unit: str
    amount: Interval
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a cluster is made of, draws and costs; None or left out where nothing is published.

    Attributes:
        delay_usd_per_month: Write-off of what was bought and stands idle for a month.
        lines: All of it, each with its source.
    """

    cluster: str
    num_gpus: int
    fabric: FabricCount
    facility_w: Interval | None
    capex_usd: Interval | None
    usd_per_gpu: Interval | None
    usd_per_gpu_hour: Interval | None
    delay_usd_per_month: Interval | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What is bought, where and when, and what it is made of."""

    cluster: Cluster
    site: Site
    on: dt.date
    switch: Switch | None
    parts: FabricCount
    drawn: PowerEstimate | None
    book: PriceBook | None


def bill(cluster: Cluster, site: Site, on: dt.date) -> Bill:
    """Return the bill of a cluster at the prices of a day.

    Args:
        cluster: What is bought.
        site: Where it stands.
        on: The day whose prices count.
    """
    name = cluster.accelerator.name
    order = _Order(
        cluster=cluster,
        site=site,
        on=on,
        switch=projects.switch_of(cluster),
        parts=fabric_of(cluster),
        drawn=power_estimate(cluster, cluster.num_gpus, site, Interval.point(1.0)),
        book=loader.prices(name) if name in loader.names("prices") else None,
    )
    bought = _bought(order)
    costs = _costs(order, bought)
    by_name = {line.what: line.amount for line in (*bought, *costs)}
    return Bill(
        cluster=cluster.name,
        num_gpus=cluster.num_gpus,
        fabric=order.parts,
        facility_w=order.drawn.facility_w if order.drawn else None,
        capex_usd=by_name.get(TOTAL),
        usd_per_gpu=by_name.get(PER_GPU),
        usd_per_gpu_hour=by_name.get(PER_HOUR),
        delay_usd_per_month=by_name.get(DELAY),
        lines=(*_counts(order), *_powers(order), *bought, *costs),
    )


def fabric_of(cluster: Cluster) -> FabricCount:
    """Return the parts of the cluster's fabric, up to the first tier that holds all of it."""
    tiers = cluster.fabric.tiers
    used = next((i + 1 for i, t in enumerate(tiers) if t.num_gpus >= cluster.num_gpus), len(tiers))
    switch = projects.switch_of(cluster)
    ports = switch.ports if switch else DEFAULT_PORTS
    return fabric_count(cluster.num_gpus, ports, [tier.oversubscription for tier in tiers[:used]])


def _counts(order: _Order) -> list[Line]:
    cluster, switch, parts = order.cluster, order.switch, order.parts
    node, rack = cluster.node, projects.rack_of(cluster)
    found = [_count(f"servers ({node.title})", cluster.num_nodes, _source(node.source, "default"))]
    if rack:
        racks = -(-cluster.num_nodes // rack.nodes)
        found.append(_count(f"racks ({rack.title})", racks, rack.source["default"]))
        if rack.coolant_units:
            units = racks * rack.coolant_units
            found.append(_count("coolant distribution units", units, rack.source["default"]))
    kind = switch.title if switch else f"{DEFAULT_PORTS}-port, assumed: no switch is published"
    source = f"{switch.source['default']}; {TREE}" if switch else f"assumption; {TREE}"
    for tier, number in zip(TIERS, parts.switches, strict=False):
        found.append(_count(f"{tier} switches ({kind})", number, source))
    found.append(_count("cables, all tiers", sum(parts.cables), TREE))
    found.append(_count("optical modules in cards", parts.card_optics, TREE))
    found.append(_count("optical modules in switches (2 links)", parts.switch_optics, TREE))
    return found


def _powers(order: _Order) -> list[Line]:
    parts, drawn = order.parts, order.drawn
    optics = "NVIDIA, specifications of 400 and 2 x 400 Gb/s modules: 8-9 and 16-17 W"
    found = [_line("optical modules draw", "W", parts.optics_w, optics)]
    if drawn is None:
        return found
    it, pue = drawn.it_w, drawn.facility_w.expected / drawn.it_w
    water = (cooling.water_m3_per_day(it, x) for x in _ends(cooling.WET_LITRES_PER_KWH))
    return [
        _line("servers, network, storage draw", "W", Interval.point(it), POWER),
        *found,
        _line("cooling and losses draw", "W", Interval.point(it * (pue - 1)), POWER),
        _line("the facility draws", "W", drawn.facility_w, POWER),
        _line("chillers, scaled from one plant", "", cooling.chillers(it),
              "Epoch AI, SemiAnalysis as quoted by climateerinvest: 119-121 for 200 MW"),
        _line("water, with wet cooling towers", "m3/day", _interval(*water),
              "datacentersx.com (read 2026): 1.0-2.0 litres per kWh of IT; hybrid takes a fifth"),
    ]  # fmt: skip


def _bought(order: _Order) -> tuple[Line, ...]:
    """Return what is bought and built; nothing where no price of the server is published."""
    book, drawn, site, gpus = order.book, order.drawn, order.site, order.cluster.num_gpus
    server = book.server_on(order.on) if book else None
    if book is None or server is None or drawn is None:
        return ()
    network, network_source = _network_usd(gpus, order.switch, order.parts, book)
    paid = money.capex(
        gpus,
        server_usd_per_gpu=server,
        network_usd_per_gpu=network.scaled(1 / gpus),
        construction_usd_per_w=site.construction_usd_per_w,
        contracted_w=drawn.facility_w.high,
    )
    total, build = paid.total_usd, _source(site.source, "construction_usd_per_w")
    return (
        _line("servers", "USD", paid.servers_usd, _source(book.source, "server_usd_per_gpu")),
        _line("switches, cables, optics", "USD", paid.network_usd, network_source),
        _line("building, cooling, substation, for contracted power", "USD",
              paid.construction_usd, build),
        _line(TOTAL, "USD", total, "sum of the three above"),
        _line(PER_GPU, "USD/GPU", total.scaled(1 / gpus), "sum of the three above over GPUs"),
    )  # fmt: skip


def _network_usd(
    gpus: int, switch: Switch | None, parts: FabricCount, book: PriceBook
) -> tuple[Interval, str]:
    """Return the price of the network: counted where its switch has a price, else the book's."""
    if switch is None or switch.usd is None:
        known = _source(book.source, "network_usd_per_gpu")
        return book.network_usd_per_gpu.scaled(gpus), f"per GPU, not counted: {known}"
    number, cables = sum(parts.switches), CABLE_USD * sum(parts.cables)
    usd = (number * price + cables for price in _ends(switch.usd))
    return _interval(*usd), f"{switch.source['usd']}; cables with optics ${CABLE_USD:,.0f}: {CHEAH}"


def _costs(order: _Order, bought: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return what it costs to own; nothing where not all of it has a price."""
    book, drawn, site, gpus = order.book, order.drawn, order.site, order.cluster.num_gpus
    if book is None or drawn is None or not bought:
        return ()
    total = next(line.amount for line in bought if line.what == TOTAL)
    years, price = book.straight_line_years, site.electricity_usd_per_mwh
    hour = money.owned_usd_per_gpu_hour_interval(
        total.scaled(1 / gpus), drawn.facility_w.scaled(1 / gpus), years=years, usd_per_mwh=price
    )
    mwh_per_year = SECONDS_PER_HOUR * HOURS_PER_YEAR / J_PER_MWH
    pairs = zip(_ends(drawn.facility_w), _ends(price), strict=True)
    energy = _interval(*(watts * mwh_per_year * usd for watts, usd in pairs))
    lives = (years.high, years.expected, years.low)
    idle = _interval(*(usd / y / 12 for usd, y in zip(_ends(total), lives, strict=True)))
    life, power = _source(book.source, "straight_line_years"), site.source
    found = [
        _line("energy", "USD/year", energy, _source(power, "electricity_usd_per_mwh")),
        _line(PER_HOUR, "USD/GPU-hour", hour, f"write-off and energy; {life}"),
        _line(DELAY, "USD/month", idle, life),
    ]
    rent = book.rent_on(order.on)
    if rent:
        found.append(_line("a month's delay: renting as many GPUs", "USD/month",
                           rent.scaled(gpus * HOURS_PER_MONTH),
                           _source(book.source, "rent_usd_per_gpu_hour")))  # fmt: skip
    return tuple(found)


def _line(what: str, unit: str, amount: Interval, source: str) -> Line:
    return Line(what=what, unit=unit, amount=amount, source=source)


def _count(what: str, number: int, source: str) -> Line:
    return _line(what, "", Interval.point(float(number)), source)


def _source(known: dict[str, str], key: str) -> str:
    return known.get(key) or known.get("default", "")


def _ends(values: Interval) -> tuple[float, float, float]:
    return values.low, values.expected, values.high


def _interval(low: float, expected: float, high: float) -> Interval:
    return Interval(low=low, expected=expected, high=high)
