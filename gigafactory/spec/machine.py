"""A cluster with the software that runs on it and all that was fitted for both."""

from __future__ import annotations

from dataclasses import dataclass

from gigafactory.spec.base import Spec
from gigafactory.spec.calibration import StepCalibration
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.kernels import KernelFit
from gigafactory.spec.software import Software


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Spec):
    """Everything a step's price depends on besides the model and its layout."""

    cluster: Cluster
    software: Software
    kernels: KernelFit
    calibration: StepCalibration

    def factor(self, kind: str, *groups: str) -> float:
        """Return a fitted number for this machine's software, else for its family."""
        return self.calibration.lookup(kind, *groups, self.software.name, self.software.family)
