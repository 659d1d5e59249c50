"""The accuracy tables: how far predictions lie from published runs, fitted and left out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gigafactory.compare.runs import Run, Runs
    from gigafactory.spec.calibration import StepCalibration

LARGE: Final = 1024
KINDS: Final = (
    ("source", "source"), ("accelerator", "gpu"), ("software", "software"),
    ("precision", "precision"), ("architecture", "arch"),
)  # fmt: skip
HEAD: Final = (
    "| runs | n | fit median | mean | p90 | left-out median | mean | p90 | inside interval |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


class Errors(NamedTuple):
    """Absolute relative errors of some runs."""

    median: float
    mean: float
    p90: float


def errors(predicted_s: NDArray[np.float64], measured_s: NDArray[np.float64]) -> Errors:
    """Return median, mean and 90th percentile of |predicted / measured - 1|."""
    e = np.abs(predicted_s / measured_s - 1)
    return Errors(float(np.median(e)), float(e.mean()), float(np.quantile(e, 0.9)))


class Table:
    """Writes rows of the accuracy table for chosen runs."""

    def __init__(
        self,
        runs: Runs,
        fitted_s: NDArray[np.float64],
        unseen_s: NDArray[np.float64],
        inside: NDArray[np.bool_],
    ) -> None:
        self.runs, self.fitted_s, self.unseen_s, self.inside = runs, fitted_s, unseen_s, inside

    def row(self, label: str, chosen: Callable[[Run], bool]) -> str:
        """Return the table row of the chosen runs, empty without any."""
        pick = np.array([r.tier != "doubtful" and chosen(r) for r in self.runs.runs])
        if not pick.any():
            return ""
        measured = self.runs.measured_s[pick]
        fit, out = errors(self.fitted_s[pick], measured), errors(self.unseen_s[pick], measured)
        cells = [f"{x:.1%}" for x in (*fit, *out, self.inside[pick].mean())]
        return f"| {label} | {int(pick.sum())} | {' | '.join(cells)} |\n"

    def by(self, field: str) -> str:
        """Return a table with one row per value of a field, of the main table's runs."""
        values = sorted({str(getattr(r, field)) for r in self.runs.runs if r.table == "runs"})
        rows = [self.row(value, partial(_is, field, value)) for value in values]
        return HEAD + "".join(rows)

    def summary(self) -> str:
        """Return the table of the README."""
        full = self.row("every input published", lambda r: r.table == "runs" and r.tier == "full")
        part = self.row("inputs partly published", lambda r: r.tier == "partial")
        large = self.row(
            f"{LARGE:,} GPUs and more", lambda r: r.table == "runs" and r.num_gpus >= LARGE
        )
        small = self.row("one node of A100", lambda r: r.table == "single_node")
        return HEAD + full + part + large + small


def _is(field: str, value: str, run: Run) -> bool:
    """Return whether a run of the main table has this value in this field."""
    return run.table == "runs" and str(getattr(run, field)) == value


def inside_interval(
    runs: Runs, calibration: StepCalibration, unseen_s: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return which runs lie inside the interval around their left-out prediction."""
    inside = np.zeros(len(runs.runs), dtype=bool)
    for group in runs.groups:
        key = group.machine.kernels.accelerator
        names = (f"{key}.{group.precision}", key, "all")
        name = next(n for n in names if n in calibration.residual_low)
        low, high = calibration.residual_low[name], calibration.residual_high[name]
        ratio = runs.measured_s[group.rows] / unseen_s[group.rows]
        inside[group.rows] = (low <= ratio) & (ratio <= high)
    return inside


def page(table: Table, calibration: StepCalibration) -> str:
    """Return the accuracy page as Markdown."""
    fitted = [(n, f) for n, f in calibration.factors.items() if f.spread > 0]
    factors = "".join(
        f"| `{n}` | {f.prior:.4g} | {f.value:.4g} | {f.rows} | {f.reason} |\n" for n, f in fitted
    )
    return (
        "# Accuracy\n\nWritten by `python -m gigafactory.compare.fit`; do not edit.\n\n"
        "*Fit* is the error on the runs the numbers were fitted on. *Left-out* is the error by a "
        "fit that had not seen the run's source (or, where a software or an accelerator stands in "
        "one source only, its model). The interval comes from left-out errors, so its coverage "
        "here is in sample by construction.\n\n"
        f"{table.summary()}\n"
        + "".join(f"## By {name}\n\n{table.by(field)}\n" for name, field in KINDS)
        + f"## Fitted numbers\n\n{len(fitted)} numbers are fitted, none to a model, a run or a "
        "source; `rows` counts the runs whose time it moves by more than 0.1 % per 10 %.\n\n"
        f"| number | prior | fitted | rows | what it is |\n|---|---|---|---|---|\n{factors}"
    )
