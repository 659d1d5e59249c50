"""Pictures of a simulated run: where time goes, megawatts, the end and what moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.report.plots import COLOURS, INK, drawn
from gigafactory.simulate.power import sampled
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gigafactory.simulate.power import GridTrace
    from gigafactory.simulate.teller import Told
    from gigafactory.spec.outcome import Outcome

Floats = NDArray[np.float64]

MW: Final = 1e6
POINTS: Final = 1600
BINS: Final = 40
AROUND_S: Final = (60.0, 1800.0)
MOST_SWINGS: Final = 12


def waterfall_svg(found: Outcome) -> str:
    """Return what is lost to what, from all of the time down to what trains."""
    return drawn("waterfall", (8.6, 3.2), 1, lambda axes: _waterfall(axes[0], found))


def finish_svg(found: Outcome) -> str:
    """Return the distribution of the end over all seeds."""
    return drawn("finish", (8.6, 2.8), 1, lambda axes: _finish(axes[0], found))


def tornado_svg(found: Outcome) -> str:
    """Return how far each assumption moves the mean end."""
    height = 1.0 + 0.28 * min(len(found.swings), MOST_SWINGS)
    return drawn("tornado", (8.6, height), 1, lambda axes: _tornado(axes[0], found))


def power_svg(told: Told, trace: GridTrace) -> str:
    """Return megawatts of one seed: the whole run, and the first failure second by second."""

    def draw(axes: list[Axes]) -> None:
        _whole(axes[0], told, trace)
        if len(axes) > 1:
            _close(axes[1], told, trace)

    panels = 2 if told.struck_s else 1
    return drawn("power", (8.6, 3.2), panels, lambda axes: draw(list(axes)))


def _waterfall(axes: Axes, found: Outcome) -> None:
    lost = sorted(found.lost_fraction.items(), key=lambda pair: -pair[1])
    parts = [(kind, 100 * share) for kind, share in lost if share > 0]
    top = 100.0
    for index, (kind, share) in enumerate(parts):
        axes.bar(index, share, bottom=top - share, color=COLOURS[3], width=0.66)
        axes.text(index, top, f"{share:.1f}", ha="center", va="bottom", fontsize=8.5)
        top -= share
        del kind
    axes.bar(len(parts), top, color=COLOURS[2], width=0.66)
    axes.text(len(parts), top, f"{top:.1f}", ha="center", va="bottom", fontsize=8.5)
    axes.set_xticks(range(len(parts) + 1), [*(kind for kind, _ in parts), "trains"])
    low = max(0.0, top - 0.35 * (100.0 - top) - 1.0)
    axes.set_ylim(low, 100.0 + 0.08 * (100.0 - low))
    axes.set_ylabel("% of the time")
    axes.set_title("From all of the time to what trains"
                   + ("" if low == 0 else f" (axis begins at {low:.0f} %)"))  # fmt: skip


def _finish(axes: Axes, found: Outcome) -> None:
    days = np.array(found.finish_days)
    axes.hist(days, bins=BINS, color=COLOURS[0], alpha=0.85)
    for share, style in ((0.1, ":"), (0.5, "-"), (0.9, ":")):
        axes.axvline(float(np.quantile(days, share)), color=INK, linestyle=style, linewidth=1.1)
    low, middle, high = found.finish
    axes.set_title(f"End over {found.seeds:,} seeds: P10 {low}, P50 {middle}, P90 {high}")
    axes.set_xlabel(f"days after {found.start}")
    axes.set_ylabel("seeds")


def _tornado(axes: Axes, found: Outcome) -> None:
    shown = found.swings[:MOST_SWINGS]
    middle = float(np.mean(found.finish_days))
    for row, swing in enumerate(shown):
        for days, colour in ((swing.low_days, COLOURS[0]), (swing.high_days, COLOURS[1])):
            axes.barh(row, days - middle, left=middle, color=colour, height=0.62)
    labels = [f"{one.what}: {one.low} | {one.high}" for one in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(middle, color=INK, linewidth=1.0)
    axes.set_xlabel(f"mean end, days after {found.start}; low value blue, high value orange")
    axes.set_title("What moves the end")


def _whole(axes: Axes, told: Told, trace: GridTrace) -> None:
    """Draw the mean and the range of each stretch of the run."""
    edges = np.linspace(told.first_s, told.first_s + told.wall_s, POINTS // 4 + 1)
    at = np.linspace(edges[0], edges[-1], 40 * POINTS)
    load, _ = sampled(trace, at)
    parts = np.array_split(load, POINTS // 4)
    days = (edges[:-1] + edges[1:]) / 2.0 / SECONDS_PER_DAY
    low, high = np.array([p.min() for p in parts]), np.array([p.max() for p in parts])
    axes.fill_between(days, low / MW, high / MW, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(days, np.array([p.mean() for p in parts]) / MW, color=COLOURS[0], linewidth=1.2)
    axes.set_ylim(0)
    axes.set_xlabel("days after the start")
    axes.set_ylabel("MW at the meter")
    axes.set_title("One seed: mean and range")


def _close(axes: Axes, told: Told, trace: GridTrace) -> None:
    first = told.struck_s[0]
    before, after = AROUND_S
    at = np.arange(max(first - before, told.first_s), first + after, 1.0)
    load, grid = sampled(trace, at)
    axes.plot((at - first) / 60.0, load / MW, color=COLOURS[0], linewidth=1.2, label="load")
    if not np.array_equal(load, grid):
        axes.plot((at - first) / 60.0, grid / MW, color=COLOURS[1], linewidth=1.4, label="grid")
        axes.legend(fontsize=8.5)
    axes.set_ylim(0)
    axes.set_xlabel("minutes after the first failure")
    axes.set_title("Its first failure, each second")
