"""What no data sheet can say is refused, with the field, the value and the rule."""

import pytest

from gigafactory.errors import SpecError
from gigafactory.spec.hardware import Accelerator


def accelerator(peaks: dict[str, float]) -> Accelerator:
    return Accelerator(
        name="x",
        title="X",
        vendor="V",
        peak_flops_per_s=peaks,
        memory_bytes=8e10,
        memory_bytes_per_s=3e12,
    )


def test_a_peak_of_a_known_precision_is_taken() -> None:
    assert accelerator({"bf16": 1e15}).peak_flops_per_s["bf16"] == 1e15


@pytest.mark.parametrize(
    ("peaks", "told"),
    [
        ({"bf16": -1.0}, r"peak_flops_per_s\.bf16 must be above 0, got -1\.0"),
        ({"bf16": float("nan")}, r"peak_flops_per_s\.bf16 must be above 0, got nan"),
        ({"bf61": 1e15}, r"must be keyed by fp32, bf16, fp16, fp8, nvfp4, got 'bf61'"),
        ({}, r"peak_flops_per_s must hold a precision"),
    ],
)
def test_a_peak_at_fault_is_refused(peaks: dict[str, float], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        accelerator(peaks)
