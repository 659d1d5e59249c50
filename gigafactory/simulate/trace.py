"""A fleet's own record of faults: read, fitted to a failure profile, and drawn anew.

The format is InfiniteHBD's: a JSON list of events with `node_id`, `event_time` in days,
`event_type` fault_start or fault_end, and `fault_type` with Level, Class and Desc. A fault's end
closes the earliest open fault of its node. Fitted are

* the rate per node, and the sizes of groups of faults that start together;
* the gaps between groups, as a mixture of two exponentials by expectation maximisation;
* how unequal nodes are: counts are negative binomial, rates gamma with shape m^2 / (v - m);
* repair times, as they are.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.catalog import loader, read
from gigafactory.errors import CatalogError
from gigafactory.simulate.failures import EXPONENTIAL, Failures, drawn_gaps, failures, variation_of
from gigafactory.spec.faults import Bursts, FaultProfile
from gigafactory.spec.interval import Interval
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from pathlib import Path

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

STEPS: Final = 2000  # of expectation maximisation; it has stood still long before
REPAIR_POINTS: Final = 201
FEWEST: Final = 10  # faults below which nothing can be fitted
MOST_NODES: Final = 1_000_000
TOP: Final = 0.1
RECOVERY: Final = "llama3-h100"  # whose detection and restart a trace of faults takes
MOST_FAULTS_TOLD: Final = 5

# The trace's classes by the part of the machine; those of Level "Other" say who found it.
CLASSES: Final[dict[str, dict[str, str]]] = {
    "Hardware Failure": {
        "GPU": "gpu", "Parameter Plane Cable": "optics", "NIC": "nic", "Power Supply": "power",
        "Fan": "cooling", "Motherboard Battery": "host", "Motherboard": "host", "CPU": "cpu",
        "Memory": "memory", "RAID Card": "storage", "Disk": "storage", "Riser Card": "host",
        "Switch": "switch", "Other Failures": "host",
    },
    "Software Failure": {
        "File System": "storage", "Software Tool": "software", "Operating System": "software",
        "Firmware": "software", "Other Failures": "software",
    },
    "Other Failure": {
        "Unknown Error": "host", "System Crash": "host", "Stress Test Failure": "host",
        "Change": "maintenance", "Training Task Troubleshooting": "host", "Test": "maintenance",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Faults in order of their start.

    Attributes:
        start: Days, `[fault]`.
        end: Days; infinite where the record ends before the fault, `[fault]`.
        node: Number of the node, `[fault]`.
        cause: Level and class, `[fault]`.
        num_nodes: Nodes of the fleet, those that never failed included.
        days: Length of the record.
    """

    start: Floats
    end: Floats
    node: Index
    cause: tuple[str, ...]
    num_nodes: int
    days: float

    def __len__(self) -> int:
        return len(self.start)

    def between(self, begin: float, end: float) -> Trace:
        """Return the faults that start in a part of the record, counted from its begin."""
        kept = (self.start >= begin) & (self.start < end)
        return Trace(
            start=self.start[kept] - begin,
            end=self.end[kept] - begin,
            node=self.node[kept],
            cause=tuple(one for one, keep in zip(self.cause, kept, strict=True) if keep),
            num_nodes=self.num_nodes,
            days=end - begin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceStatistics:
    """What a record of faults comes to.

    Attributes:
        variation: Standard deviation over mean of the gaps between faults, those of 0 included.
        top_share: Share of the faults on the tenth of the nodes that fail most.
        repair_days: Quartiles of the repair times.
    """

    count: int
    variation: float
    top_share: float
    repair_days: tuple[float, float, float]


def statistics(trace: Trace) -> TraceStatistics:
    """Return count, variation, concentration and repair quartiles of a record."""
    gaps = np.diff(trace.start)
    counts = np.sort(np.bincount(trace.node, minlength=trace.num_nodes))[::-1]
    top = counts[: max(round(TOP * trace.num_nodes), 1)].sum() / max(counts.sum(), 1)
    repair = (trace.end - trace.start)[np.isfinite(trace.end)]
    first, middle, third = np.quantile(repair, (0.25, 0.5, 0.75)) if len(repair) else (0, 0, 0)
    return TraceStatistics(
        count=len(trace),
        variation=float(gaps.std() / gaps.mean()) if len(gaps) and gaps.mean() else 0.0,
        top_share=float(top),
        repair_days=(float(first), float(middle), float(third)),
    )


def is_trace(name: str) -> bool:
    """Return whether a record of faults is meant and not a profile."""
    return name.lower().endswith(".json")


def read_trace(path: Path, num_nodes: int | None = None) -> Trace:
    """Return the faults in a file.

    Args:
        path: JSON in the format of InfiniteHBD.
        num_nodes: Nodes of the fleet; None for those that appear in it.

    Raises:
        CatalogError: The file cannot be read or breaks rules; one line that names what it can.
    """
    text = read.text_of(path)
    try:
        events = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CatalogError(f"{path}: must be JSON: {str(error)[:80]}") from None
    if not isinstance(events, list):
        raise CatalogError(f"{path}: must hold a JSON list of events")
    faults = [text for index, one in enumerate(events) for text in _faults(index, one)]
    if not faults:
        starts, faults = _paired(events)
    if faults:
        more = len(faults) - MOST_FAULTS_TOLD
        told = "; ".join(faults[:MOST_FAULTS_TOLD]) + (f"; and {more} more" if more > 0 else "")
        raise CatalogError(f"{path}: {told}")
    if len(starts) < FEWEST:
        raise CatalogError(f"{path}: must hold at least {FEWEST} faults, got {len(starts)}")
    return _trace(path, starts, num_nodes)


def _faults(index: int, event: Any) -> list[str]:
    """Return what is wrong with one event by itself."""
    where = f"event {index}"
    if not isinstance(event, dict):
        return [f"{where}: must be an object"]
    found = []
    if not isinstance(event.get("node_id"), str | int):
        found.append(f"{where}: node_id must be a text or a number, got {event.get('node_id')!r}")
    time = event.get("event_time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not isfinite(time):
        found.append(f"{where}: event_time must be a finite number of days, got {time!r}")
    elif time < 0:
        found.append(f"{where}: event_time must not be negative, got {time!r}")
    if event.get("event_type") not in ("fault_start", "fault_end"):
        got = repr(event.get("event_type"))[:40]
        found.append(f"{where}: event_type must be fault_start or fault_end, got {got}")
    return found + _kind_faults(where, event.get("fault_type"))


def _kind_faults(where: str, kind: Any) -> list[str]:
    level = kind.get("Level") if isinstance(kind, dict) else None
    if not isinstance(level, str) or level not in CLASSES:
        known = ", ".join(CLASSES)
        return [f"{where}: fault_type.Level must be one of {known}, got {repr(level)[:40]}"]
    name = kind.get("Class")
    if not isinstance(name, str) or name not in CLASSES[level]:
        known = ", ".join(CLASSES[level])
        got = repr(name)[:40]
        return [f"{where}: fault_type.Class of {level} must be one of {known}, got {got}"]
    return []


Open = tuple[float, float, str, str]  # start, end, node, cause


def _paired(events: list[dict[str, Any]]) -> tuple[list[Open], list[str]]:
    """Return the faults with their ends, and what cannot be paired."""
    order = sorted(
        range(len(events)),
        key=lambda i: (events[i]["event_time"], events[i]["event_type"] == "fault_end", i),
    )
    open_faults: dict[str, list[int]] = {}
    rows: list[Open] = []
    wrong = []
    for index in order:
        event = events[index]
        node, time, kind = str(event["node_id"]), float(event["event_time"]), event["fault_type"]
        waiting = open_faults.setdefault(node, [])
        if event["event_type"] == "fault_start":
            waiting.append(len(rows))
            rows.append((time, np.inf, node, f"{kind['Level'].split()[0]}: {kind['Class']}"))
        elif waiting:
            at = waiting.pop(0)
            rows[at] = (rows[at][0], time, *rows[at][2:])
        else:
            wrong.append(f"event {index}: node {node[:40]} has a fault_end at day {time:g} "
                         "before any fault_start")  # fmt: skip
    return rows, wrong


def _trace(path: Path, rows: list[Open], num_nodes: int | None) -> Trace:
    names = {name: number for number, name in enumerate(dict.fromkeys(row[2] for row in rows))}
    nodes = len(names) if num_nodes is None else num_nodes
    if not len(names) <= nodes <= MOST_NODES:
        raise CatalogError(
            f"{path}: --trace-nodes must be between the {len(names)} nodes that fail and "
            f"{MOST_NODES}, got {num_nodes}"
        )
    ends = [row[1] for row in rows if isfinite(row[1])]
    days = max([row[0] for row in rows] + ends)
    if days <= 0:
        raise CatalogError(f"{path}: must span some time; all events are at day 0")
    return Trace(
        start=np.array([row[0] for row in rows]),
        end=np.array([row[1] for row in rows]),
        node=np.array([names[row[2]] for row in rows], dtype=np.int64),
        cause=tuple(row[3] for row in rows),
        num_nodes=nodes,
        days=days,
    )


def fitted(trace: Trace, name: str = "trace", source: str = "fitted") -> FaultProfile:
    """Return the failure profile of a record; detection and restart are RECOVERY's.

    The rate counts groups: what starts together interrupts a job once.

    Raises:
        SpecError: The record is too short to say anything.
    """
    groups, sizes = np.unique(trace.start, return_counts=True)
    gaps = np.diff(groups)
    bursts = mixture(gaps[gaps > 0])
    numbers = Counter(sizes.tolist())
    kinds = Counter(trace.cause)
    repair = (trace.end - trace.start)[np.isfinite(trace.end)] * SECONDS_PER_DAY
    rate = len(groups) / trace.num_nodes / trace.days * 1000.0
    counts = np.bincount(trace.node, minlength=trace.num_nodes)
    return replace(
        loader.faults(RECOVERY),
        name=name,
        title=f"{len(trace)} faults of {trace.num_nodes} nodes in {trace.days:.0f} days",
        failures_per_1000_node_days=Interval.point(rate),
        large_scale_failures_per_1000_node_days=None,
        repair_median_s=float(np.median(repair)) or None if len(repair) else None,
        repair_mean_s=float(repair.mean()) or None if len(repair) else None,
        repair_quantiles_s=_quantiles(repair),
        lemon_node_share=TOP,
        lemon_failure_share=statistics(trace).top_share,
        inter_arrival_cv=variation_of(bursts),
        bursts=bursts,
        group_nodes=tuple(sorted(numbers)),
        group_share=tuple(numbers[n] / len(groups) for n in sorted(numbers)),
        propensity_shape=propensity_shape(counts),
        causes=dict(kinds.most_common()),
        components={kind: _component(kind) for kind in kinds},
        planned_per_day=0.0,
        note="Faults of nodes, whether or not a job ran on them.",
        source={"default": source},
    )


def _component(cause: str) -> str:
    level, _, name = cause.partition(": ")
    return next(found[name] for known, found in CLASSES.items() if known.startswith(level))


def _quantiles(repair_s: Floats) -> tuple[float, ...]:
    if not len(repair_s):
        return ()
    found = np.quantile(repair_s, np.linspace(0.0, 1.0, REPAIR_POINTS))
    return tuple(found.tolist())


def mixture(gaps: Floats) -> Bursts:
    """Return the mixture of two exponentials most likely to have made these gaps.

    Expectation maximisation from a short part of half the gaps at a fifth of the mean; maximum
    likelihood and not moments, for a few long gaps decide a variance. Source: Dempster, Laird,
    Rubin, J. R. Stat. Soc. B 39 (1977) 1-38.
    """
    if len(gaps) < FEWEST:
        return EXPONENTIAL
    x = gaps / gaps.mean()
    share, short, long = 0.5, 0.2, 1.8
    for _ in range(STEPS):
        first = share / short * np.exp(-x / short)
        second = (1.0 - share) / long * np.exp(-x / long)
        belongs = first / np.maximum(first + second, 1e-300)
        weight = belongs.sum()
        if weight < 1e-9 or len(x) - weight < 1e-9:
            return EXPONENTIAL
        share = weight / len(x)
        short = max((belongs * x).sum() / weight, 1e-9)
        long = ((1.0 - belongs) * x).sum() / (len(x) - weight)
    if short > long or long - short < 0.05 * long:
        return EXPONENTIAL
    return Bursts(short_share=float(share), short_over_mean=float(min(short, 1.0)))


def propensity_shape(counts: Index) -> float | None:
    """Return the gamma shape of nodes' rates by moments of their counts; None where all are alike.

    Counts of nodes with gamma rates are negative binomial: variance m + m^2 / shape.
    """
    mean, variance = float(counts.mean()), float(counts.var())
    return mean**2 / (variance - mean) if variance > mean > 0 else None


def drawn_trace(
    profile: FaultProfile, num_nodes: int, days: float, rng: np.random.Generator
) -> Trace:
    """Return a record of faults as this profile makes them on a fleet.

    Nodes have gamma rates of the fitted shape; the servers of one group differ.
    """
    model: Failures = failures(profile, num_nodes * profile.gpus_per_node)
    mean = 1000.0 / (profile.failures_per_1000_node_days.expected * num_nodes)
    starts = _starts(model, mean, days, rng)
    sizes = np.minimum(model.group(rng, len(starts)), num_nodes)
    shape = profile.propensity_shape
    weight = rng.gamma(shape, size=num_nodes) if shape else np.ones(num_nodes)
    weight = np.maximum(weight, 1e-12) / np.maximum(weight, 1e-12).sum()
    nodes = [rng.choice(num_nodes, size, replace=False, p=weight) for size in sizes.tolist()]
    start = np.repeat(starts, sizes)
    cause = model.cause(rng, len(start))
    return Trace(
        start=start,
        end=start + model.repair_s(rng, len(start)) / SECONDS_PER_DAY,
        node=np.concatenate([np.zeros(0, dtype=np.int64), *nodes]),
        cause=tuple(model.causes[one] for one in cause),
        num_nodes=num_nodes,
        days=days,
    )


def _starts(model: Failures, mean: float, days: float, rng: np.random.Generator) -> Floats:
    parts, last = [], 0.0
    chunk = int(days / mean) + 64
    while last < days:
        parts.append(last + np.cumsum(drawn_gaps(model.bursts, rng, chunk) * mean))
        last = float(parts[-1][-1])
    found = np.concatenate(parts)
    return found[found < days]
