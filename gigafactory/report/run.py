"""The whole run as sheets: dates under failures, checkpoints, power, money, each with its width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.report.sheet import Sheet
from gigafactory.report.words import count, duration, share, span, usd
from gigafactory.units import SECONDS_PER_DAY, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.spec.interval import Interval
    from gigafactory.spec.promise import CostEstimate, PowerEstimate, Promise

LOSSES: Final = {
    "detect": "noticing failures",
    "restart": "restarting",
    "rework": "redoing lost steps",
    "checkpoint": "writing checkpoints",
    "degraded": "running degraded",
    "waiting": "waiting for spares",
    "idle": "idle",
}
BASES: Final = {
    "rent": "rented at the published price",
    "owned": "no rent is published: write-off and energy of one's own machine",
}
KG_PER_T: Final = 1e3


def headline(promise: Promise) -> tuple[str, str]:
    """Return what is planned, and what it comes to, in a sentence each."""
    plan, prediction, run = promise.plan, promise.prediction, promise.run
    model, cluster = plan.model, plan.cluster
    size = f"{count(model.num_parameters)} parameters"
    if model.experts:
        size += f", {count(model.num_active_parameters)} active"
    used, offered = plan.layout.num_gpus, cluster.num_gpus
    gpus = f"{used:,} of {offered:,}" if used < offered else f"all {used:,}"
    days = duration(wall_s(promise))
    return (
        f"{model.name} ({size}) on {gpus} {cluster.accelerator.name} of {cluster.name}",
        f"{show(prediction.step_time_s.expected, 's')} per step, MFU {share(prediction.mfu)}; "
        f"{count(plan.job.tokens)} tokens in {days}, done on {run.finish[1]}{_deadline(promise)}",
    )


def _deadline(promise: Promise) -> str:
    if promise.run.by is None:
        return ""
    return f", {'in time' if promise.run.on_time else 'too late'} for {promise.run.by}"


def wall_s(promise: Promise) -> float:
    """Return the expected seconds from start to end, failures included."""
    return promise.run.productive_days * SECONDS_PER_DAY / promise.run.goodput.expected


def run_sheet(promise: Promise) -> Sheet:
    """Return what happens between start and finish, lowest, expected and highest."""
    run, prediction = promise.run, promise.prediction
    finish = tuple(day.isoformat() for day in run.finish)
    steps = f"{run.steps:,} steps of {count(promise.plan.layout.tokens_per_step)} tokens"
    rows = [
        ("step time", *span(prediction.step_time_s, "s")),
        ("goodput, share of time that trains", *_three(run.goodput, share)),
        ("time between interruptions", *_three(run.mtbf_s, duration)),
        (f"finish, from {run.start}", *finish),
    ]
    lost = ", ".join(
        f"{LOSSES.get(cause, cause)} {share(part)}" for cause, part in _largest_first(run.lost)
    )
    return Sheet(
        title=f"Run: {steps}, {count(prediction.tokens_per_s)} tokens/s while it trains",
        align="lrrr",
        head=("", "low", "expected", "high"),
        rows=tuple(rows),
        note=f"Lost to failures: {lost}." if lost else "",
    )


def _largest_first(parts: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(((k, v) for k, v in parts.items() if v > 0), key=lambda pair: -pair[1])


def _three(values: Interval, told: Callable[[float], str]) -> tuple[str, str, str]:
    return told(values.low), told(values.expected), told(values.high)


def checkpoint_sheet(promise: Promise) -> Sheet:
    """Return what a checkpoint weighs, when it is written and what the storage must bear."""
    saved = promise.checkpoint
    return Sheet(
        title="Checkpoint",
        align="lrlr",
        rows=(
            (
                "size", show(saved.total_bytes, "B"),
                "every", duration(saved.interval_s),
            ),
            (
                "training stands still for", duration(saved.blocking_s),
                "storage must write", show(saved.write_bytes_per_s, "B/s"),
            ),
        ),
    )  # fmt: skip


def power_sheet(power: PowerEstimate | None) -> Sheet:
    """Return the facility's power at its three levels and what each means, and the energy."""
    title = "Power of the whole cluster"
    if power is None:
        return Sheet(title=title, align="l", rows=(("no figure is published for this server",),))
    levels = zip(power.levels.items(), span(power.facility_w, "W"), strict=True)
    rows = [(shown, *meaning.partition(": ")[::2]) for (_, meaning), shown in levels]
    tonnes = power.co2_kg / KG_PER_T
    return Sheet(
        title=f"{title}: {show(power.facility_w.expected, 'W')} at the meter",
        align="rll",
        rows=tuple(rows),
        note=f"{show(power.it_w, 'W')} of it in servers and network; falls by "
        f"{show(power.swing_w, 'W')} when every GPU waits. The run takes "
        f"{power.energy_mwh:,.0f} MWh and emits {tonnes:,.0f} t of CO2.",
    )


def cost_sheet(cost: CostEstimate | None) -> Sheet:
    """Return the money of the run, rented and owned, and the price of the cluster."""
    if cost is None:
        return Sheet(title="Cost", align="l", rows=(("no price is published",),))
    rows = [
        ("a GPU-hour on a machine of one's own", *_three(cost.owned_usd_per_gpu_hour, usd)),
        ("the run on a machine of one's own", *_three(cost.owned_usd, usd)),
        ("to buy and build the whole cluster", *_three(cost.capex_usd, usd)),
    ]
    if cost.basis == "rent":
        rows = [
            ("a rented GPU-hour", *_three(cost.usd_per_gpu_hour, usd)),
            ("the run, rented", *_three(cost.usd, usd)),
            *rows,
        ]
    return Sheet(
        title=f"Cost of the run: {usd(cost.usd.expected)}, {BASES.get(cost.basis, cost.basis)}",
        align="lrrr",
        head=("", "low", "expected", "high"),
        rows=tuple(rows),
    )
