"""Fits the kernel laws of `gigafactory.cost.kernels` to measured tables; writes the catalog's fits.

    python -m gigafactory.compare.kernels PACKAGE|installed OUT [--page DIR] [--samples FILE]

One third of the points (every third in order of shape) is fitted; GEMM, grouped and attention
residuals are those of the other two thirds. Collectives have 21 points each: all are fitted.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from gigafactory.compare import kernel_page
from gigafactory.compare.kernel_points import (
    PAYING_BYTES,
    attention_points,
    collective_points,
    expert_layer_time_s,
    gemm_points,
    grouped_points,
    training_gemm,
)
from gigafactory.compare.kernel_sources import DTYPE_BYTES as BYTES
from gigafactory.compare.kernel_sources import MACHINES, Machine
from gigafactory.compare.tables import (
    DIGITS,
    LICENSE,
    PACKAGE,
    Array,
    Compared,
    Points,
    compared_with,
    digest,
    installed_package,
    package_version,
)
from gigafactory.cost.kernels import (
    attention_forward_time_s,
    collective_time_s,
    gemm_time_s,
)
from gigafactory.errors import GigafactoryError
from gigafactory.spec.kernels import (
    COLLECTIVE_KINDS,
    AttentionKernel,
    CollectiveKernel,
    GemmKernel,
    GroupedGemmKernel,
    KernelFit,
    KernelProvenance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

KernelT = TypeVar("KernelT", GemmKernel, AttentionKernel, GroupedGemmKernel, CollectiveKernel)

EVERY: Final = 3
"""Every third point is fitted, the others are compared."""
SOFT_ERROR: Final = 0.05
"""Errors well above 5 % count by their size, not its square: odd kernels must not steer."""
MINOR_WEIGHT: Final = 0.2
"""Weight of points smaller than training uses; they hold the launch time."""
MAX_EVALUATIONS: Final = 60


@dataclass(frozen=True, slots=True)
class Unknown:
    """One number to fit: the kernel's field, where to start and its bounds."""

    field: str
    start: float
    low: float
    high: float
    linear: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fit of one accelerator and the points it is judged by."""

    fit: KernelFit
    compared: dict[str, Compared]


def calibrate_kernels(package: Path, out: Path) -> list[Calibration]:
    """Return the fits of all accelerators that have tables, after writing `out`/<name>.toml.

    Args:
        package: Folder of aiconfigurator_core, see `tables.installed_package`.
        out: Folder for the TOML files; each is written whole, then renamed.

    Raises:
        SpecError: A table is missing, too small, or holds impossible times.
        MissingExtra: scipy, pandas or pyarrow is not installed.
    """
    found = []
    for machine in MACHINES:
        calibration = calibrate_machine(package, machine)
        write_fit(calibration.fit, out)
        found.append(calibration)
    return found


def calibrate_machine(package: Path, machine: Machine) -> Calibration:
    """Return the fit of one accelerator."""
    gemm, compared = _gemms(package, machine)
    attention, attention_compared = _attentions(package, machine)
    grouped, grouped_compared = _groups(package, machine, gemm)
    collectives, collective_compared = _collectives(package, machine)
    compared |= attention_compared | grouped_compared | collective_compared
    tables = sorted({item.points.table for item in compared.values()})
    fit = KernelFit(
        accelerator=machine.key,
        gemm=gemm,
        attention=attention,
        grouped_gemm=grouped,
        collectives=collectives,
        provenance=KernelProvenance(
            package=PACKAGE,
            version=package_version(package),
            license=LICENSE,
            sha256={table: digest(package, table) for table in tables},
            note=machine.note,
        ),
        residuals={name: item.residuals for name, item in compared.items()},
    )
    return Calibration(fit, compared)


def write_fit(fit: KernelFit, out: Path) -> Path:
    """Return the TOML file of `fit` below `out`, written whole and then renamed."""
    from dataclasses import asdict

    import tomli_w

    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{fit.accelerator}.toml"
    partial = path.with_suffix(".toml.partial")
    head = (
        "# Fitted by `python -m gigafactory.compare.kernels`; laws: gigafactory/cost/kernels.py\n"
    )
    partial.write_text(head + tomli_w.dumps({"schema": 1, **asdict(fit)}), encoding="utf-8")
    partial.replace(path)
    return path


def fit_gemm(points: Points, start: GemmKernel) -> GemmKernel:
    """Return `start` with the numbers that bring `gemm_time_s` closest to the points."""
    m, n, k = points["m"], points["n"], points["k"]
    fastest = float(np.quantile((2 * m * n * k / points.time_s)[training_gemm(points)], 0.9))
    unknowns = [
        Unknown("peak_flops_per_s", fastest * 1.1, fastest * 0.5, fastest * 3),
        Unknown("launch_s", 5e-6, 5e-7, 5e-5),
        Unknown("k_overhead", 100.0, 1.0, 2000.0),
        Unknown("wave_weight", 0.4, 0.0, 1.0, linear=True),
        Unknown("tile_edge", 3.0, 0.01, 20.0),
        Unknown("memory_bytes_per_s", start.memory_bytes_per_s * 0.8,
                start.memory_bytes_per_s * 0.2, start.memory_bytes_per_s * 1.3),
        Unknown("cache_loss", 0.02, 1e-4, 0.3),
    ]  # fmt: skip
    if start.operand_bytes < BYTES["bf16"]:
        unknowns.append(Unknown("quantise_bytes_per_element", 4.0, 0.01, 60.0))
    weight = np.where(training_gemm(points), 1.0, MINOR_WEIGHT)
    return fitted(start, unknowns, lambda kernel: gemm_time_s(m, n, k, kernel), points, weight)


def fitted(
    start: KernelT,
    unknowns: Sequence[Unknown],
    law: Callable[[KernelT], Any],
    points: Points,
    weight: Array | float = 1.0,
) -> KernelT:
    """Return `start` with its unknowns set so that the law's relative error is smallest.

    Soft L1 on log(law / measured), all unknowns but linear ones by their logarithm, rounded
    to `DIGITS` digits. Deterministic.
    """
    from scipy.optimize import least_squares

    def kernel_of(vector: Array, form: str = ".17g") -> KernelT:
        numbers: dict[str, Any] = {}
        for u, x in zip(unknowns, vector, strict=True):
            value = float(x if u.linear else np.exp(x))
            numbers[u.field] = float(format(min(max(value, u.low), u.high), form))
        return replace(start, **numbers)

    def errors(vector: Array) -> Array:
        return np.asarray(weight * np.log(law(kernel_of(vector)) / points.time_s))

    scaled = [
        [u.start, u.low, u.high] if u.linear else list(np.log([u.start, u.low, u.high]))
        for u in unknowns
    ]
    first, low, high = np.array(scaled).T
    found = least_squares(
        errors, first, bounds=(low, high), loss="soft_l1", f_scale=SOFT_ERROR,
        max_nfev=MAX_EVALUATIONS,
    )  # fmt: skip
    # Full digits while searching: rounding would hide the slope from finite differences.
    return kernel_of(found.x, f".{DIGITS}g")


def seen(points: Points) -> NDArray[np.bool_]:
    """Return which points are fitted: every third in order of shape."""
    return np.asarray(np.arange(len(points)) % EVERY == 0)


def _gemms(package: Path, machine: Machine) -> tuple[dict[str, GemmKernel], dict[str, Compared]]:
    """Return the products of one accelerator by number format."""
    kernels, compared = {}, {}
    for dtype in machine.gemm:
        points = gemm_points(package, machine, dtype)
        start = GemmKernel(
            peak_flops_per_s=1e15, launch_s=5e-6, k_overhead=100.0, wave_weight=0.4,
            tile_edge=3.0, num_sms=machine.num_sms, operand_bytes=BYTES[dtype],
            memory_bytes_per_s=machine.memory_bytes_per_s, cache_bytes=machine.cache_bytes,
        )  # fmt: skip
        kernel = fit_gemm(points.where(seen(points)), start)
        law = gemm_time_s(points["m"], points["n"], points["k"], kernel)
        kernels[dtype] = kernel
        compared[f"gemm_{dtype}"] = compared_with(
            points, law, training_gemm(points) & ~seen(points)
        )
    return kernels, compared


def _attentions(
    package: Path, machine: Machine
) -> tuple[dict[str, AttentionKernel], dict[str, Compared]]:
    """Return the attention kernels of one accelerator by head dimension."""
    kernels, compared = {}, {}
    unknowns = [
        Unknown("forward_flops_per_s", 5e14, 5e13, 5e15),
        Unknown("half_seq", 800.0, 1.0, 2e4),
        Unknown("launch_s", 2e-5, 1e-6, 1e-3),
        Unknown("wave_weight", 0.5, 0.0, 1.0, linear=True),
    ]
    for width in machine.head_dims:
        points = attention_points(package, machine, width)
        start = AttentionKernel(
            forward_flops_per_s=5e14, half_seq=800.0, launch_s=2e-5,
            num_sms=machine.num_sms, memory_bytes_per_s=machine.memory_bytes_per_s,
        )  # fmt: skip
        part = points.where(seen(points))
        weight = np.where(part["seq"] >= 2048, 1.0, MINOR_WEIGHT)
        kernel = fitted(start, unknowns, _attention_law(part, width), part, weight)
        kernels[str(width)] = kernel
        compared[f"attention_{width}"] = compared_with(
            points, _attention_law(points, width)(kernel), ~seen(points) & (points["seq"] >= 2048)
        )
    return kernels, compared


def _attention_law(points: Points, head_dim: int) -> Callable[[AttentionKernel], Any]:
    """Return the law at these points as a function of the kernel alone."""
    batch, seq, heads, kv = (points[name] for name in ("batch", "seq", "heads", "kv_heads"))
    return lambda kernel: attention_forward_time_s(batch, seq, seq, heads, kv, head_dim, kernel)


def _groups(
    package: Path, machine: Machine, dense: dict[str, GemmKernel]
) -> tuple[dict[str, GroupedGemmKernel], dict[str, Compared]]:
    """Return the grouped products of one accelerator by number format."""
    kernels, compared = {}, {}
    unknowns = [
        Unknown("relative_rate", 0.9, 0.1, 2.0),
        Unknown("launch_s", 3e-5, 1e-6, 1e-3),
        Unknown("moved_bytes_per_element", 8.0, 0.01, 60.0),
    ]
    for dtype in machine.grouped:
        points = grouped_points(package, machine, dtype)
        part, start = points.where(seen(points)), GroupedGemmKernel(relative_rate=1, launch_s=1e-5)

        def law(
            kernel: GroupedGemmKernel, part: Points = part, gemm: GemmKernel = dense[dtype]
        ) -> Array:
            return expert_layer_time_s(part, gemm, kernel)

        kernels[dtype] = fitted(start, unknowns, law, part)
        compared[f"grouped_{dtype}"] = compared_with(
            points, expert_layer_time_s(points, dense[dtype], kernels[dtype]), ~seen(points)
        )
    return kernels, compared


def _collectives(
    package: Path, machine: Machine
) -> tuple[dict[str, CollectiveKernel], dict[str, Compared]]:
    """Return the collectives of one accelerator by kind and group."""
    kernels, compared = {}, {}
    unknowns = [
        Unknown("latency_s", 1e-5, 1e-6, 1e-3),
        Unknown("bytes_per_s", 3e11, 1e10, 5e12),
        Unknown("sqrt_s_per_root_byte", 5e-9, 1e-12, 1e-6),
    ]
    for kind in COLLECTIVE_KINDS:
        for group in machine.groups:
            name = f"{kind}_{group}"
            points = collective_points(package, machine, kind, group)

            def law(
                kernel: CollectiveKernel, size: Array = points["bytes"], name: str = name
            ) -> Any:
                return collective_time_s(kernel.kind, size, kernel.group, {name: kernel})

            weight = np.where(points["bytes"] >= PAYING_BYTES, 1.0, MINOR_WEIGHT)
            start = CollectiveKernel(kind=kind, group=group, latency_s=1e-5, bytes_per_s=3e11)
            kernels[name] = fitted(start, unknowns, law, points, weight)
            compared[f"collective_{name}"] = compared_with(
                points, law(kernels[name]), points["bytes"] >= PAYING_BYTES
            )
    return kernels, compared


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of the command: 0 written, 2 the tables are at fault."""
    parser = argparse.ArgumentParser(prog="gigafactory.compare.kernels", description=__doc__)
    parser.add_argument("package", help="folder of aiconfigurator_core, or `installed`")
    parser.add_argument("out", type=Path, help="folder for one TOML file per accelerator")
    parser.add_argument("--page", type=Path, help="folder for kernels.md and its plots")
    parser.add_argument("--samples", type=Path, help="CSV of measured points for the tests")
    options = parser.parse_args(arguments)
    try:
        installed = options.package == "installed"
        package = installed_package() if installed else Path(options.package)
        found = calibrate_kernels(package, options.out)
    except GigafactoryError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    fits = {item.fit.accelerator: item.fit for item in found}
    compared = {item.fit.accelerator: item.compared for item in found}
    if options.page:
        kernel_page.write_page(fits, compared, options.page)
    if options.samples:
        kernel_page.write_samples(fits, compared, options.samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
