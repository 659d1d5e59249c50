"""Fits the step model's numbers on the published runs, and says how well it does on unseen ones.

    python -m gigafactory.compare.fit [--intervals]

refits every number of `catalog/data/calibration/step.toml` that may move, writes it back with
the intervals from left-out runs, and writes the accuracy page. Deterministic. `--intervals` keeps
the numbers and the left-out predictions of the last fit, and fits the intervals again.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gigafactory.catalog import files, machines
from gigafactory.compare import accuracy, intervals
from gigafactory.compare.runs import Group, Runs, published_runs
from gigafactory.errors import CatalogError, GigafactoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gigafactory.spec.calibration import Factor, StepCalibration

NUDGE: Final = 0.02  # of a factor, natural logarithm, for its derivative
SOFT: Final = 0.05  # errors beyond about this count less than by their square
PRIOR_WEIGHT: Final = 0.10  # what one spread away from the prior costs, as a relative error
MOVES: Final = 0.01  # a run is said to depend on a factor from this elasticity on
FOLD_ROUNDS: Final = 4
WORKERS: Final = 2
ROWS_PER_NUMBER: Final = 15  # runs that each fitted number needs, its software's if it has one
DOCS: Final = Path(__file__).parents[2] / "docs" / "explanation"
LEFT_OUT: Final = DOCS / "left-out.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted calibration and what it predicts."""

    calibration: StepCalibration
    predicted_s: NDArray[np.float64]


def with_values(
    calibration: StepCalibration, names: list[str], logs: NDArray[np.float64]
) -> StepCalibration:
    """Return the calibration with the named factors moved from their priors by `logs`."""
    factors = dict(calibration.factors)
    for name, log in zip(names, logs, strict=True):
        factors[name] = replace(factors[name], value=factors[name].prior * float(np.exp(log)))
    return replace(calibration, factors=factors)


def predicted(runs: Runs, calibration: StepCalibration) -> NDArray[np.float64]:
    """Return the predicted seconds of every run."""
    seconds = np.zeros(len(runs.runs))
    for group in runs.groups:
        seconds[group.rows] = group.step_time_s(group.rates(calibration))
    return seconds


