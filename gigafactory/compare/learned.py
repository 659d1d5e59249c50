"""A cluster learned from its runs: the few factors that step times can tell, the rest left as is.

Maximum a posteriori: the logarithm of each factor over the catalog's value has a normal prior of
mean 0 and the width of `PRIOR`; the logarithm of each measured over predicted step time has a
normal error. Solved by Gauss-Newton on the whole step model. What the runs do not tell stays
where the catalog has it, and is said to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gigafactory.catalog import files, machines
from gigafactory.compare.comparison import of_log, of_run
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.machine import KERNEL_DTYPE
from gigafactory.plan.predict import predict
from gigafactory.spec.base import Spec
from gigafactory.spec.calibration import Factor, StepCalibration
from gigafactory.spec.cluster import Cluster, Measured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gigafactory.compare.comparison import Comparison
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.plan import Plan

    Floats = NDArray[np.float64]

# Width of the prior, in logarithms: how far clusters of one kind differ from the catalog's.
# Sustained clocks of one accelerator in published runs differ by a tenth; networks and hosts more.
PRIOR: Final = {"sustained": 0.10, "nic_share": 0.25, "host_layer_s": 0.5}
MODEL_ERROR: Final = 0.03  # of a step time that the model prices well, beside the run's own noise
LEAST_STEPS: Final = 20
TOLD: Final = 0.7  # a factor is told where its width shrinks below this share of the prior's
STEPS: Final = 12  # of Gauss-Newton; far more than it needs
NUDGE: Final = 1e-3  # of a logarithm, for derivatives
ENOUGH_RUNS: Final = 5  # runs from which residuals make an interval of their own


class Observed(NamedTuple):
    """The measured step of one run of a plan.

    Attributes:
        error: Standard error of its logarithm, from the run's own steps.
    """

    name: str
    plan: Plan
    step_time_s: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned(Spec):
    """One factor before and after.

    Attributes:
        spread: One standard deviation of its logarithm, after.
        prior_spread: The same before.
        told: The runs tell it; else it stays about where it was.
    """

    name: str
    prior: float
    value: float
    spread: float
    prior_spread: float
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCluster(Spec):
    """What runs tell of a cluster.

    Attributes:
        cluster: The cluster, `measured` in it.
        factors: What was learned, and what was not.
        before: Predicted over measured step time less 1, by run, with the catalog's factors.
        after: The same with the learned ones.
    """

    cluster: Cluster
    factors: tuple[Learned, ...]
    before: dict[str, float]
    after: dict[str, float]


def learn_from(
    runs: Sequence[Path], logs: Sequence[Path] = (), plan: Path | None = None
) -> LearnedCluster:
    """Return what run folders, and the logs of one run of a plan, tell of their cluster.

    Raises:
        SpecError: A run at fault, too few steps, or runs that do not belong together.
    """
    told = [of_run(run) for run in runs]
    if logs:
        if plan is None:
            raise SpecError("--log needs --plan: the plan that the run followed", field="plan")
        told.append(of_log(plan, logs))
    if not told:
        raise SpecError("calibrate: needs a run folder or a log", field="from_run")
    return learn([observed(one) for one in told])


def observed(told: Comparison) -> Observed:
    """Return the step that a comparison measured.

    Raises:
        SpecError: Its steps are too few.
    """
    pace = told.measured.pace
    if pace.used < LEAST_STEPS:
        raise SpecError(
            f"{told.name}: steps must be at least {LEAST_STEPS} after warm-up and outliers, "
            f"got {pace.used}",
            field="from_run",
        )
    error = pace.deviation_s / pace.mean_s / pace.used**0.5
    return Observed(told.name, told.promised.plan, pace.mean_s, error)


def learn(runs: Sequence[Observed]) -> LearnedCluster:
    """Return the cluster that runs tell of.

    Raises:
        SpecError: No run, a step time that is not above 0, or runs of several accelerators,
            networks, engines or precisions.
    """
    _require_alike(runs)
    plan = runs[0].plan
    machine = machines.machine(plan.cluster, plan.software)
    names = _factor_names(machine, plan)
    first = _solved(runs, machine, names)
    told = {k: n for k, n in names.items() if first.spread[k] < TOLD * PRIOR[k]}
    last = _solved(runs, machine, told)  # again, with what is not told where the catalog has it
    spread = {**first.spread, **last.spread}
    factors = tuple(
        Learned(
            name=name,
            prior=(prior := _value(machine, kind, name)),
            value=prior * float(np.exp(last.shift.get(kind, 0.0))),
            spread=spread[kind],
            prior_spread=PRIOR[kind],
            told=kind in told,
        )
        for kind, name in names.items()
    )
    return LearnedCluster(
        cluster=_cluster(machine, factors, runs, last.off),
        factors=factors,
        before=_errors(runs, first.off_before),
        after=_errors(runs, last.off),
    )


class _Solution(NamedTuple):
    """Factors by kind: how far each moved and how wide it stays, in logarithms.

    Attributes:
        off_before: Logarithm of predicted over measured step time by run, nothing moved.
        off: The same with the factors moved.
    """

    shift: dict[str, float]
    spread: dict[str, float]
    off_before: Floats
    off: Floats


def _solved(runs: Sequence[Observed], machine: Machine, names: dict[str, str]) -> _Solution:
    """Return the most likely factors of the kinds named."""
    measured = np.log([run.step_time_s for run in runs])
    weight = 1.0 / (MODEL_ERROR**2 + np.array([run.error for run in runs]) ** 2)
    width = np.array([PRIOR[kind] for kind in names])
    shift = np.zeros(len(names))
    before = here = _log_steps(runs, machine, names, shift)
    precision = np.diag(width**-2)
    for _ in range(STEPS):
        slope = np.column_stack([
            (_log_steps(runs, machine, names, shift + nudge) - here) / NUDGE
            for nudge in NUDGE * np.eye(len(names))
        ]) if names else np.zeros((len(runs), 0))  # fmt: skip
        precision = (slope.T * weight) @ slope + np.diag(width**-2)
        pull = (slope.T * weight) @ (measured - here) - shift / width**2
        move = np.linalg.solve(precision, pull)
        shift = shift + move
        here = _log_steps(runs, machine, names, shift)
        if np.abs(move).max(initial=0.0) < NUDGE:
            break
    spread = np.sqrt(np.diag(np.linalg.inv(precision)))
    return _Solution(
        shift=dict(zip(names, map(float, shift), strict=True)),
        spread=dict(zip(names, map(float, spread), strict=True)),
        off_before=before - measured,
        off=here - measured,
    )


def _require_alike(runs: Sequence[Observed]) -> None:
    """Refuse runs that no one cluster can be learned from, all faults at once."""
    if not runs:
        raise SpecError("calibrate: needs at least one run", field="from_run")
    faults = [
        f"{run.name}: step time must be above 0, got {run.step_time_s}"
        for run in runs
        if not 0 < run.step_time_s < float("inf")
    ]
    first = runs[0]
    for run in runs[1:]:
        faults += [
            f"{run.name}: {what} must be that of {first.name}, {ours}, got {theirs}"
            for (what, theirs), (_, ours) in zip(
                _kind(run.plan).items(), _kind(first.plan).items(), strict=True
            )
            if theirs != ours
        ]
    if faults:
        raise SpecError("; ".join(faults), field="from_run")


def _kind(plan: Plan) -> dict[str, str]:
    """Return what runs must share: factors belong to hardware, network, engine and precision."""
    return {
        "accelerator": plan.cluster.accelerator.name,
        "network": plan.cluster.fabric.name,
        "software": plan.software,
        "precision": plan.layout.precision,
    }


def _factor_names(machine: Machine, plan: Plan) -> dict[str, str]:
    """Return the full name, as the step model looks it up first, of every kind of factor."""
    key, kind = machine.kernels.accelerator, machine.cluster.fabric.kind
    dtype = KERNEL_DTYPE[plan.layout.precision]
    return {
        "sustained": f"sustained.{machine.cluster.accelerator.name}.{dtype}",
        "nic_share": f"nic_share.{kind}.{key}",
        "host_layer_s": f"host_layer_s.{machine.software.name}",
    }


def _value(machine: Machine, kind: str, name: str) -> float:
    """Return what the catalog holds for a factor, by whatever name it stands there."""
    if kind == "sustained":
        _, accelerator, dtype = name.split(".", 2)
        key = machine.kernels.accelerator
        return machine.calibration.lookup(kind, f"{accelerator}.{dtype}", f"{key}.{dtype}", dtype)
    if kind == "nic_share":
        fabric = machine.cluster.fabric.kind
        return machine.factor(kind, f"{fabric}.{machine.kernels.accelerator}", fabric)
    return machine.factor(kind)


def _log_steps(
    runs: Sequence[Observed], machine: Machine, names: dict[str, str], shift: Floats
) -> Floats:
    """Return the logarithm of every run's predicted step with the factors moved."""
    moved = {
        name: Factor(
            value=_value(machine, kind, name) * float(np.exp(by)), prior=0.0, reason="tried"
        )
        for (kind, name), by in zip(names.items(), shift, strict=True)
    }
    tried = replace(machine.calibration, factors={**machine.calibration.factors, **moved})
    return np.log([
        predict(
            Case(run.plan.model, run.plan.layout, run.plan.job.capacity_factor),
            replace(machine, cluster=run.plan.cluster, calibration=tried),
        ).step_time_s.expected
        for run in runs
    ])  # fmt: skip


