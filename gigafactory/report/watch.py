"""A run on one screen: its state, its numbers beside their promises, loss, losses of time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gigafactory.report.as_json import SCHEMA, plain
from gigafactory.report.curve import curve
from gigafactory.report.sheet import BAR_WIDTH, bar
from gigafactory.report.words import count, duration, layout_words, off_by, share
from gigafactory.units import SECONDS_PER_DAY, show

if TYPE_CHECKING:
    from rich.text import Text

    from gigafactory.compare.status import Row, Status
    from gigafactory.run.ledger import Ledger
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.run import Event

NARROW: Final = 72  # columns below which the loss is left out
WIDE: Final = 132  # columns from which loss and events stand at the right
LEFT: Final = 78  # columns of the left half then
LEAST_PLOT: Final = 3
MOST_PLOT: Final = 10
MOST_EVENTS: Final = 6
MOST_LOSSES: Final = 4
LEAST_LOSS: Final = 5e-4  # of the time; smaller ones are not told
INTERVALS: Final = 70  # columns below which the promises stand without their ends
COLOURS: Final = {
    "running": "green", "finished": "green", "waiting": "cyan", "stopped": "yellow",
}  # fmt: skip
LOST: Final = {
    "initialisation": "starting",
    "training_preparation": "preparing",
    "program_startup": "first steps",
    "data_loading": "data",
    "checkpoint_save": "saving",
    "checkpoint_restore": "restoring",
    "wasted_progress": "work done twice",
    "infrastructure_recovery": "outages",
    "evaluation": "evaluating",
    "other": "other",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one screen shows.

    Attributes:
        losses: Step and loss.
        evaluations: Step and loss of held-out text.
        events: The newest last.
    """

    plan: Plan
    status: Status
    losses: list[tuple[float, float]]
    evaluations: list[tuple[float, float]]
    events: list[Event]


def watch_json(view: View) -> dict[str, Any]:
    """Return what `giga watch --json` prints."""
    now = view.status
    names = {"step time": "step_time_s", "speed": "tokens_per_s", "MFU": "mfu",
             "memory": "memory_bytes", "goodput": "goodput"}  # fmt: skip
    found = {
        "schema": SCHEMA,
        "state": now.state,
        "step": now.step,
        "steps": now.steps,
        "tokens": now.tokens,
        "loss": view.losses[-1][1] if view.losses else None,
        "evaluation_loss": view.evaluations[-1][1] if view.evaluations else None,
        "left_s": now.left_s and now.left_s.as_dict(),
        "numbers": {
            names[row.name]: {
                "predicted": row.predicted.as_dict(),
                "measured": row.measured,
                "outside": row.outside,
            }
            for row in now.rows
        },
        "goodput": _ledger_json(now.so_far),
        "last_hour": _ledger_json(now.last_hour),
        "interruptions": now.interruptions,
        "troubles": now.troubles,
        "time": _clock(now.moment),
    }
    made: dict[str, Any] = plain(found)
    return made


def _ledger_json(ledger: Ledger) -> dict[str, Any]:
    return {"goodput": ledger.goodput, "wall_s": ledger.wall_s, "seconds": ledger.seconds}


