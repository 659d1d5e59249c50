"""Degrees multiply to GPUs; every refusal names field, value, rule and operands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.spec.layout import Layout

LAYOUT = Layout(
    data_parallel=8, tensor_parallel=4, pipeline_parallel=2, context_parallel=2,
    global_batch_size=64, micro_batch_size=2, seq_len=4096,
)  # fmt: skip


def test_degrees_multiply_to_the_number_of_gpus() -> None:
    assert LAYOUT.num_gpus == 8 * 4 * 2 * 2


def test_expert_degrees_are_no_factor_of_the_number_of_gpus() -> None:
    assert replace(LAYOUT, expert_parallel=8, expert_tensor_parallel=4).num_gpus == 128


def test_microbatches_and_tokens_follow_from_the_batch() -> None:
    assert LAYOUT.num_microbatches == 4
    assert LAYOUT.tokens_per_step == 64 * 4096


COUNTS = (
    "data_parallel", "tensor_parallel", "pipeline_parallel", "virtual_pipeline",
    "context_parallel", "expert_parallel", "expert_tensor_parallel", "micro_batch_size",
    "global_batch_size", "seq_len",
)  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.0, True, "8", float("nan"), 10**12])
def test_a_degree_that_is_no_count_is_refused_by_name(name: str, value: object) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(SpecError) as caught:
        replace(LAYOUT, **changes)
    message = str(caught.value)
    assert caught.value.field == name
    assert message.startswith(f"layout: {name} must be ")
    assert message.endswith(f"got {value!r}")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"expert_parallel": 3},
            "layout: expert_parallel 3 x expert_tensor_parallel 1 must divide the 64 ranks of a "
            "stage (data 8 x context 2 x tensor 4)",
        ),
        (
            {"expert_parallel": 16, "expert_tensor_parallel": 8},
            "layout: expert_parallel 16 x expert_tensor_parallel 8 must divide the 64 ranks of a "
            "stage (data 8 x context 2 x tensor 4)",
        ),
        (
            {"global_batch_size": 65},
            "layout: global_batch_size 65 must be a multiple of data_parallel 8 x "
            "micro_batch_size 2",
        ),
        ({"data_shard": 3}, "layout: data_shard must divide data_parallel 8, got 3"),
        ({"data_shard": 0}, "layout: data_shard must be between 1 and 1000000000, got 0"),
        (
            {"pipeline_parallel": 1, "virtual_pipeline": 2},
            "layout: virtual_pipeline must be 1 when pipeline_parallel is 1, got 2",
        ),
        (
            {"sharding": "zero4"},
            "layout: sharding must be one of none, zero1, zero2, zero3, hsdp, got 'zero4'",
        ),
        (
            {"recompute": "some"},
            "layout: recompute must be one of none, selective, full, got 'some'",
        ),
        (
            {"precision": "fp64"},
            "layout: precision must be one of fp32, bf16, fp16, fp8, nvfp4, got 'fp64'",
        ),
        (
            {"schedule": "gpipe"},
            "layout: schedule must be one of 1f1b, interleaved, zero-bubble, dualpipe, got 'gpipe'",
        ),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused_with_every_operand(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpecError) as caught:
        replace(LAYOUT, **changes)
    assert str(caught.value) == told
