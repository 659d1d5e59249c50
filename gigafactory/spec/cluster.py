"""The whole machine: how many of which accelerator, wired how, standing where, from when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

from gigafactory.spec.base import Spec, require_count, require_positive
from gigafactory.spec.calibration import StepCalibration
from gigafactory.spec.hardware import Accelerator, Fabric, Node
from gigafactory.spec.kernels import KernelFit

LARGEST_NODE: Final = 16  # accelerators in one server; a larger scale-up domain is a rack's


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Spec):
    """What was measured of this very machine; stands above what the catalog knows of its kind.

    Attributes:
        kernels: Kernels as they ran here.
        calibration: Factors that replace the catalog's of the same name, and the intervals of
            predictions on this machine under the name of the kernels' accelerator.
    """

    kernels: KernelFit
    calibration: StepCalibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Spec):
    """One cluster with all it is made of.

    Attributes:
        measured: What was measured on it; None where only the catalog knows its accelerator.
        available: The day training can start; None where no date is published.
        site: Name of the site in the catalog.
        reported_power_w: Facility power that was reported, for comparison only.
        reported_cost_usd: Cost that was reported or estimated, for comparison only.
    """

    name: str
    title: str
    owner: str
    num_gpus: int
    accelerator: Accelerator
    node: Node
    fabric: Fabric
    site: str = "us-average"
    available: dt.date | None = None
    reported_power_w: float | None = None
    reported_cost_usd: float | None = None
    note: str = ""
    measured: Measured | None = None
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(self, "num_gpus", most=100_000_000)
        require_positive(self, "reported_power_w", "reported_cost_usd")

    @property
    def nic_bytes_per_s(self) -> float:
        """Scale-out bandwidth per accelerator, one direction."""
        if self.node.nic_bytes_per_s:
            return self.node.nic_bytes_per_s / self.node.num_accelerators
        return self.accelerator.nic_bytes_per_s or 0.0

    @property
    def scale_up_domain(self) -> int:
        """Accelerators that reach one another without a network card.

        A rack-scale domain (NVL72) spans nodes; a smaller one ends at the node.
        """
        if self.node.scale_up_domain:
            return self.node.scale_up_domain
        domain = self.accelerator.scale_up_domain
        return domain if domain > LARGEST_NODE else min(domain, self.node.num_accelerators)

    @property
    def num_nodes(self) -> int:
        """Number of servers, the last one perhaps not full."""
        return -(-self.num_gpus // self.node.num_accelerators)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord(Spec):
    """A cluster that was announced or observed, as a line of history; nothing is planned on it.

    Attributes:
        accelerators: Number of each kind, by catalog key where the catalog has it.
        available: The day it was in use; None when only planned.
    """

    name: str
    title: str
    owner: str
    accelerators: dict[str, int] = field(hash=False)
    available: dt.date | None = None
    reported_power_w: float | None = None
    power_basis: str = ""
    reported_cost_usd: float | None = None
    cost_basis: str = ""
    network: str = ""
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_positive(self, "reported_power_w", "reported_cost_usd")

    @property
    def num_gpus(self) -> int:
        """Number of accelerators of all kinds."""
        return sum(self.accelerators.values())
