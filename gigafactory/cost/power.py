"""Power of the whole machine from the server outwards, then energy, carbon dioxide and swings.

    facility = (training servers + idle servers) x (1 + network and storage) x PUE

A server draws idle + u x (nameplate - idle), with u the utilisation of that range. Three levels of
the same machine are published and all mean something: *measured* (what servers drew in training,
the leanest overheads), *expected* (the same servers with the site's expected overheads) and
*contracted* (nameplate everywhere, the heaviest overheads: what the substation is ordered for).
Left out: conversion losses between substation and rack, which published PUE values include.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from gigafactory.errors import SpecError
from gigafactory.spec.interval import Interval
from gigafactory.units import J_PER_MWH

# Switches, optics, storage and CPU nodes over the servers' power.
# Source: SemiAnalysis, "100,000 H100 Clusters" (June 2024): about 10 % on top; Epoch AI GPU
# Clusters (2026-03-06): 1,427 W (2024) and 1,401 W (2025) per H100 over 1,275 W = 1.12 and 1.10.
NETWORK_AND_STORAGE: Final = Interval(low=0.10, expected=0.11, high=0.12)
# Idle over nameplate of a GPU server: 656 W of 2,734 W from the component watts of Frontier's
# node (ExaDigiT RAPS frontier.yaml @6c142bf). mlsysim 0.3.0 assumes 0.30. None measured for H100.
IDLE_SHARE: Final = (4 * 88 + 90 + 74.26 + 4 * 20 + 2 * 30) / (4 * 560 + 280 + 74.26 + 80 + 60)
# Highest draw in training over nameplate, for servers that nobody has measured: 8.48 of 10.2 kW of
# an 8-GPU H100 server (Latif et al. 2025, IEEE Access 13, arXiv 2412.08602).
TRAINING_SHARE: Final = 8.48 / 10.2

LEVELS: Final = {
    "low": "measured: servers as drawn in training, leanest network, storage and cooling",
    "expected": "expected: servers as drawn in training, the site's expected overheads",
    "high": "contracted: nameplate of every server, heaviest network, storage and cooling",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPower:
    """Power of one accelerator's share of its server.

    Attributes:
        idle_w: Nothing runs.
        training_w: The highest draw seen in training.
        nameplate_w: What the power supplies are rated for.
    """

    idle_w: float
    training_w: float
    nameplate_w: float

    def __post_init__(self) -> None:
        if not 0 <= self.idle_w <= self.training_w <= self.nameplate_w:
            raise SpecError(
                f"server power: idle_w {self.idle_w} <= training_w {self.training_w} <= "
                f"nameplate_w {self.nameplate_w} must hold, from 0 on",
                field="training_w",
            )

    @property
    def utilisation(self) -> float:
        """Share of the range from idle to nameplate that training uses."""
        span_w = self.nameplate_w - self.idle_w
        return (self.training_w - self.idle_w) / span_w if span_w else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePower:
    """Power of the whole cluster while the job trains.

    Attributes:
        it_w: Servers, network and storage, expected.
        facility_w: At the meter: measured, expected and contracted level (see LEVELS).
        swing_w: Fall of the IT power when all servers of the job pause at once.
    """

    it_w: float
    facility_w: Interval
    swing_w: float


def server_power(
    nameplate_w: float, training_w: float | None = None, idle_w: float | None = None
) -> ServerPower:
    """Return one accelerator's share of server power, what is not measured by share of nameplate.

    >>> server_power(1275.0, 1060.0).utilisation > 0.7
    True

    Raises:
        SpecError: The three are not in order.
    """
    return ServerPower(
        idle_w=IDLE_SHARE * nameplate_w if idle_w is None else idle_w,
        training_w=TRAINING_SHARE * nameplate_w if training_w is None else training_w,
        nameplate_w=nameplate_w,
    )


def server_power_w(idle_w: Any, nameplate_w: Any, utilisation: Any) -> Any:
    """Return the watts of a server between idle (utilisation 0) and nameplate (1).

    >>> server_power_w(300.0, 1300.0, 0.5)
    800.0
    """
    return idle_w + utilisation * (nameplate_w - idle_w)


def it_power_w(servers_w: Any, overhead_share: Any) -> Any:
    """Return the watts of servers with their network and storage."""
    return servers_w * (1.0 + overhead_share)


def facility_power_w(servers_w: Any, overhead_share: Any, pue: Any) -> Any:
    """Return the watts at the meter: servers, network and storage, cooling and losses."""
    return it_power_w(servers_w, overhead_share) * pue


def servers_w(num_gpus: Any, gpus_used: Any, busy_w: Any, idle_w: Any) -> Any:
    """Return the watts of all servers: those of the job busy, the others of the cluster idle."""
    return gpus_used * busy_w + (num_gpus - gpus_used) * idle_w


def machine_power(
    server: ServerPower,
    *,
    num_gpus: int,
    gpus_used: int,
    pue: Interval,
    utilisation: float | None = None,
    overhead: Interval = NETWORK_AND_STORAGE,
) -> MachinePower:
    """Return the power of the whole cluster while a job on `gpus_used` of its GPUs trains.

    Args:
        server: One accelerator's share of its server.
        num_gpus: Accelerators of the cluster; those the job leaves over draw idle power.
        gpus_used: Accelerators of the job.
        pue: Facility power over IT power.
        utilisation: Share of the range idle to nameplate in training; None takes the measured one.
        overhead: Network and storage over server power.

    Raises:
        SpecError: The job uses more accelerators than there are, or the utilisation is not in 0-1.
    """
    busy = server.utilisation if utilisation is None else utilisation
    if not 0 <= busy <= 1:
        raise SpecError(f"power: utilisation must be between 0 and 1, got {busy}")
    if not 0 <= gpus_used <= num_gpus:
        raise SpecError(f"power: gpus_used must be between 0 and {num_gpus}, got {gpus_used}")
    busy_w = server_power_w(server.idle_w, server.nameplate_w, busy)
    training_w = servers_w(num_gpus, gpus_used, busy_w, server.idle_w)
    ordered_w = num_gpus * server.nameplate_w
    return MachinePower(
        it_w=it_power_w(training_w, overhead.expected),
        facility_w=Interval(
            low=facility_power_w(training_w, overhead.low, pue.low),
            expected=facility_power_w(training_w, overhead.expected, pue.expected),
            high=facility_power_w(ordered_w, overhead.high, pue.high),
        ),
        swing_w=swing_w(gpus_used, busy_w, server.idle_w),
    )


def swing_w(gpus_used: Any, busy_w: Any, quiet_w: Any) -> Any:
    """Return the watts by which IT power falls when all servers of a job turn quiet together.

    In an exposed all-reduce or a blocking checkpoint servers fall near idle (arXiv 2508.14318),
    within less than a second, so neither network, storage nor cooling follow: they are left out.
    """
    return gpus_used * (busy_w - quiet_w)


def energy_j(power_w: Any, time_s: Any) -> Any:
    """Return the joules of `power_w` over `time_s`."""
    return power_w * time_s


def energy_mwh(power_w: Any, time_s: Any) -> Any:
    """Return the megawatt-hours of `power_w` over `time_s`.

    >>> energy_mwh(150e6, 3600.0)
    150.0
    """
    return energy_j(power_w, time_s) / J_PER_MWH


def co2_kg(energy_mwh: Any, co2_kg_per_mwh: Any) -> Any:
    """Return the carbon dioxide of grid energy in kilograms."""
    return energy_mwh * co2_kg_per_mwh
