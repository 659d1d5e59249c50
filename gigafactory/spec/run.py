"""A real training run: what was asked of it, what each step did, what happened, how it ended.

The nouns of a run folder; `gigafactory.run.record` writes and reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gigafactory.spec.base import Spec, require_count, require_one_of, require_positive

EVENT_KINDS = (
    "start", "restart", "failure", "checkpoint_begin", "checkpoint_end", "resume", "finish",
    "evaluate", "signal", "hang", "spike", "fallback", "sample", "checkpoint_failed",
)  # fmt: skip
STATES = ("finished", "failed", "stopped")
SPIKE_POLICIES = ("stop", "skip", "rollback")
CHECKPOINT_FAILURE_POLICIES = ("continue", "stop")
SPANS = (
    "data", "forward_backward", "pipeline", "tensor_comm", "data_comm", "expert_comm", "optimizer",
    "checkpoint", "evaluate", "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Spec):
    """What a run needs beside its plan. Part of the run folder; may not change on resume.

    Attributes:
        data: Text or JSONL file, or a folder of them; empty for the standard library's source.
        seed: Decides weights, order of the data and dropout.
        checkpoint_interval_s: Seconds between checkpoints; None for the plan's.
        keep_checkpoints: Newest checkpoints kept on disk.
        learning_rate: Peak of the schedule.
        final_learning_rate: Share of the peak at the end of the cosine.
        warmup_steps: Steps of linear rise; None for 2 % of the run.
        weight_decay: AdamW's, on matrices only.
        beta1: AdamW's first decay.
        beta2: AdamW's second decay.
        clip_norm: Largest norm of the gradient.
        compile: Compile the layers with torch.compile.
        evaluate_every: Steps between evaluations; None for ten in a run.
        evaluation_batches: Microbatches of held-out text in one evaluation.
        max_restarts: Restarts after failures before the run is given up.
        hang_s: A step that takes longer is taken for hung.
        checkpoint_failure: What to do when a checkpoint cannot be written, as on a full disk.
        spike_policy: What to do with a step whose loss is not finite or far above its mean.
        spike_sigmas: Standard deviations above the running mean that are a spike.
        sample_tokens: Tokens of text written at the end.
        crash_at: A rank kills itself before this step, once: a drill. None for none.
    """

    data: str = ""
    seed: int = 0
    checkpoint_interval_s: float | None = None
    keep_checkpoints: int = 2
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.1
    warmup_steps: int | None = None
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip_norm: float = 1.0
    compile: bool = False
    evaluate_every: int | None = None
    evaluation_batches: int = 8
    max_restarts: int = 5
    hang_s: float = 600.0
    checkpoint_failure: str = "continue"
    spike_policy: str = "rollback"
    spike_sigmas: float = 8.0
    sample_tokens: int = 96
    crash_at: int | None = None

    def __post_init__(self) -> None:
        require_count(self, "seed", "max_restarts", "sample_tokens", least=0, most=2**63 - 1)
        require_count(self, "keep_checkpoints", "evaluation_batches", most=10**6)
        for name in ("warmup_steps", "crash_at", "evaluate_every"):
            if getattr(self, name) is not None:
                require_count(self, name, least=0 if name == "warmup_steps" else 1)
        require_positive(
            self, "checkpoint_interval_s", "learning_rate", "clip_norm", "hang_s", "spike_sigmas"
        )
        require_positive(self, "final_learning_rate", "weight_decay", "beta1", "beta2", zero=True)
        require_one_of(self, "spike_policy", SPIKE_POLICIES)
        require_one_of(self, "checkpoint_failure", CHECKPOINT_FAILURE_POLICIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord(Spec):
    """One optimizer step as it went.

    Attributes:
        loss: Mean cross entropy of the step's tokens, in nats.
        tokens: Tokens of this step, all ranks together.
        step_time_s: Wall time of the step on the slowest rank.
        time: When it ended, ISO 8601 with microseconds, UTC.
        redo: The step was trained before, and lost by a restart.
        spans_s: Wall time inside the step, by `SPANS`; sums to `step_time_s`.
        memory_bytes: Peak of the fullest rank so far.
    """

    step: int
    loss: float
    tokens: int
    step_time_s: float
    time: str
    redo: bool = False
    learning_rate: float | None = None
    gradient_norm: float | None = None
    spans_s: dict[str, float] = field(default_factory=dict, hash=False)
    memory_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Spec):
    """Something that happened in a run.

    Attributes:
        time: ISO 8601 with microseconds, UTC.
        kind: One of `EVENT_KINDS`.
        rank: Of the process; -1 for the launcher.
        detail: One line for people.
        pid: Of the worker, with `start` and `resume`.
        step: The last finished step at that moment.
        duration_s: What it took, where it took time.
        values: Numbers that belong to the kind, such as lost_steps, lost_s, bytes, loss.
    """

    time: str
    kind: str
    rank: int = -1
    detail: str = ""
    pid: int | None = None
    step: int | None = None
    duration_s: float | None = None
    values: dict[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_one_of(self, "kind", EVENT_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Spec):
    """How a run ended.

    Attributes:
        state: "finished", "failed" or "stopped" (by a signal; may be resumed).
        goodput: Seconds of steps that counted over wall time since the first start.
    """

    state: str
    steps: int
    final_loss: float | None
    goodput: float
    restarts: int
    evaluation_loss: float | None = None
    tokens: float = 0.0
    tokens_per_s: float = 0.0
    wall_s: float = 0.0
    reason: str = ""
    sample: str = ""

    def __post_init__(self) -> None:
        require_one_of(self, "state", STATES)
