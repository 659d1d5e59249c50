"""The answer of `giga build`: whether a site is there on time, what decides it, what it costs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.build.bill import DAYS_PER_MONTH, Bill, bill
from gigafactory.build.forecast import EQUAL, Pool, pooled
from gigafactory.build.montecarlo import Courses, courses, most_likely_days
from gigafactory.build.network import Schedule, critical_path
from gigafactory.build.reference_class import BackTest, Survival, back_test, survival
from gigafactory.build.sensitivity import Swing, day_bought, swings
from gigafactory.catalog import loader
from gigafactory.catalog.observed import SEEN_ON, observed_sites
from gigafactory.errors import SpecError
from gigafactory.spec.growth import Growth, Phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gigafactory.spec.interval import Interval
    from gigafactory.spec.project import Project

    Floats = NDArray[np.float64]

QUANTILES: Final = (0.1, 0.5, 0.9)
ROUNDING_DAYS: Final = 1e-9
MOST_SAMPLES: Final = 10_000_000
LINES_SOURCE: Final = "giga build: sampled courses of project"
TASK_QUANTILES: Final = (0.5, 0.8)

Days = tuple[dt.date | None, dt.date | None, dt.date | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The outside view as of one day, and the two views reconciled.

    Attributes:
        days: From the project's start to the deadline.
        p_on_time: Share of the reference class done within them: first capacity.
        works_days: From the first works seen to the deadline, where they began before the start.
        works_p_on_time: Share done within those.
        finish: P10, P50 and P90 day of the outside view; None where its data do not reach.
        pool: Both views, weights stated.
        pool_finish: P10, P50 and P90 day of both.
    """

    survival: Survival
    days: int
    p_on_time: float
    works_days: int | None
    works_p_on_time: float | None
    finish: Days
    pool: Pool
    pool_p_on_time: float
    pool_finish: Days


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutlook:
    """One task or alternative in all courses.

    Attributes:
        criticality: Share of courses whose end it decides.
        start: Day it begins, P50 and P80.
        finish: Day it ends, P50 and P80.
        slack_days: In the schedule of most likely durations; infinite off every path.
        buys_days: Days by which the end moves when it takes one day less; None of an alternative.
        taken: Share of courses in which each branch was the one, of an alternative.
    """

    name: str
    title: str
    criticality: float
    start: tuple[dt.date, dt.date]
    finish: tuple[dt.date, dt.date]
    slack_days: float
    buys_days: float | None
    taken: dict[str, float]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Something the forecast rests on that no source gives."""

    where: str
    what: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Odds, dates, reasons and bill of one site."""

    project: Project
    by: dt.date
    samples: int
    courses: Courses
    schedule: Schedule
    p_on_time: float
    finish: tuple[dt.date, dt.date, dt.date]
    growth: Growth
    views: tuple[View, ...]
    tests: tuple[tuple[str, tuple[BackTest, ...]], ...]
    tasks: tuple[TaskOutlook, ...]
    swings: tuple[Swing, ...]
    assumed: tuple[Assumed, ...]
    bill: Bill | None
    delay_usd_per_day: Interval | None


def delivery(
    project: Project, samples: int, rng: np.random.Generator, inside_weight: float = EQUAL
) -> Delivery:
    """Return whether a project is there on time, from sampled courses and from sites observed.

    Args:
        project: What is built; its `by` is the deadline.
        samples: Number of courses.
        rng: Same state, same answer.
        inside_weight: Share of the inside view in the reconciled forecast.

    Raises:
        SpecError: There is no deadline, or samples or weight are out of range.
    """
    by = _checked(project, samples)
    found = courses(project, samples, rng)
    schedule = critical_path(found.network, most_likely_days(project, found.network))
    account = _bill(project)
    late = account.delay_usd_per_month if account else None
    return Delivery(
        project=project,
        by=by,
        samples=samples,
        courses=found,
        schedule=schedule,
        p_on_time=share_by(found.end, (by - project.start).days),
        finish=dates(project.start, found.end),
        growth=growth_of(project, found),
        views=_views(project, by, found.end, inside_weight),
        tests=_tests(),
        tasks=_tasks(project, found, schedule),
        swings=tuple(swings(project, found)),
        assumed=tuple(assumptions(project)),
        bill=account,
        delay_usd_per_day=late.scaled(1 / DAYS_PER_MONTH) if late else None,
    )


def growth_of(project: Project, found: Courses) -> Growth:
    """Return the phases of a project with the odds of their dates."""
    phases = []
    for milestone, days in zip(project.phases, found.phases, strict=True):
        p10, p50, p90 = dates(project.start, days)
        phases.append(Phase(num_gpus=milestone.num_gpus, p10=p10, p50=p50, p90=p90))
    return Growth(phases=tuple(phases), source=f"{LINES_SOURCE} {project.name}")


def share_by(days: Floats, most: float) -> float:
    """Return the share of courses that end within `most` days."""
    return float((days <= most + ROUNDING_DAYS).mean())


