"""Where training stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gigafactory.run.trainer.policy import LossWatch

if TYPE_CHECKING:
    from gigafactory.spec.plan import Plan


def num_steps(plan: Plan) -> int:
    """Return the optimizer steps of a plan: its tokens over those of a step, rounded up."""
    return int(-(-plan.job.tokens // plan.layout.tokens_per_step))


@dataclass(slots=True)
class Progress:
    """Where training stands; saved with every checkpoint.

    Attributes:
        losses: What is known of the loss so far.
        step: Steps that are done.
        batch: The next batch of the data; ahead of `step` where batches were passed over.
        highest: The highest step that was ever trained; up to it steps are done again.
        evaluation_loss: The last one.
    """

    losses: LossWatch
    step: int = 0
    batch: int = 0
    highest: int = 0
    evaluation_loss: float | None = None

    def saved(self) -> dict[str, Any]:
        """Return what a checkpoint must hold of it."""
        return {
            "schema": 1,
            "step": self.step,
            "batch": self.batch,
            "evaluation_loss": self.evaluation_loss,
            "losses": self.losses.state(),
        }

    def go_back(self, saved: dict[str, Any]) -> None:
        """Stand where a checkpoint was saved; the highest step stays."""
        self.step, self.batch = saved["step"], saved["batch"]
        self.evaluation_loss = saved["evaluation_loss"]
        self.losses = LossWatch(**saved["losses"])

    def go_to_start(self) -> None:
        """Stand before the first step; the highest step stays."""
        self.step = self.batch = 0
        self.evaluation_loss = None
        self.losses = LossWatch(self.losses.sigmas)
