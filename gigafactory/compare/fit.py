"""Fits the step model's numbers on the published runs, and says how well it does on unseen ones.

    python -m gigafactory.compare.fit

refits every number of `catalog/data/calibration/step.toml` that may move, writes it back with
the intervals from left-out runs, and writes the accuracy page. Deterministic.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gigafactory.catalog import files, machines
from gigafactory.compare import accuracy
from gigafactory.compare.runs import Group, Runs, published_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gigafactory.spec.calibration import Factor, StepCalibration

NUDGE: Final = 0.02  # of a factor, natural logarithm, for its derivative
SOFT: Final = 0.05  # errors beyond about this count less than by their square
PRIOR_WEIGHT: Final = 0.10  # what one spread away from the prior costs, as a relative error
MOVES: Final = 0.01  # a run is said to depend on a factor from this elasticity on
FOLD_ROUNDS: Final = 4
WORKERS: Final = 2
FEW_ROWS: Final = 15  # a group needs this many left-out rows for an interval of its own
LOW_QUANTILE, HIGH_QUANTILE = 0.10, 0.90  # of measured over predicted: 80 % lie between


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


def intervals(
    runs: Runs, seconds: NDArray[np.float64]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the edges of measured over predicted by accelerator, precision and over all.

    Args:
        runs: The runs.
        seconds: What fits that had not seen them predicted.
    """
    ratios: dict[str, list[float]] = {}
    for run, predicted_s, group in zip(runs.runs, seconds, _keys(runs), strict=True):
        if run.tier != "doubtful" and run.table == "runs":
            for key in ("all", group, f"{group}.{run.precision}"):
                ratios.setdefault(key, []).append(run.measured_s / predicted_s)
    enough = {k: np.array(v) for k, v in ratios.items() if k == "all" or len(v) >= FEW_ROWS}
    low = {k: float(min(1.0, np.quantile(v, LOW_QUANTILE))) for k, v in enough.items()}
    high = {k: float(max(1.0, np.quantile(v, HIGH_QUANTILE))) for k, v in enough.items()}
    return low, high


def _keys(runs: Runs) -> list[str]:
    """Return the name of every run's kernels, by which intervals are looked up."""
    keys = [""] * len(runs.runs)
    for group in runs.groups:
        for row in group.rows:
            keys[row] = group.machine.kernels.accelerator
    return keys


def counted(runs: Runs, calibration: StepCalibration) -> dict[str, Factor]:
    """Return the factors with the number of runs that each one moves."""
    names = list(calibration.factors)
    at = {name: float(np.log(f.value / f.prior)) for name, f in calibration.factors.items()}
    slopes = derivatives(runs, calibration, at, np.ones(len(runs.runs), dtype=bool))
    rows = (np.abs(slopes) > MOVES).sum(axis=0)
    return {
        name: replace(calibration.factors[name], rows=int(count))
        for name, count in zip(names, rows, strict=True)
    }


def calibrated(runs: Runs, start: StepCalibration) -> tuple[Fit, NDArray[np.float64]]:
    """Return the fit on all runs with its intervals, and the left-out predictions."""
    whole = fit(runs, start, runs.weights)
    unseen = left_out(runs, whole.calibration)
    low, high = intervals(runs, unseen)
    calibration = replace(
        whole.calibration,
        factors=counted(runs, whole.calibration),
        residual_low=low,
        residual_high=high,
        rows=int((runs.weights > 0).sum()),
    )
    return replace(whole, calibration=calibration), unseen


def main() -> None:
    """Refit, write the calibration and the accuracy page."""
    runs, start = published_runs(), at_priors(machines.calibration())
    best, unseen = calibrated(runs, start)
    files.write_whole(machines.STEP, files.dumps(best.calibration))
    inside = accuracy.inside_interval(runs, best.calibration, unseen)
    table = accuracy.Table(runs, best.predicted_s, unseen, inside)
    docs = Path(__file__).parents[2] / "docs" / "explanation"
    files.write_whole(docs / "accuracy.md", accuracy.page(table, best.calibration))
    files.write_whole(docs / "accuracy-table.md", table.summary())
    sys.stdout.write(table.summary())


def at_priors(calibration: StepCalibration) -> StepCalibration:
    """Return the calibration before any fit."""
    factors = {name: replace(f, value=f.prior) for name, f in calibration.factors.items()}
    return replace(calibration, factors=factors, residual_low={}, residual_high={})


if __name__ == "__main__":
    main()
