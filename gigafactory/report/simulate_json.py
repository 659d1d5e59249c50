"""Machine output of `giga simulate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gigafactory.report.as_json import SCHEMA, plain

if TYPE_CHECKING:
    from gigafactory.simulate.smoothing import Smoothed
    from gigafactory.spec.outcome import Outcome


def simulate_json(
    found: Outcome, wall_s: float, smoothed: Smoothed | None = None
) -> dict[str, Any]:
    """Return what `giga simulate --json` prints.

    Args:
        found: The answer.
        wall_s: Seconds it took.
        smoothed: The grid's view of one seed, where a story was told.
    """
    low, middle, high = found.finish
    made = {
        "schema": SCHEMA,
        "seeds": found.seeds,
        "days": found.days,
        "num_gpus": found.num_gpus,
        "start": found.start,
        "policy": found.policy,
        "faults": found.profile,
        "interruptions": asdict(found.interruptions),
        "causes": {name: asdict(one) for name, one in found.causes.items()},
        "failures_per_1000_node_days": found.rates,
        "mtbf_s": found.mtbf_s,
        "goodput": asdict(found.goodput),
        "lost_fraction": found.lost_fraction,
        "checkpoint": _checkpoint(found),
        "spares": _spares(found),
        "finish": {"p10": low, "p50": middle, "p90": high},
        "power": asdict(found.power) if found.power else None,
        "tornado": [asdict(one) for one in found.swings],
        "assumptions": [{"what": what, "source": source} for what, source in found.assumptions],
        "wall_s": wall_s,
    }
    if smoothed is not None:
        made["grid"] = asdict(smoothed)
    told: dict[str, Any] = plain(made)
    return told


def _checkpoint(found: Outcome) -> dict[str, Any]:
    saved = found.checkpoint
    return {
        "interval_s": saved.interval_s,
        "optimal_interval_s": saved.optimal_interval_s,
        "blocking_s": saved.blocking_s,
        "bytes": saved.total_bytes,
        "rule": saved.rule,
    }


def _spares(found: Outcome) -> dict[str, Any]:
    spares = found.spares
    return {
        "given": spares.given,
        "left_over": spares.left_over,
        "used": spares.used.p50,
        "used_distribution": asdict(spares.used),
        "enough_p99": spares.enough_p99,
    }
