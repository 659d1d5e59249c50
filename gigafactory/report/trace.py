"""One step as a trace for Perfetto (ui.perfetto.dev) or chrome://tracing.

Source: "Trace Event Format", Google, 2016: complete events "X" and metadata events "M".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gigafactory.catalog.files import write_whole
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gigafactory.cost.schedule import Pass
    from gigafactory.plan.timeline import Span, Timeline

MAX_EVENTS: Final = 2_000_000  # about 300 MB of JSON; the viewer gives up not far beyond
TRACKS: Final = ("compute", "link", "network")
SPAN_TRACKS: Final = {"reduce gradients": "network", "gather parameters": "network"}
MICROSECONDS: Final = 1e6

Record = dict[str, Any]


def write_trace(timeline: Timeline, path: Path | str) -> None:
    """Write one step as a trace file, whole or not at all.

    Raises:
        SpecError: The trace would hold more than 2,000,000 events.
        CatalogError: The file cannot be written.
    """
    events = trace_events(timeline)
    text = json.dumps({"displayTimeUnit": "ms", "traceEvents": events}, separators=(",", ":"))
    write_whole(path, text)


def trace_events(timeline: Timeline) -> list[Record]:
    """Return the events of a trace: one process per pipeline stage, one thread per track.

    Times are microseconds from the step's start. The link and network tracks show exposed
    transfers, drawn at the end of the pass they hold up (in truth they are spread over its
    layers).

    Raises:
        SpecError: There would be more than 2,000,000 of them.
    """
    _check_size(timeline)
    stages = timeline.layout.pipeline_parallel
    events = [record for stage in range(stages) for record in _names(stage)]
    for event in timeline.events:
        events.extend(_pass_records(timeline, event))
    events.extend(_span(stage, span) for stage in range(stages) for span in timeline.spans
                  if span.end_s > span.start_s)  # fmt: skip
    return events


def _check_size(timeline: Timeline) -> None:
    """Refuse a trace that no viewer opens, from the most events each pass can have."""
    each = 1 + sum(
        any(passes[kind].any() for passes in timeline.passes.values()) for kind in (1, 2)
    )
    each += timeline.send_s > 0
    count = each * len(timeline.events)
    if count > MAX_EVENTS:
        layout = timeline.layout
        raise SpecError(
            f"trace: {count} events, at most {MAX_EVENTS}: {layout.num_microbatches} microbatches "
            f"x {layout.pipeline_parallel} stages x {layout.virtual_pipeline} chunks; reduce "
            "global_batch_size, or raise micro_batch_size",
            field="global_batch_size",
        )


def _names(stage: int) -> Iterator[Record]:
    """Yield the metadata of one stage: what its process and threads are called."""
    yield {"ph": "M", "pid": stage, "name": "process_name", "args": {"name": f"stage {stage}"}}
    yield {"ph": "M", "pid": stage, "name": "process_sort_index", "args": {"sort_index": stage}}
    for thread, track in enumerate(TRACKS):
        yield {"ph": "M", "pid": stage, "tid": thread, "name": "thread_name",
               "args": {"name": track}}  # fmt: skip


def _pass_records(timeline: Timeline, event: Pass) -> Iterator[Record]:
    """Yield one pass, and the exposed transfers that hold it up at its end."""
    stage, chunk = event.stage, event.chunk
    name = f"{event.kind[0].upper()} mb{event.microbatch} chunk{chunk}"
    passes = timeline.passes[event.kind]
    yield _record(stage, "compute", name, event.start_s, event.end_s)
    link, gather = float(passes.link[stage, chunk]), float(passes.gather[stage, chunk])
    sending = event.end_s - timeline.send_s
    gathering = sending - gather
    if link > 0:
        yield _record(stage, "link", f"exchange {name}", gathering - link, gathering)
    if gather > 0:
        yield _record(stage, "network", f"gather {name}", gathering, sending)
    if timeline.send_s > 0:
        yield _record(stage, "network", f"send {name}", sending, event.end_s,
                      transfer_s=timeline.sent_s)  # fmt: skip


def _span(stage: int, span: Span) -> Record:
    track = SPAN_TRACKS.get(span.name, "compute")
    return _record(stage, track, span.name, span.start_s, span.end_s)


def _record(
    stage: int, track: str, name: str, start_s: float, end_s: float, **more_s: float
) -> Record:
    """Return a complete event; `args` holds its seconds."""
    return {
        "ph": "X",
        "pid": stage,
        "tid": TRACKS.index(track),
        "name": name,
        "ts": start_s * MICROSECONDS,
        "dur": (end_s - start_s) * MICROSECONDS,
        "args": {"seconds": end_s - start_s, **more_s},
    }
