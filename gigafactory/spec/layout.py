"""How one training step is split over the accelerators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_one_of
from gigafactory.spec.hardware import PRECISIONS

SHARDINGS = ("none", "zero1", "zero2", "zero3", "hsdp")
RECOMPUTES = ("none", "selective", "full")
SCHEDULES = ("1f1b", "interleaved", "zero-bubble", "dualpipe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout(Spec):
    """Degrees of each kind of parallelism; tensor x pipeline x data x context is the GPU count.

    Expert layers re-use all ranks of a pipeline stage, so expert parallelism is not a factor.

    Attributes:
        data_shard: Ranks that one sharded copy spans (HSDP); data_parallel when fully sharded.
        micro_batch_size: Sequences in one microbatch.
        global_batch_size: Sequences in one optimizer step.
        seq_len: Tokens in one sequence.
    """

    data_parallel: int
    global_batch_size: int
    seq_len: int
    tensor_parallel: int = 1
    sequence_parallel: bool = False
    pipeline_parallel: int = 1
    virtual_pipeline: int = 1
    data_shard: int | None = None
    context_parallel: int = 1
    expert_parallel: int = 1
    expert_tensor_parallel: int = 1
    micro_batch_size: int = 1
    sharding: Literal["none", "zero1", "zero2", "zero3", "hsdp"] = "zero1"
    recompute: Literal["none", "selective", "full"] = "none"
    precision: Literal["fp32", "bf16", "fp16", "fp8", "nvfp4"] = "bf16"
    schedule: Literal["1f1b", "interleaved", "zero-bubble", "dualpipe"] = "1f1b"

    def __post_init__(self) -> None:
        require_count(
            self,
            "data_parallel", "tensor_parallel", "pipeline_parallel", "virtual_pipeline",
            "context_parallel", "expert_parallel", "expert_tensor_parallel", "micro_batch_size",
            "global_batch_size", "seq_len",
            most=10**9,
        )  # fmt: skip
        require_one_of(self, "sharding", SHARDINGS)
        require_one_of(self, "recompute", RECOMPUTES)
        require_one_of(self, "precision", PRECISIONS)
        require_one_of(self, "schedule", SCHEDULES)
        self._check_experts()
        self._check_batch()

    def _check_experts(self) -> None:
        stage = self.data_parallel * self.context_parallel * self.tensor_parallel
        if stage % (self.expert_parallel * self.expert_tensor_parallel):
            raise SpecError(
                f"layout: expert_parallel {self.expert_parallel} x expert_tensor_parallel "
                f"{self.expert_tensor_parallel} must divide the {stage} ranks of a stage "
                f"(data {self.data_parallel} x context {self.context_parallel} x tensor "
                f"{self.tensor_parallel})",
                field="expert_parallel",
            )

    def _check_batch(self) -> None:
        if self.global_batch_size % (self.data_parallel * self.micro_batch_size):
            raise SpecError(
                f"layout: global_batch_size {self.global_batch_size} must be a multiple of "
                f"data_parallel {self.data_parallel} x micro_batch_size {self.micro_batch_size}",
                field="global_batch_size",
            )
        shard = self.data_shard
        if shard is not None:
            require_count(self, "data_shard", most=10**9)
            if self.data_parallel % shard:
                rule = f"must divide data_parallel {self.data_parallel}"
                raise fault(self, "data_shard", shard, rule)
        if self.virtual_pipeline > 1 and self.pipeline_parallel == 1:
            rule = "must be 1 when pipeline_parallel is 1"
            raise fault(self, "virtual_pipeline", self.virtual_pipeline, rule)

    @property
    def num_gpus(self) -> int:
        """Number of accelerators the step occupies."""
        return (
            self.data_parallel
            * self.tensor_parallel
            * self.pipeline_parallel
            * self.context_parallel
        )

    @property
    def num_microbatches(self) -> int:
        """Number of microbatches each pipeline runs in one step."""
        return self.global_batch_size // (self.data_parallel * self.micro_batch_size)

    @property
    def tokens_per_step(self) -> int:
        """Number of tokens in one optimizer step."""
        return self.global_batch_size * self.seq_len
