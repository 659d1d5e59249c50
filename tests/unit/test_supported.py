"""What the trainer cannot do of a plan is refused with its reason, all of it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.catalog import loader
from gigafactory.errors import SpecError
from gigafactory.run.launch import differences
from gigafactory.run.local import LocalExecutor, num_places
from gigafactory.run.supported import require_supported
from tests.made_training import DENSE, SPARSE, plan

if TYPE_CHECKING:
    from gigafactory.spec.model import Model

REFUSED: dict[str, tuple[Model, dict[str, Any]]] = {
    "context_parallel must be 1": (DENSE, {"context_parallel": 2}),
    'precision must be "fp32" or "bf16", got "fp8"': (DENSE, {"precision": "fp8"}),
    "schedule must be 1f1b or interleaved, got zero-bubble": (
        DENSE, {"pipeline_parallel": 2, "schedule": "zero-bubble"},
    ),
    "schedule must be 1f1b or interleaved, got dualpipe": (
        DENSE, {"pipeline_parallel": 2, "schedule": "dualpipe"},
    ),
    "need as many layers, the model has 4": (
        DENSE, {"pipeline_parallel": 2, "virtual_pipeline": 3, "schedule": "interleaved"},
    ),
    "1F1B over 4 stages needs as many microbatches, got 2": (
        DENSE, {"pipeline_parallel": 4, "micro_batch_size": 2},
    ),
    "must divide model.num_heads 4": (DENSE, {"tensor_parallel": 3, "global_batch_size": 3}),
    "tensor_parallel 4 must divide model.num_kv_heads 3": (
        replace(DENSE, num_heads=12, num_kv_heads=3), {"tensor_parallel": 4},
    ),
    "expert_parallel must be 1 for a model without experts": (
        DENSE, {"data_parallel": 2, "expert_parallel": 2},
    ),
    "expert_parallel 3 must divide the 4 experts": (
        SPARSE, {"data_parallel": 3, "expert_parallel": 3, "global_batch_size": 3},
    ),
    "expert_tensor_parallel must be 1 or tensor_parallel": (
        SPARSE, {"data_parallel": 2, "expert_tensor_parallel": 2},
    ),
    '"alibi" is not built': (replace(DENSE, positions="alibi"), {}),
    "latent attention is not built": (
        replace(DENSE, latent_attention=loader.model("deepseek-v3").latent_attention), {},
    ),
    "head_dim must be even": (replace(DENSE, head_dim=7), {}),
    "at most the 8 learned positions": (
        replace(DENSE, positions="learned", context_length=8), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_it_is_refused_with_the_reason(reason: str) -> None:
    model, layout = REFUSED[reason]
    with pytest.raises(SpecError) as caught:
        require_supported(plan(model, cores=8, **layout))
    assert reason in str(caught.value)


def test_dropped_tokens_are_refused() -> None:
    made = plan(SPARSE)
    with pytest.raises(SpecError, match="capacity_factor must be left out"):
        require_supported(replace(made, job=replace(made.job, capacity_factor=1.25)))


def test_all_reasons_are_told_at_once() -> None:
    made = plan(replace(DENSE, positions="alibi"), context_parallel=2, precision="fp8")
    with pytest.raises(SpecError) as caught:
        require_supported(made)
    assert str(caught.value).count(";") == 2


def test_more_ranks_than_the_machine_holds_are_refused_with_what_would_fit() -> None:
    places, _ = num_places()
    made = plan(data_parallel=4 * places, global_batch_size=4 * places, cores=4 * places)
    with pytest.raises(SpecError, match=rf"data_parallel {places} \({places} ranks\) would fit"):
        LocalExecutor().require_room(made)


def test_a_copy_too_large_for_the_machine_is_told_so() -> None:
    places, _ = num_places()
    tp = 4 * places
    made = plan(
        replace(DENSE, num_heads=tp, num_kv_heads=tp, vocab_size=64 * tp), tensor_parallel=tp,
        cores=tp,
    )  # fmt: skip
    with pytest.raises(SpecError, match=f"one copy of the model takes {tp} of them"):
        LocalExecutor().require_room(made)


def test_many_differences_are_cut_short() -> None:
    old, new = ({str(i): i + more for i in range(10)} for more in (0, 1))
    assert differences(old, new)[-1] == "and 4 more"
