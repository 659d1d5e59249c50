"""Pictures of a plan as SVG text that stands by itself: no file, font or script from elsewhere."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import MissingExtra
from gigafactory.report.operators import SHORT
from gigafactory.report.words import count, usd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from gigafactory.compare.gap import Gap
    from gigafactory.plan.answer import Answer, Point
    from gigafactory.plan.attribution import ResourceTime
    from gigafactory.spec.prediction import Prediction
    from gigafactory.spec.promise import Promise

INK: Final = "#010203"  # stands for the page's own text colour, whatever its theme
COLOURS: Final = ("#3b82c4", "#e08a1e", "#2a9d6f", "#c2517a", "#8a63c9", "#7a8288")
MARKERS: Final = "osD^vP"
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
}
NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))
GB: Final = 1e9
SMALL_PART: Final = 5e-4  # of the step; a bar of it would not be seen


def breakdown_svg(prediction: Prediction) -> str:
    """Return where the time of one step goes."""
    return drawn("breakdown", (7.6, 3.0), 1, lambda axes: _breakdown(axes[0], prediction))


def memory_svg(prediction: Prediction) -> str:
    """Return the memory of every pipeline stage against what the accelerator holds."""
    return drawn("memory", (7.6, 2.8), 1, lambda axes: _memory(axes[0], prediction))


def resources_svg(times: Sequence[ResourceTime]) -> str:
    """Return how long each resource is busy in a step, exposed and hidden."""
    return drawn("resources", (7.6, 2.6), 1, lambda axes: _resources(axes[0], times))


def scaling_svg(curves: Mapping[str, Sequence[Point]]) -> str:
    """Return speed and days over the number of GPUs, a line for each batch."""

    def draw(axes: Sequence[Axes]) -> None:
        _speed(axes[0], curves)
        _days(axes[1], curves)

    return drawn("scaling", (7.6, 3.4), 2, draw)


def worth_svg(curves: Mapping[str, Sequence[Point]]) -> str:
    """Return utilization and, where a price is published, cost over the number of GPUs."""
    priced = any(point.promise.cost for points in curves.values() for point in points)

    def draw(axes: Sequence[Axes]) -> None:
        _utilization(axes[0], curves)
        if priced:
            _money(axes[1], curves)

    return drawn("worth", (7.6, 3.4), 2 if priced else 1, draw)


def gap_svg(gaps: Mapping[str, Gap]) -> str:
    """Return what explains each difference between a plan and its run, a panel for each."""

    def draw(axes: Sequence[Axes]) -> None:
        for panel, (name, gap) in zip(axes, gaps.items(), strict=True):
            _gap(panel, name, gap)

    return drawn("gap", (7.6, 2.9), len(gaps), draw)


def picture(answer: Answer, curves: Mapping[str, Sequence[Point]]) -> str:
    """Return one picture of a plan on a white ground, for a page that is not ours."""
    prediction = answer.promise.prediction

    def draw(axes: Sequence[Axes]) -> None:
        _breakdown(axes[0], prediction)
        _memory(axes[1], prediction)
        _speed(axes[2], curves)
        _days(axes[3], curves)

    svg = drawn("picture", (9.6, 6.4), 4, draw, ground="#ffffff")
    return svg.replace("currentColor", "#24292f")


def drawn(
    name: str,
    inches: tuple[float, float],
    panels: int,
    draw: Callable[[Sequence[Axes]], None],
    ground: str = "none",
) -> str:
    """Return a figure as SVG text.

    Args:
        name: Makes the figure's ids its own, so that several can stand on one page.
        inches: Width and height.
        panels: Number of axes, two in a row.
        draw: Draws on them.
        ground: Colour behind it.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("plots need matplotlib: pip install 'gigafactory[report]'") from None
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=inches, layout="constrained", facecolor=ground)
        columns = min(panels, 2)
        grid = figure.subplots(panels // columns, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_facecolor("none")
        draw(list(grid.flat))
        return _svg(figure)


def _svg(figure: Figure) -> str:
    made = io.StringIO()
    figure.savefig(made, format="svg", metadata=NO_METADATA)
    text = made.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor").strip()


def _breakdown(axes: Axes, prediction: Prediction) -> None:
    parts = [(name, float(part)) for name, part in asdict(prediction.breakdown_s).items()]
    total = prediction.step_time_s.expected
    shown = sorted((p for p in parts if p[1] > SMALL_PART * total), key=lambda pair: pair[1])
    names = [name.replace("_", " ") for name, _ in shown]
    values = [part for _, part in shown]
    colours = [COLOURS[0] if name == prediction.bounded_by else COLOURS[5] for name, _ in shown]
    bars = axes.barh(names, values, color=colours, height=0.72)
    axes.bar_label(bars, [f"{value / total:.1%}" for value in values], padding=4, fontsize=8.5)
    axes.set_xlim(0, max(values) * 1.14)
    axes.set_xlabel("exposed seconds")
    axes.set_title("Where one step goes")
    axes.tick_params(axis="y", length=0)


def _memory(axes: Axes, prediction: Prediction) -> None:
    from matplotlib.ticker import MaxNLocator

    values = [value / GB for value in prediction.memory_per_stage_bytes]
    capacity = prediction.memory_capacity_bytes / GB
    stages = range(1, len(values) + 1)
    over = [COLOURS[3] if value > capacity else COLOURS[2] for value in values]
    axes.bar(stages, values, color=over, width=0.72)
    axes.axhline(capacity, color=INK, linestyle="--", linewidth=1.2)
    axes.text(
        len(values) + 0.45, capacity, f"capacity {capacity:.0f} GB",
        ha="right", va="bottom", fontsize=8.5,
    )  # fmt: skip
    axes.set_xlim(0.4, max(len(values), 4) + 0.6)
    axes.set_ylim(0, max([capacity, *values]) * 1.14)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("pipeline stage")
    axes.set_ylabel("GB per GPU")
    axes.set_title("Memory of every stage")


def _gap(axes: Axes, name: str, gap: Gap) -> None:
    shares = [one.share_s for one in gap.shares]
    colours = [COLOURS[1] if share > 0 else COLOURS[2] for share in shares]
    axes.barh([one.what for one in gap.shares], [1e3 * s for s in shares], color=colours)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("ms, slower to the right")
    axes.set_title(f"Difference {name}: {1e3 * gap.seconds:+,.1f} ms")
    axes.tick_params(axis="y", length=0)


def _resources(axes: Axes, times: Sequence[ResourceTime]) -> None:
    step_s = sum(one.exposed_s for one in times)
    names = [SHORT.get(one.resource, one.resource) for one in times]
    exposed = [1e3 * one.exposed_s for one in times]
    hidden = [1e3 * one.hidden_s for one in times]
    axes.barh(names, exposed, color=COLOURS[0], height=0.62, label="exposed")
    axes.barh(names, hidden, left=exposed, color=COLOURS[0], alpha=0.35, height=0.62,
              label="hidden under other work")  # fmt: skip
    axes.axvline(1e3 * step_s, color=INK, linestyle="--", linewidth=1.2, label="the step")
    axes.invert_yaxis()
    axes.set_xlabel("ms of one step")
    axes.set_title("How busy each resource is")
    axes.legend(fontsize=8.5)


def _speed(axes: Axes, curves: Mapping[str, Sequence[Point]]) -> None:
    _lines(axes, curves, lambda promise: promise.prediction.tokens_per_s)
    axes.set_title("Tokens per second while it trains")
    _plain(axes.yaxis, count)


def _days(axes: Axes, curves: Mapping[str, Sequence[Point]]) -> None:
    _lines(axes, curves, days_of)
    axes.set_title("Days, failures included")
    axes.legend(fontsize=8.5)
    _plain(axes.yaxis, "{:,.3g}".format)


def _utilization(axes: Axes, curves: Mapping[str, Sequence[Point]]) -> None:
    _lines(axes, curves, lambda promise: 100 * promise.prediction.mfu)
    axes.set_title("MFU of the GPUs used, %")
    axes.set_yscale("linear")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8.5)


