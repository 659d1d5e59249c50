"""A trace file of a real layout, read back as a viewer would."""

import itertools
import json
from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.plan.timeline import timeline
from gigafactory.report.trace import trace_events, write_trace
from gigafactory.spec.layout import Layout
from gigafactory.spec.machine import Machine

LAYOUT = Layout(
    data_parallel=4, tensor_parallel=8, sequence_parallel=True, pipeline_parallel=8,
    virtual_pipeline=5, global_batch_size=64, seq_len=8192, schedule="interleaved",
)  # fmt: skip
SHARDED = replace(LAYOUT, virtual_pipeline=1, schedule="1f1b", sharding="zero3")
ROUNDING_US = 1e-3


@cache
def machine() -> Machine:
    return machines.machine(loader.cluster("llama3-16k"), "megatron-core")


def case(layout: Layout) -> Case:
    return Case(loader.model("llama-3.1-70b"), layout)


def read(layout: Layout, path: Path) -> list[dict[str, Any]]:
    write_trace(timeline(case(layout), machine()), path)
    table = json.loads(path.read_text(encoding="utf-8"))
    assert table["displayTimeUnit"] == "ms"
    events: list[dict[str, Any]] = table["traceEvents"]
    return events


@pytest.mark.parametrize("layout", [LAYOUT, SHARDED], ids=["interleaved", "zero3"])
def test_no_two_events_overlap_on_one_track(layout: Layout, tmp_path: Path) -> None:
    tracks = defaultdict(list)
    for event in read(layout, tmp_path / "trace.json"):
        if event["ph"] == "X":
            assert event["dur"] >= 0
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    assert len(tracks) == 8 * 3
    for spans in tracks.values():
        spans.sort()
        assert all(a[1] <= b[0] + ROUNDING_US for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("layout", [LAYOUT, SHARDED], ids=["interleaved", "zero3"])
def test_the_trace_ends_at_the_predicted_step_time(layout: Layout, tmp_path: Path) -> None:
    events = [e for e in read(layout, tmp_path / "trace.json") if e["ph"] == "X"]
    end_s = max(e["ts"] + e["dur"] for e in events) / 1e6
    assert end_s == pytest.approx(predict(case(layout), machine()).step_time_s.expected, rel=0.01)


def test_every_pass_of_every_microbatch_is_there_by_name(tmp_path: Path) -> None:
    events = read(LAYOUT, tmp_path / "trace.json")
    named = [e["name"] for e in events if e["ph"] == "X" and e["pid"] == 3 and e["tid"] == 0]
    passes = {f"{k} mb{m} chunk{c}" for k in "FB" for m in range(16) for c in range(5)}
    assert passes < set(named)
    assert len([name for name in named if name[0] in "FB"]) == len(passes)


def test_args_hold_the_seconds_that_dur_holds_in_microseconds(tmp_path: Path) -> None:
    timed = [e for e in read(LAYOUT, tmp_path / "trace.json") if e["ph"] == "X"]
    assert all(e["args"]["seconds"] == pytest.approx(e["dur"] / 1e6) for e in timed)


def test_stages_and_tracks_are_named(tmp_path: Path) -> None:
    named = [e for e in read(LAYOUT, tmp_path / "trace.json") if e["ph"] == "M"]
    assert {e["args"]["name"] for e in named if e["name"] == "process_name"} == {
        f"stage {stage}" for stage in range(8)
    }
    assert {e["args"]["name"] for e in named if e["name"] == "thread_name"} == {
        "compute", "link", "network",
    }  # fmt: skip


def test_a_trace_no_viewer_opens_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    one = timeline(case(LAYOUT), machine())
    many = replace(one, events=one.events * (2_000_000 // len(one.events) + 1))
    with pytest.raises(SpecError, match=r"at most 2000000.*reduce global_batch_size"):
        write_trace(many, tmp_path / "trace.json")
    assert not list(tmp_path.iterdir())


def test_the_seconds_of_a_stage_on_its_tracks_are_those_of_its_passes() -> None:
    one = timeline(case(LAYOUT), machine())
    busy = sum(e["dur"] for e in trace_events(one) if e["ph"] == "X" and e["pid"] == 2
               and e["tid"] == 0 and e["name"][0] in "FB")  # fmt: skip
    per_microbatch = sum(float(p.total[2].sum()) for p in one.passes.values())
    assert busy / 1e6 == pytest.approx(16 * per_microbatch)
