"""How a run ended, from what its folder holds."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from gigafactory.spec.run import RunResult

if TYPE_CHECKING:
    from gigafactory.run.record import RunFolder
    from gigafactory.spec.run import Event, StepRecord

NOT_TRAINING: Final = ("checkpoint", "evaluate")  # spans inside a step that do not train


def of(
    folder: RunFolder,
    state: str,
    *,
    reason: str = "",
    evaluation_loss: float | None = None,
    sample: str = "",
) -> RunResult:
    """Return the result of a run that ends now."""
    steps, events = folder.steps(), folder.events()
    wall_s = _wall_s(events)
    trained_s = sum(_trained_s(s) for s in steps)
    tokens = float(sum(s.tokens for s in steps))
    return RunResult(
        state=state,
        steps=max((s.step for s in steps), default=0),
        final_loss=steps[-1].loss if steps else None,
        goodput=min(trained_s / wall_s, 1.0) if wall_s > 0 else 0.0,
        restarts=sum(e.kind == "restart" for e in events),
        evaluation_loss=evaluation_loss,
        tokens=tokens,
        tokens_per_s=tokens / trained_s if trained_s > 0 else 0.0,
        wall_s=wall_s,
        reason=reason,
        sample=sample,
    )


def _trained_s(step: StepRecord) -> float:
    return step.step_time_s - sum(step.spans_s.get(name, 0.0) for name in NOT_TRAINING)


def _wall_s(events: list[Event]) -> float:
    begun = next((e.time for e in events if e.kind == "start"), None)
    if begun is None:
        return 0.0
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(begun)).total_seconds()
