"""Why: what separates two layouts, what bounds a step, what would make a plan fit."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.units import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.plan.space import Question
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.prediction import Prediction

FACTORS: Final = tuple(2**i for i in range(1, 11))
WORTH_SAYING: Final = 0.05  # of the whole difference; smaller parts are left out
ADVICE: Final = {
    "compute": "matmul rate: lower precision or a faster accelerator would shorten the step",
    "memory_bound": "HBM bandwidth: fusing element-wise work would shorten the step",
    "tensor_comm": "the scale-up link: less tensor parallelism would shorten the step",
    "context_comm": "the context ring: less context parallelism would shorten the step",
    "expert_comm": "token exchange between experts: fewer expert ranks would shorten the step",
    "pipeline_comm": "transfers between stages: fewer chunks would shorten the step",
    "pipeline_bubble": "the pipeline bubble: more microbatches or a larger batch would shorten it",
    "data_comm": "gradient reduction: a larger batch per GPU would hide it",
    "optimizer": "the optimizer's memory passes: more sharding would shorten the step",
    "host": "kernel launches: CUDA graphs or larger microbatches would shorten the step",
    "jitter": "waiting for the slowest node",
}  # fmt: skip


def bound_sentence(prediction: Prediction) -> str:
    """Return what bounds the step and what would shorten it, in one sentence."""
    part = float(getattr(prediction.breakdown_s, prediction.bounded_by))
    share = part / prediction.step_time_s.expected
    return f"{share:.0%} of the step is bounded by {ADVICE[prediction.bounded_by]}"


def why_slower(best: Prediction, other: Prediction) -> str:
    """Return what costs `other` more than `best` and what it saves, largest first."""
    ours, theirs = asdict(best.breakdown_s), asdict(other.breakdown_s)
    gaps = {name: theirs[name] - ours[name] for name in ours}
    scale = sum(abs(gap) for gap in gaps.values())
    told = [
        f"{show(abs(gap), 's')} {'more' if gap > 0 else 'less'} {name.replace('_', ' ')}"
        for name, gap in sorted(gaps.items(), key=lambda item: -abs(item[1]))
        if scale > 0 and abs(gap) > WORTH_SAYING * scale
    ]
    return ", ".join(told[:4]) or "as fast"


def what_would_fit(question: Question, layout: Layout, predicted: Prediction) -> list[str]:
    """Return changes, each of which makes the leanest layout fit, with the bytes they need.

    Args:
        question: What was asked.
        layout: The layout that needs least memory.
        predicted: Its prediction.
    """
    need, have = max(predicted.memory_per_stage_bytes), predicted.memory_capacity_bytes
    found = [f"an accelerator of {need / 1e9:.0f} GB instead of {have / 1e9:.0f} GB"]
    larger = (more for factor in FACTORS for more in _spread(layout, factor))
    enough = next((more for more in larger if _fits(question, more)), None)
    if enough is not None:
        found.append(f"{enough.num_gpus:,} GPUs instead of {question.num_gpus:,}")
    shorter = layout.seq_len // 2
    if shorter and _fits(question, replace(layout, seq_len=shorter)):
        found.append(f"sequences of {shorter:,} tokens instead of {layout.seq_len:,}")
    return found


def _spread(layout: Layout, factor: int) -> Iterator[Layout]:
    """Yield the layout on `factor` times the GPUs: a deeper pipeline, or fully sharded data."""
    yield replace(
        layout,
        pipeline_parallel=layout.pipeline_parallel * factor,
        virtual_pipeline=1,
        schedule="1f1b",
    )
    wider = layout.data_parallel * factor
    if layout.global_batch_size % (wider * layout.micro_batch_size) == 0:
        yield replace(layout, data_parallel=wider, data_shard=None, sharding="zero3")


def _fits(question: Question, layout: Layout) -> bool:
    try:
        told = predict(Case(question.model, layout, question.capacity_factor), question.machine)
    except SpecError:  # the model cannot be split so
        return False
    return told.fits
