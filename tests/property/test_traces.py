"""Whatever was recorded: a replay is never slower, and a broken trace is refused, not a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.cost.operation_replay import replayed_steps_s
from gigafactory.errors import CatalogError
from gigafactory.simulate.trace_table import PLACES, SECONDS, table_of
from gigafactory.simulate.traces import OPERATIONS, Trace, trace_of
from tests.made_trace import made_seconds, recorded

SHAPES = st.tuples(
    st.integers(1, 4), st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)
)
VALUES = st.one_of(
    st.integers(-3, 12), st.sampled_from([2**60, 10**9]), st.floats(allow_nan=True), st.text()
)


def read(columns: dict[str, Any]) -> Trace:
    return trace_of(table_of(columns, "made.csv", OPERATIONS))


def made(shape: tuple[int, int, int, int, int], seed: int, hop_s: float = 0.0) -> dict[str, Any]:
    stages, chunks, rounds, steps, replicas = shape
    chunks = chunks if stages > 1 else 1
    shape = (stages, chunks, rounds * stages, steps, replicas)
    seconds = made_seconds(shape, np.random.default_rng(seed))
    for name in seconds:
        if name.endswith("recv"):
            seconds[name] += hop_s
    return recorded(seconds, chunks)


@given(shape=SHAPES, seed=st.integers(0, 99), hop_s=st.floats(0.0, 2.0))
@settings(deadline=None)
def test_a_replay_is_never_slower_than_its_record(
    shape: tuple[int, int, int, int, int], seed: int, hop_s: float
) -> None:
    trace = read(made(shape, seed, hop_s))
    replayed = replayed_steps_s(trace.seconds, trace.orders)
    assert np.all(replayed <= trace.recorded_s + 1e-9)
    if hop_s == 0.0:
        assert np.allclose(replayed, trace.recorded_s)


@given(shape=SHAPES, seed=st.integers(0, 99), data=st.data())
@settings(deadline=None)
def test_an_operation_that_takes_longer_never_makes_a_faster_step(
    shape: tuple[int, int, int, int, int], seed: int, data: st.DataObject
) -> None:
    trace = read(made(shape, seed))
    name = data.draw(st.sampled_from(sorted(trace.seconds)))
    longer = trace.seconds[name].copy()
    longer.flat[data.draw(st.integers(0, longer.size - 1))] += data.draw(st.floats(0.0, 5.0))
    after = replayed_steps_s(trace.seconds | {name: longer}, trace.orders)
    assert np.all(after >= replayed_steps_s(trace.seconds, trace.orders))


@given(
    column=st.sampled_from([*PLACES, *SECONDS, "optype"]),
    value=VALUES,
    row=st.integers(0, 10**6),
    lost=st.integers(0, 3),
)
@settings(deadline=None, max_examples=300)
def test_a_broken_trace_is_read_or_refused(column: str, value: object, row: int, lost: int) -> None:
    columns = made((2, 2, 1, 2, 2), 0)
    rows = len(columns["optype"])
    cells = columns[column].astype(object)
    cells[row % rows] = value
    if not isinstance(value, str):
        cells = cells if column == "optype" else cells.astype(np.float64)
    columns = {name: x[lost:] for name, x in (columns | {column: cells}).items()}
    refusal = "made.csv: "
    try:
        assert read(columns).stages == 2
    except CatalogError as error:
        refusal = str(error)
    assert refusal.startswith("made.csv: ")
    assert "\n" not in refusal
