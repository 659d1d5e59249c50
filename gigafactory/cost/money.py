"""What a run costs: rented by the hour, or owned and written off in a straight line.

    rent     GPU-hours x rent per GPU-hour
    owned    (purchase per GPU / years + facility watts per GPU x price of energy) / share in use
    capex    GPUs x (server + network) + contracted facility watts x construction per watt

Left out, because no source gives a number: staff, maintenance contracts, spares, interest, resale
value, software and data. Rents include the provider's own of these; the owned price does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gigafactory.errors import SpecError
from gigafactory.spec.interval import Interval
from gigafactory.units import HOURS_PER_YEAR, J_PER_MWH, SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Capex:
    """Purchase of a cluster in dollars, by part.

    Attributes:
        servers_usd: Accelerators in their servers.
        network_usd: Switches, cables and optics.
        construction_usd: Building, cooling, substation.
    """

    servers_usd: Interval
    network_usd: Interval
    construction_usd: Interval

    @property
    def total_usd(self) -> Interval:
        """All parts together; the ends add up as if all prices were low or high at once."""
        return _sum(self.servers_usd, self.network_usd, self.construction_usd)


def gpu_hours(num_gpus: Any, time_s: Any) -> Any:
    """Return the GPU-hours of a job of `num_gpus` that runs for `time_s`.

    >>> gpu_hours(8, 7200.0)
    16.0
    """
    return num_gpus * (time_s / SECONDS_PER_HOUR)


def rent_usd(num_gpus: Any, time_s: Any, usd_per_gpu_hour: Any) -> Any:
    """Return the dollars that a rented job costs, energy and building included in the rent."""
    return gpu_hours(num_gpus, time_s) * usd_per_gpu_hour


def owned_usd_per_gpu_hour(
    capex_usd_per_gpu: Any,
    facility_w_per_gpu: Any,
    *,
    years: Any,
    usd_per_mwh: Any,
    used_share: Any = 1.0,
) -> Any:
    """Return the dollars of one GPU-hour on an owned machine: write-off and energy over use.

    Energy is paid for idle hours as well, as in public total-cost calculators.

    Args:
        capex_usd_per_gpu: All that was bought and built, per GPU.
        facility_w_per_gpu: Watts at the meter per GPU, PUE included.
        years: Straight-line life.
        usd_per_mwh: Price of energy.
        used_share: Share of its life that the machine trains, above 0 up to 1.
    """
    write_off = capex_usd_per_gpu / (years * HOURS_PER_YEAR)
    usd_per_j = usd_per_mwh / J_PER_MWH
    energy = facility_w_per_gpu * SECONDS_PER_HOUR * usd_per_j
    return (write_off + energy) / used_share


def owned_usd_per_gpu_hour_interval(
    capex_usd_per_gpu: Interval,
    facility_w_per_gpu: Interval,
    *,
    years: Interval,
    usd_per_mwh: Interval,
    used_share: float = 1.0,
) -> Interval:
    """Return the owned price of one GPU-hour; low with cheap, long-lived, lean, high reversed.

    Raises:
        SpecError: The share in use is not above 0 and at most 1.
    """
    if not 0 < used_share <= 1:
        raise SpecError(f"owned price: used_share must be above 0 and at most 1, got {used_share}")

    def price(capex: float, watts: float, life: float, usd: float) -> float:
        return float(
            owned_usd_per_gpu_hour(capex, watts, years=life, usd_per_mwh=usd, used_share=used_share)
        )

    capex, watts = capex_usd_per_gpu, facility_w_per_gpu
    return Interval(
        low=price(capex.low, watts.low, years.high, usd_per_mwh.low),
        expected=price(capex.expected, watts.expected, years.expected, usd_per_mwh.expected),
        high=price(capex.high, watts.high, years.low, usd_per_mwh.high),
    )


def capex(
    num_gpus: int,
    *,
    server_usd_per_gpu: Interval,
    network_usd_per_gpu: Interval,
    construction_usd_per_w: Interval,
    contracted_w: float,
) -> Capex:
    """Return the dollars to buy and build a cluster; a building is sized for contracted power."""
    return Capex(
        servers_usd=server_usd_per_gpu.scaled(num_gpus),
        network_usd=network_usd_per_gpu.scaled(num_gpus),
        construction_usd=construction_usd_per_w.scaled(contracted_w),
    )


def run_usd(num_gpus: int, time_s: Interval, usd_per_gpu_hour: Interval) -> Interval:
    """Return the dollars of a run; low is the shortest run at the lowest price."""
    return Interval(
        low=rent_usd(num_gpus, time_s.low, usd_per_gpu_hour.low),
        expected=rent_usd(num_gpus, time_s.expected, usd_per_gpu_hour.expected),
        high=rent_usd(num_gpus, time_s.high, usd_per_gpu_hour.high),
    )


def _sum(*parts: Interval) -> Interval:
    return Interval(
        low=sum(part.low for part in parts),
        expected=sum(part.expected for part in parts),
        high=sum(part.high for part in parts),
    )
