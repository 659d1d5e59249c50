"""Machine output: the dictionaries that other programs rely on, and their one line of text.

Within `"schema": 1` keys are added, never renamed. SI units stand in suffixes, dates are ISO
8601, fractions lie between 0 and 1, and what is not known is null.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

from gigafactory.plan.answer import NothingFits
from gigafactory.plan.attribution import resource_times

if TYPE_CHECKING:
    from gigafactory.errors import DoesNotFit
    from gigafactory.plan.answer import Alternative, Answer
    from gigafactory.plan.attribution import OperatorTime
    from gigafactory.plan.growth import GrownRun
    from gigafactory.report.explained import Explained, Sibling
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.prediction import Prediction
    from gigafactory.spec.promise import CheckpointEstimate, CostEstimate, PowerEstimate, Promise

SCHEMA: Final = 1


def one_line(found: Mapping[str, Any]) -> str:
    """Return machine output as one line of JSON.

    >>> one_line({"schema": 1, "goodput": float("nan")})
    '{"schema":1,"goodput":null}'
    """
    return json.dumps(plain(found), allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; a number that is not finite becomes null."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, dt.date):
        return value.isoformat()
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [plain(one) for one in value]
    return _number(value)


def _number(value: Any) -> bool | int | float | None:
    """Return a number, numpy's included, as Python's own."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if isfinite(value) else None
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{type(value).__name__} cannot stand in machine output")
    found: bool | int | float | None = plain(item())
    return found


def plan_json(answer: Answer, wall_s: float) -> dict[str, Any]:
    """Return what `giga plan --json` prints.

    Args:
        answer: The best plan and what lost to it.
        wall_s: Seconds the search took.
    """
    promise = answer.promise
    plan = promise.plan
    found = {
        "schema": SCHEMA,
        "model": plan.model.name,
        "cluster": plan.cluster.name,
        "num_gpus": plan.cluster.num_gpus,
        "gpus_used": plan.layout.num_gpus,
        "layout": layout_json(plan.layout),
        "prediction": prediction_json(promise.prediction),
        "run": run_json(promise),
        "checkpoint": checkpoint_json(promise.checkpoint),
        "power": power_json(promise.power),
        "cost": cost_json(promise.cost),
        "search": {
            "considered": answer.considered,
            "priced": answer.priced,
            "fits": answer.fits,
            "wall_s": wall_s,
        },
        "alternatives": [alternative_json(one) for one in answer.alternatives],
        "front": [alternative_json(one) for one in answer.front],
        "notes": answer.notes,
        "growth": answer.growth and growth_json(answer.growth),
    }
    return _object(found)


def growth_json(growth: GrownRun) -> dict[str, Any]:
    """Return the run over the phases of a site that is still being built."""
    found = {
        "phases": [
            {
                "num_gpus": one.phase.num_gpus,
                "date": {"p10": one.phase.p10, "p50": one.phase.p50, "p90": one.phase.p90},
                "gpus_used": one.layout.num_gpus,
                "layout": layout_json(one.layout),
                "tokens_per_s": one.tokens_per_s,
                "tokens": one.tokens,
            }
            for one in growth.steps
        ],
        "start": dict(zip(("p10", "p50", "p90"), growth.start, strict=True)),
        "finish": dict(zip(("p10", "p50", "p90"), growth.finish, strict=True)),
        "earliest": growth.earliest,
        "latest": growth.latest,
        "whole_machine": growth.whole_machine,
        "by": growth.by,
        "on_time": growth.on_time,
        "source": growth.source,
    }
    return _object(found)


def layout_json(layout: Layout) -> dict[str, Any]:
    """Return a layout under the names of its fields; unsharded by default means fully sharded."""
    return _object(asdict(layout) | {"data_shard": layout.data_shard or layout.data_parallel})


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """Return one step's prediction; `breakdown_s` sums to `step_time_s.expected`."""
    found = {
        "step_time_s": prediction.step_time_s.as_dict(),
        "mfu": prediction.mfu,
        "tokens_per_s": prediction.tokens_per_s,
        "tokens_per_s_per_gpu": prediction.tokens_per_s_per_gpu,
        "model_flops_per_s_per_gpu": prediction.model_flops_per_s_per_gpu,
        "memory_bytes": max(prediction.memory_per_stage_bytes),
        "memory_capacity_bytes": prediction.memory_capacity_bytes,
        "memory_breakdown": prediction.memory,
        "memory_per_stage_bytes": prediction.memory_per_stage_bytes,
        "breakdown_s": prediction.breakdown_s,
        "bounded_by": prediction.bounded_by,
        "fits": prediction.fits,
        "assumptions": prediction.assumptions,
    }
    return _object(found)


def run_json(promise: Promise) -> dict[str, Any]:
    """Return how long the run takes under failures; `lost_fraction` completes goodput to 1."""
    run = promise.run
    found = {
        "tokens": promise.plan.job.tokens,
        "steps": run.steps,
        "productive_days": run.productive_days,
        "goodput": run.goodput.expected,
        "goodput_interval": run.goodput,
        "lost_fraction": run.lost,
        "mtbf_s": run.mtbf_s,
        "start": run.start,
        "finish": dict(zip(("low", "expected", "high"), run.finish, strict=True)),
        "by": run.by,
        "on_time": run.on_time,
    }
    return _object(found)


