"""What is promised for one step: time as an interval, where it goes, what bounds it, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from gigafactory.spec.base import Spec
from gigafactory.spec.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBreakdown(Spec):
    """Exposed seconds of one step by cause; they sum to the expected step time."""

    compute: float
    memory_bound: float
    tensor_comm: float
    context_comm: float
    expert_comm: float
    pipeline_comm: float
    pipeline_bubble: float
    data_comm: float
    optimizer: float
    host: float
    jitter: float

    @property
    def total_s(self) -> float:
        """Sum of all parts."""
        return float(sum(asdict(self).values()))

    @property
    def bounded_by(self) -> str:
        """Name of the largest part."""
        return max((f.name for f in fields(self)), key=lambda name: float(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBreakdown(Spec):
    """Bytes on the fullest accelerator by kind."""

    weights_bytes: float
    gradients_bytes: float
    optimizer_bytes: float
    activations_bytes: float
    logits_bytes: float
    buffers_bytes: float
    runtime_bytes: float

    @property
    def total_bytes(self) -> float:
        """Sum of all parts."""
        return float(sum(asdict(self).values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption(Spec):
    """One thing the prediction takes for granted."""

    what: str
    value: float | str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Spec):
    """One priced training step.

    Attributes:
        mfu: Model FLOPs over the dense peak of the precision (causal attention counted half).
        memory_capacity_bytes: What the accelerator offers.
    """

    step_time_s: Interval
    mfu: float
    tokens_per_s: float
    tokens_per_s_per_gpu: float
    model_flops_per_s_per_gpu: float
    memory: MemoryBreakdown
    memory_per_stage_bytes: tuple[float, ...]
    memory_capacity_bytes: float
    breakdown_s: StepBreakdown
    bounded_by: str
    fits: bool
    assumptions: tuple[Assumption, ...]
