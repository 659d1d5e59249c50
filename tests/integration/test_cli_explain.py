"""`giga explain`: a plan file means the same as the plan that wrote it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

import pytest

from gigafactory.catalog import loader
from tests.integration.test_cli_command import answered, refused, told

QUESTION: Final = ("plan", "mixtral-8x7b", "--gpu", "h100-sxm", "--gpus", "32", "--tokens", "1e12",
                   "--start", "2026-06-01")  # fmt: skip
CASE: Final = "llama3-405b-8192-cp1-tf"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Return what a plan printed, and the file that it wrote."""
    path = tmp_path_factory.mktemp("plan") / "plan.toml"
    return told(*QUESTION, "-o", path), path.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _beside_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[dict[str, Any], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.toml").write_text(written[1], encoding="utf-8")


def test_a_plan_file_explains_to_the_very_step_that_was_planned(
    written: tuple[dict[str, Any], str],
) -> None:
    planned, found = written[0], told("explain", "plan.toml")
    assert found["layout"] == planned["layout"]
    assert found["prediction"] == planned["prediction"]
    assert sum(found["share"].values()) == pytest.approx(1)


def test_the_operators_of_a_plan_sum_to_its_step_and_to_every_part_of_it() -> None:
    found = told("explain", "plan.toml")
    step_s = found["prediction"]["step_time_s"]["expected"]
    parts = dict.fromkeys(found["prediction"]["breakdown_s"], 0.0)
    for row in found["operators"]:
        parts[row["part"]] += row["exposed_s"]
    assert sum(parts.values()) == pytest.approx(step_s, rel=1e-9)
    assert parts == pytest.approx(found["prediction"]["breakdown_s"], rel=1e-9, abs=1e-9 * step_s)
    names = {row["operator"] for row in found["operators"]}
    assert {"expert products", "permute", "qkv projection", "loss", "optimizer"} <= names
    assert (found["siblings"], found["assumed"], found["measured"]) == ([], [], None)


def test_a_page_is_written_beside_the_answer() -> None:
    ran = answered("explain", "plan.toml", "--html", "page.html", "--json")
    page = Path("page.html").read_text(encoding="utf-8")
    assert ran.json["subject"] in page
    assert "<svg" in page
    assert "expert products" in page


def test_a_page_that_cannot_be_written_is_told() -> None:
    assert "missing" in refused("explain", "plan.toml", "--html", "missing/page.html")


def test_a_published_run_stands_among_its_siblings() -> None:
    found = told("explain", "--case", CASE)
    with (loader.DATA / "published" / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    mine = rows.pop(CASE)
    alike = {
        name: float(row["step_time_s"])
        for name, row in rows.items()
        if (row["source"], row["model"]) == (mine["source"], mine["model"])
    }
    assert {one["id"]: one["measured_s"] for one in found["siblings"]} == alike
    assert all(one["relative_error"] is not None for one in found["siblings"])
    first = found["siblings"][0]
    alone = told("explain", "--case", first["id"])
    predicted = alone["prediction"]["step_time_s"]["expected"]
    assert first["predicted_s"] == pytest.approx(predicted, rel=1e-9)


def test_what_a_source_leaves_open_is_told_with_what_was_taken_for_it() -> None:
    found = told("explain", "--case", CASE)  # its virtual pipeline was not published
    assumed = {one["what"]: one["value"] for one in found["assumed"]}
    assert assumed["virtual_pipeline"] == found["layout"]["virtual_pipeline"]
    assert found["caveat"]
    shown = " ".join(answered("explain", "--case", CASE).out.split())
    assert "Not published, so assumed" in shown
    assert found["siblings"][0]["id"] in shown


def test_people_get_the_parts_of_the_step() -> None:
    shown = answered("explain", "plan.toml").out
    assert "mixtral-8x7b" in shown
    assert "expert" in shown


def test_the_trace_is_json_that_perfetto_reads() -> None:
    ran = answered("explain", "plan.toml", "--trace", "trace.json", "--json")
    trace = json.loads(Path("trace.json").read_text(encoding="utf-8"))
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert spans
    assert all(span["dur"] >= 0 and span["ts"] >= 0 for span in spans)
    step_us = ran.json["prediction"]["step_time_s"]["expected"] * 1e6
    end_us = max(span["ts"] + span["dur"] for span in spans)
    assert end_us == pytest.approx(step_us, rel=0.02)


def test_a_published_run_stands_beside_its_prediction() -> None:
    found = told("explain", "--case", CASE)
    with (loader.DATA / "published" / "runs.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["id"] == CASE)
    measured = float(row["step_time_s"])
    predicted = found["prediction"]["step_time_s"]["expected"]
    assert found["measured"]["step_time_s"] == measured
    assert found["relative_error"] == pytest.approx(predicted / measured - 1)


def test_explaining_and_predicting_a_published_run_agree() -> None:
    answered("predict", loader.DATA / "published" / "runs.csv", "--out", "out.csv")
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["id"] == CASE)
    found = told("explain", "--case", CASE)["prediction"]["step_time_s"]["expected"]
    assert float(row["step_time_s"]) == pytest.approx(found, rel=1e-7)


def test_an_unknown_case_is_told_with_the_nearest() -> None:
    assert CASE in refused("explain", "--case", CASE.replace("405b", "450b"))


@pytest.mark.parametrize("arguments", [(), ("plan.toml", "--case", CASE)])
def test_either_a_plan_or_a_case_is_explained(arguments: tuple[str, ...]) -> None:
    assert "--case" in refused("explain", *arguments)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seq_len", "sequence_len", ["sequence_len", "seq_len"]),
        ("data_parallel = ", "data_parallel = -", ["data_parallel", "-"]),
        ("num_layers = 32", "num_layers = 0", ["num_layers"]),
        ("num_layers = 32", 'num_layers = "32"', ["num_layers"]),
        ("hidden_size = 4096", "hidden_size = nan", ["hidden_size"]),
        ("schema = 1", "schema = 2", ["schema"]),
        ('software = "megatron-core"', 'software = "megatron-cor"', ["megatron-core"]),
        ("[layout]", "[outlay]", ["outlay", "layout"]),
    ],
)
def test_a_plan_file_at_fault_is_told(
    written: tuple[dict[str, Any], str], old: str, new: str, words: list[str]
) -> None:
    assert old in written[1]
    Path("plan.toml").write_text(written[1].replace(old, new), encoding="utf-8")
    line = refused("explain", "plan.toml", "--trace", "trace.json")
    assert [word for word in words if word not in line] == []


def test_a_plan_file_that_cannot_be_read_is_told() -> None:
    Path("folder").mkdir()
    Path("empty.toml").touch()
    Path("latin.toml").write_bytes(b'name = "\xe4"')
    assert "missing.toml" in refused("explain", "missing.toml")
    assert "folder" in refused("explain", "folder")
    assert "empty" in refused("explain", "empty.toml")
    assert "UTF-8" in refused("explain", "latin.toml")


def test_a_trace_that_cannot_be_written_is_told() -> None:
    assert "missing" in refused("explain", "plan.toml", "--trace", "missing/trace.json")
