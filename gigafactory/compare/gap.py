"""What explains the difference between a plan and its run, in parts that sum to it exactly.

Two gaps are told. That of the step: mean steady step less expected step; each part is what the
run's spans measured less what the prediction holds. That of the wall clock: seconds of wall time
per step that counted less what step time and goodput promise, with outages and checkpoints.
"""

from __future__ import annotations

from dataclasses import asdict
from math import fsum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gigafactory.compare.measured import Measured
    from gigafactory.compare.promised import Promised

CAUSES: Final = (
    "compute", "communication", "data", "checkpoint", "restart", "jitter", "other",
)  # fmt: skip
# What spans of a run and parts of a prediction are called here; a span that none names is "other".
SPANS: Final = {
    "compute": ("forward_backward", "optimizer"),
    "communication": ("pipeline", "tensor_comm", "data_comm", "expert_comm"),
    "data": ("data",),
    "checkpoint": ("checkpoint",),
}
PREDICTED: Final = {
    "compute": ("compute", "memory_bound", "optimizer", "host"),
    "communication": (
        "tensor_comm", "context_comm", "expert_comm", "pipeline_comm", "pipeline_bubble",
        "data_comm",
    ),
    "jitter": ("jitter",),
}  # fmt: skip
OUTAGE: Final = (
    "initialisation", "training_preparation", "program_startup", "checkpoint_restore",
    "wasted_progress", "infrastructure_recovery",
)  # fmt: skip


class Share(NamedTuple):
    """Seconds of a gap that one cause explains; below zero where the run did better."""

    what: str
    share_s: float


class Gap(NamedTuple):
    """A difference and its parts."""

    predicted_s: float
    measured_s: float
    shares: tuple[Share, ...]

    @property
    def seconds(self) -> float:
        """Measured less predicted."""
        return self.measured_s - self.predicted_s


def step_gap(promised: Promised, measured: Measured) -> Gap:
    """Return what explains the difference of the step time.

    Jitter is what slow steps add to the mean above the median spans. Restarts are none of a steady
    step's: see `wall_gap`. A run without spans has one part alone, "other".
    """
    expected = promised.step_time_s.expected
    parts = {} if not measured.spans_s else _step_parts(promised, measured)
    return _summed(expected, measured.pace.mean_s, parts)


def _step_parts(promised: Promised, measured: Measured) -> dict[str, float]:
    spans = measured.spans_s
    priced = asdict(promised.prediction.breakdown_s)
    told = {cause: fsum(spans.get(n, 0.0) for n in names) for cause, names in SPANS.items()}
    told["jitter"] = measured.pace.mean_s - fsum(spans.values())
    for cause, names in PREDICTED.items():
        told[cause] -= fsum(priced[name] for name in names)
    return told


def wall_gap(promised: Promised, measured: Measured) -> Gap | None:
    """Return what explains the difference of wall time per step that counted; None of a log."""
    ledger, estimate = measured.ledger, promised.estimate
    if ledger is None or not measured.steps:
        return None
    steps, s = measured.steps, ledger.seconds
    expected = promised.step_time_s.expected / estimate.goodput.expected
    lost = {cause: expected * share for cause, share in estimate.lost.items()}
    parts = {
        "data": s["data_loading"] / steps,
        "checkpoint": s["checkpoint_save"] / steps - lost.pop("checkpoint", 0.0),
        "restart": fsum(s[name] for name in OUTAGE) / steps - fsum(lost.values()),
    }
    worked = s["productive"] / steps - promised.step_time_s.expected
    if measured.spans_s:
        step = _step_parts(promised, measured)
        parts |= {name: step[name] for name in ("compute", "communication")}
        parts["jitter"] = worked - step["compute"] - step["communication"]
    return _summed(expected, ledger.wall_s / steps, parts)


def _summed(predicted_s: float, measured_s: float, parts: dict[str, float]) -> Gap:
    """Return a gap with every cause; what no part explains is "other"."""
    rest = fsum([measured_s, -predicted_s, *(-part for part in parts.values())])
    told = {**dict.fromkeys(CAUSES, 0.0), **parts, "other": rest}
    return Gap(predicted_s, measured_s, tuple(Share(name, told[name]) for name in CAUSES))