def derivatives(
    runs: Runs,
    calibration: StepCalibration,
    logs: dict[str, float],
    wanted: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return d ln(seconds) / d ln(factor), `[run, factor]`, of the runs wanted.

    A machine whose rates do not change with a factor is not priced again.
    """
    names, values = list(logs), np.array(list(logs.values()))
    here = with_values(calibration, names, values)
    slopes = np.zeros((len(runs.runs), len(names)))
    base: list[tuple[Group, Any, NDArray[np.float64]]] = []
    for group in runs.groups:
        if not wanted[group.rows].any():
            continue
        rates = group.rates(here)
        base.append((group, rates, np.log(group.step_time_s(rates))))
    for i in range(len(names)):
        moved = values.copy()
        moved[i] += NUDGE
        there = with_values(calibration, names, moved)
        for group, rates, log_s in base:
            other = group.rates(there)
            if other != rates:
                slopes[group.rows, i] = (np.log(group.step_time_s(other)) - log_s) / NUDGE
    return slopes


def fit(
    runs: Runs, calibration: StepCalibration, weights: NDArray[np.float64], rounds: int = 12
) -> Fit:
    """Return the calibration that fits the weighted runs best, each factor near its prior.

    Minimises soft absolute errors of ln(seconds) plus the squared distance of every factor from
    its prior in units of its spread. Starts from the values that the calibration holds.
    """
    from scipy.optimize import least_squares

    names = [name for name, f in calibration.factors.items() if f.spread > 0]
    begin = np.array([np.log(f.value / f.prior) for f in map(calibration.factors.get, names) if f])
    spreads = np.array([calibration.factors[name].spread for name in names])
    root, target = np.sqrt(weights), np.log(runs.measured_s)

    def soft(error: NDArray[np.float64]) -> NDArray[np.float64]:
        # |error| beyond SOFT grows like its root: one odd row cannot own a factor.
        size = np.sqrt(2 * (np.sqrt(1 + (error / SOFT) ** 2) - 1))
        return np.asarray(np.sign(error) * size * SOFT)

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        error = np.log(predicted(runs, with_values(calibration, names, logs))) - target
        return np.concatenate([root * soft(error), PRIOR_WEIGHT * logs / spreads])

    def jacobian(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        error = np.log(predicted(runs, with_values(calibration, names, logs))) - target
        at = dict(zip(names, logs, strict=True))
        slopes = derivatives(runs, calibration, at, weights > 0)
        size = np.maximum(np.abs(soft(error)), 1e-12)
        bend = np.abs(error) / np.sqrt(1 + (error / SOFT) ** 2) / size
        bend = np.where(np.abs(error) < 1e-9, 1.0, bend)
        return np.vstack([(root * bend)[:, None] * slopes, np.diag(PRIOR_WEIGHT / spreads)])

    found = least_squares(residuals, begin, jac=jacobian, max_nfev=rounds, ftol=1e-4)
    best = with_values(calibration, names, found.x)
    return Fit(calibration=best, predicted_s=predicted(runs, best))


def left_out(runs: Runs, calibration: StepCalibration) -> NDArray[np.float64]:
    """Return each run's prediction by a fit that has not seen its fold.

    A fold is a source; where a software or an accelerator stands in one source only, it is that
    source's runs of one model. Each fit starts where the fit of all runs ended and is pulled to
    the same priors: the start shortens the way and leaves the end where it is.
    """
    folds = np.array(fold_of(runs))
    names = sorted(set(folds))
    seconds = np.zeros(len(runs.runs))
    with ProcessPoolExecutor(max_workers=WORKERS) as pool:
        for fold, found in zip(names, pool.map(_fold_s, names, repeat(calibration)), strict=True):
            seconds[folds == fold] = found
    return seconds


def _fold_s(fold: str, calibration: StepCalibration) -> NDArray[np.float64]:
    """Return the predictions of one fold by a fit without it."""
    runs = published_runs()
    out = np.array(fold_of(runs)) == fold
    best = fit(runs, calibration, np.where(out, 0.0, runs.weights), FOLD_ROUNDS)
    return np.asarray(best.predicted_s[out])


def fold_of(runs: Runs) -> list[str]:
    """Return the fold of every run."""
    sources: dict[tuple[str, str], set[str]] = {}
    for run in runs.runs:
        for kind in ("software", "gpu"):
            sources.setdefault((kind, getattr(run, kind)), set()).add(run.source)
    return [
        f"{run.source} {run.model}"
        if len(sources["software", run.software]) == 1 or len(sources["gpu", run.gpu]) == 1
        else run.source
        for run in runs.runs
    ]


def counted(runs: Runs, calibration: StepCalibration) -> dict[str, Factor]:
    """Return the factors with the number of runs that each one moves; a zero moves none."""
    above = {name: f for name, f in calibration.factors.items() if f.value > 0}
    at = {name: float(np.log(f.value / f.prior)) for name, f in above.items()}
    slopes = derivatives(runs, calibration, at, np.ones(len(runs.runs), dtype=bool))
    rows = dict(zip(above, (np.abs(slopes) > MOVES).sum(axis=0), strict=True))
    return {
        name: replace(factor, rows=int(rows.get(name, 0)))
        for name, factor in calibration.factors.items()
    }


def require_enough(runs: Runs, calibration: StepCalibration) -> None:
    """Refuse to fit more numbers than the runs can tell.

    Raises:
        CatalogError: Names the whole and every software, with both counts and the rule.
    """
    num_runs = int((runs.weights > 0).sum())
    counts = {"all software": (calibration.num_fitted, num_runs), **numbers_of(runs, calibration)}
    faults = [
        f"{name}: {rows} runs must be at least {ROWS_PER_NUMBER} for each of {numbers} fitted "
        "numbers"
        for name, (numbers, rows) in counts.items()
        if rows < ROWS_PER_NUMBER * numbers
    ]
    if faults:
        raise CatalogError("published runs: " + "; ".join(faults))


def numbers_of(runs: Runs, calibration: StepCalibration) -> dict[str, tuple[int, int]]:
    """Return how many fitted numbers each software or family has to itself, and its runs."""
    rows: dict[str, int] = {}
    for group in runs.groups:
        count = int((runs.weights[group.rows] > 0).sum())
        software = group.machine.software
        for name in {software.name, software.family}:
            rows[name] = rows.get(name, 0) + count
    parts = [n.split(".")[1:] for n, f in calibration.factors.items() if f.spread > 0]
    own = {name: sum(name in part for part in parts) for name in sorted(rows)}
    return {name: (count, rows[name]) for name, count in own.items() if count}


def calibrated(runs: Runs, start: StepCalibration) -> tuple[Fit, NDArray[np.float64]]:
    """Return the fit on all runs with its intervals, and the left-out predictions."""
    require_enough(runs, start)
    whole = fit(runs, start, runs.weights)
    calibration = replace(
        whole.calibration,
        factors=counted(runs, whole.calibration),
        rows=int((runs.weights > 0).sum()),
    )
    return replace(whole, calibration=calibration), left_out(runs, calibration)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of the command: 0 written, 2 the runs are at fault."""
    parser = argparse.ArgumentParser(prog="gigafactory.compare.fit", description=__doc__)
    parser.add_argument("--intervals", action="store_true", help="fit the intervals only")
    options = parser.parse_args(arguments)
    try:
        runs = published_runs()
        if options.intervals:
            known = machines.calibration()
            best = Fit(calibration=known, predicted_s=predicted(runs, known))
            unseen = read_left_out(runs, LEFT_OUT)
        else:
            best, unseen = calibrated(runs, at_priors(machines.calibration()))
        sys.stdout.write(write(runs, best, unseen))
    except GigafactoryError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def write(runs: Runs, best: Fit, unseen: NDArray[np.float64]) -> str:
    """Write the calibration with its intervals and the accuracy pages; return their summary."""
    told = intervals.sample(runs, unseen, fold_of(runs))
    calibration = intervals.calibrated(runs, best.calibration, told)
    half = intervals.unseen(told)
    table = accuracy.Table(runs, best.predicted_s, unseen, half)
    files.write_whole(machines.STEP, files.dumps(calibration))
    files.write_whole(LEFT_OUT, left_out_table(runs, unseen, half))
    files.write_whole(DOCS / "accuracy.md", accuracy.page(table, calibration))
    files.write_whole(DOCS / "accuracy-table.md", table.summary())
    return table.summary()


def left_out_table(runs: Runs, unseen: NDArray[np.float64], half: NDArray[np.float64]) -> str:
    """Return CSV of what was measured, and predicted with its interval by fits without the run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "measured_s", "left_out_s", "low_s", "high_s"))
    for run, seconds, width in zip(runs.runs, unseen, half, strict=True):
        ends = seconds * np.exp(-width), seconds * np.exp(width)
        writer.writerow((run.id, *(f"{x:.6g}" for x in (run.measured_s, seconds, *ends))))
    return text.getvalue()


def read_left_out(runs: Runs, path: Path) -> NDArray[np.float64]:
    """Return the left-out predictions that the last fit wrote.

    Raises:
        CatalogError: No such file, or a run is not in it.
    """
    try:
        with path.open(encoding="utf-8", newline="") as source:
            seconds = {row["id"]: float(row["left_out_s"]) for row in csv.DictReader(source)}
    except (OSError, KeyError, ValueError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from error
    missing = [run.id for run in runs.runs if run.id not in seconds]
    if missing:
        raise CatalogError(f"{path}: {len(missing)} runs are not in it, such as {missing[0]}")
    return np.array([seconds[run.id] for run in runs.runs])


def at_priors(calibration: StepCalibration) -> StepCalibration:
    """Return the calibration before any fit."""
    factors = {name: replace(f, value=f.prior) for name, f in calibration.factors.items()}
    return replace(calibration, factors=factors)


if __name__ == "__main__":
    sys.exit(main())
