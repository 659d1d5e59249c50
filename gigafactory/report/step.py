"""One training step as sheets: its layout, where the milliseconds and the bytes go, and why."""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from gigafactory.plan.explain import ADVICE
from gigafactory.report.sheet import Sheet
from gigafactory.report.words import SHORT_NAMES, share
from gigafactory.units import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.spec.layout import Layout
    from gigafactory.spec.prediction import Assumption, Prediction

CAUSES: Final = {
    "compute": "matrix multiplications and attention",
    "memory_bound": "norms, activations, routing (HBM)",
    "tensor_comm": "tensor parallelism",
    "context_comm": "context parallelism",
    "expert_comm": "tokens to experts and back",
    "pipeline_comm": "activations between pipeline stages",
    "pipeline_bubble": "stages that wait for work",
    "data_comm": "gradients and weights over data ranks",
    "optimizer": "optimizer update",
    "host": "kernel launches",
    "jitter": "waiting for the slowest node",
}
BYTES: Final = {
    "weights_bytes": "weights",
    "gradients_bytes": "gradients",
    "optimizer_bytes": "optimizer state",
    "activations_bytes": "activations",
    "logits_bytes": "logits",
    "buffers_bytes": "communication buffers",
    "runtime_bytes": "runtime and fragmentation",
}
GB: Final = 1e9


def layout_sheet(layout: Layout) -> Sheet:
    """Return every field of a layout with its short name, in two halves side by side."""
    values = asdict(layout) | {"data_shard": layout.data_shard or layout.data_parallel}
    cells = [(name, short, _value(values[name])) for name, short in SHORT_NAMES.items()]
    half = len(cells) // 2
    rows = tuple(left + right for left, right in zip(cells[:half], cells[half:], strict=True))
    splits = (
        f"Each of {layout.num_gpus:,} GPUs sees {layout.num_microbatches:,} "
        f"microbatch{'es' if layout.num_microbatches > 1 else ''} in a step."
    )
    return Sheet(title="Layout", align="lllllr", rows=rows, note=splits)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def breakdown_sheet(prediction: Prediction) -> Sheet:
    """Return the exposed time of one step by cause, largest first; causes of nothing left out."""
    parts = _parts(prediction)
    total = prediction.step_time_s.expected
    rows = tuple(
        (name.replace("_", " "), f"{1e3 * part:z,.1f}", share(part / total), CAUSES[name])
        for name, part in parts
    )
    return Sheet(
        title=f"One step: {show(total, 's')}{between(prediction)}",
        align="lrrl",
        head=("exposed", "ms", "share", "what it is"),
        rows=rows,
        bars=tuple(part / parts[0][1] for _, part in parts),
    )


def advice_sheet(prediction: Prediction) -> Sheet:
    """Return every cause of time with what would shorten it, largest first."""
    total = prediction.step_time_s.expected
    return Sheet(
        title=f"Where each millisecond goes: {show(total, 's')}{between(prediction)}",
        align="lrrll",
        head=("exposed", "ms", "share", "bounded by", "what would shorten it"),
        rows=tuple(
            (name.replace("_", " "), f"{1e3 * part:z,.2f}", share(part / total), *_advice(name))
            for name, part in _parts(prediction, nothing=True)
        ),
    )


def _advice(name: str) -> tuple[str, str]:
    """Return what bounds a cause, and what would shorten it."""
    bound, _, remedy = ADVICE[name].partition(": ")
    return bound, _EFFECT.sub("", remedy)


_EFFECT: Final = re.compile(r" would (shorten|hide) (it|the step)$")


def _parts(prediction: Prediction, *, nothing: bool = False) -> list[tuple[str, float]]:
    """Return causes and seconds, largest first; those under 0.05 ms only with `nothing`."""
    least = -1.0 if nothing else 5e-5
    parts = [(name, float(part)) for name, part in asdict(prediction.breakdown_s).items()]
    largest = max(part for _, part in parts)
    shown = [pair for pair in parts if pair[1] >= least or pair[1] == largest]
    return sorted(shown, key=lambda pair: -pair[1])


def between(prediction: Prediction) -> str:
    """Return the width of the step time in parentheses; nothing where it has none."""
    low, high = prediction.step_time_s.low, prediction.step_time_s.high
    return f" ({show(low, 's')} to {show(high, 's')})" if low < high else ""


def memory_sheet(prediction: Prediction) -> Sheet:
    """Return the bytes on the fullest accelerator by kind, against its capacity."""
    memory, capacity = prediction.memory, prediction.memory_capacity_bytes
    kinds = [(BYTES[name], value) for name, value in asdict(memory).items() if value > 0]
    free = capacity - memory.total_bytes
    kinds.append(("free" if free >= 0 else "missing", abs(free)))
    return Sheet(
        title=f"Memory of the fullest GPU: {_gb(memory.total_bytes)} of {_gb(capacity)} GB",
        align="lrr",
        head=("kind", "GB", "share"),
        rows=tuple((kind, _gb(value), share(value / capacity)) for kind, value in kinds),
        bars=tuple(min(value / capacity, 1.0) for _, value in kinds),
    )


def stages_sheet(prediction: Prediction) -> Sheet:
    """Return the memory of every pipeline stage; neighbours that need the same share a row."""
    capacity = prediction.memory_capacity_bytes
    rows = [
        (f"{first}" if first == last else f"{first} to {last}", value)
        for first, last, value in _runs(prediction.memory_per_stage_bytes)
    ]
    return Sheet(
        title=f"Memory per pipeline stage, of {_gb(capacity)} GB",
        align="lrr",
        head=("stage", "GB", "share"),
        rows=tuple((stages, _gb(value), share(value / capacity)) for stages, value in rows),
        bars=tuple(min(value / capacity, 1.0) for _, value in rows),
    )


def _runs(values: tuple[float, ...]) -> Iterator[tuple[int, int, float]]:
    """Yield first stage, last stage and bytes of neighbours that show the same, from stage 1."""
    first = 1
    for _, group in groupby(values, key=_gb):
        members = list(group)
        yield first, first + len(members) - 1, max(members)
        first += len(members)


def _gb(value: float) -> str:
    return f"{value / GB:,.1f}"


def assumptions_sheet(assumptions: tuple[Assumption, ...]) -> Sheet:
    """Return what the prediction takes for granted, with sources."""
    return Sheet(
        title="Taken for granted",
        align="lrl",
        head=("what", "value", "source"),
        rows=tuple((one.what, _amount(one.value), one.source) for one in assumptions),
    )


def _amount(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.4g}" if 0 < abs(value) < 1 else show(value, "")
