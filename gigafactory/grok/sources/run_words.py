"""What a run did, in sentences that answer a question about it: each stands by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.grok.sources import moments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.spec.run import Event, RunResult, StepRecord

DID: Final = {
    "start": "started",
    "restart": "was restarted",
    "failure": "stopped with a failure",
    "checkpoint_begin": "began to write a checkpoint",
    "checkpoint_end": "wrote a checkpoint",
    "checkpoint_failed": "could not write a checkpoint",
    "resume": "resumed training",
    "evaluate": "was evaluated on held-out text",
    "signal": "was asked to stop by a signal",
    "hang": "hung",
    "spike": "met a spike of the loss",
    "fallback": "fell back to an older checkpoint",
    "sample": "wrote a sample of text",
}


def event_text(run: str, event: Event) -> str:
    """Return an event as a sentence, and its numbers as another.

    >>> from gigafactory.spec.run import Event
    >>> print(event_text("tiny", Event(time="2026-01-02T14:02:31Z", kind="evaluate", step=40,
    ...                                values={"loss": 4.5}, duration_s=0.25)))
    On 2026-01-02 at 14:02:31 UTC, run tiny was evaluated on held-out text after step 40.
    It took 0.25 s; loss 4.5.
    """
    after = "" if event.step is None else f" after step {event.step}"
    detail = f": {event.detail.rstrip('.')}" if event.detail else ""
    did = _finish(event.detail) if event.kind == "finish" else DID.get(event.kind, event.kind)
    if event.kind == "finish" and event.detail in ("finished", "stopped"):
        detail = ""
    said = f"On {_day(event.time)} at {_clock(event.time)} UTC, run {run} {did}{after}{detail}."
    numbers = [] if event.duration_s is None else [f"it took {_number(event.duration_s)} s"]
    numbers += [_value(key, value) for key, value in event.values.items()]
    if not numbers:
        return said
    listed = "; ".join(numbers)
    return f"{said}\n{listed[0].upper()}{listed[1:]}."


def _finish(detail: str) -> str:
    if detail.startswith("failed"):
        return "stopped for good"
    return "stopped" if detail.startswith("stopped") else "finished"


def steps_text(run: str, steps: Sequence[StepRecord]) -> str:
    """Return a few steps: one sentence about all of them, then one about each."""
    first, last = steps[0], steps[-1]
    seconds = sum(step.step_time_s for step in steps)
    rate = sum(step.tokens for step in steps) / seconds if seconds > 0 else 0.0
    span = f"steps {first.step} to {last.step}" if len(steps) > 1 else f"step {first.step}"
    summary = (
        f"Run {run} trained {span} on {_day(last.time)} until {_clock(last.time)} UTC: loss from "
        f"{_number(first.loss)} to {_number(last.loss)}, mean step time "
        f"{_number(seconds / len(steps))} s, {rate:,.0f} tokens per second."
    )
    return "\n".join((summary, *(_step(run, step) for step in steps)))


def _step(run: str, step: StepRecord) -> str:
    norm = step.gradient_norm
    gradient = "" if norm is None else f" and the gradient norm {_number(norm)}"
    again = ", trained again after a restart" if step.redo else ""
    return (
        f"At step {step.step} of run {run} the loss was {_number(step.loss)}{gradient}; "
        f"the step took {_number(step.step_time_s)} s{again}."
    )


def result_text(run: str, result: RunResult) -> str:
    """Return how a run ended."""
    loss = (
        "" if result.final_loss is None else f", with a final loss of {_number(result.final_loss)}"
    )
    held_out = result.evaluation_loss
    held = "" if held_out is None else f" and a held-out loss of {_number(held_out)}"
    times = "1 restart" if result.restarts == 1 else f"{result.restarts} restarts"
    reason = f"\nThe reason: {result.reason.rstrip('.')}." if result.reason else ""
    return (
        f"Run {run} {result.state} after {result.steps} steps{loss}{held}.\n"
        f"The goodput of run {run} was {_number(result.goodput)} with {times}; it trained "
        f"{result.tokens:,.0f} tokens in {_number(result.wall_s)} s, "
        f"{result.tokens_per_s:,.0f} tokens per second.{reason}"
    )


def _value(key: str, value: float) -> str:
    """Return a number of an event as words, its unit behind it.

    >>> _value("lost_steps", 3.0), _value("lost_s", 1.25), _value("bytes", 4.2e7)
    ('lost steps 3', 'lost time 1.25 s', 'size 42 MB')
    """
    if key == "bytes":
        return f"size {_number(value / 1e6)} MB"
    if key.endswith("_s"):
        return f"{key.removesuffix('_s').replace('_', ' ')} time {_number(value)} s"
    return f"{key.replace('_', ' ')} {_number(value)}"


def _number(value: float) -> str:
    """Return a number with four digits, whole ones in full."""
    whole = abs(value) < 1e15 and value == int(value)
    return f"{int(value)}" if whole else f"{value:.4g}"


def _day(time: str) -> str:
    moment = moments.parsed(time)
    return "an unknown day" if moment is None else f"{moment:%Y-%m-%d}"


def _clock(time: str) -> str:
    moment = moments.parsed(time)
    return "an unknown time" if moment is None else f"{moment:%H:%M:%S}"
