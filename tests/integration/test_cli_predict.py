"""`giga predict`: a table in, a table out, row by row; written whole or not at all."""

from __future__ import annotations

import csv
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gigafactory.catalog import loader
from tests.integration.test_cli_command import PROGRAM, answered, refused, told

CONTRACT: Final = (
    "id,step_time_s,step_time_low_s,step_time_high_s,mfu,tokens_per_s_per_gpu,"
    "model_tflops_per_gpu,memory_bytes,fits,error"
)
NUMBERS: Final = CONTRACT.split(",")[1:8]
PUBLISHED: Final = loader.DATA / "published" / "runs.csv"
MANY: Final = 20_000

Table = list[dict[str, str]]


def read(path: str | Path) -> Table:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: str, rows: Table, encoding: str = "utf-8", end: str = "\n") -> None:
    with Path(path).open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator=end)
        writer.writeheader()
        writer.writerows(rows)


def predicted(rows: Table) -> Table:
    write("cases.csv", rows)
    answered("predict", "cases.csv", "--out", "out.csv")
    return read("out.csv")


def predict_refused(cases: str) -> str:
    return refused("predict", cases, "--out", "out.csv")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rows() -> Table:
    """Return a few published runs of several engines."""
    return read(PUBLISHED)[::60]


def test_the_output_has_the_columns_of_the_contract(rows: Table) -> None:
    predicted(rows)
    assert Path("out.csv").read_text(encoding="utf-8").splitlines()[0] == CONTRACT


def test_every_row_is_answered_in_order(rows: Table) -> None:
    out = predicted(rows)
    assert [row["id"] for row in out] == [row["id"] for row in rows]
    for row in out:
        assert row["error"] == ""
        assert row["fits"] in {"true", "false"}
        numbers = {name: float(row[name]) for name in NUMBERS}
        assert all(value > 0 for value in numbers.values()), row
        assert numbers["step_time_low_s"] <= numbers["step_time_s"] <= numbers["step_time_high_s"]
        assert numbers["mfu"] < 1


def test_the_measured_time_is_not_looked_at(rows: Table) -> None:
    hidden = [row | {"step_time_s": "", "notes": ""} for row in rows]
    without = [{k: v for k, v in row.items() if k != "step_time_s"} for row in rows]
    assert predicted(rows) == predicted(hidden) == predicted(without)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("tp", "-3"),
        ("tp", "0"),
        ("tp", "2.5"),
        ("tp", "7"),
        ("pp", ""),
        ("layers", "nan"),
        ("hidden", "1e400"),
        ("seq_len", "many"),
        ("global_batch_seqs", "1e30"),
        ("gpu", "h1000"),
        ("software", "megatronn"),
        ("mlp", "square"),
        ("precision", "fp1"),
        ("sharding", "zero9"),
        ("recompute", "some"),
        ("n_gpus", "12345"),
        ("micro_batch", "99999"),
        ("features", "moe-capacity-none"),
    ],
)
def test_a_bad_value_is_the_error_of_its_row_alone(rows: Table, column: str, value: str) -> None:
    good = predicted(rows)
    out = predicted([rows[0], rows[1] | {column: value}, *rows[2:]])
    assert out[1]["error"], out[1]
    assert "\n" not in out[1]["error"]
    assert [out[1][name] for name in (*NUMBERS, "fits")] == [""] * 8
    assert out[:1] + out[2:] == good[:1] + good[2:]


def test_every_fault_of_a_row_is_told(rows: Table) -> None:
    row = predicted([rows[0] | {"tp": "0", "layers": "x", "precision": "fp1"}])[0]
    assert all(column in row["error"] for column in ("tp", "layers", "precision"))


def test_machine_output_counts_rows_and_errors(rows: Table) -> None:
    write("cases.csv", [rows[0], rows[1] | {"tp": "0"}, rows[2]])
    assert told("predict", "cases.csv", "--out", "out.csv") == {"schema": 1, "rows": 3, "errors": 1}


@pytest.mark.parametrize("name", ['a,"b"', "two\nlines", "", "grün ✓", " space "])
def test_an_id_comes_back_as_it_was(rows: Table, name: str) -> None:
    assert predicted([rows[0] | {"id": name}])[0]["id"] == name


