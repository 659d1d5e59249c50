"""Fits how wide intervals must be on left-out runs, and says how many unseen runs they hold.

The half-width of |ln(measured / left-out prediction)| is log-linear in what is known before a run:
its traits, the generation and name of its accelerator, its software. It is fitted as the quantile
that must lie inside (quantile regression with a ridge, so groups of few runs stay near the mean),
then scaled so that this share of the fitted runs does lie inside (split conformal prediction).

Source: Koenker 2005, Quantile regression; Romano et al. 2019, Conformalized quantile regression;
Barber et al. 2021, Predictive inference with the jackknife+ (coverage across folds).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.plan import interval
from gigafactory.plan.interval import LEVEL
from gigafactory.spec.calibration import Extent, Width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gigafactory.compare.runs import Runs
    from gigafactory.spec.calibration import StepCalibration

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

RIDGE: Final = 2.0  # runs that the mean of all groups counts for against a group's own
SMOOTH: Final = 0.15  # of a logarithm, by which the corner of the quantile's loss is rounded
LEAST_ERROR: Final = 0.003  # smaller residuals are luck: equal runs differ by more
FEW: Final = 5  # runs that the widest relative counts for against a group's own
DIGITS: Final = 5
GROUPS: Final = {
    "accelerator": "accelerator of the {} generation",
    "software": "software of the {} family",
}
REASONS: Final = {
    "base": "half-width of ln(measured / predicted) of a run without any of the below",
    "experts": "mixture of experts",
    "pipeline": "more than one pipeline stage",
    "unpublished": "sharding, recomputation, precision or virtual pipeline not published",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Left-out residuals and what is known of their runs, one entry per run.

    Attributes:
        error: Size of ln(measured / left-out prediction).
        traits: What holds of each run, by the name of its width.
        members: Family and name of accelerator and software, by kind.
        folds: Runs that were left out together.
        counts: Runs that are not doubtful.
    """

    error: Floats
    traits: dict[str, Mask]
    members: dict[str, list[tuple[str, str]]]
    folds: list[str]
    counts: Mask

    def width(self, widths: dict[str, Width]) -> Floats:
        """Return every run's half-width, as `plan.interval.half_widths` has it."""
        half = np.full(len(self.error), widths["base"].factor)
        for name, holds in self.traits.items():
            half = half * np.where(holds, widths[name].factor, 1.0)
        for kind, members in self.members.items():
            half = half * [_first(widths, interval.names(kind, *one)) for one in members]
        return np.asarray(half)


def _first(widths: dict[str, Width], names: Iterable[str]) -> float:
    """Return the factor of the first name that exists."""
    return next((widths[name].factor for name in names if name in widths), 1.0)


def sample(runs: Runs, unseen_s: Floats, folds: list[str]) -> Sample:
    """Return the residuals of predictions by fits that had not seen the run.

    Args:
        runs: The runs.
        unseen_s: Seconds predicted by a fit without the run's fold.
        folds: The fold of every run.
    """
    size = len(runs.runs)
    traits: dict[str, Mask] = {}
    members = {kind: [("", "")] * size for kind in GROUPS}
    for group in runs.groups:
        shape, grid = group.shape.take(group.starts), group.grid.take(group.starts)
        for name, holds in interval.traits(shape, grid, group.unpublished).items():
            traits.setdefault(name, np.zeros(size, dtype=bool))[group.rows] = holds
        for row in group.rows:
            members["accelerator"][row] = interval.accelerator_of(group.machine)
            members["software"][row] = interval.software_of(group.machine)
    return Sample(
        error=np.abs(np.log(runs.measured_s / unseen_s)),
        traits=traits,
        members=members,
        folds=folds,
        counts=np.array([run.tier != "doubtful" for run in runs.runs]),
    )


def fitted(told: Sample, chosen: Mask) -> dict[str, Width]:
    """Return the widths that hold `LEVEL` of the chosen runs.

    Runs of one fold miss together, so the base holds a little more, as if each fold were one draw:
    (1 + 1 / folds) of it, the correction of conformal prediction for few draws.
    """
    chosen = chosen & told.counts
    folds = len({fold for fold, one in zip(told.folds, chosen, strict=True) if one})
    level = min(LEVEL * (1 + 1 / folds), 1.0)
    columns = _columns(told, chosen)
    logs = _quantile_regression(
        np.column_stack([column[chosen] for column in columns.values()]).astype(np.float64),
        np.log(np.maximum(told.error[chosen], LEAST_ERROR)),
    )
    at = dict(zip(columns, logs, strict=True))
    rows = {name: int(column[chosen].sum()) for name, column in columns.items()}
    widths = {
        name: Width(factor=float(np.exp(at[name])), rows=rows[name], reason=reason)
        for name, reason in REASONS.items()
    }
    for kind in GROUPS:
        widths |= _members(kind, at, Counter(_of(told.members[kind], chosen)))
    scale = float(np.quantile((told.error / told.width(widths))[chosen], level, method="higher"))
    widths["base"] = replace(widths["base"], factor=widths["base"].factor * scale)
    return {name: replace(w, factor=_rounded(w.factor)) for name, w in widths.items()}


