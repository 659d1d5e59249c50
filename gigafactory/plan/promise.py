"""From a step to a run: goodput, dates, checkpoints, power, money, all in closed form."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from gigafactory.cost import money, power
from gigafactory.cost.goodput import GoodputEstimate, expected_wall_time_s, goodput
from gigafactory.cost.storage import (
    STORAGE_BYTES_PER_S_PER_GPU,
    CheckpointCost,
    checkpoint_bytes_per_parameter,
    checkpoint_cost,
    needed_write_bytes_per_s,
)
from gigafactory.spec.interval import Interval
from gigafactory.spec.plan import CheckpointPolicy, Plan
from gigafactory.spec.promise import (
    CheckpointEstimate,
    CostEstimate,
    PowerEstimate,
    Promise,
    RunEstimate,
)
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.spec.cluster import Cluster
    from gigafactory.spec.faults import FaultProfile
    from gigafactory.spec.job import Job
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.model import Model
    from gigafactory.spec.prediction import Prediction
    from gigafactory.spec.site import PriceBook, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a run depends on besides its machine: failures, site, prices (None: not published)."""

    faults: FaultProfile
    site: Site
    prices: PriceBook | None


def promise(
    model: Model, job: Job, layout: Layout, prediction: Prediction, *, machine: Machine,
    around: Surroundings,
) -> Promise:  # fmt: skip
    """Return the plan of one layout with everything it promises."""
    saved = checkpoint_of(model, layout)
    good = goodput_of(saved, layout.num_gpus, around.faults)
    run = run_estimate(job, layout, prediction.step_time_s, good)
    training_s = good.interval_s - good.blocking_s
    plan = Plan(
        model=model,
        cluster=machine.cluster,
        job=job,
        layout=layout,
        checkpoint=CheckpointPolicy(interval_s=training_s),
        software=machine.software.name,
        faults=around.faults.name,
    )
    wall = wall_s(run)
    drawn = power_estimate(machine.cluster, layout.num_gpus, around.site, wall)
    return Promise(
        plan=plan,
        prediction=prediction,
        run=run,
        checkpoint=CheckpointEstimate(
            total_bytes=float(saved.total_bytes),
            interval_s=training_s,
            blocking_s=float(saved.blocking_s),
            write_bytes_per_s=float(needed_write_bytes_per_s(saved.total_bytes, good.interval_s)),
        ),
        power=drawn,
        cost=cost_estimate(
            machine.cluster, layout.num_gpus, around, start=job.start, wall=wall, drawn=drawn
        ),
    )


def checkpoint_of(model: Model, layout: Layout) -> CheckpointCost:
    """Return what saving this run's state costs; sharded states are written by every rank."""
    writers = layout.num_gpus
    if layout.sharding == "none":
        writers //= layout.data_parallel
    return checkpoint_cost(
        float(model.num_parameters),
        bytes_per_parameter=checkpoint_bytes_per_parameter(layout.precision),
        num_writers=writers,
        storage_bytes_per_s=STORAGE_BYTES_PER_S_PER_GPU * layout.num_gpus,
    )


def goodput_of(saved: CheckpointCost, num_gpus: int, faults: FaultProfile) -> GoodputEstimate:
    """Return the goodput at the best checkpoint interval that the storage allows."""
    return goodput(
        faults,
        num_gpus,
        blocking_s=float(saved.blocking_s),
        least_interval_s=float(saved.least_interval_s),
    )


def run_estimate(
    job: Job, layout: Layout, step_time_s: Interval, good: GoodputEstimate
) -> RunEstimate:
    """Return steps, days and dates; the earliest finish has the fastest step and best goodput."""
    steps = ceil(job.tokens / layout.tokens_per_step)
    share = good.goodput
    finish = (
        day_after(job.start, expected_wall_time_s(steps * step_time_s.low, share.high)),
        day_after(job.start, expected_wall_time_s(steps * step_time_s.expected, share.expected)),
        day_after(job.start, expected_wall_time_s(steps * step_time_s.high, share.low)),
    )
    return RunEstimate(
        steps=steps,
        productive_days=steps * step_time_s.expected / SECONDS_PER_DAY,
        goodput=good.goodput,
        lost=good.lost,
        mtbf_s=good.mtbf_s,
        start=job.start,
        finish=finish,
        by=job.by,
        on_time=None if job.by is None else finish[1] <= job.by,
    )


