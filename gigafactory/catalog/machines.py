"""A whole machine from the catalog: cluster, software profile, fitted kernels, fitted factors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from gigafactory.catalog import loader
from gigafactory.errors import SpecError
from gigafactory.spec.calibration import StepCalibration
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.hardware import Accelerator, Fabric, Node, Tier
from gigafactory.spec.kernels import KernelFit, scaled_fit
from gigafactory.spec.machine import Machine

if TYPE_CHECKING:
    from gigafactory.spec.model import Model
    from gigafactory.spec.software import Software

OMNI_PATH_BYTES_PER_S: Final = 50e9  # four 100 Gbit/s ports on a node of eight A100
STEP: Final = loader.DATA / "calibration" / "step.toml"
HOP_LATENCY_S: Final = 5e-6


@cache
def calibration() -> StepCalibration:
    """Return the fitted numbers of the step model."""
    return loader.load(StepCalibration, STEP)


@cache
def kernels_of(name: str) -> KernelFit:
    """Return an accelerator's fitted kernels: measured, or a relative's scaled by data sheets.

    Raises:
        SpecError: Unknown accelerator, or one with no measured relative.
    """
    return scaled_kernels(loader.accelerator(name))


def scaled_kernels(accelerator: Accelerator) -> KernelFit:
    """Return fitted kernels for an accelerator that may stand in a file of its own.

    Raises:
        SpecError: The accelerator names no measured relative.
    """
    if not accelerator.kernels:
        raise SpecError(
            f"accelerator: {accelerator.name} has no kernels and names no relative", field="kernels"
        )
    path = loader.DATA / "calibration" / f"{accelerator.kernels}.toml"
    fit, measured = loader.load(KernelFit, path), loader.accelerator(accelerator.kernels)
    flops = {
        dtype: accelerator.peak_flops_per_s[dtype] / measured.peak_flops_per_s[dtype]
        for dtype in fit.gemm
        if dtype in accelerator.peak_flops_per_s and dtype in measured.peak_flops_per_s
    }
    memory = accelerator.memory_bytes_per_s / measured.memory_bytes_per_s
    link = (accelerator.scale_up_bytes_per_s or 1.0) / (measured.scale_up_bytes_per_s or 1.0)
    if memory == link == 1.0 and set(flops.values()) == {1.0}:
        return fit
    scaled = scaled_fit(
        fit, name=accelerator.name, flops_ratio=flops, memory_ratio=memory, link_ratio=link
    )
    # Fitted shares stay those of the relative: the name decides which ones are looked up.
    return replace(scaled, accelerator=fit.accelerator)


def machine(cluster: Cluster, software: str, features: frozenset[str] = frozenset()) -> Machine:
    """Return a cluster with the software that runs on it.

    Args:
        cluster: The cluster.
        software: Name of a profile.
        features: What a run adds to the profile: "async-tp", "float8-tensorwise", "amp-default",
            "one-copy-exchange", "fused-experts", "fp32-gradients", "16-bit-gradients".

    Raises:
        SpecError: Unknown software, or no kernels for the accelerator.
    """
    kernels, numbers = measured_or_known(cluster)
    return Machine(
        cluster=cluster,
        software=with_features(loader.software(software), features),
        kernels=kernels,
        calibration=numbers,
    )


def measured_or_known(cluster: Cluster) -> tuple[KernelFit, StepCalibration]:
    """Return kernels and factors: as measured on this very machine, else the catalog's.

    Raises:
        SpecError: Nothing was measured, and the accelerator names no measured relative.
    """
    if cluster.measured is None:
        accelerator = cluster.accelerator
        known = accelerator.name in loader.names("accelerators")
        kernels = kernels_of(accelerator.name) if known else scaled_kernels(accelerator)
        return kernels, calibration()
    told, general = cluster.measured.calibration, calibration()
    merged = replace(
        general,
        factors={**general.factors, **told.factors},
        residual_low={**general.residual_low, **told.residual_low},
        residual_high={**general.residual_high, **told.residual_high},
    )
    return cluster.measured.kernels, merged


def with_features(software: Software, features: frozenset[str]) -> Software:
    """Return a profile with what a run switched on."""
    changes: dict[str, bool | float | dict[str, float]] = {}
    if "async-tp" in features:
        changes["overlap_tensor"] = True
    if "float8-tensorwise" in features:
        changes["quantised_weights"] = True  # row-wise scales are known only after the gather
    if "one-copy-exchange" in features:
        changes["one_copy_per_domain"] = True
    if "fused-experts" in features:
        changes["fused_experts"] = True
    if "amp-default" in features:
        changes["gradient_bytes"] = 4.0  # gradients are reduced in fp32, "PURE" reduces in bf16
    if "fp32-gradients" in features:
        # Beside those of the last backward pass, of 16 bits, stand their fp32 sums.
        changes["gradient_state_bytes"] = {"bf16": 6.0, "fp16": 6.0}
    if "16-bit-gradients" in features:
        changes["gradient_state_bytes"] = {}
    if not changes:
        return software
    features_on = replace(software.features, **changes)  # type: ignore[arg-type]
    return replace(software, features=features_on)


@cache
def cluster_of_row(gpu: str, gpus_per_node: int, network_gbps: float | None) -> Cluster:
    """Return the cluster that a row of a table of runs describes, as large as need be.

    Raises:
        SpecError: Unknown accelerator.
    """
    accelerator = loader.accelerator(gpu)
    per_node = network_gbps * 1e9 / 8 if network_gbps else None
    slow = per_node is not None and per_node <= OMNI_PATH_BYTES_PER_S
    source = {"default": "the row itself"}
    islands = loader.node("jean-zay-a100")
    node = Node(
        name="row",
        title=f"{gpus_per_node} x {gpu}",
        accelerator=accelerator.name,
        num_accelerators=gpus_per_node,
        nic_bytes_per_s=per_node,
        source=source,
    )
    if slow and gpus_per_node == islands.num_accelerators:
        node = replace(node, scale_up_domain=islands.scale_up_domain,
                       bridge_bytes_per_s=islands.bridge_bytes_per_s)  # fmt: skip
    tier = Tier(name="non-blocking", num_gpus=10**9, hop_latency_s=HOP_LATENCY_S)
    fabric = Fabric(
        name="row",
        title="non-blocking",
        kind="omni-path" if slow else "infiniband",
        tiers=(tier,),
        source=source,
    )
    return Cluster(name="row", title="as the row says", owner="", num_gpus=10**8,
                   accelerator=accelerator, node=node, fabric=fabric, source=source)  # fmt: skip


def machine_of_row(
    gpu: str,
    gpus_per_node: int,
    network_gbps: float | None,
    software: str,
    features: frozenset[str],
) -> Machine:
    """Return the machine and software that a row of a table of runs describes.

    Raises:
        SpecError: Unknown accelerator or software.
    """
    return machine(cluster_of_row(gpu, gpus_per_node, network_gbps), software, features)


@cache
def known_model(name: str) -> Model | None:
    """Return the catalog's model of a name, None where it has none."""
    try:
        return loader.model(loader.canonical("models", name))
    except SpecError:
        return None
