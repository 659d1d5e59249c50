"""The Plan: one immutable file that is predicted, simulated, run and compared."""

from __future__ import annotations

from dataclasses import dataclass

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, require_positive
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.job import Job
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPolicy(Spec):
    """When the state is saved.

    Attributes:
        interval_s: Seconds of training between two checkpoints.
        asynchronous: Training goes on while a checkpoint is written to storage.
    """

    interval_s: float
    asynchronous: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "interval_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Spec):
    """One training run, wholly described.

    Attributes:
        software: Name of the software profile, with its release after an "@" if one is meant.
        faults: Name of the failure profile.
    """

    model: Model
    cluster: Cluster
    job: Job
    layout: Layout
    checkpoint: CheckpointPolicy
    software: str = "megatron-core"
    faults: str = "llama3-h100"
    schema: int = 1

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise SpecError(f"plan: schema must be 1, got {self.schema}", field="schema")
        if self.layout.num_gpus > self.cluster.num_gpus:
            raise SpecError(
                f"plan: the layout takes {self.layout.num_gpus} GPUs (tensor "
                f"{self.layout.tensor_parallel} x pipeline {self.layout.pipeline_parallel} x data "
                f"{self.layout.data_parallel} x context {self.layout.context_parallel}), cluster "
                f"{self.cluster.name} has {self.cluster.num_gpus}",
                field="layout",
            )
