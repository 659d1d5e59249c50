"""A run of every kind of parallelism crashes and resumes to the losses of an undisturbed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.made_training import DENSE, SPARSE, plan
from tests.started_run import Starter, losses

if TYPE_CHECKING:
    from gigafactory.spec.model import Model

pytestmark = pytest.mark.drill

LAYOUTS: dict[str, tuple[Model, dict[str, Any]]] = {
    "fsdp": (DENSE, {"data_parallel": 2, "sharding": "zero3"}),
    "tensor": (DENSE, {"tensor_parallel": 2}),
    "pipeline": (DENSE, {"pipeline_parallel": 2, "micro_batch_size": 1}),
    "expert": (SPARSE, {"data_parallel": 2, "expert_parallel": 2}),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_crashed_run_ends_with_the_very_losses_of_an_undisturbed_one(
    kind: str, start: Starter
) -> None:
    model, layout = LAYOUTS[kind]
    made = plan(model, steps=24, cores=2, **layout)
    calm = start(made, name="calm")
    code, told = calm.ended()
    assert code == 0, told
    run = start(made, "--checkpoint-interval", "0.1", "--crash-at", "17")
    code, told = run.ended()
    assert code == 0, told
    (_, resumed) = run.workers()
    assert resumed.kind == "resume"
    assert 0 < (resumed.step or 0) < 17, "from a checkpoint, not from the beginning"
    assert losses(run.folder) == losses(calm.folder)
