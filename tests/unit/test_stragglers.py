"""Slow parts planted in made traces are found, and told in words and numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from gigafactory.errors import SpecError
from gigafactory.report.stragglers import straggler_json, straggler_sheets, verdict
from gigafactory.simulate.stragglers import WhatIf, what_if
from gigafactory.simulate.trace_table import table_of
from gigafactory.simulate.traces import OPERATIONS, trace_of
from tests.made_trace import made_seconds, recorded

PASSES = ("forward-compute", "backward-compute")
Seconds = dict[str, NDArray[np.float64]]


def found(seconds: Seconds, chunks: int = 1) -> WhatIf:
    return what_if(trace_of(table_of(recorded(seconds, chunks), "made.csv", OPERATIONS)))


def even() -> Seconds:
    return made_seconds((4, 1, 8, 3, 4))


def slow_worker() -> Seconds:
    seconds = even()
    for name in PASSES:
        seconds[name][2, ..., 1] *= 2.0
    return seconds


def long_stage() -> Seconds:
    seconds = even()
    for name in PASSES:
        seconds[name][3] *= 1.6
    return seconds


def unequal_data(*, related: bool) -> Seconds:
    seconds = even()
    rng = np.random.default_rng(0)
    for name in PASSES:
        length = np.random.default_rng(1) if related else rng
        seconds[name] *= length.lognormal(0.0, 0.5, (1, 8, 3, 4))
    return seconds


def test_a_run_without_stragglers_has_none() -> None:
    told = found(even())
    assert told.cause == "none"
    assert told.slowdown == pytest.approx(1.0)
    assert told.uneven["workers"].share == 0.0
    assert "no straggling" in verdict(told)


def test_a_slow_worker_is_found_and_named() -> None:
    told = found(slow_worker())
    assert told.cause == "workers"
    assert next(iter(told.workers)) == (2, 1)
    assert told.worst_count == 1
    # The typical pass is a mean with the slow worker in: the step without it is a little faster.
    assert told.worst_workers.share == pytest.approx(1.0, abs=0.05)
    assert "most of all stage 2 of replica 1" in verdict(told)
    assert int(np.argmax(told.replica_slowdowns)) == 1


def test_a_long_stage_is_no_slow_worker() -> None:
    told = found(long_stage())
    assert told.cause == "stages"
    assert told.uneven["workers"].share == pytest.approx(0.0, abs=1e-9)
    assert told.last_stage == told.stages[3]
    assert "stage 3 has more to do" in verdict(told)


@pytest.mark.parametrize("related", [True, False])
def test_unequal_passes_are_the_datas_where_both_passes_of_a_microbatch_are_long(
    related: bool,
) -> None:
    told = found(unequal_data(related=related))
    assert told.cause == "passes"
    assert ("sequences of unequal length" in verdict(told)) == related
    assert (told.forward_backward_correlation > 0.9) == related


def test_a_slow_collective_is_told_by_its_operation() -> None:
    seconds = even()
    seconds["grads-reduce-scatter"][:, :, 0] = 30.0
    told = found(seconds)
    slowest = max(told.operations, key=lambda name: told.operations[name].share)
    assert (told.cause, slowest) == ("unexplained", "grads-reduce-scatter")
    assert told.operations[slowest].share > 0.95
    assert "see the operations" in verdict(told)


def test_removed_and_added_bound_the_recorded_run() -> None:
    told = found(slow_worker())
    everything = told.worst_workers
    assert everything.added_s == pytest.approx(told.ideal_s * everything.slowdown)
    assert everything.share == pytest.approx(
        (told.replayed_s - everything.removed_s) / (told.replayed_s - told.ideal_s)
    )


def test_gaps_between_operations_are_in_the_record_and_not_in_the_replay() -> None:
    columns = recorded(even())
    after = columns["optype"] == "optimizer"
    columns["start_ts"] = columns["start_ts"] + np.where(after, 2.0, 0.0)
    told = what_if(trace_of(table_of(columns, "made.csv", OPERATIONS)))
    assert told.recorded_s == pytest.approx(told.replayed_s + 2.0)


def test_one_stage_and_one_replica_have_nothing_to_compare_with() -> None:
    told = found(made_seconds((1, 1, 4, 2, 1), np.random.default_rng(2)))
    assert told.last_stage is None
    assert set(told.workers) == {(0, 0)}
    assert [sheet.title for sheet in straggler_sheets(told) if sheet.rows][:3] == [
        "One step", "Why", "By operation",
    ]  # fmt: skip


def test_operations_that_take_no_time_have_no_ideal() -> None:
    seconds = {name: x * 0.0 for name, x in made_seconds((1, 1, 1, 1, 1)).items()}
    with pytest.raises(SpecError, match=r"made.csv: duration: operations must take time"):
        found(seconds)


def test_the_answer_is_json_with_a_schema_and_holds_every_part() -> None:
    told = found(slow_worker())
    made = json.loads(json.dumps(straggler_json(told), allow_nan=False))
    assert (made["schema"], made["cause"], made["steps"]) == (1, "workers", 3)
    assert made["slowdown"] == pytest.approx(made["replayed_s"] / made["ideal_s"])
    assert made["workers"][0]["stage"] == 2
    assert made["workers"][0]["replica"] == 1
    assert set(made["operations"]) == set(told.operations)
    assert len(made["stages"]) == 4
    assert len(made["step_slowdowns"]) == 3


def test_the_sheets_tell_only_workers_that_slow_the_run() -> None:
    sheets = {sheet.title: sheet for sheet in straggler_sheets(found(slow_worker()))}
    assert list(sheets) == ["One step", "Why", "By operation", "By stage", "The slowest workers"]
    assert [row[0] for row in sheets["The slowest workers"].rows] == ["stage 2, replica 1"]
    assert sheets["Why"].bars[1] == max(sheets["Why"].bars) == 1.0


def test_a_trace_asked_twice_answers_the_same() -> None:
    assert straggler_json(found(slow_worker())) == straggler_json(found(slow_worker()))
