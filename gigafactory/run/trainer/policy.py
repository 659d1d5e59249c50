"""What is done with a step whose loss is not finite, or far above what it was."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

MEMORY: Final = 0.98  # of the running mean and variance: about the last fifty steps
FEWEST: Final = 20  # steps before a spike is told from the fall at the beginning


@dataclass(slots=True)
class LossWatch:
    """Running mean and variance of the loss of good steps.

    Attributes:
        sigmas: Standard deviations above the mean that are a spike.
    """

    sigmas: float
    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0

    def wrong(self, loss: float, norm: float) -> str:
        """Return what is wrong with a step, empty where nothing is.

        >>> LossWatch(8.0).wrong(float("nan"), 1.0)
        'the loss is nan'
        """
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(norm):
            return f"the norm of the gradient is {norm}"
        if self.seen < FEWEST:
            return ""
        limit = self.mean + self.sigmas * math.sqrt(self.variance)
        if loss <= limit:
            return ""
        return f"the loss {loss:.4f} is over {limit:.4f}, {self.sigmas:g} deviations above its mean"

    def add(self, loss: float) -> None:
        """Count a good step."""
        self.seen += 1
        weight = max(1 - MEMORY, 1 / self.seen)
        apart = loss - self.mean
        self.mean += weight * apart
        self.variance = (1 - weight) * (self.variance + weight * apart * apart)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of it."""
        return asdict(self)
