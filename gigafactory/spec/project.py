"""A site as a building project: tasks, alternatives, risks, calendars, and phases of growth."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from math import isclose
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_one_of
from gigafactory.spec.duration import Duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CHOICES: Final = ("earliest", "weighted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Spec):
    """One piece of work or one delivery.

    Attributes:
        duration: Days of the calendar named, or of every day of the week without one.
        after: Tasks and alternatives that must be done before.
        ordered: The day a delivery is ordered, which may lie before the project's start; the task
            begins then, or after what stands in `after`, whichever is later.
        calendar: Name of the project's calendar whose days are worked.
        source: Where the duration comes from; without one all of it is an assumption.
        assumed: What of it the source does not say.
    """

    title: str = ""
    duration: Duration
    after: tuple[str, ...] = ()
    ordered: dt.date | None = None
    calendar: str = ""
    source: str = ""
    assumed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative(Spec):
    """One need that any of several tasks can meet, such as power from the grid or from turbines.

    Attributes:
        branches: Tasks or alternatives, one of which must be done.
        choose: "earliest": all are pursued and the first to be done counts; "weighted": one is
            taken with its weight, before anyone knows how long it will take.
        weights: Probability of each branch, where the choice is weighted.
        source: Where the weights come from; without one they are an assumption.
    """

    title: str = ""
    branches: tuple[str, ...]
    choose: str = "earliest"
    weights: tuple[float, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        require_one_of(self, "choose", CHOICES)
        if not self.branches:
            raise fault(self, "branches", (), "must hold at least one branch")
        if (self.choose == "weighted") != bool(self.weights):
            rule = "must be given exactly where the choice is weighted"
            raise fault(self, "weights", self.weights, rule)
        if any(not 0 <= weight <= 1 for weight in self.weights):
            raise fault(self, "weights", self.weights, "must each be between 0 and 1")
        if self.weights and (
            len(self.weights) != len(self.branches) or not isclose(sum(self.weights), 1.0)
        ):
            rule = f"must sum to 1, one for each of {len(self.branches)} branches"
            raise fault(self, "weights", self.weights, rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk(Spec):
    """Something that may happen once and then delays every task it names by the same days.

    One draw for all its tasks: this is what correlates them.

    Attributes:
        probability: That it happens.
        delay: Days added to each task, of the task's calendar.
        source: Where the two come from; without one they are an assumption.
        assumed: What of it the source does not say.
    """

    title: str = ""
    probability: float
    delay: Duration
    tasks: tuple[str, ...]
    source: str = ""
    assumed: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise fault(self, "probability", self.probability, "must be between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar(Spec):
    """Days on which work is done.

    Attributes:
        weekdays: Of `WEEKDAYS`.
        holidays: Days without work.
    """

    weekdays: tuple[str, ...] = WEEKDAYS
    holidays: tuple[dt.date, ...] = ()

    def __post_init__(self) -> None:
        if not self.weekdays or set(self.weekdays) - set(WEEKDAYS):
            rule = f"must be some of {', '.join(WEEKDAYS)}"
            raise fault(self, "weekdays", self.weekdays, rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone(Spec):
    """A size of the machine, and what must be done for it.

    Attributes:
        num_gpus: Accelerators in all, those of earlier phases included.
        when: The task or alternative whose end makes it live.
    """

    num_gpus: int
    when: str

    def __post_init__(self) -> None:
        require_count(self, "num_gpus", most=100_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Spec):
    """How one site is built, from a start to the last phase of growth.

    Attributes:
        start: Day 0.
        by: The day that was promised; None where nobody promised one.
        works_began: First works seen on the site, where they began before `start`.
        as_of: What was known on this day counts for the outside view; by default the start.
        cluster: Name of the cluster in the catalog that is built; empty for none.
        site: Name of the site in the catalog: power, climate, prices.
        leave_out: Sites of the reference class that are this very project.
        phases: Smallest first; the last one is the end of the project.
        source: Where start, dates and sizes come from.

    Raises:
        SpecError: Names every fault of the network at once; a cycle is printed.
    """

    name: str
    title: str
    start: dt.date
    by: dt.date | None = None
    works_began: dt.date | None = None
    as_of: dt.date | None = None
    cluster: str = ""
    site: str = "us-average"
    leave_out: tuple[str, ...] = ()
    phases: tuple[Milestone, ...]
    tasks: dict[str, Task] = field(hash=False)
    alternatives: dict[str, Alternative] = field(default_factory=dict, hash=False)
    risks: dict[str, Risk] = field(default_factory=dict, hash=False)
    calendars: dict[str, Calendar] = field(default_factory=dict, hash=False)
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        found = network_faults(
            {name: task.after for name, task in self.tasks.items()},
            {name: one.branches for name, one in self.alternatives.items()},
            {f"phases.{i}.when": (one.when,) for i, one in enumerate(self.phases)}
            | {f"risks.{name}.tasks": risk.tasks for name, risk in self.risks.items()},
        )
        found += self._own_faults()
        if found:
            raise SpecError("; ".join(found))

    def _own_faults(self) -> list[str]:
        found = date_faults(self.start, self.by)
        sizes = [phase.num_gpus for phase in self.phases]
        if not sizes or sizes != sorted(set(sizes)):
            found.append(f"phases: must hold at least one, each one larger, got {sizes}")
        for name, task in self.tasks.items():
            if task.calendar and task.calendar not in self.calendars:
                known = ", ".join(self.calendars) or "none"
                found.append(f"tasks.{name}.calendar: unknown calendar {task.calendar!r}, "
                             f"known: {known}")  # fmt: skip
        for name, risk in self.risks.items():
            found += [f"risks.{name}.tasks: {hit!r} is an alternative and takes no time of its own"
                      for hit in risk.tasks if hit in self.alternatives]  # fmt: skip
        return found

    @property
    def known_as_of(self) -> dt.date:
        """The day whose knowledge the outside view may use."""
        return self.as_of or self.start

    @property
    def done(self) -> str:
        """Name of the task or alternative that ends the project."""
        return self.phases[-1].when


def network_faults(
    after: Mapping[str, Sequence[str]],
    branches: Mapping[str, Sequence[str]],
    named: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return everything wrong with a network: strange names, names given twice, a cycle.

    Args:
        after: What each task waits for.
        branches: What each alternative chooses from.
        named: Other lists of names, by the key that holds them.
    """
    known = {*after, *branches}
    lists = {f"tasks.{name}.after": names for name, names in after.items()}
    lists |= {f"alternatives.{name}.branches": names for name, names in branches.items()}
    found = [
        f"{key}: unknown task {name!r}"
        for key, names in {**lists, **named}.items()
        for name in names
        if name not in known
    ]
    found += [f"alternatives.{name}: is also the name of a task"
              for name in sorted(after.keys() & branches.keys())]  # fmt: skip
    found += [f"alternatives.{name}.branches: must hold at least one branch"
              for name, names in branches.items() if not names]  # fmt: skip
    cycle = cycle_in({**after, **branches})
    if cycle:
        found.append(f"tasks: wait for one another in a cycle: {' -> '.join(cycle)}")
    return found


