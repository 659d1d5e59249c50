"""What a plan promises for the whole run: dates, checkpoints, power, money."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from gigafactory.spec.base import Spec
from gigafactory.spec.interval import Interval
from gigafactory.spec.plan import Plan
from gigafactory.spec.prediction import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEstimate(Spec):
    """How long the run takes under failures.

    Attributes:
        productive_days: Days of training steps alone.
        goodput: Share of wall time that trains.
        lost: Share of wall time lost, by cause.
        finish: Earliest, expected and latest day.
        on_time: Whether the expected day is not after the deadline; None without one.
    """

    steps: int
    productive_days: float
    goodput: Interval
    lost: dict[str, float] = field(hash=False)
    mtbf_s: Interval
    start: dt.date
    finish: tuple[dt.date, dt.date, dt.date]
    by: dt.date | None
    on_time: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEstimate(Spec):
    """What a checkpoint weighs and asks of the storage.

    Attributes:
        interval_s: Seconds of training between two checkpoints.
        blocking_s: Seconds that training stands still for one.
        write_bytes_per_s: Storage bandwidth that ends one before the next begins.
    """

    total_bytes: float
    interval_s: float
    blocking_s: float
    write_bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerEstimate(Spec):
    """Power of the whole cluster while the job trains, and the energy of the run.

    Attributes:
        levels: What each end of the facility interval means.
        swing_w: Fall of power when every GPU waits at once.
    """

    it_w: float
    facility_w: Interval
    swing_w: float
    energy_mwh: float
    co2_kg: float
    levels: dict[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate(Spec):
    """Money of the run.

    Attributes:
        usd: Of the run: rent where a rent is published, else the owned cost.
        basis: "rent" or "owned".
        usd_per_gpu_hour: What that was counted with.
        owned_usd_per_gpu_hour: The same GPU-hour on a machine of one's own.
        owned_usd: The run on a machine of one's own: write-off and energy.
        capex_usd: To buy and build the whole cluster.
    """

    usd: Interval
    basis: str
    usd_per_gpu_hour: Interval
    owned_usd_per_gpu_hour: Interval
    owned_usd: Interval
    capex_usd: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise(Spec):
    """A plan with everything that is predicted of it."""

    plan: Plan
    prediction: Prediction
    run: RunEstimate
    checkpoint: CheckpointEstimate
    power: PowerEstimate | None
    cost: CostEstimate | None
