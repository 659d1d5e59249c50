"""What follows a step whose loss is broken: stop, pass over its update, or go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gigafactory.run.trainer.keeper import Keeper
    from gigafactory.spec.run import Event

MOST_WRONG: Final = 10  # wrong steps in a row, after which passing over them helps nobody


class TrainingStopped(Exception):  # noqa: N818
    """Training must not go on, and trying again would not help."""


class Mender:
    """Does what the policy says about wrong steps; called by all ranks, which agree on them."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper, self.policy = keeper, keeper.training.spike_policy
        self._in_a_row = self._returns = 0

    def good(self) -> None:
        """Say that a step was good."""
        self._in_a_row = 0

    def mend(self, wrong: str) -> bool:
        """Do what the policy says about the step in hand; return whether it counts.

        Raises:
            TrainingStopped: The policy is to stop, or nothing else helped.
        """
        self._in_a_row += 1
        progress = self.keeper.progress
        told, batch = f"step {progress.step + 1}: {wrong}", progress.batch
        if self.policy == "stop" or self._in_a_row > MOST_WRONG:
            self._tell(told, {"batch": batch})
            raise TrainingStopped(told)
        if self.policy == "skip":
            self._tell(f"{told}; no update", {"batch": batch})
            return True
        self._go_back(told, batch)
        return False

    def _go_back(self, told: str, batch: int) -> None:
        """Go back to the newest checkpoint, and on with the batch after the wrong one."""
        self._returns += 1
        if self._returns > max(self.keeper.training.max_restarts, 1):
            raise TrainingStopped(f"{told}, after {self._returns - 1} returns to a checkpoint")
        keeper, progress = self.keeper, self.keeper.progress
        keeper.checkpoints.wait()
        highest = max(progress.highest, progress.step)
        if keeper.restore() is None:
            keeper.begin_anew()
        progress.highest, progress.batch = highest, batch + 1
        if keeper.first:
            keeper.recorder.folder.rewind(progress.step)
        values = {"batch": batch, "back_to_step": progress.step, "highest_step": highest}
        self._tell(f"{told}; back to step {progress.step}, on with batch {batch + 1}", values)

    def _tell(self, detail: str, values: dict[str, int]) -> None:
        if self.keeper.first:
            numbers = {key: float(value) for key, value in values.items()}
            step = self.keeper.progress.step
            self.keeper.recorder.event("spike", detail=detail, step=step, values=numbers)


def next_batch(events: list[Event], step: int, batch: int) -> int:
    """Return the batch to go on with from a checkpoint: after those that were passed over.

    Args:
        events: Of the run.
        step: Of the checkpoint.
        batch: What the checkpoint says.
    """
    passed = [
        int(e.values["batch"]) + 1
        for e in events
        if e.kind == "spike" and e.values.get("back_to_step") == step
    ]
    return max([batch, *passed])
