"""Turns what was measured of this machine into a cluster that plans are made on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.catalog import machines
from gigafactory.compare import machine_factors as factors_of
from gigafactory.compare.machine_factors import SOFTWARE, known
from gigafactory.compare.machine_kernels import (
    attention_backward_ratio,
    fitted_attention,
    fitted_collectives,
    fitted_gemm,
    memory_bytes_per_s,
    send_law,
)
from gigafactory.compare.machine_points import core_points
from gigafactory.cost.kernels import BACKWARD_FLOPS_RATIO
from gigafactory.spec.calibration import Factor, StepCalibration
from gigafactory.spec.cluster import Cluster, Measured
from gigafactory.spec.hardware import Accelerator, Fabric, Node, Tier
from gigafactory.spec.kernels import GroupedGemmKernel, KernelFit, KernelProvenance, Residuals

if TYPE_CHECKING:
    from gigafactory.run.measure.samples import Measurements
    from gigafactory.spec.machine import Machine

PACKAGE: Final = "giga calibrate"
EDGES: Final = (0.05, 0.95)  # of repeats over laws: nine repeats in ten lie between
NOTHING: Final = GroupedGemmKernel(relative_rate=1.0, launch_s=1e-9)


def cluster_of(told: Measurements) -> Cluster:
    """Return the machine as a cluster of one node, all that was measured in it.

    Raises:
        SpecError: Samples that are too few or cannot be.
    """
    kernels = _kernels(told)
    bare = _cluster(
        told, Measured(kernels=kernels, calibration=_calibration(_plain(told, kernels)))
    )

    def machine_with(more: dict[str, Factor]) -> Machine:
        return _machine_with(bare, more)

    layers = factors_of.Layers(machine_with)
    found: dict[str, Factor] = {}
    for precision in told.precisions:
        launching = factors_of.host(told, layers, precision)
        found = launching | found  # of the fastest precision, where they differ
        found |= factors_of.elementwise(told, layers, precision, launching)
    experts = {
        precision: factors_of.grouped(told, machine_with(found), precision, kernels.gemm[precision])
        for precision in told.precisions
    }
    found |= factors_of.spreading(told)
    ratios = factors_of.repeats_over_law(told, layers, told.precisions, found)
    whole = _plain(told, kernels) | found | factors_of.crowding(told, told.precisions[0])
    measured = Measured(
        kernels=replace(kernels, grouped_gemm=experts),
        calibration=_calibration(whole, kernels.accelerator, ratios),
    )
    return _cluster(told, measured)


def _machine_with(cluster: Cluster, more: dict[str, Factor]) -> Machine:
    measured = cluster.measured
    assert measured is not None
    factors = measured.calibration.factors | more
    calibration = replace(measured.calibration, factors=factors)
    told = replace(cluster, measured=replace(measured, calibration=calibration))
    return machines.machine(told, SOFTWARE)


def _calibration(
    factors: dict[str, Factor], key: str = "", ratios: list[float] | None = None
) -> StepCalibration:
    """Return the factors, with the interval that repeats of whole layers span around the laws."""
    if not ratios:
        return StepCalibration(factors=factors)
    low, high = (float(q) for q in np.quantile(ratios, EDGES))
    return StepCalibration(
        factors=factors,
        residual_low={key: min(low, 1.0)},
        residual_high={key: max(high, 1.0)},
        rows=len(ratios),
    )


def _kernels(told: Measurements) -> KernelFit:
    """Return all kernels but the experts', which need the factors of a layer."""
    gemm, residuals = {}, {}
    for precision in told.precisions:
        gemm[precision], residuals[f"gemm_{precision}"] = fitted_gemm(told, precision)
    attention, more = fitted_attention(told, told.precisions[0])
    residuals |= more
    collectives, links = fitted_collectives(told)
    return KernelFit(
        accelerator=_accelerator_name(told),
        gemm=gemm,
        attention=attention,
        grouped_gemm=dict.fromkeys(told.precisions, NOTHING),
        collectives=collectives,
        provenance=_provenance(told),
        residuals=residuals | links,
    )


def _provenance(told: Measurements) -> KernelProvenance:
    left_out = "; ".join(f"{name} left out: {why}" for name, why in told.left_out.items())
    return KernelProvenance(
        package=PACKAGE,
        version=f"torch {told.torch}",
        note=f"{told.processor}, {told.cores} cores, {told.ranks} ranks of {told.threads} threads "
        f"at the same time; {told.began}, {told.wall_s:.0f} s; load {told.load[0]:.1f} before and "
        f"{told.load[1]:.1f} after; {told.free_share:.0%} of a core's time was free"
        + (f"; {left_out}" if left_out else ""),
    )