def day_after(start: dt.date, seconds: float) -> dt.date:
    """Return the day on which a run of `seconds` ends; the calendar's last day at the latest.

    >>> day_after(dt.date(2025, 9, 30), 86_400.0)
    datetime.date(2025, 10, 1)
    """
    most = (dt.date.max - start).days
    days = seconds / SECONDS_PER_DAY
    return start + dt.timedelta(days=most if days >= most else ceil(days))


def wall_s(run: RunEstimate) -> Interval:
    """Return the seconds from start to end, failures included."""
    start, (first, expected, last) = run.start, run.finish
    del expected
    training_s = run.productive_days * SECONDS_PER_DAY
    middle = expected_wall_time_s(training_s, run.goodput.expected)
    low, high = ((day - start).days * SECONDS_PER_DAY for day in (first, last))
    return Interval(low=min(low, middle), expected=middle, high=max(high, middle))


def server_share(cluster: Cluster) -> power.ServerPower | None:
    """Return the power of one GPU's share of its server; None where no figure is published.

    Without a server's nameplate the accelerator's own is scaled by that of an 8-GPU H100 server.
    """
    node, count = cluster.node, cluster.node.num_accelerators
    if node.max_power_w:
        measured = node.training_power_w / count if node.training_power_w else None
        return power.server_power(node.max_power_w / count, measured)
    if cluster.accelerator.power_w is None:
        return None
    return power.server_power(cluster.accelerator.power_w * SERVER_OVER_ACCELERATOR)


SERVER_OVER_ACCELERATOR = 10_200.0 / 8 / 700.0  # DGX H100: 10.2 kW for eight 700 W GPUs


def power_estimate(
    cluster: Cluster, gpus_used: int, site: Site, wall: Interval
) -> PowerEstimate | None:
    """Return power of the whole cluster and energy of the run; None where no figure is known."""
    server = server_share(cluster)
    if server is None:
        return None
    drawn = power.machine_power(
        server, num_gpus=cluster.num_gpus, gpus_used=gpus_used, pue=site.pue
    )
    energy = float(power.energy_mwh(drawn.facility_w.expected, wall.expected))
    return PowerEstimate(
        it_w=drawn.it_w,
        facility_w=drawn.facility_w,
        swing_w=drawn.swing_w,
        energy_mwh=energy,
        co2_kg=float(power.co2_kg(energy, site.co2_kg_per_mwh.expected)),
        levels=dict(power.LEVELS),
    )


def cost_estimate(
    cluster: Cluster, gpus_used: int, around: Surroundings, *, start: dt.date, wall: Interval,
    drawn: PowerEstimate | None,
) -> CostEstimate | None:  # fmt: skip
    """Return rent or owned cost of the run and the price of the cluster; None if none is known."""
    book = around.prices
    server = book.server_on(start) if book else None
    if book is None or server is None or drawn is None:
        return None
    bought = money.capex(
        cluster.num_gpus,
        server_usd_per_gpu=server,
        network_usd_per_gpu=book.network_usd_per_gpu,
        construction_usd_per_w=around.site.construction_usd_per_w,
        contracted_w=drawn.facility_w.high,
    ).total_usd
    owned = money.owned_usd_per_gpu_hour_interval(
        bought.scaled(1 / cluster.num_gpus),
        drawn.facility_w.scaled(1 / cluster.num_gpus),
        years=book.straight_line_years,
        usd_per_mwh=around.site.electricity_usd_per_mwh,
    )
    rent = book.rent_on(start)
    paid = rent or owned
    return CostEstimate(
        usd=money.run_usd(gpus_used, wall, paid),
        basis="rent" if rent else "owned",
        usd_per_gpu_hour=paid,
        owned_usd_per_gpu_hour=owned,
        owned_usd=money.run_usd(gpus_used, wall, owned),
        capex_usd=bought,
    )
