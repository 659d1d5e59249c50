"""One step as events on a clock: the pipeline replayed pass by pass, then the step's end.

A search prices millions of layouts with the closed form of `cost/pipeline.py`; this checks the
few that win, and draws them. Every second comes from the same prices as the closed form; only
the fill, the drain and the waiting of uneven stages are replayed instead of estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.collectives import point_to_point_time_s
from gigafactory.cost.layer import PARTS, LayerParts, LayerPrice, end_work, price_layer
from gigafactory.cost.schedule import Pass, chunk_layers, makespan_s, replay
from gigafactory.cost.step import (
    DataTraffic,
    accumulation_s_per_parameter,
    data_traffic,
    fully_sharded,
    reduction_s,
    sharded_passes_s,
    step_parts,
)
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Grid
    from gigafactory.cost.rates import Rates
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.machine import Machine

Floats = NDArray[np.float64]
LINK_PARTS: Final = tuple(PARTS.index(f"{kind}_comm") for kind in ("tensor", "context", "expert"))


class Passes(NamedTuple):
    """Seconds of one microbatch's pass through every chunk, each `[stage, chunk]`.

    Attributes:
        total: The whole pass; what follows is part of it.
        link: Exposed tensor, context and expert transfers of its layers.
        gather: Exposed gathering and scattering of fully sharded layers.
    """

    total: Floats
    link: Floats
    gather: Floats


class Span(NamedTuple):
    """Something all stages do at the step's end."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One step on a clock.

    Attributes:
        passes: Seconds of a "forward" and of a "backward" pass.
        send_s: What handing a result on adds to every pass.
        sent_s: What the transfer itself takes; the rest of it runs under other passes.
        events: Every pass of every stage.
        spans: Gradient reduction, optimizer, parameter gather, wait for the slowest node.
    """

    layout: Layout
    passes: dict[str, Passes]
    send_s: float
    sent_s: float
    events: list[Pass]
    spans: tuple[Span, ...]

    @property
    def step_s(self) -> float:
        """Seconds of the whole step."""
        return self.spans[-1].end_s


def replayed_step_s(case: Case, machine: Machine) -> float:
    """Return the seconds of one step with its pipeline replayed; raises as `timeline` does."""
    return timeline(case, machine).step_s


def timeline(case: Case, machine: Machine) -> Timeline:
    """Return one step of a layout on a clock.

    The exposed share of a transfer between stages holds the sending stage up, as the closed form
    has it; the hidden share costs nothing. Zero-bubble and DualPipe replay as interleaved.

    Raises:
        SpecError: The machine cannot run the precision, or interleaved microbatches do not come
            in rounds of pipeline_parallel.
    """
    layout = case.layout
    rates = rates_of(machine, layout.precision, case.model.head_dim, busy=layout.num_gpus)
    shape, grid = columns([case])
    price, parts = price_layer(shape, rates)
    traffic = data_traffic(price, grid, rates)
    sent = _one(point_to_point_time_s(price.boundary_bytes, shape.tp * shape.cp * grid.dp, rates))
    sent = sent if layout.pipeline_parallel > 1 else 0.0
    send = sent * rates.pipeline_exposed
    passes = _passes(case, (price, parts, grid, traffic), send, rates)
    events = replay(
        passes["forward"].total,
        passes["backward"].total,
        0.0,
        layout.pipeline_parallel,
        layout.virtual_pipeline,
        layout.num_microbatches,
    )
    return Timeline(
        layout=layout,
        passes=passes,
        send_s=send,
        sent_s=sent,
        events=events,
        spans=_spans(makespan_s(events), price, grid, traffic, rates),
    )


def _passes(
    case: Case,
    priced: tuple[LayerPrice, LayerParts, Grid, DataTraffic],
    send_s: float,
    rates: Rates,
) -> dict[str, Passes]:
    """Return what a pass through every chunk takes, forward and backward."""
    price, parts, grid, traffic = priced
    held = chunk_layers(
        case.model.num_layers, case.layout.pipeline_parallel, case.layout.virtual_pipeline
    )
    gather = _gathering_s(price, grid, traffic, rates)
    adding = accumulation_s_per_parameter(grid, rates)
    end = _one(price.held.end * adding)
    # Embedding and output matrix are one where they are tied and a stage holds both.
    second = end * (1.0 - _one(price.shape.tied) * (case.layout.pipeline_parallel == 1))
    ends = _ends_s(price, (end, second), rates)
    added = _one((price.held.dense + price.held.expert) * adding)
    layers = (_one(price.forward_s), _one(price.backward_s) + added)
    found = {}
    for i, (kind, part) in enumerate(zip(("forward", "backward"), parts, strict=True)):
        total = held * (layers[i] + gather[i]) + send_s
        total[0, 0] += ends[i][0]
        total[-1, -1] += ends[i][1]
        link = sum(_one(part[row]) for row in LINK_PARTS)
        found[kind] = Passes(total, held * link, held * gather[i])
    return found


def _ends_s(
    price: LayerPrice, added_s: tuple[float, float], rates: Rates
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the seconds of (embedding, logits and loss), forward and backward.

    `added_s` is what adding up the gradients of the two ends' matrices takes.
    """
    embedding, logits, loss = (one.exposed for one in end_work(price.shape, rates))
    head = _one(logits.backward) + _one(loss.backward)
    return (
        (_one(embedding.forward), _one(logits.forward) + _one(loss.forward)),
        (_one(embedding.backward) + added_s[0], head + added_s[1]),
    )


def _gathering_s(
    price: LayerPrice, grid: Grid, traffic: DataTraffic, rates: Rates
) -> tuple[float, float]:
    """Return what full sharding adds to one layer, forward and backward."""
    if not np.any(fully_sharded(grid, rates)):
        return 0.0, 0.0
    forward, backward, _ = sharded_passes_s(price, grid, traffic, rates)
    return _one(forward), _one(backward)


def _spans(
    start_s: float, price: LayerPrice, grid: Grid, traffic: DataTraffic, rates: Rates
) -> tuple[Span, ...]:
    """Return what follows the pipeline, one after the other; only what is exposed takes time."""
    step = step_parts(price, grid, rates)
    reduction = _one(step.reduction)
    nothing = np.zeros_like(traffic.reduce)
    gather = _one(reduction_s(price, grid, traffic._replace(reduce=nothing, replicas=0.0), rates))
    # Jitter is a share of pipeline and reduction; the replayed pipeline has its own length.
    share = _one(step.jitter) / (_one(step.pipeline) + reduction)
    spans, clock = [], start_s
    for name, seconds in (
        ("reduce gradients", reduction - gather),
        ("optimizer", _one(step.optimizer)),
        ("gather parameters", gather),
        ("wait for the slowest node", share * (start_s + reduction)),
    ):
        spans.append(Span(name, clock, clock + seconds))
        clock += seconds
    return tuple(spans)


def _one(column: Column) -> float:
    """Return the only entry of a column."""
    return float(np.ravel(column)[0])
