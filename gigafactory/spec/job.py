"""What is asked for: tokens, batch, sequence length, dates."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gigafactory.spec.base import Spec, require_count, require_one_of, require_positive
from gigafactory.spec.hardware import PRECISIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Spec):
    """One training run.

    Attributes:
        tokens: Tokens to train on.
        global_batch_size: Sequences in one optimizer step.
        start: The day training starts.
        by: The day by which training must end; None without a deadline.
        capacity_factor: MoE capacity factor that drops tokens; None trains dropless.
    """

    tokens: float
    seq_len: int
    global_batch_size: int
    start: dt.date
    precision: str = "bf16"
    by: dt.date | None = None
    capacity_factor: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "tokens", "capacity_factor")
        require_count(self, "seq_len", "global_batch_size", most=10**9)
        require_one_of(self, "precision", PRECISIONS)
