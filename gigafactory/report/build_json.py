"""Machine output of `giga build`."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from gigafactory.catalog import observed
from gigafactory.report.as_json import SCHEMA, plain

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gigafactory.build.bill import Bill
    from gigafactory.build.delivery import Delivery, TaskOutlook, View

KEYS = ("p10", "p50", "p90")


def build_json(found: Delivery, wall_s: float) -> dict[str, Any]:
    """Return what `giga build --json` prints.

    Args:
        found: The answer.
        wall_s: Seconds it took.
    """
    names = found.courses.network.names
    made = {
        "schema": SCHEMA,
        "site": found.project.name,
        "samples": found.samples,
        "start": found.project.start,
        "by": found.by,
        "p_on_time": found.p_on_time,
        "finish": _dates(found.finish),
        "criticality": dict(zip(names, found.courses.criticality, strict=True)),
        "phases": [
            {"num_gpus": p.num_gpus, "date": {"p10": p.p10, "p50": p.p50, "p90": p.p90}}
            for p in found.growth.phases
        ],
        "reference_class": [view_json(view) for view in found.views],
        "back_test": [
            {"known": known, "sites": [asdict(one) for one in tests]}
            for known, tests in found.tests
        ],
        "critical_path": {
            "tasks": found.schedule.critical_path,
            "days": found.schedule.end,
        },
        "tasks": [task_json(task) for task in found.tasks],
        "tornado": [asdict(swing) for swing in found.swings],
        "assumptions": [asdict(one) for one in found.assumed],
        "delay_usd_per_day": found.delay_usd_per_day,
        "bill": bill_json(found.bill) if found.bill else None,
        "wall_s": wall_s,
    }
    told: dict[str, Any] = plain(made)
    return told


def view_json(view: View) -> dict[str, Any]:
    """Return the outside view as of one day; null where its data do not reach."""
    return {
        "as_of": view.survival.as_of,
        "p_on_time": view.p_on_time,
        "n": view.survival.n,
        "censored": view.survival.censored,
        "days": view.days,
        "finish": _dates(view.finish),
        "from_first_works": view.works_days
        and {"days": view.works_days, "p_on_time": view.works_p_on_time},
        "reconciled": {
            "weights": {"inside": view.pool.inside_weight, "outside": 1 - view.pool.inside_weight},
            "p_on_time": view.pool_p_on_time,
            "finish": _dates(view.pool_finish),
        },
        "source": observed.SOURCE,
    }


def task_json(task: TaskOutlook) -> dict[str, Any]:
    """Return one task; its slack is null where nothing waits for it."""
    return {
        "name": task.name,
        "title": task.title,
        "criticality": task.criticality,
        "start": {"p50": task.start[0], "p80": task.start[1]},
        "finish": {"p50": task.finish[0], "p80": task.finish[1]},
        "slack_days": task.slack_days if isfinite(task.slack_days) else None,
        "buys_days": task.buys_days,
        "taken": task.taken,
        "source": task.source,
    }


def bill_json(bill: Bill) -> dict[str, Any]:
    """Return the bill; null where no figure is published."""
    return {
        "cluster": bill.cluster,
        "num_gpus": bill.num_gpus,
        "switches": bill.fabric.switches,
        "cables": bill.fabric.cables,
        "facility_w": bill.facility_w,
        "capex_usd": bill.capex_usd,
        "usd_per_gpu": bill.usd_per_gpu,
        "usd_per_gpu_hour": bill.usd_per_gpu_hour,
        "delay_usd_per_month": bill.delay_usd_per_month,
        "lines": bill.lines,
    }


def _dates(days: Sequence[dt.date | None]) -> dict[str, dt.date | None]:
    return dict(zip(KEYS, days, strict=True))
