"""What it is trained on: accelerators and nodes as their data sheets state them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from gigafactory.spec.base import Spec, fault, require_count, require_one_of, require_positive

PRECISIONS = ("fp32", "bf16", "fp16", "fp8", "nvfp4")
FABRIC_KINDS = (
    "infiniband", "roce", "omni-path", "slingshot", "efa", "ici", "ethernet", "loopback",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator(Spec):
    """One accelerator, by its data sheet; `achieved_…` are measurements of others.

    Attributes:
        peak_flops_per_s: Dense matmul peak by precision ("bf16", "fp16", "fp8", "nvfp4").
        achieved_matmul_flops_per_s: Best large matmul that others measured, by precision.
        memory_bytes: Capacity of its HBM.
        memory_bytes_per_s: Peak HBM bandwidth.
        scale_up_bytes_per_s: Bandwidth into the scale-up domain, one direction.
        scale_up_domain: Accelerators in one scale-up domain (NVLink, ICI, Infinity Fabric).
        nic_bytes_per_s: Scale-out bandwidth per accelerator, one direction.
        power_w: Thermal design power.
        kernels: Name of the fitted kernels; those of a relative are scaled by the data sheets.
        source: Where each fact comes from; "default" covers those not named.
    """

    name: str
    title: str
    vendor: str
    peak_flops_per_s: dict[str, float] = field(hash=False)
    memory_bytes: float
    memory_bytes_per_s: float
    scale_up_bytes_per_s: float | None = None
    scale_up_domain: int = 1
    nic_bytes_per_s: float | None = None
    power_w: float | None = None
    launch: dt.date | None = None
    achieved_matmul_flops_per_s: dict[str, float] = field(default_factory=dict, hash=False)
    kernels: str = ""
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_positive(
            self,
            "memory_bytes", "memory_bytes_per_s", "scale_up_bytes_per_s", "nic_bytes_per_s",
            "power_w",
        )  # fmt: skip
        require_count(self, "scale_up_domain", most=10**6)
        for field_ in ("peak_flops_per_s", "achieved_matmul_flops_per_s"):
            for precision, rate in getattr(self, field_).items():
                if precision not in PRECISIONS:
                    rule = f"must be keyed by {', '.join(PRECISIONS)}"
                    raise fault(self, field_, precision, rule)
                if not 0 < rate < float("inf"):
                    raise fault(self, f"{field_}.{precision}", rate, "must be above 0")
        if not self.peak_flops_per_s:
            raise fault(self, "peak_flops_per_s", {}, "must hold a precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Spec):
    """One server: its accelerators share a scale-up domain and its network cards.

    Attributes:
        num_accelerators: Accelerators in the server.
        max_power_w: Nameplate power of the whole server.
        training_power_w: Highest power others measured while training.
        nic_bytes_per_s: All compute network cards together, one direction.
        scale_up_domain: Accelerators of one group where the server holds several groups that are
            not linked to one another; None where all are linked.
        bridge_bytes_per_s: What one accelerator has towards the other groups of its server, one
            direction; None where there is one group.
    """

    name: str
    title: str
    accelerator: str
    num_accelerators: int
    max_power_w: float | None = None
    training_power_w: float | None = None
    nic_bytes_per_s: float | None = None
    scale_up_domain: int | None = None
    bridge_bytes_per_s: float | None = None
    cooling: str = ""
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(self, "num_accelerators", most=10**6)
        rates = ("nic_bytes_per_s", "bridge_bytes_per_s")
        require_positive(self, "max_power_w", "training_power_w", *rates)
        if self.scale_up_domain is not None:
            require_count(self, "scale_up_domain", most=self.num_accelerators)
            if self.bridge_bytes_per_s is None:
                rule = "must be given where scale_up_domain is"
                raise fault(self, "bridge_bytes_per_s", None, rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier(Spec):
    """One level of the scale-out network, from the node outwards.

    Attributes:
        num_gpus: Accelerators that reach one another without leaving this tier.
        oversubscription: Bandwidth offered below over bandwidth up; 7 for a 1:7 spine.
        hop_latency_s: One-way latency of a message that turns around in this tier.
    """

    name: str
    num_gpus: int
    oversubscription: float = 1.0
    hop_latency_s: float

    def __post_init__(self) -> None:
        require_count(self, "num_gpus")
        require_positive(self, "oversubscription", "hop_latency_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric(Spec):
    """The scale-out network of a cluster.

    Attributes:
        tiers: Innermost first.
        kind: Decides which fitted share of the nominal rate collectives reach.
    """

    name: str
    title: str
    kind: str
    tiers: tuple[Tier, ...]
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_one_of(self, "kind", FABRIC_KINDS)
        require_count(self, "num_tiers", most=6)

    @property
    def num_tiers(self) -> int:
        """Number of network tiers."""
        return len(self.tiers)
