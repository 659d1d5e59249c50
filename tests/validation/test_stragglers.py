"""Recorded training steps replayed, against the record and against the authors' own replay.

The shipped traces are some steps of each run, the published numbers means over all of them: what
holds the published typical times to 5 % there holds them to 0.1 % where the whole traces are.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from gigafactory.simulate.stragglers import STRAGGLING, WhatIf, what_if
from gigafactory.simulate.traces import Trace, read_trace

SHIPPED: Final = Path(__file__).parent / "data" / "straggler"
WHOLE: Final = Path(
    os.environ.get("GIGAFACTORY_STRAGGLER_TRACES")
    or Path(__file__).parents[3] / "shared" / "reliability" / "straggler"
)
PUBLISHED: Final[dict[str, Any]] = json.loads((SHIPPED / "published.json").read_text("utf-8"))
FILES: Final = {"AR": "trace-AR.csv.gz", "SE": "trace-SE.csv.gz", "ST": "trace-ST.parquet"}
CAUSES: Final = {"AR": "workers", "SE": "passes", "ST": "stages"}
REPLAY_ERROR: Final = 0.03
IDEAL_ERROR: Final = 0.05
SAME: Final = 1e-3  # two replays of one model of dependencies
RUNS: Final = pytest.mark.parametrize("run", FILES)


@cache
def shipped(run: str) -> tuple[Trace, WhatIf]:
    trace = read_trace(SHIPPED / FILES[run])
    return trace, what_if(trace)


@cache
def whole(run: str) -> tuple[Trace, WhatIf]:
    path = WHOLE / f"trace-{run}.parquet"
    if not path.exists():
        pytest.skip(f"the whole trace of {run} is not there: GIGAFACTORY_STRAGGLER_TRACES names it")
    trace = read_trace(path)
    return trace, what_if(trace)


def replayed_s(trace: Trace, found: WhatIf) -> dict[int, float]:
    return {
        step: slowdown * found.ideal_s
        for step, slowdown in zip(trace.steps, found.step_slowdowns, strict=True)
    }


@RUNS
def test_replaying_what_was_recorded_takes_as_long_as_the_recorded_step(run: str) -> None:
    trace, found = shipped(run)
    base = PUBLISHED[run]["step_t_base"]
    assert trace.recorded_s == pytest.approx([base[str(step)] for step in trace.steps], rel=1e-6)
    for step, seconds in replayed_s(trace, found).items():
        assert seconds == pytest.approx(base[str(step)], rel=REPLAY_ERROR), step


@RUNS
def test_a_replay_never_takes_longer_than_its_record(run: str) -> None:
    trace, found = shipped(run)
    replayed = np.array(list(replayed_s(trace, found).values()))
    assert np.all(replayed <= trace.recorded_s)


@RUNS
def test_typical_durations_give_the_published_ideal_step(run: str) -> None:
    _, found = shipped(run)
    assert found.ideal_s == pytest.approx(PUBLISHED[run]["tideal"], rel=IDEAL_ERROR)
    assert found.slowdown == pytest.approx(
        PUBLISHED[run]["tori"] / PUBLISHED[run]["tideal"], rel=IDEAL_ERROR
    )


@RUNS
def test_the_cause_of_each_run_is_the_one_its_authors_name(run: str) -> None:
    _, found = shipped(run)
    assert found.slowdown > STRAGGLING
    assert found.cause == CAUSES[run]


def test_the_slow_worker_is_named_and_explains_it_all() -> None:
    _, found = shipped("AR")
    assert next(iter(found.workers)) == (0, 0)
    assert found.worst_workers.share > 0.95


@RUNS
def test_the_data_show_where_both_passes_of_a_microbatch_are_long_together(run: str) -> None:
    _, found = shipped(run)
    assert (found.forward_backward_correlation > 0.95) == (run == "SE")


@RUNS
def test_whole_traces_replay_to_the_recorded_and_the_published_step(run: str) -> None:
    trace, found = whole(run)
    published = PUBLISHED[run]
    assert len(trace.steps) == published["steps"]
    assert found.replayed_s == pytest.approx(found.recorded_s, rel=REPLAY_ERROR)
    assert found.replayed_s == pytest.approx(published["tori"], rel=SAME)
    assert found.ideal_s == pytest.approx(published["tideal"], rel=SAME)
    for step, seconds in replayed_s(trace, found).items():
        assert seconds == pytest.approx(published["step_t_base"][str(step)], rel=REPLAY_ERROR)
        assert seconds == pytest.approx(published["step_t_nodelay"][str(step)], rel=SAME)


@RUNS
def test_whole_traces_give_the_published_answers_for_last_stage_and_worst_workers(
    run: str,
) -> None:
    _, found = whole(run)
    published = PUBLISHED[run]
    for ours, theirs in (
        (found.last_stage, published["last_stage"]),
        (found.worst_workers, published["worst_workers"]),
    ):
        assert ours is not None
        assert ours.removed_s == pytest.approx(theirs["trem"], rel=SAME)
        assert ours.added_s == pytest.approx(theirs["tadd"], rel=SAME)


@RUNS
def test_whole_traces_give_the_published_slowdown_of_every_part(run: str) -> None:
    _, found = whole(run)
    published = PUBLISHED[run]
    for name, slowdown in published["slowdown_by_optype"].items():
        assert found.operations[name].slowdown == pytest.approx(slowdown, rel=SAME), name
    for stage, slowdown in published["slowdown_by_stage"].items():
        assert found.stages[int(stage)].slowdown == pytest.approx(slowdown, rel=SAME), stage
    for replica, slowdown in published["slowdown_by_dp_rank"].items():
        assert found.replica_slowdowns[int(replica)] == pytest.approx(slowdown, rel=SAME), replica
