"""What was measured of a machine, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gigafactory.units import show

if TYPE_CHECKING:
    from gigafactory.run.measure.samples import Measurements
    from gigafactory.spec.cluster import Cluster
    from gigafactory.spec.kernels import KernelFit

FEW_FREE = 0.9  # share of the cores' time below which a machine was busy with other things


def machine_json(cluster: Cluster, told: Measurements) -> dict[str, Any]:
    """Return the rates, the noise and how far the laws are off."""
    kernels = _kernels(cluster)
    return {
        "name": cluster.name,
        "accelerator": cluster.accelerator.name,
        "ranks": told.ranks,
        "threads": told.threads,
        "wall_s": told.wall_s,
        "free_share": told.free_share,
        "peak_flops_per_s": cluster.accelerator.peak_flops_per_s,
        "memory_bytes_per_s": cluster.accelerator.memory_bytes_per_s,
        "collectives": {
            key: {"latency_s": kernel.latency_s, "bytes_per_s": kernel.bytes_per_s}
            for key, kernel in kernels.collectives.items()
        },
        "left_out": told.left_out,
        "mean_error": {name: one.mean for name, one in kernels.residuals.items()},
        "noise": noise(told),
    }


def noise(told: Measurements) -> dict[str, dict[str, float]]:
    """Return by kernel how far repeats lie from their median, as quantiles of all its shapes."""
    found: dict[str, list[float]] = {}
    for sample in told.samples:
        middle = float(np.median(sample.seconds))
        found.setdefault(sample.kernel, []).extend(s / middle - 1.0 for s in sample.seconds)
    return {
        kernel: {
            q: float(np.quantile(off, p)) for q, p in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))
        }
        for kernel, off in found.items()
    }


def as_text(cluster: Cluster, told: Measurements) -> str:
    """Return a few lines for people."""
    kernels, spread = _kernels(cluster), noise(told)
    lines = [
        f"{cluster.title}: {told.processor}, {told.ranks} x {cluster.accelerator.name}, "
        f"{told.wall_s:.0f} s, torch {told.torch}",
    ]
    for precision, kernel in kernels.gemm.items():
        off, wide = kernels.residuals[f"gemm_{precision}"], spread[f"gemm.{precision}"]
        lines.append(
            f"  products {precision}: up to {show(kernel.peak_flops_per_s, 'FLOP/s')}, law off by "
            f"{off.mean:.1%} at {off.num_points} shapes, repeats {wide['p10']:+.0%} to "
            f"{wide['p90']:+.0%}"
        )
    lines += [f"  {name} left out: {why}" for name, why in told.left_out.items()]
    lines.append(f"  memory: {show(cluster.accelerator.memory_bytes_per_s, 'B/s')} a rank")
    lines += [
        f"  {key}: {kernel.latency_s * 1e6:.0f} us + bytes at {show(kernel.bytes_per_s, 'B/s')}"
        for key, kernel in kernels.collectives.items()
    ]
    if told.free_share < FEW_FREE:
        lines.append(
            f"  other processes had {1 - told.free_share:.0%} of the cores: predictions hold for a "
            "machine as busy as that"
        )
    return "\n".join(lines)


def _kernels(cluster: Cluster) -> KernelFit:
    assert cluster.measured is not None  # what this module is given was just measured
    return cluster.measured.kernels