def _money(axes: Axes, curves: Mapping[str, Sequence[Point]]) -> None:
    _lines(
        axes,
        curves,
        lambda promise: promise.cost.usd.expected if promise.cost else float("nan"),
    )
    axes.set_title("Cost of the run, failures included")
    _plain(axes.yaxis, usd)


def _lines(
    axes: Axes, curves: Mapping[str, Sequence[Point]], of: Callable[[Promise], float]
) -> None:
    """Draw a line for each batch over the GPUs offered, told apart by marker and by colour."""
    for index, (label, points) in enumerate(curves.items()):
        axes.loglog(
            [point.gpus_offered for point in points],
            [of(point.promise) for point in points],
            label=label,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
        )
    axes.grid(visible=True, color=INK, alpha=0.13, linewidth=0.6)
    axes.set_xlabel("GPUs offered")
    _plain(axes.xaxis, _thousands)


def _plain(axis: Axis, told: Callable[[float], str]) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of each decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: told(value)))
    axis.set_minor_locator(NullLocator())


def _thousands(gpus: float) -> str:
    return f"{gpus / 1000:g}k" if gpus >= 1000 else f"{gpus:g}"


def days_of(promise: Promise) -> float:
    """Return the expected days from start to end, failures included."""
    return promise.run.productive_days / promise.run.goodput.expected
