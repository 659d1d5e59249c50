"""What a run did, held against its plan: step time, speed, memory, goodput, and what drifted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.compare.steady import counted_from_starts, steady
from gigafactory.errors import SpecError
from gigafactory.run.ledger import History, Ledger, seconds_of
from gigafactory.spec.base import Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.compare.promised import Promised
    from gigafactory.run.logs import Log
    from gigafactory.spec.run import Event, StepRecord

    Floats = NDArray[np.float64]

RECENT: Final = 50  # steps whose median tells drift
ENOUGH: Final = 20  # fewer do not
# Megatron-LM keeps its parameters in bf16 also where it multiplies in 8 or 4 bits.
PARAMS_DTYPE: Final = {"fp32": "torch.float32", "fp16": "torch.float16", "bf16": "torch.bfloat16",
                       "fp8": "torch.bfloat16", "nvfp4": "torch.bfloat16"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace(Spec):
    """How fast the steps were that are used.

    Attributes:
        mean_s: Mean seconds of a step.
        recent_s: Median of the last `RECENT`; None where there are fewer than `ENOUGH`.
        deviation_s: Standard deviation.
        used: Steps used.
    """

    mean_s: float
    recent_s: float | None
    deviation_s: float
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Spec):
    """How a run went; None where nothing tells.

    Attributes:
        left_out: Steps not used, by reason.
        spans_s: Seconds by span of the steps used; empty where the run measured none.
        steps: Steps that count.
        ledger: Where its wall time went.
        comparable: Goodput by the losses that a plan prices: see `comparable_goodput`.
    """

    pace: Pace
    left_out: dict[str, int] = field(hash=False)
    tokens_per_s: float
    spans_s: dict[str, float] = field(default_factory=dict, hash=False)
    memory_bytes: float | None = None
    steps: int = 0
    interruptions: int = 0
    ledger: Ledger | None = None
    comparable: float | None = None


def measure_run(steps: Sequence[StepRecord], events: Sequence[Event], told: History) -> Measured:
    """Return how a run went, from its folder's records and the history made of them.

    A step's time is here without the evaluation that ran in it, which no plan knows.

    Raises:
        SpecError: It has no step yet that can be used.
    """
    times = np.array([s.step_time_s - s.spans_s.get("evaluate", 0.0) for s in steps])
    saving = np.array([s.spans_s.get("checkpoint", 0.0) for s in steps])
    ends = np.array([seconds_of(s.time) for s in steps])
    starts = sorted(seconds_of(e.time) for e in events if e.kind in ("start", "resume", "restart"))
    generation = np.searchsorted(np.array(starts), ends - times, side="right")
    # A step that saved is as good as another but for the saving, which is told apart.
    found = steady(times - saving, counted_from_starts(generation))
    if not found.used.any():
        raise SpecError(f"run: has no step to measure yet: {len(steps)} steps, all warm-up")
    memory = [s.memory_bytes for s in steps if s.memory_bytes is not None]
    used = [s for s, keep in zip(steps, found.used, strict=True) if keep]
    return Measured(
        pace=_pace(times[found.used]),
        left_out={"warm-up": found.warmup, "outliers": found.outliers},
        tokens_per_s=sum(s.tokens for s in used) / float(times[found.used].sum()),
        spans_s=_spans(used),
        memory_bytes=max(memory, default=None),
        steps=len(steps),
        interruptions=told.interruptions,
        ledger=told.ledger(),
        comparable=comparable_goodput(told.ledger(told.first_step_s)),
    )


def measure_log(log: Log, promised: Promised) -> Measured:
    """Return how a run of another engine went, from its log.

    Raises:
        SpecError: No line of it can be used, or its batch is another than the plan's.
    """
    layout = promised.plan.layout
    _require_same(log, promised)
    points = [p for p in log.points if p.global_batch_size in (None, layout.global_batch_size)]
    if not points:
        raise SpecError(
            f"{log.name}: global batch size must be the plan's {layout.global_batch_size}, got "
            f"{log.points[0].global_batch_size}",
            field="log",
        )
    tokens = layout.tokens_per_step
    times = np.array([p.seconds(tokens, layout.num_gpus) for p in points])
    since = np.array([p.step - p.first_step + 1 for p in points])
    found = steady(times, since)
    if not found.used.any():
        raise SpecError(f"{log.name}: has no step to measure: {len(points)} lines, all warm-up")
    other = len(log.points) - len(points)
    return Measured(
        pace=_pace(times[found.used]),
        left_out={"warm-up": found.warmup, "outliers": found.outliers, "other batch": other},
        tokens_per_s=tokens / float(times[found.used].mean()),
        memory_bytes=log.memory_bytes,
        steps=max(p.step for p in points),
        interruptions=log.restarts,
    )


def _require_same(log: Log, promised: Promised) -> None:
    """Refuse a log whose engine was given another model, layout or precision than the plan's."""
    model, layout = promised.plan.model, promised.plan.layout
    wanted = {
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "num_attention_heads": model.num_heads,
        "seq_length": layout.seq_len,
        "world_size": layout.num_gpus,
        "tensor_model_parallel_size": layout.tensor_parallel,
        "pipeline_model_parallel_size": layout.pipeline_parallel,
        "micro_batch_size": layout.micro_batch_size,
        "params_dtype": PARAMS_DTYPE.get(layout.precision, ""),
    }
    faults = [
        f"{log.name}: {name} must be the plan's {wanted[name]}, got {value}"
        for name, value in log.arguments.items()
        if value != str(wanted.get(name, value))
    ]
    if faults:
        raise SpecError("; ".join(faults), field="log")


def _pace(times: Floats) -> Pace:
    recent = times[-RECENT:]
    return Pace(
        mean_s=float(times.mean()),
        recent_s=float(np.median(recent)) if len(recent) >= ENOUGH else None,
        deviation_s=float(times.std(ddof=1)) if len(times) > 1 else 0.0,
        used=len(times),
    )


def _spans(used: Sequence[StepRecord]) -> dict[str, float]:
    """Return the seconds of every span over steps that measured any, without evaluation.

    Medians; of saving, which few steps do, the mean.
    """
    told = [s.spans_s for s in used if s.spans_s]
    names = list(dict.fromkeys(name for spans in told for name in spans))
    return {
        name: float((np.mean if name == "checkpoint" else np.median)(
            [s.get(name, 0.0) for s in told]
        ))
        for name in names
        if name != "evaluate"
    }  # fmt: skip


def comparable_goodput(since_first_step: Ledger) -> float:
    """Return the goodput by the losses that a plan prices: checkpoints and outages.

    The plan's law knows neither the first start nor evaluations; how fast steps are, waiting for
    data included, is the step time's matter.

    Args:
        since_first_step: The ledger from the first step on.
    """
    lost = dict(since_first_step.seconds)
    for name in ("productive", "evaluation", "data_loading", "other"):
        lost.pop(name)
    left_out = since_first_step.seconds["evaluation"]
    wall_s = since_first_step.wall_s - left_out
    return 1.0 - sum(lost.values()) / wall_s if wall_s > 0 else 1.0
