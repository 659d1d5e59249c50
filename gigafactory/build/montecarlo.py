"""Many possible courses of a project at once: when each phase is there, and what decides it.

Every sample draws all durations, risks and weighted choices, then works the network off in one
pass forwards. A node is critical in a sample if the chain of what each node really waited for
runs from the project's end to it. Samples are taken in chunks that stay in cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.build.calendar import WorkingTime
from gigafactory.build.durations import sampled
from gigafactory.build.network import Network, begin, network_of

if TYPE_CHECKING:
    from gigafactory.spec.project import Project

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

CHUNK: Final = 4096
KEPT: Final = 16_384  # samples whose every node is kept, for the Gantt chart and the tornado


@dataclass(frozen=True, slots=True, kw_only=True)
class Courses:
    """The sampled courses of one project, in days after its start.

    Attributes:
        phases: Day each phase is there, `[phase, sample]`.
        criticality: Share of samples in which each node decides the end, `[node]`.
        taken: Share of samples in which each branch of an alternative was the one, by name.
        days: Durations with risks, in days of work, `[node, kept sample]`.
        start: Day each node begins, `[node, kept sample]`.
        finish: Day each node ends, `[node, kept sample]`.
        hit: Whether each risk happened, `[risk, kept sample]`.
        delay: Days it adds, or would have added, `[risk, kept sample]`.
    """

    network: Network
    phases: Floats
    criticality: Floats
    taken: dict[str, dict[str, float]]
    days: Floats
    start: Floats
    finish: Floats
    hit: NDArray[np.bool_]
    delay: Floats

    @property
    def end(self) -> Floats:
        """Day the last phase is there, `[sample]`."""
        last: Floats = self.phases[-1]
        return last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A project made ready for sampling."""

    project: Project
    network: Network
    times: dict[int, WorkingTime]
    risks: tuple[tuple[int, ...], ...]
    rngs: list[np.random.Generator] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Some samples: durations, starts, finishes, choices, risks."""

    days: Floats
    start: Floats
    finish: Floats
    chosen: dict[int, Index]
    hit: NDArray[np.bool_]
    delay: Floats


def courses(project: Project, samples: int, rng: np.random.Generator) -> Courses:
    """Return sampled courses of a project; the same generator state gives the same bytes.

    Args:
        project: What is built.
        samples: Number of courses.
        rng: Every task, risk and choice draws from a child of its own.
    """
    model = _ready(project, rng)
    network = model.network
    phases = np.empty((len(network.ends), samples))
    critical = np.zeros(len(network))
    taken = {node: np.zeros(len(network.before[node])) for node in _alternatives(network)}
    kept: list[_Chunk] = []
    for first in range(0, samples, CHUNK):
        chunk = _drawn(model, min(CHUNK, samples - first))
        last = first + chunk.finish.shape[1]
        phases[:, first:last] = chunk.finish[list(network.ends)]
        critical += _critical(network, chunk).sum(axis=1)
        for node, counts in taken.items():
            counts += np.bincount(chunk.chosen[node], minlength=len(counts))
        if first < KEPT:
            kept.append(chunk)
    return Courses(
        network=network,
        phases=phases,
        criticality=critical / samples,
        taken={network.names[node]: _shares(network, node, taken[node]) for node in taken},
        days=np.concatenate([one.days for one in kept], axis=1),
        start=np.concatenate([one.start for one in kept], axis=1),
        finish=np.concatenate([one.finish for one in kept], axis=1),
        hit=np.concatenate([one.hit for one in kept], axis=1),
        delay=np.concatenate([one.delay for one in kept], axis=1),
    )


def _shares(network: Network, node: int, counts: Floats) -> dict[str, float]:
    """Return the share of each branch of an alternative, by name."""
    names = (network.names[branch] for branch in network.before[node])
    return dict(zip(names, (counts / counts.sum()).tolist(), strict=True))


def end_with(project: Project, courses: Courses, days: Floats) -> Floats:
    """Return the end of each kept course had its durations been `days`, by the same choices.

    Weighted choices are drawn once for a course: they are read off the branch that was taken.

    Args:
        project: What the courses are of.
        courses: What was sampled.
        days: As `courses.days`, changed.
    """
    network = courses.network
    times = _working_times(project, network)
    finish = np.empty_like(days)
    for node in range(len(network)):
        if network.alternative[node] and project.alternatives[network.names[node]].weights:
            options = courses.finish[list(network.before[node])]
            picked = (options == courses.finish[node]).argmax(axis=0)
            finish[node] = np.choose(picked, [finish[b] for b in network.before[node]])
        else:
            finish[node] = _ended(times, node, begin(network, node, finish), days[node])
    ended: Floats = finish[network.end]
    return ended


def most_likely_days(project: Project, network: Network) -> list[float]:
    """Return the days of the calendar that each node takes when all durations are most likely.

    Alternatives take none and are done with their earliest branch.
    """
    times, days = _working_times(project, network), []
    finish = np.zeros((len(network), 1))
    for node, name in enumerate(network.names):
        work = 0.0 if network.alternative[node] else project.tasks[name].duration.most_likely
        start = np.broadcast_to(np.asarray(begin(network, node, finish)), 1)
        finish[node] = _ended(times, node, start, np.full(1, work))
        days.append(float(finish[node, 0] - start[0]))
    return days


def _ready(project: Project, rng: np.random.Generator) -> _Model:
    network = network_of(project)
    number = {name: node for node, name in enumerate(network.names)}
    return _Model(
        project=project,
        network=network,
        times=_working_times(project, network),
        risks=tuple(tuple(number[t] for t in risk.tasks) for risk in project.risks.values()),
        rngs=rng.spawn(len(network) + len(project.risks)),
    )


def _working_times(project: Project, network: Network) -> dict[int, WorkingTime]:
    first = min(network.earliest, default=0.0)
    made = {
        name: WorkingTime(calendar, project.start, first)
        for name, calendar in project.calendars.items()
    }
    calendars = {name: task.calendar for name, task in project.tasks.items() if task.calendar}
    return {
        node: made[calendars[name]] for node, name in enumerate(network.names) if name in calendars
    }


def _alternatives(network: Network) -> list[int]:
    return [node for node, is_one in enumerate(network.alternative) if is_one]


def _drawn(model: _Model, samples: int) -> _Chunk:
    """Return one chunk of courses."""
    network, project = model.network, model.project
    days = np.zeros((len(network), samples))
    for node, name in enumerate(network.names):
        if not network.alternative[node]:
            days[node] = sampled(project.tasks[name].duration, model.rngs[node], samples)
    hit, delay = _risked(model, days)
    start, finish = np.empty_like(days), np.empty_like(days)
    chosen: dict[int, Index] = {}
    for node in range(len(network)):
        if network.alternative[node]:
            chosen[node] = _choice(model, node, finish)
            options = [finish[branch] for branch in network.before[node]]
            start[node] = finish[node] = np.choose(chosen[node], options)
        else:
            start[node] = begin(network, node, finish)
            finish[node] = _ended(model.times, node, start[node], days[node])
    return _Chunk(days=days, start=start, finish=finish, chosen=chosen, hit=hit, delay=delay)


def _risked(model: _Model, days: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Add the delay of each risk that happens to its tasks; return which did, and all delays."""
    samples = days.shape[1]
    hit = np.zeros((len(model.risks), samples), dtype=np.bool_)
    delay = np.zeros(hit.shape)
    rngs = model.rngs[len(model.network) :]
    found = zip(model.project.risks.values(), model.risks, rngs, strict=True)
    for row, (risk, nodes, rng) in enumerate(found):
        hit[row] = rng.random(samples) < risk.probability
        delay[row] = sampled(risk.delay, rng, samples)
        for node in nodes:
            days[node] += delay[row] * hit[row]
    return hit, delay