def cycle_in(after: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names each of which must be done before the next, round to the first; [] if none.

    >>> cycle_in({"a": ["b"], "b": ["a"]}) in (["a", "b", "a"], ["b", "a", "b"])
    True
    """
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def date_faults(start: Any, by: Any) -> list[str]:
    """Return what is wrong with the start and the promised day."""
    if isinstance(start, dt.date) and isinstance(by, dt.date) and by <= start:
        return [f"by: must be after the start {start}, got {by}"]
    return []


def raw_faults(table: Mapping[str, Any]) -> list[str]:
    """Return the faults of a network as a file gives it, also where its parts have others.

    A project's own rules run only when all its parts are sound; this finds the rest at once.
    """
    after = _lists(table.get("tasks"), "after")
    branches = _lists(table.get("alternatives"), "branches")
    risks = _lists(table.get("risks"), "tasks")
    named = {f"risks.{name}.tasks": names for name, names in risks.items()}
    phases = table.get("phases")
    for index, phase in enumerate(phases if isinstance(phases, list) else ()):
        if isinstance(phase, dict) and isinstance(phase.get("when"), str):
            named[f"phases.{index}.when"] = (phase["when"],)
    faults = network_faults(after, branches, named)
    return faults + date_faults(table.get("start"), table.get("by"))


def _lists(tables: Any, key: str) -> dict[str, Sequence[str]]:
    """Return the list of names under `key` of each table, where it is one."""
    found: dict[str, Sequence[str]] = {}
    for name, table in tables.items() if isinstance(tables, dict) else ():
        names = table.get(key, []) if isinstance(table, dict) else []
        listed = isinstance(names, list) and all(isinstance(one, str) for one in names)
        found[str(name)] = names if listed else []
    return found