def checkpoint_json(saved: CheckpointEstimate) -> dict[str, Any]:
    """Return what a checkpoint weighs and asks of the storage."""
    found = {
        "bytes": saved.total_bytes,
        "interval_s": saved.interval_s,
        "blocking_s": saved.blocking_s,
        "write_bytes_per_s": saved.write_bytes_per_s,
    }
    return _object(found)


def power_json(power: PowerEstimate | None) -> dict[str, Any]:
    """Return the power of the whole cluster; nulls where no figure is published."""
    found = {
        "it_w": power and power.it_w,
        "facility_w": power and power.facility_w,
        "energy_mwh": power and power.energy_mwh,
        "co2_kg": power and power.co2_kg,
        "swing_w": power and power.swing_w,
        "levels": power and power.levels,
    }
    return _object(found)


def cost_json(cost: CostEstimate | None) -> dict[str, Any]:
    """Return the money of the run; nulls where no price is published."""
    found = {
        "usd": cost and cost.usd,
        "usd_per_gpu_hour": cost and cost.usd_per_gpu_hour.expected,
        "capex_usd": cost and cost.capex_usd.expected,
        "basis": cost and cost.basis,
        "usd_per_gpu_hour_interval": cost and cost.usd_per_gpu_hour,
        "capex_usd_interval": cost and cost.capex_usd,
        "owned_usd": cost and cost.owned_usd,
        "owned_usd_per_gpu_hour": cost and cost.owned_usd_per_gpu_hour,
    }
    return _object(found)


def alternative_json(other: Alternative) -> dict[str, Any]:
    """Return a layout that was not chosen, and why."""
    found = {
        "layout": layout_json(other.layout),
        "step_time_s": other.step_time_s,
        "memory_bytes": other.memory_bytes,
        "fits": True,  # the search returns no other
        "gpus_used": other.layout.num_gpus,
        "why": other.why,
    }
    return _object(found)


def nothing_fits_json(error: DoesNotFit) -> dict[str, Any]:
    """Return what `--json` prints when no layout answers; nearest is null where none is known."""
    nearest = None
    if isinstance(error, NothingFits):
        nearest = {
            "layout": layout_json(error.layout),
            "memory_bytes": error.memory_bytes,
            "would_fit_if": error.would_fit_if,
        }
    found = {"schema": SCHEMA, "layout": None, "nearest": nearest, "message": str(error)}
    return _object(found)


def error_json(error: Exception) -> dict[str, Any]:
    """Return what `--json` prints on a user's mistake; `field` is empty where none is at fault."""
    return {
        "schema": SCHEMA,
        "error": {
            "kind": type(error).__name__,
            "message": str(error),
            "field": str(getattr(error, "field", "")),
        },
    }


def explain_json(told: Explained) -> dict[str, Any]:
    """Return what `giga explain --json` prints; `operators` sum to `step_time_s.expected`."""
    prediction, measured_s = told.prediction, told.measured_s
    expected_s = prediction.step_time_s.expected
    found = {
        "schema": SCHEMA,
        "subject": told.title,
        "gpus_used": told.case.layout.num_gpus,
        "layout": layout_json(told.case.layout),
        "prediction": prediction_json(prediction),
        "share": {name: part / expected_s for name, part in asdict(prediction.breakdown_s).items()},
        "operators": [operator_json(row, expected_s) for row in told.operators],
        "resources": [
            {**asdict(one), "busy": one.busy_s / expected_s}
            for one in resource_times(told.operators)
        ],
        "measured": measured_s and {"step_time_s": measured_s, "source": told.reference},
        "relative_error": measured_s and expected_s / measured_s - 1,
        "inside_interval": told.inside,
        "caveat": told.caveat,
        "assumed": told.assumed,
        "siblings": [sibling_json(one) for one in told.siblings],
    }
    return _object(found)


def operator_json(row: OperatorTime, step_s: float) -> dict[str, Any]:
    """Return one operator in one pass on one resource; null where nothing is counted."""
    unit = "flops" if row.resource == "matmul" else "bytes"
    found = {
        "operator": row.operator,
        "pass": row.phase,
        "resource": row.resource,
        "part": row.part,
        "exposed_s": row.exposed_s,
        "hidden_s": row.hidden_s,
        "share": row.exposed_s / step_s,
        "calls": row.calls or None,
    }
    for name in ("flops", "bytes"):
        counted = name == unit
        found[name] = row.amount or None if counted else None
        found[f"{name}_per_s"] = row.amount_per_s or None if counted else None
        found[f"peak_{name}_per_s"] = row.peak_per_s or None if counted else None
    return found


def sibling_json(one: Sibling) -> dict[str, Any]:
    """Return another run of the same model and source; null where it is refused."""
    return {
        "id": one.id,
        "layout": one.layout and layout_json(one.layout),
        "measured_s": one.measured_s,
        "predicted_s": one.predicted_s,
        "relative_error": one.error,
    }


def _object(found: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = plain(found)
    return made