def _choice(model: _Model, node: int, finish: Floats) -> Index:
    """Return which branch of an alternative each course takes."""
    before = model.network.before[node]
    weights = model.project.alternatives[model.network.names[node]].weights
    samples = finish.shape[1]
    if not weights:
        return np.asarray(np.argmin(finish[list(before)], axis=0), dtype=np.int64)
    edges = np.cumsum(weights[:-1])
    uniform = model.rngs[node].random(samples)
    passed: Index = np.sum(uniform >= edges[:, None], axis=0)
    return passed


def _ended(times: dict[int, WorkingTime], node: int, start: Floats, days: Floats) -> Floats:
    ended: Floats = start + days
    return times[node].finish(np.broadcast_to(start, days.shape), days) if node in times else ended


def _critical(network: Network, chunk: _Chunk) -> NDArray[np.bool_]:
    """Return whether each node decides the end of each course, `[node, sample]`."""
    found = np.zeros(chunk.finish.shape, dtype=np.bool_)
    found[network.end] = True
    for node in range(network.end, -1, -1):
        if node in chunk.chosen:
            for index, branch in enumerate(network.before[node]):
                found[branch] |= found[node] & (chunk.chosen[node] == index)
            continue
        for branch in network.before[node]:
            found[branch] |= found[node] & (chunk.finish[branch] == chunk.start[node])
    return found