def _clock(moment: float) -> str:
    when = dt.datetime.fromtimestamp(moment, dt.UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def frame(view: View, width: int, height: int) -> list[Text]:
    """Return a screen of at most `height` lines of at most `width` columns."""
    head, troubles = _head(view), _troubles(view)
    body_height = max(height - len(head) - len(troubles), 1)
    left = [*_numbers(view.status, width), *_time(view.status)]
    if width >= WIDE:
        right = _beside(view, width - LEFT - 2, max(body_height, len(left)))
        body = _halves(left, right)
    else:
        body = [*left, *_beside(view, width, body_height - len(left))]
    lines = [*head, *body[:body_height], *troubles]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def _text(*parts: str | Text | tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts, no_wrap=True)


def _head(view: View) -> list[Text]:
    """Return who, how far and how long yet."""
    plan, now = view.plan, view.status
    title = f"{plan.model.name} on {plan.layout.num_gpus:,} GPUs of {plan.cluster.name}"
    colour = COLOURS.get(now.state, "red")
    done = min(now.step / now.steps, 1.0) if now.steps else 0.0
    told = f" step {now.step:,} of {now.steps:,}, {count(now.tokens)} tokens"
    layout = f"{layout_words(plan.layout)}, {plan.layout.precision}, {plan.software}"
    return [
        _text((title, "bold"), "  ", (now.state, f"bold {colour}"), f"  {_clock(now.moment)}"),
        _text((f"{bar(done):·<{BAR_WIDTH}}", "cyan"), told),
        _text(_left(now), (f"  {layout}", "dim")),
        _text(""),
    ]


def _left(now: Status) -> str:
    """Return how long the run goes on yet, and when it ends."""
    if now.left_s is None:
        return f"took {duration(now.so_far.wall_s)}"
    left = now.left_s
    end = _clock(now.moment + left.expected)
    when = end[11:16] if left.expected < SECONDS_PER_DAY else end[:10]
    return f"{duration(left.expected)} left ({duration(left.low)} to {duration(left.high)}), {when}"


def _numbers(now: Status, width: int) -> list[Text]:
    """Return every number beside its promise; outside it is marked."""
    wide = 26 if width >= INTERVALS else 0
    ends = "low to high" if wide else ""
    lines = [_text((f"{'':<10}{'predicted':>14}{ends:>{wide}}{'measured':>14}", "dim"))]
    for row in now.rows:
        low, high = _shown(row, row.predicted.low), _shown(row, row.predicted.high)
        between = f"{low} to {high}" if wide and row.predicted.low < row.predicted.high else ""
        measured = "" if row.measured is None else _shown(row, row.measured)
        colour = "bold red" if row.trouble else "yellow" if row.outside else ""
        lines.append(
            _text(
                f"{row.name:<10}{_shown(row, row.predicted.expected):>14}{between:>{wide}}",
                (f"{measured:>14}", colour),
                (f"  {_verdict(row)}", colour or "dim"),
            )
        )
    return lines


def _shown(row: Row, value: float) -> str:
    if row.unit == "share":
        return f"{100 * value:.1f}%"
    if row.unit == "tokens/s":
        return f"{count(value)} /s"
    return show(value, row.unit)


def _verdict(row: Row) -> str:
    if row.measured is None:
        return ""
    if row.outside:
        return "outside"
    expected = row.predicted.expected
    return off_by(row.measured / expected) if expected and row.measured else ""


def _time(now: Status) -> list[Text]:
    """Return goodput so far and over the last hour, and what was lost to what."""
    lines = [_text("")]
    spans = [("so far", now.so_far)]
    if now.last_hour.wall_s < now.so_far.wall_s:
        spans.append(("last hour", now.last_hour))
    for name, ledger in spans:
        told = f"{name:<10}{share(ledger.goodput)} of {duration(ledger.wall_s)} trained"
        if name == "so far" and now.interruptions:
            told += f", {now.interruptions} interruption{'s' * (now.interruptions > 1)}"
        lost = [
            f"{LOST[what]} {share(seconds / ledger.wall_s)}"
            for what, seconds in ledger.lost()[:MOST_LOSSES]
            if seconds >= LEAST_LOSS * ledger.wall_s
        ]
        lines.append(_text(told))
        lines += [_text((f"{'':<10}lost: {', '.join(lost)}", "dim"))] if lost else []
    return lines


def _beside(view: View, width: int, height: int) -> list[Text]:
    """Return loss and last events in `height` lines; what has no room is left out."""
    events = view.events[-MOST_EVENTS:]
    plot = min(height - len(events) - 3, MOST_PLOT)
    if plot < LEAST_PLOT:
        plot = min(height - 3, LEAST_PLOT)
        events = events[-max(height - plot - 3, 0) :] if height - plot - 3 > 0 else []
    lines: list[Text] = []
    if plot >= LEAST_PLOT and width >= NARROW // 2 and view.losses:
        lines += [_text(""), _loss_line(view)]
        lines += [
            _text((line, "cyan")) for line in curve(view.losses, view.evaluations, width, plot)
        ]
    if events and height - len(lines) > 1:
        lines.append(_text(""))
        lines += [_event(event) for event in events[-(height - len(lines)) :]]
    return lines


def _loss_line(view: View) -> Text:
    told = f"loss {view.losses[-1][1]:.4f}"
    if view.evaluations:
        told += f", evaluation ◆ {view.evaluations[-1][1]:.4f}"
    return _text((told, "bold"))


def _event(event: Event) -> Text:
    colour = (
        "red"
        if event.kind in ("failure", "hang", "spike", "fallback", "checkpoint_failed")
        else "dim"
    )
    words = event.kind.replace("_", " ")
    rank = f" rank {event.rank}" if event.rank >= 0 else ""
    step = f" after step {event.step:,}" if event.step is not None else ""
    took = f" {show(event.duration_s, 's')}" if event.duration_s is not None else ""
    detail = f": {event.detail}" if event.detail else ""
    return _text((event.time[11:19], "dim"), " ", (f"{words}{rank}{step}{took}{detail}", colour))


def _halves(left: list[Text], right: list[Text]) -> list[Text]:
    """Return two columns side by side."""
    lines = []
    for index in range(max(len(left), len(right))):
        line = left[index] if index < len(left) else _text("")
        line.truncate(LEFT, overflow="ellipsis", pad=True)
        lines.append(_text(line, "  ", right[index]) if index < len(right) else line)
    return lines


def _troubles(view: View) -> list[Text]:
    return [_text((f"! {trouble}", "bold red")) for trouble in view.status.troubles]
