"""Plan files: round trip without loss, written whole or not at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gigafactory.catalog import files, loader
from gigafactory.errors import CatalogError
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.plan import CheckpointPolicy, Plan

if TYPE_CHECKING:
    from pathlib import Path


def plan() -> Plan:
    return Plan(
        model=loader.model("deepseek-v3"),
        cluster=loader.cluster("gigafactory"),
        job=Job(tokens=15e12, seq_len=4096, global_batch_size=4096, start=dt.date(2025, 9, 30)),
        layout=Layout(data_parallel=128, global_batch_size=4096, seq_len=4096, tensor_parallel=8),
        checkpoint=CheckpointPolicy(interval_s=1 / 3),
    )


def test_a_plan_file_is_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    files.write_plan(plan(), path)
    assert files.read_plan(path) == plan()
    assert path.read_text().startswith("schema = 1\n")
    assert path.read_text().count("schema") == 1


@pytest.mark.parametrize("kind", list(loader.KINDS))
def test_every_entry_of_the_catalog_survives_the_round_trip(kind: str) -> None:
    for name in loader.names(kind):
        entry = loader.entry(kind, name)
        assert files.loads(type(entry), files.dumps(entry)) == entry


def test_what_is_none_is_left_out() -> None:
    assert "by = " not in files.dumps(plan().job)
    dated = replace(plan().job, by=dt.date(2025, 12, 31))
    assert "by = 2025-12-31" in files.dumps(dated)


def test_a_plan_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(files.dumps(plan()).replace("schema = 1", "schema = 2"))
    with pytest.raises(CatalogError, match="schema: must be 1, got 2"):
        files.read_plan(path)


def test_faults_deep_inside_a_plan_are_named_by_their_path(tmp_path: Path) -> None:
    text = files.dumps(plan()).replace("top_k = 8", "top_k = 8.5").replace("seq_len", "seq_length")
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        files.read_plan(path)
    for part in (
        "model.experts.top_k: must be a valid integer",
        "job.seq_length: is no key of job (did you mean seq_len?)",
        "layout.seq_len: is missing",
    ):
        assert part in str(caught.value)


def test_writing_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("old")
    files.write_plan(plan(), path)
    assert files.read_plan(path) == plan()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "target", ["absent/plan.toml", "folder", "file/plan.toml", "x\0y", "n" * 300]
)
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a file")
    with pytest.raises(CatalogError, match="cannot be written: ") as caught:
        files.write_plan(plan(), tmp_path / target)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_failure_while_writing_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CatalogError, match="No space left"):
        files.write_plan(plan(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_a_file_is_filled_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def half() -> None:
        with files.writing_whole(path) as file:
            file.write("half")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_spec_is_a_bug_of_the_caller() -> None:
    with pytest.raises(TypeError):
        files.dumps({"a": 1})