def _accelerator_name(told: Measurements) -> str:
    if told.device == "cuda":
        return re.sub(r"[^a-z0-9]+", "-", told.processor.lower()).strip("-")
    return "core" if told.threads == 1 else f"cpu-{told.threads}-threads"


def _plain(told: Measurements, kernels: KernelFit) -> dict[str, Factor]:
    """Return the factors that do not come from a layer."""
    key = kernels.accelerator
    backward = attention_backward_ratio(told, told.precisions[0])
    rate = BACKWARD_FLOPS_RATIO / backward
    found = factors_of.passes(told)
    found |= known(f"attention_backward_rate.{SOFTWARE}", rate, 1.0, 0.0,
                   "FLOP rate of attention backward over forward, measured")  # fmt: skip
    found |= known(f"reserved_bytes.{SOFTWARE}", told.baseline_bytes, told.baseline_bytes, 0.0,
                   "resident memory of a rank before it holds a model")  # fmt: skip
    here = "measured at this rate: nothing is lost"
    names = [f"memory_share.{key}", "nic_share.loopback", f"pipeline_exposed.{SOFTWARE}",
             "expert_traffic", "exchange_share"]  # fmt: skip
    names += [f"{kind}.{key}.{p}" for kind in ("sustained", "expert_rate") for p in told.precisions]
    for name in names:
        found |= known(name, 1.0, 1.0, 0.0, here)
    for precision in told.precisions:
        found |= known(f"attention.flash2.{key}.{precision}", _core_rate(told, precision), 1.0, 0.0,
                       "attention rate over that of the fastest precision, measured")  # fmt: skip
    for name in (f"straggler.{SOFTWARE}", f"fragmentation.{SOFTWARE}"):
        found |= known(name, 0.0, 0.0, 0.0, "one node, plain allocator")
    if kernels.collectives:
        gathers = [c.bytes_per_s for c in kernels.collectives.values() if c.kind == "all_gather"]
        found |= known(f"link_share.{SOFTWARE}", send_law(told)[1] / max(gathers), 1.0, 0.0,
                       "rate of a message between ranks over that of an all-gather")  # fmt: skip
    return found


def _core_rate(told: Measurements, precision: str) -> float:
    """Return the rate of attention in a precision over that in the fastest one."""
    first, this = core_points(told, told.precisions[0]), core_points(told, precision)
    return float(np.median(first.time_s / this.time_s))


def _cluster(told: Measurements, measured: Measured) -> Cluster:
    source = {"default": f"measured by giga calibrate on {told.host}, {told.began}"}
    name, key = _name(told.host), _accelerator_name(told)
    latency_s, rate = send_law(told) if told.ranks > 1 else (1e-6, memory_bytes_per_s(told))
    accelerator = Accelerator(
        name=key,
        title=f"{told.processor}, {told.threads} of {told.cores} cores",
        vendor=told.processor.split()[0] if told.processor else "unknown",
        peak_flops_per_s={
            precision: kernel.peak_flops_per_s
            for precision, kernel in measured.kernels.gemm.items()
        },
        memory_bytes=told.memory_bytes,
        memory_bytes_per_s=memory_bytes_per_s(told),
        scale_up_bytes_per_s=rate,
        scale_up_domain=told.ranks,
        nic_bytes_per_s=rate,
        kernels=key,
        source=source,
    )
    node = Node(name=name, title=told.host, accelerator=key, num_accelerators=told.ranks,
                nic_bytes_per_s=rate * told.ranks, source=source)  # fmt: skip
    tier = Tier(name="this machine", num_gpus=told.ranks, hop_latency_s=latency_s)
    fabric = Fabric(name="loopback", title="processes of one machine", kind="loopback",
                    tiers=(tier,), source=source)  # fmt: skip
    return Cluster(name=name, title=told.host, owner="", num_gpus=told.ranks,
                   accelerator=accelerator, node=node, fabric=fabric, measured=measured,
                   source=source)  # fmt: skip


def _name(host: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-") or "this-machine"


def worst(residuals: dict[str, Residuals], prefix: str) -> float:
    """Return the largest mean error of the laws whose names begin so; 0 where there is none."""
    return max((r.mean for name, r in residuals.items() if name.startswith(prefix)), default=0.0)
