"""The answer of `giga build` for people: the odds, both views, what decides, the bill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.catalog import observed
from gigafactory.report.sheet import Sheet, print_sheets, print_text
from gigafactory.report.words import share, usd
from gigafactory.units import show

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from rich.console import Console

    from gigafactory.build.bill import Line
    from gigafactory.build.delivery import Delivery, TaskOutlook, View
    from gigafactory.build.reference_class import BackTest

LATER: Final = "later than seen"
MOST_SWINGS: Final = 10
SMALL: Final = 0.005  # of courses; a task that decides fewer is not worth a line on people's tables


def headline(found: Delivery) -> tuple[str, str]:
    """Return what is asked, and the odds, in a sentence each."""
    view = found.views[0]
    return (
        f"{found.project.title}: on time for {found.by}?",
        f"{share(found.p_on_time)} by its own plan, {share(view.p_on_time)} by sites like it as "
        f"known on {view.survival.as_of}, {share(view.pool_p_on_time)} reconciled; "
        f"P50 is {found.finish[1]}",
    )


def sheets(found: Delivery) -> list[Sheet]:
    """Return all tables in the order in which questions come."""
    return [
        phases_sheet(found),
        views_sheet(found),
        tasks_sheet(found),
        choices_sheet(found),
        swings_sheet(found),
        bill_sheet(found),
        test_sheet(found),
        assumptions_sheet(found),
        sources_sheet(found),
    ]


def print_delivery(found: Delivery, console: Console, wall_s: float) -> None:
    """Print an answer.

    Args:
        found: The answer.
        console: Where to print.
        wall_s: Seconds it took.
    """
    first, second = headline(found)
    print_text(first, console, style="bold green")
    print_text(second, console, style="bold")
    if found.project.note:
        print_text(found.project.note, console, style="dim")
    print_sheets(sheets(found), console)
    console.print()
    print_text(f"{found.samples:,} courses in {wall_s:.2f} s.", console, style="dim")


def phases_sheet(found: Delivery) -> Sheet:
    """Return when each phase is there by the project's own plan."""
    rows = [
        (f"{p.num_gpus:,} GPUs", str(p.p10), str(p.p50), str(p.p90)) for p in found.growth.phases
    ]
    path = " > ".join(found.schedule.critical_path)
    return Sheet(
        title=f"Phases: {found.samples:,} courses of the project",
        align="lrrr",
        head=("", "P10", "P50", "P90"),
        rows=tuple(rows),
        note=f"With most likely durations alone, {found.schedule.end:.0f} days along {path}; "
        f"that ignores whatever can only be late.",
    )


def views_sheet(found: Delivery) -> Sheet:
    """Return the inside, outside and reconciled odds."""
    rows = [("inside view: its own tasks", share(found.p_on_time), *map(str, found.finish))]
    for view in found.views:
        as_of = view.survival.as_of
        rows.append((f"outside view, {_basis(view)}, as of {as_of}",
                     share(view.p_on_time), *map(_day, view.finish)))  # fmt: skip
        if view.works_p_on_time is not None:
            rows.append((f"  counted from first works, {view.works_days} days",
                         share(view.works_p_on_time), "", "", ""))  # fmt: skip
        weight = view.pool.inside_weight
        rows.append((f"reconciled, {weight:.0%} inside and {1 - weight:.0%} outside, as of {as_of}",
                     share(view.pool_p_on_time), *map(_day, view.pool_finish)))  # fmt: skip
    return Sheet(
        title=f"On time for {found.by}: {found.views[0].days} days from {found.project.start}",
        align="lrrrr",
        head=("", "on time", "P10", "P50", "P90"),
        rows=tuple(rows),
        note="The outside view dates first capacity, not the whole machine: it errs early. "
        f"Kaplan-Meier; {observed.SOURCE}.",
    )


def tasks_sheet(found: Delivery) -> Sheet:
    """Return the tasks that decide, what a day less of each buys, and what that is worth."""
    worth = found.delay_usd_per_day
    decisive = sorted(found.tasks, key=lambda task: -task.criticality)
    rows = [
        (
            task.title, share(task.criticality), str(task.finish[0]), str(task.finish[1]),
            _bought(task), usd(worth.expected * task.buys_days) if worth and task.buys_days else "",
        )
        for task in decisive
        if task.criticality >= SMALL and task.buys_days is not None
    ]  # fmt: skip
    note = f"A day of delay costs {usd(worth.expected)}, written off idle." if worth else ""
    return Sheet(
        title="What decides the date",
        align="lrrrrr",
        head=("task", "critical", "done P50", "P80", "a day less buys", "worth"),
        rows=tuple(rows),
        note=note,
    )