def _cluster(
    machine: Machine, factors: tuple[Learned, ...], runs: Sequence[Observed], off: Floats
) -> Cluster:
    """Return the cluster with what was told of it; its interval from the runs where they do."""
    names = ", ".join(run.name for run in runs)
    kept = {
        one.name: Factor(
            value=one.value, prior=one.prior, spread=one.spread, rows=len(runs),
            reason=f"learned from {names}",
        )
        for one in factors
        if one.told
    }  # fmt: skip
    low, high = {}, {}
    if len(runs) >= ENOUGH_RUNS:
        ratios, key = np.exp(-off), machine.kernels.accelerator
        for group in (key, f"{key}.{runs[0].plan.layout.precision}"):
            low[group] = min(float(ratios.min()), 1.0)
            high[group] = max(float(ratios.max()), 1.0)
    before = machine.cluster.measured
    old = before.calibration.factors if before else {}
    told = StepCalibration(
        factors={**old, **kept}, residual_low=low, residual_high=high, rows=len(runs),
        source={"default": f"learned from {names}"},
    )  # fmt: skip
    return replace(machine.cluster, measured=Measured(kernels=machine.kernels, calibration=told))


def _errors(runs: Sequence[Observed], off: Floats) -> dict[str, float]:
    return {run.name: float(np.expm1(one)) for run, one in zip(runs, off, strict=True)}


def write_cluster(learned: LearnedCluster, path: Path) -> None:
    """Write the cluster to a file that `giga plan --cluster` takes.

    Raises:
        CatalogError: The file cannot be written.
    """
    files.write_whole(path, files.dumps(learned.cluster))
