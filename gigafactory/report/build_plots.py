"""Pictures of a building project: Gantt chart, odds by date, what moves the end."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.report.plots import COLOURS, INK, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gigafactory.build.delivery import Delivery, TaskOutlook

MOST_SWINGS: Final = 12
POINTS: Final = 400
DAY: Final = dt.timedelta(days=1)
EPOCH: Final = dt.date(1970, 1, 1)


def gantt_svg(found: Delivery) -> str:
    """Return every task from its P50 start to its P50 end, a whisker to its P80 end."""
    height = 1.2 + 0.24 * len(found.tasks)
    return drawn("gantt", (8.6, height), 1, lambda axes: _gantt(axes[0], found))


def odds_svg(found: Delivery) -> str:
    """Return the odds of being done by each date: inside, outside, reconciled."""
    return drawn("odds", (8.6, 3.6), 1, lambda axes: _odds(axes[0], found))


def tornado_svg(found: Delivery) -> str:
    """Return how far each task and risk moves the mean end."""
    height = 1.0 + 0.26 * min(len(found.swings), MOST_SWINGS)
    return drawn("tornado", (8.6, height), 1, lambda axes: _tornado(axes[0], found))


def _gantt(axes: Axes, found: Delivery) -> None:
    last = max(found.finish[2], found.by)
    for row, task in enumerate(found.tasks):
        start, end = task.start[0], task.finish[0]
        colour = COLOURS[1] if task.criticality >= 0.5 else COLOURS[0]
        if start == end:
            axes.plot([_x(end)], [row], marker="D", color=colour, markersize=5)
        axes.barh(row, (end - start).days, left=_x(start), height=0.62, color=colour,
                  alpha=0.35 + 0.65 * task.criticality)  # fmt: skip
        axes.plot([_x(end), _x(task.finish[1])], [row, row], color=INK, linewidth=1.0)
    axes.axvline(_x(found.by), color=COLOURS[3], linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(found.tasks)), [_label(task) for task in found.tasks], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(_x(min(t.start[0] for t in found.tasks)), _x(last + 30 * DAY))
    axes.set_title(f"P50 bars, whisker to P80, solid where critical; due {found.by}")
    _dated(axes)


def _odds(axes: Axes, found: Delivery) -> None:
    start, view = found.project.start, found.views[0]
    most = max(float(np.quantile(found.courses.end, 0.995)), 1.1 * (found.by - start).days)
    days = np.linspace(0.0, most, POINTS)
    x = [_x(start) + day for day in days]
    end = np.sort(found.courses.end)
    axes.plot(x, np.searchsorted(end, days, side="right") / len(end), color=COLOURS[0],
              label="inside: its own tasks")  # fmt: skip
    for index, one in enumerate(found.views):
        done = [one.survival.p_done(day) for day in days]
        axes.step(x, done, where="post", color=COLOURS[5], linestyle=("-", "--")[index % 2],
                  linewidth=1.2, label=f"outside, as of {one.survival.as_of}")  # fmt: skip
    axes.plot(x, [view.pool.p_done(day) for day in days], color=COLOURS[1],
              label=f"reconciled, as of {view.survival.as_of}")  # fmt: skip
    axes.axvline(_x(found.by), color=COLOURS[3], linestyle=":", linewidth=1.2)
    axes.set_ylim(0, 1)
    axes.set_title(f"Odds of being done by a date; due {found.by}")
    axes.legend(fontsize=8.5, loc="upper left")
    _dated(axes)


def _tornado(axes: Axes, found: Delivery) -> None:
    swings = found.swings[:MOST_SWINGS]
    mean = float(found.courses.end.mean())
    for row, swing in enumerate(swings):
        axes.barh(row, mean - swing.low_days, left=swing.low_days, color=COLOURS[2], height=0.62)
        axes.barh(row, swing.high_days - mean, left=mean, color=COLOURS[3], height=0.62)
    axes.set_yticks(range(len(swings)), [swing.name for swing in swings], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(mean, color=INK, linewidth=1.0)
    ends = [day for swing in swings for day in (swing.low_days, swing.high_days)]
    room = 0.04 * (max(ends) - min(ends))
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.set_xlabel("mean end, days after the start")
    axes.set_title("What moves the end: each at its tenth and at nine tenths")


def _label(task: TaskOutlook) -> str:
    return task.title if len(task.title) <= 44 else f"{task.title[:41]}..."


def _x(day: dt.date) -> float:
    """Return a day as matplotlib counts it: days since its epoch."""
    return float((day - EPOCH).days)


def _dated(axes: Axes) -> None:
    axes.xaxis_date()
