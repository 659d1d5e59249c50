"""The fit: same bytes every time, no more numbers than runs can tell, bad runs refused."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.errors import CatalogError
from gigafactory.spec.calibration import Factor

pytest.importorskip("scipy")

from gigafactory.compare import fit, intervals
from gigafactory.compare.runs import Runs, published_runs

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED = loader.DATA / "published"
MOST_NUMBERS = 60
ROWS_PER_NUMBER = 15

# Two fits of a few runs, with their intervals, as bytes.
FIT = """
import sys
from pathlib import Path
from gigafactory.catalog import files, machines
from gigafactory.compare import fit, intervals
from gigafactory.compare.runs import published_runs
runs = published_runs(Path(sys.argv[1]))
found = fit.fit(runs, fit.at_priors(machines.calibration()), runs.weights, rounds=1)
told = intervals.sample(runs, found.predicted_s, fit.fold_of(runs))
sys.stdout.write(files.dumps(intervals.calibrated(runs, found.calibration, told)))
sys.stdout.write(fit.left_out_table(runs, found.predicted_s, intervals.unseen(told)))
"""


def table(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(folder: Path, runs: list[dict[str, str]], single: list[dict[str, str]]) -> Path:
    """Return a folder with tables of these rows."""
    for name, rows in (("runs", runs), ("single_node", single)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return folder


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Return a folder with a few runs of several accelerators and software."""
    return written(tmp_path, table("runs")[::20], table("single_node")[::50])


@pytest.fixture(scope="module")
def runs() -> Runs:
    return published_runs()


def test_two_fits_give_the_same_bytes(tmp_path: Path) -> None:
    hopper = [row for row in table("runs") if (row["gpu"], row["precision"]) == ("h100", "bf16")]
    few = written(tmp_path, hopper[::8], table("single_node")[:4])
    told = []
    for seed in ("1", "2"):  # of Python's hashes: no order of a set may reach the numbers
        ran = subprocess.run(
            [sys.executable, "-c", FIT, str(few)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, check=True,
        )  # fmt: skip
        told.append(ran.stdout)
    assert told[0] == told[1]
    assert b"accelerator.hopper.h100-sxm" in told[0]


def test_at_most_sixty_numbers_are_fitted() -> None:
    assert 0 < machines.calibration().num_fitted <= MOST_NUMBERS


def test_every_software_has_fifteen_runs_for_each_number_of_its_own(runs: Runs) -> None:
    counts = fit.numbers_of(runs, machines.calibration())
    assert {"megatron-core", "fsdp"} <= set(counts)
    over = {n: c for n, c in counts.items() if c[0] > c[1] / ROWS_PER_NUMBER}
    assert not over
    fit.require_enough(runs, machines.calibration())


def test_numbers_of_a_software_are_those_that_bear_its_name(runs: Runs) -> None:
    made = Factor(value=1.0, prior=1.0, spread=0.1, reason="a test")
    plain = replace(made, spread=0.0)
    numbers = replace(
        machines.calibration(),
        factors={"a.torchtitan": made, "b.torchtitan.x": made, "c.torchtitan": plain, "d": made},
    )
    counts = fit.numbers_of(runs, numbers)
    assert {name: count for name, (count, _) in counts.items()} == {"torchtitan": 2}
    assert counts["torchtitan"][1] == sum(
        r.software == "torchtitan" and r.tier != "doubtful" for r in runs.runs
    )


def test_more_numbers_than_runs_can_tell_are_refused_all_at_once(runs: Runs) -> None:
    made = Factor(value=1.0, prior=1.0, spread=0.1, reason="a test")
    many = {f"x{i}.torchtitan": made for i in range(2)} | {f"y{i}": made for i in range(80)}
    with pytest.raises(CatalogError) as told:
        fit.require_enough(runs, replace(machines.calibration(), factors=many))
    assert "torchtitan: 21 runs must be at least 15 for each of 2 fitted numbers" in str(told.value)
    assert "all software: 1081 runs must be at least 15 for each of 82" in str(told.value)


def test_too_few_runs_are_refused_before_any_fit(few: Path) -> None:
    with pytest.raises(CatalogError, match="all software: 40 runs must be at least 15 for each"):
        fit.calibrated(published_runs(few), machines.calibration())


def test_every_fault_of_every_run_is_named_at_once(tmp_path: Path) -> None:
    rows, single = table("runs")[:4], table("single_node")[:2]
    rows[0]["step_time_s"], rows[1]["step_time_s"], rows[2]["tp"] = "-3", "", "0"
    rows[3] |= {"gpu": "h1000", "id": rows[0]["id"]}
    single[1] |= {"tier": "good", "step_time_s": "nan"}
    with pytest.raises(CatalogError) as told:
        published_runs(written(tmp_path, rows, single))
    message = str(told.value)
    for fault in (
        f"runs.csv: {rows[0]['id']}: step_time_s must be a finite number above 0, got '-3'",
        f"runs.csv: {rows[1]['id']}: step_time_s must be a finite number above 0, got ''",
        f"runs.csv: {rows[2]['id']}: tp must be a whole number",
        f"runs.csv: {rows[0]['id']}: id must stand once",
        "h1000",
        f"single_node.csv: {single[1]['id']}: tier must be one of full, partial, doubtful",
        "got 'nan'",
    ):
        assert fault in message
    assert "\n" not in message


def test_a_table_without_a_column_or_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"runs.csv: cannot be read"):
        published_runs(tmp_path)
    rows = [{k: v for k, v in row.items() if k != "step_time_s"} for row in table("runs")[:2]]
    with pytest.raises(CatalogError, match="column missing: step_time_s"):
        published_runs(written(tmp_path, rows, table("single_node")[:2]))


