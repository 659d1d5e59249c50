"""What runs tell of a cluster: for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gigafactory.report.as_json import SCHEMA, plain
from gigafactory.report.sheet import Sheet

if TYPE_CHECKING:
    from gigafactory.compare.learned import Learned, LearnedCluster


def learned_json(found: LearnedCluster) -> dict[str, Any]:
    """Return what `giga calibrate --from-run --json` prints."""
    made: dict[str, Any] = plain({
        "schema": SCHEMA,
        "cluster": found.cluster.name,
        "factors": found.factors,
        "relative_error_before": found.before,
        "relative_error_after": found.after,
    })  # fmt: skip
    return made


def learned_sheets(found: LearnedCluster) -> list[Sheet]:
    """Return every factor before and after, and how far the prediction is off each run."""
    silent = [one.name for one in found.factors if not one.told]
    note = f"These runs do not tell {', '.join(silent)}: the catalog's stand." if silent else ""
    return [
        Sheet(
            title="Factors",
            align="lrrrl",
            head=("", "catalog", "learned", "width", "told"),
            rows=tuple(_row(one) for one in found.factors),
            note=note,
        ),
        Sheet(
            title="Predicted step over the measured one",
            align="lrr",
            head=("run", "catalog", "learned"),
            rows=tuple(
                (name, f"{off:+z.1%}", f"{found.after[name]:+z.1%}")
                for name, off in found.before.items()
            ),
        ),
    ]


def _row(one: Learned) -> tuple[str, ...]:
    width = f"{one.prior_spread:.0%} to {one.spread:.1%}" if one.told else f"{one.prior_spread:.0%}"
    told = "yes" if one.told else "no"
    return one.name, f"{one.prior:.4g}", f"{one.value:.4g}", width, told
