"""The known clusters over time, each against Meta's largest of its day."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog import loader

if TYPE_CHECKING:
    from rich.table import Table

    from gigafactory.spec.cluster import ClusterRecord

PROMISED: Final = dt.date(2024, 5, 25)  # the day The Information reported the Gigafactory
PROMISED_MULTIPLE: Final = 4  # "at least four times" Meta's largest, same report
RIVAL: Final = "Meta"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow:
    """One line of the comparison.

    Attributes:
        peak_bf16_flops_per_s: Dense peak of all accelerators; None where one is not in the catalog.
        power_basis: How the power was found.
        times_rival: Accelerators over those of Meta's largest cluster in use on that day; None
            before Meta had one, and for what is only planned.
    """

    name: str
    title: str
    owner: str
    available: dt.date | None
    num_gpus: int
    accelerators: dict[str, int]
    peak_bf16_flops_per_s: float | None
    reported_power_w: float | None
    power_basis: str
    reported_cost_usd: float | None
    cost_basis: str
    times_rival: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the line as machine output prints it."""
        return {**asdict(self), "available": self.available and self.available.isoformat()}


def largest_of(owner: str, day: dt.date) -> ClusterRecord | None:
    """Return the owner's cluster with the most accelerators in use on `day`, the first of equals.

    Accelerators of different kinds count the same.
    """
    standing = [
        record
        for record in loader.cluster_records()
        if record.owner == owner and record.available and record.available <= day
    ]
    return max(standing, key=lambda record: record.num_gpus, default=None)


def peak_bf16_flops_per_s(record: ClusterRecord) -> float | None:
    """Return the dense bf16 peak of a cluster, None where the catalog does not know it."""
    known = loader.names("accelerators")
    if not record.accelerators or not all(name in known for name in record.accelerators):
        return None
    peaks = [
        (count, loader.accelerator(name).peak_flops_per_s.get("bf16"))
        for name, count in record.accelerators.items()
    ]
    return sum(count * peak for count, peak in peaks if peak) if all(p for _, p in peaks) else None


def rows() -> list[ClusterRow]:
    """Return all known clusters in order of time, planned ones last."""
    return [_row(record) for record in loader.cluster_records()]


def answer() -> str:
    """Return whether the Gigafactory is four times Meta's largest cluster, from the catalog."""
    promised = loader.cluster_record("gigafactory")
    then = largest_of(RIVAL, PROMISED)
    assert then is not None
    assert promised.available is not None
    due = largest_of(RIVAL, promised.available)
    assert due is not None
    times, times_due = promised.num_gpus / then.num_gpus, promised.num_gpus / due.num_gpus
    holds = "yes" if times >= PROMISED_MULTIPLE else "no"
    return (
        f"Is the Gigafactory four times {RIVAL}'s largest? On the day of the promise, {PROMISED}, "
        f"{holds}: {promised.num_gpus:,} GPUs are {times:.2f} times {then.name} "
        f"({then.num_gpus:,}); on the day it was due, {promised.available}, they are "
        f"{times_due:.2f} times {due.name} ({due.num_gpus:,})."
    )


def as_json() -> dict[str, Any]:
    """Return the comparison as machine output prints it."""
    return {"schema": 1, "clusters": [row.as_dict() for row in rows()], "answer": answer()}


def table() -> Table:
    """Return the comparison as a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    title = "Known clusters over time: dense bf16 peak, power and cost as reported or estimated"
    found = Table(
        title=title, caption=answer(), caption_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    found.add_column("date", no_wrap=True)
    found.add_column("cluster", no_wrap=True)
    found.add_column("owner")
    for column in ("GPUs", "EFLOP/s", "MW", "M$", f"x {RIVAL}"):
        found.add_column(column, justify="right", no_wrap=True)
    for row in rows():
        found.add_row(
            str(row.available or "planned"),
            row.name,
            row.owner,
            f"{row.num_gpus:,}" if row.num_gpus else "",
            _scaled(row.peak_bf16_flops_per_s, 1e18),
            _scaled(row.reported_power_w, 1e6),
            _scaled(row.reported_cost_usd, 1e6),
            _scaled(row.times_rival, 1.0),
        )
    return found


def _row(record: ClusterRecord) -> ClusterRow:
    rival = largest_of(RIVAL, record.available) if record.available else None
    return ClusterRow(
        name=record.name,
        title=record.title,
        owner=record.owner,
        available=record.available,
        num_gpus=record.num_gpus,
        accelerators=record.accelerators,
        peak_bf16_flops_per_s=peak_bf16_flops_per_s(record),
        reported_power_w=record.reported_power_w,
        power_basis=record.power_basis,
        reported_cost_usd=record.reported_cost_usd,
        cost_basis=record.cost_basis,
        times_rival=record.num_gpus / rival.num_gpus if rival and record.num_gpus else None,
    )


def _scaled(value: float | None, unit: float) -> str:
    if value is None:
        return ""
    scaled = value / unit
    return f"{scaled:,.0f}" if scaled >= 100 else f"{scaled:.3g}"
