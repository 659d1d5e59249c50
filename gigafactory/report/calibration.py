"""The fitted numbers for people and machines: what each stands for, its prior, its value."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Column, Table

from gigafactory.catalog import loader, machines

if TYPE_CHECKING:
    from gigafactory.spec.calibration import StepCalibration
    from gigafactory.spec.kernels import KernelFit


def table() -> Group:
    """Return kernels with their errors, and the numbers of the step model with their count."""
    step = machines.calibration()
    numbers = Table(
        Column("number", no_wrap=True),
        Column("prior", justify="right"),
        Column("value", justify="right"),
        Column("runs", justify="right"),
        "what it is",
        title=f"Step model: {step.num_fitted} numbers fitted on {step.rows} published runs",
        caption="A number without a spread is not fitted and stands at its prior.",
    )
    for name, factor in step.factors.items():
        fitted = f"{factor.value:.4g}" if factor.spread else "-"
        numbers.add_row(name, f"{factor.prior:.4g}", fitted, str(factor.rows), factor.reason)
    kernels = Table("kernels", "mean error", "measured points", title="Kernels, counted apart")
    for name in loader.names("calibration"):
        fit = loader.kernel_fit(name)
        points = sum(residual.num_points for residual in fit.residuals.values())
        kernels.add_row(name, _gemm_errors(fit), f"{points:,}")
    return Group(kernels, numbers, _widths(step))


def _widths(step: StepCalibration) -> Table:
    """Return what makes intervals wide or narrow, with the count of what was fitted."""
    widths = Table(
        Column("interval", no_wrap=True),
        Column("factor", justify="right"),
        Column("left-out runs", justify="right"),
        "what it is",
        title=f"Intervals: {step.num_widths} widths fitted on left-out runs, counted apart",
        caption="base is the half-width of ln(measured / predicted); the others multiply it.",
    )
    for name, width in step.widths.items():
        rows = str(width.rows) if width.rows else "-"
        widths.add_row(name, f"{width.factor:.3g}", rows, width.reason)
    return widths


def _gemm_errors(fit: KernelFit) -> str:
    """Return the mean error of the matrix products by number format."""
    shown = (f"gemm_{dtype}" for dtype in fit.gemm)
    return ", ".join(
        f"{key.removeprefix('gemm_')} {fit.residuals[key].mean:.1%}"
        for key in shown
        if key in fit.residuals
    )


def as_json() -> dict[str, Any]:
    """Return the fitted numbers as machine output prints them."""
    step = machines.calibration()
    return {
        "schema": 1,
        "kind": "calibration",
        "names": loader.names("calibration"),
        "num_fitted": step.num_fitted,
        "runs": step.rows,
        "factors": {name: asdict(factor) for name, factor in step.factors.items()},
        "num_widths": step.num_widths,
        "widths": {name: asdict(width) for name, width in step.widths.items()},
        "ranges": {name: asdict(span) for name, span in step.ranges.items()},
        "precision_runs": step.precision_runs,
        "residual_low": step.residual_low,
        "residual_high": step.residual_high,
    }
