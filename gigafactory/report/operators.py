"""Operator x pass x resource as sheets: where the milliseconds go, and how busy the machine is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.plan.attribution import resource_times
from gigafactory.report.sheet import Sheet
from gigafactory.report.words import share
from gigafactory.units import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.plan.attribution import OperatorTime, ResourceTime

SHORT: Final = {
    "input gradient": "dgrad",
    "weight gradient": "wgrad",
    "recomputation": "recompute",
    "memory": "HBM",
    "network": "NIC",
}
RESOURCES: Final = {
    "matmul": "matrix units, their start-up and padding included",
    "memory": "HBM, also what moves under a matrix product",
    "link": "links inside a server: NVLink, xGMI, PCIe between islands",
    "network": "network cards and switches",
    "host": "launching kernels from the CPU",
    "waiting": "for fuller stages, fill and drain, the slowest node",
}
SMALL: Final = 1e-3  # of the step: the rows left out together expose no more than this
BUSY: Final = 1e-3  # of the step: a transfer hidden longer than this is shown


def operators_sheet(rows: Sequence[OperatorTime], *, whole: bool = False) -> Sheet:
    """Return operators by exposed time, largest first.

    Args:
        rows: Of `operator_times`.
        whole: Show all; else the smallest, 0.1 % of the step together, are one row.
    """
    total_s = sum(row.exposed_s for row in rows)
    shown = list(rows) if whole else _worth_showing(rows, total_s)
    cells = [_cells(row, total_s) for row in shown]
    left = [row for row in rows if row not in shown]
    if left:
        cells.append(_together(left, total_s))
    return Sheet(
        title=f"Operators by exposed time: {show(total_s, 's')}",
        align="lllrrrrrr",
        head=("operator", "pass", "on", "ms", "hidden", "share", "per s", "peak", "calls"),
        rows=tuple(cells),
        note="Of the mean GPU. Hidden: ms that the same resource works under other work. Per "
        "second: FLOPs on matmul units, bytes elsewhere, over the operator's whole time; beside it "
        "the share of the data sheet's peak. dgrad, wgrad: input and weight gradients.",
    )


def _worth_showing(rows: Sequence[OperatorTime], total_s: float) -> list[OperatorTime]:
    """Return all rows but the smallest; a transfer or launch that is hidden well is shown."""
    left_s, small = 0.0, set()
    for row in sorted(rows, key=lambda row: row.exposed_s):
        left_s += row.exposed_s
        if left_s > SMALL * total_s:
            break
        if row.resource in ("matmul", "memory") or row.hidden_s < BUSY * total_s:
            small.add(row)
    return [row for row in rows if row not in small]


def _cells(row: OperatorTime, total_s: float) -> tuple[str, ...]:
    return (
        row.operator,
        SHORT.get(row.phase, row.phase),
        SHORT.get(row.resource, row.resource),
        f"{1e3 * row.exposed_s:,.1f}",
        f"{1e3 * row.hidden_s:,.1f}",
        share(row.exposed_s / total_s),
        show(row.amount_per_s, "") if row.amount_per_s else "",
        share(row.of_peak) if row.of_peak else "",
        f"{row.calls:,.0f}" if row.calls else "",
    )


def _together(left: Sequence[OperatorTime], total_s: float) -> tuple[str, ...]:
    exposed_s = sum(row.exposed_s for row in left)
    hidden_s = sum(row.hidden_s for row in left)
    return (
        f"{len(left)} smaller", "", "", f"{1e3 * exposed_s:,.1f}", f"{1e3 * hidden_s:,.1f}",
        share(exposed_s / total_s), "", "", "",
    )  # fmt: skip


def resources_sheet(rows: Sequence[OperatorTime]) -> Sheet:
    """Return how long a step keeps each resource busy, and how much of that it is longer for."""
    times = resource_times(rows)
    total_s = sum(one.exposed_s for one in times)
    return Sheet(
        title=f"What bounds the step, and how full each resource is, of {show(total_s, 's')}",
        align="lrrrrl",
        head=("resource", "exposed", "share", "hidden", "busy", "what it is"),
        rows=tuple(_resource(one, total_s) for one in times),
    )


def _resource(one: ResourceTime, total_s: float) -> tuple[str, ...]:
    return (
        SHORT.get(one.resource, one.resource),
        f"{1e3 * one.exposed_s:,.1f}",
        share(one.exposed_s / total_s),
        f"{1e3 * one.hidden_s:,.1f}",
        share(one.busy_s / total_s),
        RESOURCES[one.resource],
    )
