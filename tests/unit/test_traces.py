"""Traces made from known durations, read back; and traces that are none."""

from __future__ import annotations

import builtins
import gzip
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gigafactory.cost.operation_replay import replayed_steps_s
from gigafactory.cost.schedule import order
from gigafactory.errors import CatalogError, MissingExtra
from gigafactory.simulate.trace_table import table_of
from gigafactory.simulate.traces import OPERATIONS, Trace, read_trace, trace_of
from tests.made_trace import FIRST_STEP, made_seconds, recorded, write_csv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Columns = dict[str, NDArray[Any]]
SHAPES = [(4, 1, 6, 2, 3), (2, 1, 2, 1, 1), (3, 2, 6, 2, 2), (1, 1, 3, 2, 2), (4, 3, 4, 1, 2)]


def read(columns: Columns) -> Trace:
    return trace_of(table_of(columns, "made.csv", OPERATIONS))


def small() -> Columns:
    return recorded(made_seconds((2, 1, 2, 2, 2)))


@pytest.mark.parametrize("unpaired", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_trace_gives_back_the_durations_it_was_made_from(
    shape: tuple[int, int, int, int, int], unpaired: bool
) -> None:
    seconds = made_seconds(shape, np.random.default_rng(3))
    trace = read(recorded(seconds, shape[1], unpaired and shape[0] > 1))
    assert set(trace.seconds) == set(seconds)
    for name, theirs in seconds.items():
        present = ~np.isnan(trace.seconds[name])
        assert np.allclose(trace.seconds[name][present], theirs[present]), name


@pytest.mark.parametrize("shape", SHAPES)
def test_its_replay_takes_as_long_as_the_record(shape: tuple[int, int, int, int, int]) -> None:
    seconds = made_seconds(shape, np.random.default_rng(5))
    trace = read(recorded(seconds, shape[1]))
    assert replayed_steps_s(trace.seconds, trace.orders) == pytest.approx(trace.recorded_s)


def test_a_trace_keeps_steps_stages_replicas_and_the_order_of_passes() -> None:
    trace = read(recorded(made_seconds((3, 2, 6, 2, 4)), chunks=2))
    assert (trace.stages, trace.replicas) == (3, 4)
    assert trace.steps == (FIRST_STEP, FIRST_STEP + 1)
    assert trace.orders == tuple(tuple(order(3, 2, 6, stage)) for stage in range(3))


def test_waiting_is_no_part_of_a_transfer() -> None:
    seconds = made_seconds((2, 1, 2, 1, 1))
    seconds["forward-recv"][1] = 0.25
    trace = read(recorded(seconds))
    assert np.allclose(trace.seconds["forward-recv"][1], 0.25)


def test_clocks_that_differ_are_told_and_make_no_negative_transfer() -> None:
    columns = small()
    late = (columns["optype"] == "forward-send") & (columns["seq_id"] == 0)
    columns["start_ts"] = columns["start_ts"] + np.where(late, 0.125, 0.0)
    trace = read(columns)
    assert trace.clock_skew_s == pytest.approx(0.125)
    assert float(np.nanmin(trace.seconds["forward-recv"])) == 0.0


def test_rows_may_come_in_any_order() -> None:
    columns = small()
    mixed = np.random.default_rng(1).permutation(len(columns["optype"]))
    one, other = read(columns), read({name: x[mixed] for name, x in columns.items()})
    for name, seconds in one.seconds.items():
        assert np.array_equal(seconds, other.seconds[name], equal_nan=True)


def test_parquet_csv_and_compressed_csv_hold_the_same_trace(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = small()
    plain = write_csv(columns, tmp_path / "trace.csv")
    packed = tmp_path / "trace.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    parquet.write_table(pyarrow.table(columns), tmp_path / "trace.parquet")
    traces = [read_trace(path) for path in (plain, packed, tmp_path / "trace.parquet")]
    for trace in traces[1:]:
        assert np.allclose(trace.recorded_s, traces[0].recorded_s)


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "pyarrow":
            raise ImportError(name)
        return found(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="parquet needs pyarrow: pip install pyarrow"):
        read_trace(tmp_path / "trace.parquet")


def test_nothing_else_than_pyarrow_is_needed_for_parquet(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(small())
    named = table["optype"].dictionary_encode()
    table = table.set_column(table.column_names.index("optype"), "optype", named)
    parquet.write_table(table, tmp_path / "trace.parquet")
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from pathlib import Path\n"
        "from gigafactory.simulate.traces import read_trace\n"
        f"print(len(read_trace(Path({str(tmp_path / 'trace.parquet')!r})).steps))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def at(columns: Columns, column: str, row: int, value: Any) -> Columns:
    """Return columns with one cell changed."""
    changed = columns[column].astype(np.float64 if isinstance(value, float) else object)
    changed[row] = value
    return columns | {column: changed}


def dropped(columns: Columns, gone: NDArray[np.bool_]) -> Columns:
    return {name: x[~gone] for name, x in columns.items()}


def later(columns: Columns, these: NDArray[np.bool_]) -> Columns:
    return columns | {"start_ts": columns["start_ts"] + np.where(these, 99.0, 0.0)}


def first(columns: Columns, name: str) -> int:
    return int(np.flatnonzero(columns["optype"] == name)[0])


HEAD = b"optype,dp_rank,stage,step,start_ts,duration,seq_id,mc,mb_id\n"
BAD: dict[str, tuple[Callable[[Columns], Columns], str]] = {
    "end before start": (
        lambda c: at(c, "duration", 2, -0.5),
        r"row 3: duration: must be seconds from 0 to 1e\+12, got -0.5",
    ),
    "no time": (
        lambda c: at(c, "start_ts", 0, float("nan")),
        r"row 1: start_ts: must be seconds from -1e\+12 .* got nan",
    ),
    "half a stage": (
        lambda c: at(c, "stage", 4, 0.5),
        "row 5: stage: must be a whole number from 0 on, got 0.5",
    ),
    "unknown operation": (
        lambda c: at(c, "optype", 1, "magic"),
        "row 2: optype: must be one of forward-compute, .* got 'magic'",
    ),
    "text for a number": (
        lambda c: at(c, "stage", 1, "x"),
        "row 2: stage: must be a number, got 'x'",
    ),
    "two faults": (
        lambda c: at(at(c, "duration", 0, -1.0), "mb_id", 3, -2.0),
        "duration.*; row 4: mb_id: .* from -1 on",
    ),
    "no column": (
        lambda c: {k: v for k, v in c.items() if k not in {"mc", "stage"}},
        "column missing: stage, mc",
    ),
    "no row": (lambda c: {k: v[:0] for k, v in c.items()}, "at least one operation"),
    "no pass": (
        lambda c: dropped(c, np.char.endswith(c["optype"].astype(str), "compute")),
        "no forward-compute or",
    ),
    "a replica too many": (
        lambda c: at(c, "dp_rank", 0, 3.0),
        "dp_rank: must count from 0 .* there is no 2",
    ),
    "a pass lost": (
        lambda c: dropped(c, np.arange(len(c["step"])) == first(c, "backward-compute")),
        "backward-compute: step 7, .*microbatch 0: must be recorded once, got 0",
    ),
    "a pass twice": (
        lambda c: at(c, "mb_id", first(c, "forward-compute"), 1.0),
        r"microbatch 0: must .* got 0 \(and 1 more\)",
    ),
    "a chunk unknown": (
        lambda c: at(c, "mc", first(c, "grads-reduce-scatter"), 5.0),
        "grads-reduce-scatter: mc: must be 0 to 0, got 5",
    ),
    "no number": (
        lambda c: at(c, "seq_id", first(c, "optimizer"), 1e9),
        "optimizer: seq_id: must be 0 to 7, got 1000000000",
    ),
    "sends without receives": (
        lambda c: dropped(c, c["optype"] == "forward-recv"),
        "forward-recv: stage 1: .* its 2 passes .* got 0",
    ),
    "another order": (
        lambda c: later(
            c, (c["optype"] == "forward-compute") & (c["step"] == 8) & (c["mb_id"] == 0)
        ),
        "start_ts: stage 0 must run its passes in one order, in step 8",
    ),
    "backward first": (
        lambda c: later(c, c["optype"] == "forward-compute"),
        "stage 0 must run the forward pass of microbatch 0 before its backward pass",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_trace_at_fault_is_refused_by_file_column_and_rule(fault: str) -> None:
    change, message = BAD[fault]
    with pytest.raises(CatalogError, match=message) as caught:
        read(change(small()))
    assert str(caught.value).startswith("made.csv: ")
    assert "\n" not in str(caught.value)


def test_times_in_nanoseconds_are_refused() -> None:
    columns = small()
    columns["start_ts"] = columns["start_ts"] * 1e9 + 1.8e18
    with pytest.raises(CatalogError, match="start_ts: must be seconds"):
        read(columns)


def test_a_table_much_smaller_than_its_grid_is_refused_before_the_grid_is_made() -> None:
    places = np.arange(1_000)
    columns: Columns = dict.fromkeys(("dp_rank", "stage", "step", "mb_id"), places)
    columns |= {name: np.zeros(1_000) for name in ("start_ts", "duration", "seq_id", "mc")}
    columns["optype"] = np.full(1_000, "forward-compute")
    with pytest.raises(CatalogError, match=r"forward-compute: .* need 1,000,000,000,000 rows"):
        read(columns)


def test_stages_that_wait_for_each_other_are_refused() -> None:
    columns = small()
    passes = np.char.endswith(columns["optype"].astype(str), "compute")
    # Stage 1 takes the microbatches the other way round: 1 forward and backward, then 0; stage 0
    # keeps its order, and its transfers, the k-th of each, still fit.
    turned = passes & (columns["stage"] == 1)
    columns["mb_id"] = np.where(turned, 1 - columns["mb_id"], columns["mb_id"])
    assert read(columns).orders[1][0] == ("forward", 0, 1)
    # Stage 0 goes backward with microbatch 0 before it has gone forward with 1: now each waits.
    early = passes & (columns["stage"] == 0) & (columns["optype"] == "backward-compute")
    early &= columns["mb_id"] == 0
    columns["start_ts"] = np.where(early, 1.0, columns["start_ts"])
    with pytest.raises(CatalogError, match=r"made.csv: schedule: stage 0 waits for ever"):
        read(columns)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", None, "cannot be read: No such file"),
        ("t.parquet", None, "cannot be read: No such file"),
        ("t.parquet", b"PAR1 not", "must be a parquet file"),
        ("t.csv.gz", b"not packed", "must be a CSV table"),
        ("t.csv", b"\xff\xfe\x00", "must be UTF-8"),
        ("t.csv", b"", "column missing: optype"),
        ("t.csv", b"optype,step\ngc\n", "row 1: must have 2 cells as its head has, got 1"),
        ("t.csv", HEAD + b"gc,0,x,7,0,0,0,0,0\n", "row 1: stage: must be a number, got 'x'"),
        ("t.json", b"{}", "must be .parquet, .csv or .csv.gz"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CatalogError, match=message) as caught:
        read_trace(path)
    assert str(path) in str(caught.value)