def dates(start: dt.date, days: Floats) -> tuple[dt.date, dt.date, dt.date]:
    """Return the days by which a tenth, half and nine tenths of the courses are done."""
    p10, p50, p90 = (date_after(start, float(one)) for one in np.quantile(days, QUANTILES))
    return p10, p50, p90


def date_after(start: dt.date, days: float) -> dt.date:
    """Return the day on which something ends that many days after a start.

    >>> date_after(dt.date(2024, 4, 24), 109.0)
    datetime.date(2024, 8, 11)
    """
    return start + dt.timedelta(days=ceil(days - ROUNDING_DAYS))


def assumptions(project: Project) -> list[Assumed]:
    """Return every duration, weight and risk of a project that no source gives."""
    found = [
        Assumed(where=f"tasks.{name}", what=task.assumed or "duration", value=words(task.duration))
        for name, task in project.tasks.items()
        if task.assumed or not task.source
    ]
    found += [
        Assumed(where=f"alternatives.{name}", what="weights",
                value=", ".join(f"{w:.0%} {b}" for w, b in zip(one.weights, one.branches,
                                                               strict=True)))
        for name, one in project.alternatives.items()
        if one.weights and not one.source
    ]  # fmt: skip
    found += [
        Assumed(where=f"risks.{name}", what=risk.assumed or "probability and delay",
                value=f"{risk.probability:.0%}, {words(risk.delay)}")
        for name, risk in project.risks.items()
        if risk.assumed or not risk.source
    ]  # fmt: skip
    return found


def words(duration: object) -> str:
    """Return a duration in words.

    >>> from gigafactory.spec.duration import fixed
    >>> words(fixed(19.0))
    'fixed, days 19'
    """
    from dataclasses import fields

    given = {f.name: getattr(duration, f.name) for f in fields(duration)}  # type: ignore[arg-type]
    kind = str(given.pop("kind"))
    told = [f"{name.removesuffix('_days')} {value:g}" for name, value in given.items()
            if isinstance(value, float)]  # fmt: skip
    if given["observed_days"]:
        told.append(f"{len(given['observed_days'])} observed")
    return f"{kind}, {', '.join(told)}"


def _checked(project: Project, samples: int) -> dt.date:
    faults = []
    if project.by is None:
        faults.append("--by DATE is needed: the project names no deadline of its own")
    if not 1 <= samples <= MOST_SAMPLES:
        faults.append(f"--samples must be between 1 and {MOST_SAMPLES}, got {samples}")
    if faults or project.by is None:
        raise SpecError("; ".join(faults), field="by" if project.by is None else "samples")
    return project.by


def _views(project: Project, by: dt.date, end: Floats, weight: float) -> tuple[View, ...]:
    """Return the outside view on the day of the plan, and with everything seen since."""
    knowable = dict.fromkeys((min(project.known_as_of, SEEN_ON), SEEN_ON))
    return tuple(_view(project, by, end, weight, as_of) for as_of in knowable)


def _view(project: Project, by: dt.date, end: Floats, weight: float, as_of: dt.date) -> View:
    view = survival(observed_sites(), as_of, project.leave_out)
    pool = pooled(end, view, weight)
    works = project.works_began
    days, works_days = (by - project.start).days, (by - works).days if works else None

    def dated(days: float | None) -> dt.date | None:
        return None if days is None else date_after(project.start, days)

    return View(
        survival=view,
        days=days,
        p_on_time=view.p_done(days),
        works_days=works_days,
        works_p_on_time=None if works_days is None else view.p_done(works_days),
        finish=tuple(dated(view.quantile(q)) for q in QUANTILES),  # type: ignore[arg-type]
        pool=pool,
        pool_p_on_time=pool.p_done(days + ROUNDING_DAYS),
        pool_finish=tuple(dated(pool.quantile(q)) for q in QUANTILES),  # type: ignore[arg-type]
    )


def _tests() -> tuple[tuple[str, tuple[BackTest, ...]], ...]:
    sites = observed_sites()
    return (
        ("on the day works began", tuple(back_test(sites, SEEN_ON, in_hindsight=False))),
        ("from all other sites", tuple(back_test(sites, SEEN_ON, in_hindsight=True))),
    )


def _tasks(project: Project, found: Courses, schedule: Schedule) -> tuple[TaskOutlook, ...]:
    """Return tasks and alternatives by the day they begin."""
    bought, rows = day_bought(project, found), []
    for node, name in enumerate(found.network.names):
        spec = project.tasks.get(name) or project.alternatives[name]
        start, finish = (
            [date_after(project.start, float(d)) for d in np.quantile(days[node], TASK_QUANTILES)]
            for days in (found.start, found.finish)
        )
        rows.append(
            TaskOutlook(
                name=name,
                title=spec.title or name,
                criticality=float(found.criticality[node]),
                start=(start[0], start[1]),
                finish=(finish[0], finish[1]),
                slack_days=float(schedule.slack[node]),
                buys_days=bought.get(name),
                taken=found.taken.get(name, {}),
                source=spec.source,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.start, row.finish)))


def _bill(project: Project) -> Bill | None:
    if not project.cluster:
        return None
    return bill(loader.cluster(project.cluster), loader.site(project.site), project.start)
