"""A project as numbered nodes in the order of time, and its critical path for fixed durations."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.spec.project import Project

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Tasks and alternatives, each after all that it waits for.

    Attributes:
        names: One per node, in an order in which they can be worked off.
        before: Numbers of the nodes each one waits for; of an alternative, its branches.
        alternative: Whether each node is an alternative.
        earliest: Days after the start before which a node cannot begin: 0, or its order date.
        ends: Numbers of the nodes that end a phase, one per phase.
    """

    names: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    alternative: tuple[bool, ...]
    earliest: tuple[float, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def end(self) -> int:
        """Number of the node that ends the project."""
        return self.ends[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Earliest and latest days of every node for fixed durations.

    Attributes:
        slack: Days by which a node can end later and the project does not.
        critical_path: Names of one chain that fixes the end, first to last.
    """

    start: Floats
    finish: Floats
    slack: Floats
    end: float
    critical_path: tuple[str, ...]


def network_of(project: Project) -> Network:
    """Return the network of a project."""
    after = {name: task.after for name, task in project.tasks.items()}
    after |= {name: one.branches for name, one in project.alternatives.items()}
    names = tuple(TopologicalSorter(after).static_order())
    number = {name: index for index, name in enumerate(names)}
    ordered = {name: task.ordered for name, task in project.tasks.items() if task.ordered}
    return Network(
        names=names,
        before=tuple(tuple(number[one] for one in after[name]) for name in names),
        alternative=tuple(name in project.alternatives for name in names),
        earliest=tuple(
            float((ordered[name] - project.start).days) if name in ordered else 0.0
            for name in names
        ),
        ends=tuple(number[phase.when] for phase in project.phases),
    )


def critical_path(network: Network, durations: Sequence[float] | Floats) -> Schedule:
    """Return the schedule for fixed durations, every alternative by its earliest branch.

        finish = start + duration;  start = latest finish before;  slack = latest - earliest finish

    A branch that an alternative does not take has infinite slack unless something else needs it.
    Source: Kelley and Walker, Critical-Path Planning and Scheduling, EJCC 1959.

    Args:
        network: Tasks and alternatives.
        durations: Days of each node, zero for alternatives.
    """
    days = np.asarray(durations, dtype=np.float64)
    start, finish = np.zeros(len(network)), np.zeros(len(network))
    for node in range(len(network)):
        start[node] = begin(network, node, finish)
        finish[node] = start[node] + days[node]
    late = np.full(len(network), np.inf)
    late[network.end] = finish[network.end]
    for node in reversed(range(len(network))):
        for earlier in drivers(network, node, finish):
            late[earlier] = min(late[earlier], late[node] - days[node])
    return Schedule(
        start=start,
        finish=finish,
        slack=late - finish,
        end=float(finish[network.end]),
        critical_path=_chain(network, start, finish),
    )


def begin(network: Network, node: int, finish: Any) -> Any:
    """Return when a node can begin, from the finishes of all nodes before it.

    Args:
        network: Tasks and alternatives.
        node: Number of the node.
        finish: Indexed by node; each entry a number, or an array of samples.
    """
    if not network.before[node]:
        return network.earliest[node]
    met = [finish[one] for one in network.before[node]]
    if network.alternative[node]:
        return _fold(np.minimum, met)
    return np.maximum(_fold(np.maximum, met), network.earliest[node])


def drivers(network: Network, node: int, finish: Floats) -> tuple[int, ...]:
    """Return what a node waits for; of an alternative, the branch that is done first."""
    before = network.before[node]
    if network.alternative[node]:
        return (min(before, key=lambda one: finish[one]),)
    return before


def _fold(pick: Any, values: list[Any]) -> Any:
    found = values[0]
    for value in values[1:]:
        found = pick(found, value)
    return found


def _chain(network: Network, start: Floats, finish: Floats) -> tuple[str, ...]:
    node, chain = network.end, [network.end]
    while binding := [b for b in network.before[node] if finish[b] == start[node]]:
        node = binding[0]
        chain.append(node)
    return tuple(network.names[one] for one in reversed(chain))