def test_the_command_tells_a_fault_in_one_line_and_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(fit, "LEFT_OUT", tmp_path / "none.csv")
    assert fit.main(["--intervals"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_left_out_predictions_are_read_as_written(tmp_path: Path, few: Path) -> None:
    told = published_runs(few)
    seconds = np.arange(1.0, len(told.runs) + 1)
    path = tmp_path / "left-out.csv"
    path.write_text(fit.left_out_table(told, seconds, np.full(len(seconds), 0.1)), "utf-8")
    assert fit.read_left_out(told, path) == pytest.approx(seconds)
    path.write_text("\n".join(path.read_text("utf-8").splitlines()[:-1]), "utf-8")
    with pytest.raises(CatalogError, match="1 runs are not in it"):
        fit.read_left_out(told, path)


def made(errors: list[float], kinds: list[str], folds: list[str]) -> intervals.Sample:
    """Return residuals of runs that differ in software alone."""
    size = len(errors)
    none = np.zeros(size, dtype=bool)
    return intervals.Sample(
        error=np.array(errors),
        traits={"experts": none, "pipeline": none, "unpublished": none},
        members={
            "accelerator": [("hopper", "h100-sxm")] * size,
            "software": [("family", kind) for kind in kinds],
        },
        folds=folds,
        counts=np.ones(size, dtype=bool),
    )


def spread(scale: float, size: int) -> list[float]:
    """Return residuals evenly spread from zero to a scale."""
    return list(np.linspace(scale / size, scale, size))


def test_widths_hold_the_share_they_are_made_for() -> None:
    told = made(spread(0.1, 200) + spread(0.4, 200), ["a"] * 200 + ["b"] * 200,
                [str(i % 20) for i in range(400)])  # fmt: skip
    inside = told.error <= told.width(intervals.fitted(told, told.counts))
    assert 0.80 <= inside.mean() <= 0.86
    assert abs(inside[:200].mean() - inside[200:].mean()) < 0.1


def test_noisier_software_is_wider_and_unknown_software_as_wide_as_the_widest() -> None:
    told = made(spread(0.1, 200) + spread(0.4, 200), ["a"] * 200 + ["b"] * 200, ["f"] * 400)
    widths = intervals.fitted(told, told.counts)
    ratio = widths["software.family.b"].factor / widths["software.family.a"].factor
    assert ratio == pytest.approx(4.0, rel=0.15)
    assert widths["software.family"].factor == widths["software.family.b"].factor
    assert widths["software"].factor == widths["software.family.b"].factor
    assert widths["software.family.a"].rows == 200


def test_a_group_of_few_runs_is_drawn_to_the_widest_of_its_family() -> None:
    sizes = spread(0.1, 200) + spread(0.4, 200) + [0.001, 0.002]
    told = made(sizes, ["a"] * 200 + ["b"] * 200 + ["few"] * 2, ["f"] * 402)
    widths = intervals.fitted(told, told.counts)
    factors = {name: widths[f"software.family.{name}"].factor for name in ("a", "few", "b")}
    assert factors["a"] < factors["few"] < factors["b"]


def test_the_width_of_an_unseen_fold_does_not_depend_on_its_own_errors() -> None:
    calm = spread(0.1, 100)
    folds = [str(i % 5) for i in range(100)]
    wild = [10 * error if fold == "0" else error for error, fold in zip(calm, folds, strict=True)]
    before, after = (intervals.unseen(made(errors, ["a"] * 100, folds)) for errors in (calm, wild))
    own = np.array(folds) == "0"
    assert after[own] == pytest.approx(before[own], rel=1e-9)
    assert (after[~own] > before[~own]).all()