def _of(members: list[tuple[str, str]], chosen: Mask) -> list[tuple[str, str]]:
    """Return the members of the chosen runs."""
    return [one for one, pick in zip(members, chosen, strict=True) if pick]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _columns(told: Sample, chosen: Mask) -> dict[str, Mask]:
    """Return the columns of the regression: all runs, traits, families, members."""
    columns = {"base": np.ones(len(told.error), dtype=bool), **told.traits}
    for kind, members in told.members.items():
        families = sorted({family for family, _ in _of(members, chosen)})
        for family in families:
            columns[f"{kind}.{family}"] = np.array([one[0] == family for one in members])
        for family, name in sorted(set(_of(members, chosen))):
            columns[f"{kind}.{family}.{name}"] = np.array([m == (family, name) for m in members])
    return columns


def _members(
    kind: str, logs: dict[str, float], counts: Counter[tuple[str, str]]
) -> dict[str, Width]:
    """Return the widths of a kind's members, and of relatives that have no run.

    A member's width is its family's times its own; with few runs it is drawn towards the widest
    of its family, where a relative without runs stands: the less is known the wider.
    """
    own = {
        one: float(np.exp(logs[f"{kind}.{one[0]}"] + logs[f"{kind}.{one[0]}.{one[1]}"]))
        for one in sorted(counts)
    }
    found: dict[str, Width] = {}
    for family in sorted({family for family, _ in own}):
        widest = max(factor for (of, _), factor in own.items() if of == family)
        without = f"{GROUPS[kind].format(family)} without a run of its own: as wide as the widest"
        found[f"{kind}.{family}"] = Width(factor=widest, reason=without)
        for (of, name), factor in own.items():
            if of == family:
                runs = counts[of, name]
                drawn = factor + (widest - factor) * FEW / (FEW + runs)
                reason = f"{GROUPS[kind].format(family)}: {name}"
                found[f"{kind}.{family}.{name}"] = Width(factor=drawn, rows=runs, reason=reason)
    unknown = f"{kind} without any relative that ran: as wide as the widest"
    found[kind] = Width(factor=max(own.values()), reason=unknown)
    return found


def _quantile_regression(columns: Floats, target: Floats) -> Floats:
    """Return the coefficients of the target's `LEVEL` quantile; the first has no ridge.

    Minimises the quantile's loss, its corner rounded, plus `RIDGE` times their squares. Convex;
    deterministic.
    """
    from scipy.optimize import minimize

    ridge = np.full(columns.shape[1], RIDGE)
    ridge[0] = 0.0

    def loss(b: Floats) -> tuple[float, Floats]:
        miss = target - columns @ b
        value = LEVEL * miss + SMOOTH * np.logaddexp(0.0, -miss / SMOOTH)
        slope = LEVEL - 1.0 / (1.0 + np.exp(np.clip(miss / SMOOTH, -500.0, 500.0)))
        return float(value.sum() + ridge @ b**2), np.asarray(-columns.T @ slope + 2 * ridge * b)

    start = np.zeros(columns.shape[1])
    start[0] = float(np.quantile(target, LEVEL))
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x)


def unseen(told: Sample) -> Floats:
    """Return every run's half-width by widths that were fitted on the other folds only."""
    folds = np.array(told.folds)
    half = np.zeros(len(folds))
    for fold in sorted(set(told.folds)):
        out = folds == fold
        half[out] = told.width(fitted(told, ~out))[out]
    return half


def ranges(runs: Runs) -> dict[str, Extent]:
    """Return what the runs span, by quantity."""
    found: dict[str, Extent] = {}
    for group in runs.groups:
        counts = np.array([runs.runs[row].tier != "doubtful" for row in group.rows])
        shape, grid = group.shape.take(group.starts), group.grid.take(group.starts)
        for name, value in interval.quantities(shape, grid).items():
            if counts.any():
                kept = np.asarray(value)[counts]
                span = Extent(low=float(kept.min()), high=float(kept.max()))
                found[name] = span.joined(found.get(name))
    return found


def precision_runs(runs: Runs) -> dict[str, int]:
    """Return the number of runs by generation of the accelerator and precision."""
    found: Counter[str] = Counter()
    for group in runs.groups:
        generation, _ = interval.accelerator_of(group.machine)
        counts = sum(runs.runs[row].tier != "doubtful" for row in group.rows)
        found[f"{generation}.{group.precision}"] += counts
    return {name: count for name, count in sorted(found.items()) if count}


def calibrated(runs: Runs, calibration: StepCalibration, told: Sample) -> StepCalibration:
    """Return the calibration with the intervals of all left-out runs, and what they span."""
    return replace(
        calibration,
        widths=fitted(told, told.counts),
        ranges=ranges(runs),
        precision_runs=precision_runs(runs),
        residual_low={},
        residual_high={},
    )