@pytest.mark.parametrize("form", [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8-sig", "\r\n")])
def test_a_byte_order_mark_and_other_line_ends_change_nothing(
    rows: Table, form: tuple[str, str]
) -> None:
    plain = predicted(rows)
    write("cases.csv", rows, *form)
    answered("predict", "cases.csv", "--out", "out.csv")
    assert read("out.csv") == plain


def test_columns_may_stand_in_any_order_beside_others(rows: Table) -> None:
    turned = [dict(reversed(row.items())) | {"extra": "x"} for row in rows]
    assert predicted(turned) == predicted(rows)


def test_short_and_long_lines_are_errors_or_harmless(rows: Table) -> None:
    write("cases.csv", rows[:1])
    with Path("cases.csv").open("a", encoding="utf-8") as file:
        file.write("short,full\n" + "x," * 100 + "\n" + "nul\0,full\n")
    answered("predict", "cases.csv", "--out", "out.csv")
    out = read("out.csv")
    assert [bool(row["error"]) for row in out] == [False, True, True, True]


def test_a_table_without_rows_is_answered_by_one(rows: Table) -> None:
    Path("cases.csv").write_text(",".join(rows[0]) + "\n", encoding="utf-8")
    answered("predict", "cases.csv", "--out", "out.csv")
    assert Path("out.csv").read_text(encoding="utf-8") == CONTRACT + "\n"


def test_every_missing_column_is_named(rows: Table) -> None:
    missing = ("id", "tp", "software")
    write("cases.csv", [{k: v for k, v in row.items() if k not in missing} for row in rows])
    line = predict_refused("cases.csv")
    assert line.rstrip().endswith(": id, tp, software")


def test_a_table_that_cannot_be_read_is_told(rows: Table) -> None:
    Path("empty.csv").touch()
    assert "column missing" in predict_refused("empty.csv")
    Path("folder.csv").mkdir()
    assert "folder.csv" in predict_refused("folder.csv")
    assert "No such file" in predict_refused("missing.csv")
    write("utf16.csv", rows, encoding="utf-16")
    assert "UTF-8" in predict_refused("utf16.csv")


def test_a_bad_byte_far_down_leaves_no_output(rows: Table) -> None:
    write("cases.csv", rows * 100)
    with Path("cases.csv").open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert "UTF-8" in predict_refused("cases.csv")


def test_an_output_that_cannot_be_written_is_told(rows: Table) -> None:
    write("cases.csv", rows)
    assert "missing" in refused("predict", "cases.csv", "--out", "missing/out.csv")
    Path("folder").mkdir()
    assert "folder" in refused("predict", "cases.csv", "--out", "folder")


def test_a_table_of_many_rows_is_answered_as_its_rows_are(rows: Table) -> None:
    few = {row["id"]: row for row in predicted(rows)}
    table = (rows * (MANY // len(rows) + 1))[:MANY]
    out = predicted(table)
    assert len(out) == MANY
    assert all(row == few[row["id"]] for row in out)


CELLS: Final = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.integers(-10, 10**10).map(str),
    st.floats().map(str),
    st.sampled_from(["1", "2", "8", "3", "1024", "gated", "full", "zero3", "fp8", "h200", "nvfp4"]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.dictionaries(st.integers(0, 37), CELLS, max_size=4), min_size=1))
def test_whatever_the_cells_hold_each_row_is_answered_or_told(
    changes: list[dict[int, str]],
) -> None:
    published = read(PUBLISHED)[::30]
    columns = [name for name in published[0] if name != "id"]
    changed = [
        row | {columns[i]: cell for i, cell in change.items() if i < len(columns)}
        for row, change in zip(published, changes, strict=False)
    ]
    for row, out in zip(changed, predicted(changed), strict=True):
        assert out["id"] == row["id"]
        filled = [bool(out[name]) for name in (*NUMBERS, "fits")]
        assert set(filled) == {not out["error"]}
        if not out["error"]:
            assert 0 < float(out["step_time_s"]) < float("inf")


def test_a_killed_run_leaves_no_output(rows: Table) -> None:
    write("cases.csv", rows * (2 * MANY // len(rows)))
    with subprocess.Popen([*PROGRAM, "predict", "cases.csv", "--out", "out.csv"]) as running:
        end = time.monotonic() + 60
        # Some of the table is on disk, and more is to come.
        while not any(part.stat().st_size for part in Path.cwd().glob(".out.csv.*.part")):
            assert running.poll() is None, "over before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert not Path("out.csv").exists()
