"""Do intervals hold what they promise: four in five runs that neither fit had seen.

`docs/explanation/left-out.csv` holds what fits without the run predicted, as the last fit wrote it;
the intervals are fitted anew here, each without the run's fold.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.plan.table import RowPrediction
from gigafactory.report.table import predictions

pytest.importorskip("scipy")

from gigafactory.compare import fit, intervals
from gigafactory.compare.runs import Runs, published_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gigafactory.compare.intervals import Sample

HELD, WITHIN = 0.80, 0.05
WITHIN_ACCELERATOR = 0.10
MANY = 30  # runs from which on the share held tells; of 11 runs one more or less is a tenth
MEDIAN_WIDTH = 0.30


@pytest.fixture(scope="module")
def runs() -> Runs:
    return published_runs()


@pytest.fixture(scope="module")
def sample(runs: Runs) -> Sample:
    return intervals.sample(runs, fit.read_left_out(runs, fit.LEFT_OUT), fit.fold_of(runs))


@pytest.fixture(scope="module")
def half(sample: Sample) -> NDArray[np.float64]:
    return intervals.unseen(sample)


def test_intervals_hold_four_in_five_unseen_runs(
    runs: Runs, sample: Sample, half: NDArray[np.float64]
) -> None:
    inside = sample.error <= half
    main = np.array([run.table == "runs" for run in runs.runs])
    partial = np.array([run.tier == "partial" for run in runs.runs])
    for kind in (sample.counts, main, ~main, main & ~partial, main & partial):
        assert abs(inside[kind & sample.counts].mean() - HELD) <= WITHIN


def test_the_median_interval_of_unseen_runs_is_no_wider_than_promised(
    runs: Runs, sample: Sample, half: NDArray[np.float64]
) -> None:
    width = np.exp(half) - np.exp(-half)
    main = np.array([run.table == "runs" for run in runs.runs])
    assert np.median(width[sample.counts]) <= MEDIAN_WIDTH
    assert np.median(width[sample.counts & main]) <= MEDIAN_WIDTH


def test_intervals_hold_unseen_runs_of_every_accelerator(
    runs: Runs, sample: Sample, half: NDArray[np.float64]
) -> None:
    inside, gpus = sample.error <= half, np.array([run.gpu for run in runs.runs])
    many = [gpu for gpu in sorted(set(gpus)) if (sample.counts & (gpus == gpu)).sum() >= MANY]
    assert {"a100-40gb", "a100-80gb", "h100", "gb200", "gb300"} <= set(many)
    held = {gpu: float(inside[sample.counts & (gpus == gpu)].mean()) for gpu in many}
    assert not {g: h for g, h in held.items() if abs(h - HELD) > WITHIN_ACCELERATOR}


def test_accelerators_with_few_runs_are_no_narrower_than_the_best_known_of_their_generation() -> (
    None
):
    runs_of = {
        name: width
        for name, width in machines.calibration().widths.items()
        if name.startswith("accelerator.") and name.count(".") == 2
    }
    few = {name: width for name, width in runs_of.items() if width.rows < MANY}
    assert "accelerator.blackwell.b200" in few
    for name, width in few.items():
        generation = name.rsplit(".", 1)[0]
        many = [w.factor for n, w in runs_of.items() if n.startswith(generation) and n not in few]
        assert width.factor > min(many), name


def test_shipped_widths_are_those_of_all_left_out_runs(runs: Runs, sample: Sample) -> None:
    shipped, known = machines.calibration(), intervals.fitted(sample, sample.counts)
    assert list(shipped.widths) == list(known)
    for name, width in known.items():
        assert shipped.widths[name].factor == pytest.approx(width.factor, rel=1e-3), name
        assert (shipped.widths[name].rows, shipped.widths[name].reason) == (
            width.rows, width.reason,
        )  # fmt: skip
    assert shipped.ranges == intervals.ranges(runs)
    assert shipped.precision_runs == intervals.precision_runs(runs)


def test_a_predicted_table_has_the_intervals_that_were_fitted(runs: Runs, sample: Sample) -> None:
    rows = []
    for table in ("runs", "single_node"):
        with (loader.DATA / "published" / f"{table}.csv").open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    told = predictions(rows)
    width = sample.width(machines.calibration().widths)
    checked = 0
    for run, counts, answer, wide in zip(runs.runs, sample.counts, told, width, strict=True):
        assert isinstance(answer, RowPrediction)
        assert answer.step_time_low_s < answer.step_time_s < answer.step_time_high_s
        if counts:  # a doubtful run may lie outside what the others span
            high = answer.step_time_high_s / answer.step_time_s
            assert np.log(high) == pytest.approx(wide, rel=1e-6), run.id
            checked += 1
    assert checked > 1000
