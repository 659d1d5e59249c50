"""The accuracy tables: how far predictions lie from published runs, fitted and left out.

What an interval holds is told of runs that neither the step model nor the interval had seen.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.plan.interval import LEVEL, OUTSIDE, QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gigafactory.compare.runs import Run, Runs
    from gigafactory.spec.calibration import StepCalibration

LARGE: Final = 1024
KINDS: Final = (
    ("source", "source"), ("accelerator", "gpu"), ("software", "software"),
    ("precision", "precision"), ("architecture", "arch"), ("tier", "tier"),
)  # fmt: skip
HEAD: Final = (
    "| runs | n | fit median | mean | p90 | left-out median | mean | p90 | inside interval "
    "| median width |\n|---|---|---|---|---|---|---|---|---|---|\n"
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
    """Writes rows of the accuracy table for chosen runs.

    Attributes:
        inside: Whether each run lies in the interval around its left-out prediction.
        width: High less low over the expected time.
    """

    def __init__(
        self,
        runs: Runs,
        fitted_s: NDArray[np.float64],
        unseen_s: NDArray[np.float64],
        half: NDArray[np.float64],
    ) -> None:
        self.runs, self.fitted_s, self.unseen_s = runs, fitted_s, unseen_s
        self.inside = np.abs(np.log(runs.measured_s / unseen_s)) <= half
        self.width = np.exp(half) - np.exp(-half)

    def row(self, label: str, chosen: Callable[[Run], bool]) -> str:
        """Return the table row of the chosen runs, empty without any."""
        pick = np.array([r.tier != "doubtful" and chosen(r) for r in self.runs.runs])
        if not pick.any():
            return ""
        measured = self.runs.measured_s[pick]
        fit, out = errors(self.fitted_s[pick], measured), errors(self.unseen_s[pick], measured)
        interval = self.inside[pick].mean(), np.median(self.width[pick])
        cells = [f"{x:.1%}" for x in (*fit, *out, *interval)]
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
        return HEAD + full + part + large + small + self.row("all of them", lambda _: True)


def _is(field: str, value: str, run: Run) -> bool:
    """Return whether a run of the main table has this value in this field."""
    return run.table == "runs" and str(getattr(run, field)) == value


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
        f"one source only, its model). An interval is made to hold {LEVEL:.0%} of such runs; "
        "*inside interval* and *median width* (high less low, over expected) are those of "
        "intervals fitted on the left-out errors of all other folds, so neither the prediction "
        "nor its interval had seen the run. `left-out.csv` beside this page has every run.\n\n"
        f"{table.summary()}\n"
        + "".join(f"## By {name}\n\n{table.by(field)}\n" for name, field in KINDS)
        + _interval_section(calibration)
        + f"## Fitted numbers\n\n{len(fitted)} numbers are fitted, none to a model, a run or a "
        "source; `rows` counts the runs whose time it moves by more than 0.1 % per 10 %.\n\n"
        f"| number | prior | fitted | rows | what it is |\n|---|---|---|---|---|\n{factors}"
    )


def _interval_section(calibration: StepCalibration) -> str:
    """Return the law of the interval, its numbers and the ranges outside which it widens."""
    widths = "".join(
        f"| `{name}` | {width.factor:.3g} | {width.rows or '-'} | {width.reason} |\n"
        for name, width in calibration.widths.items()
    )
    ranges = "".join(
        f"| {QUANTITIES[name]} | {span.low:,.0f} | {span.high:,.0f} |\n"
        for name, span in calibration.ranges.items()
    )
    precisions = ", ".join(f"{n} {runs}" for n, runs in calibration.precision_runs.items())
    return (
        "## The interval\n\nlow = expected x exp(-w), high = expected x exp(w). The half-width w "
        "is `base` times the factor of every line that holds of the run, of accelerator and "
        "software the most special one. One that has few runs is drawn towards the widest of its "
        f"family, one that has none takes that; `rows` are left-out runs. {calibration.num_widths} "
        "of them are fitted, counted apart from the numbers of the step.\n\n"
        f"| name | factor | rows | what it is |\n|---|---|---|---|\n{widths}\n"
        f"Outside what was measured w grows by {OUTSIDE:.0%} with every doubling of a quantity "
        "beyond both the runs below and the accelerator's kernel tables, and by as much for a "
        "precision on a generation that has no run. That share is chosen: no run tells. All of "
        "it, and what has no run of its own, stands among the assumptions of the prediction.\n\n"
        f"| quantity | from | to |\n|---|---|---|\n{ranges}\nRuns by generation and precision: "
        f"{precisions}.\n\n"
    )