def choices_sheet(found: Delivery) -> Sheet:
    """Return which branch of each alternative was taken how often."""
    titles = {task.name: task.title for task in found.tasks}
    rows = [
        (task.title, titles[branch], share(part))
        for task in found.tasks
        for branch, part in sorted(task.taken.items(), key=lambda pair: -pair[1])
    ]
    head = ("need", "met by", "of courses")
    return Sheet(title="Alternatives", align="llr", head=head, rows=tuple(rows))


def swings_sheet(found: Delivery) -> Sheet:
    """Return how far each task and risk moves the mean end."""
    top = found.swings[:MOST_SWINGS]
    most = max((swing.days for swing in top), default=0.0)
    return Sheet(
        title="How far each one moves the mean end",
        align="lrr",
        head=("", "if it goes well", "if badly"),
        rows=tuple((s.name, f"day {s.low_days:.0f}", f"day {s.high_days:.0f}") for s in top),
        bars=tuple(max(s.days, 0.0) / most if most else 0.0 for s in top),
        note="A task at the tenth and at nine tenths of its own days; a risk never and always; a "
        "choice at its best and at its worst branch.",
    )


def bill_sheet(found: Delivery) -> Sheet:
    """Return what is bought, what it draws and costs; the sources stand in a sheet of their own."""
    if found.bill is None:
        return Sheet(title="Bill", align="l", rows=())
    rows = tuple((line.what, *amounts(line)) for line in found.bill.lines)
    return Sheet(
        title=f"Bill of {found.bill.cluster}: {found.bill.num_gpus:,} GPUs",
        align="lrrr",
        head=("", "low", "expected", "high"),
        rows=rows,
    )


def sources_sheet(found: Delivery) -> Sheet:
    """Return where each duration and each line of the bill comes from."""
    rows = [(t.title, t.source or "assumption") for t in found.tasks if t.buys_days is not None]
    rows += [
        (f"risk: {risk.title or name}", risk.source or "assumption")
        for name, risk in found.project.risks.items()
    ]
    rows += [(line.what, line.source) for line in found.bill.lines] if found.bill else []
    return Sheet(title="Sources", align="ll", head=("figure", "from"), rows=tuple(rows))


def test_sheet(found: Delivery) -> Sheet:
    """Return how the outside view would have done on the sites that were built."""
    rows = []
    for known, tests in found.tests:
        inside = sum(one.inside for one in tests)
        rows.append((f"{len(tests)} sites, {known}", f"{inside} of {len(tests)}", _error(tests)))
    return Sheet(
        title="Back-test of the outside view on the sites that were built",
        align="lrr",
        head=("forecast made", "inside P10-P90", "median error of its P50"),
        rows=tuple(rows),
        note="The same forecast of first capacity, each time without the site itself.",
    )


def assumptions_sheet(found: Delivery) -> Sheet:
    """Return what no source gives."""
    return Sheet(
        title="Assumptions: no source was found",
        align="lll",
        head=("where", "what", "value"),
        rows=tuple((one.where, one.what, one.value) for one in found.assumed),
    )


def amounts(line: Line) -> tuple[str, str, str]:
    """Return the three amounts of a line of a bill as people read them."""
    told = _teller(line.unit)
    low, expected, high = line.amount.low, line.amount.expected, line.amount.high
    if low == high:
        return "", told(expected), ""
    return told(low), told(expected), told(high)


def _teller(unit: str) -> Callable[[float], str]:
    if unit.startswith("USD"):
        return usd
    if unit == "W":
        return lambda value: show(value, "W")
    return lambda value: f"{value:,.0f} {unit}".rstrip()


def _basis(view: View) -> str:
    return f"{view.survival.n} sites, {view.survival.censored} unfinished"


def _bought(task: TaskOutlook) -> str:
    return f"{task.buys_days:.2f} days" if task.buys_days else "0"


def _day(day: dt.date | None) -> str:
    return LATER if day is None else str(day)


def _error(tests: tuple[BackTest, ...]) -> str:
    errors = sorted(abs(one.p50_days - one.days) for one in tests if one.p50_days is not None)
    return f"{errors[len(errors) // 2]:.0f} days" if errors else "not known"
