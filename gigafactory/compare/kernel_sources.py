"""Which measured table stands for which kernel of which accelerator, and why.

Rules of choice, the same for all:

* TensorRT-LLM's tables where they exist: one machine for all formats, and fp8 and nvfp4 products
  through cuBLASLt-like kernels as training uses them (the other frameworks' fp8 tables mix
  kernels and scatter twice as far). A100: SGLang's table, eight times larger than the others.
* bf16 products of B200, B300 and GB200: SGLang's table, which scatters least of the three; all
  three call the same vendor library, whose choice of kernel differs from run to run.
* fp8 is the per-tensor kind. Its times include quantising the m x k operand.
* Expert layers: the CUTLASS kernel with gated activation and balanced load. A100 has balanced
  layers only for an untuned kernel: there a mildly skewed load, not split over accelerators.
* NCCL in two-byte floats: the byte-wise all-reduce cannot use in-switch reduction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gigafactory.compare.tables import DATA

DTYPE_BYTES: Final = {"bf16": 2.0, "fp8": 1.0, "nvfp4": 0.5625}
"""Bytes of an operand's element; nvfp4 is 4 bits and one 8-bit scale per 16 elements."""

TABLE_DTYPE: Final = {"bf16": "bfloat16", "fp8": "fp8", "nvfp4": "nvfp4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Tables and data-sheet constants of one accelerator.

    Attributes:
        key: Name of the fit.
        num_sms: Multiprocessors.
        memory_bytes_per_s: HBM bandwidth of the data sheet, where the fit starts.
        cache_bytes: Second-level cache.
        gemm: Table and its name of the format, by number format.
        attention: Table of attention; attention_source is the kernel wanted in it.
        head_dims: Head dimensions measured with that kernel.
        grouped: Table, kernel, its name of the format and load distribution, by number format.
        collectives: Table of collectives; groups are the sizes measured.
    """

    key: str
    num_sms: int
    memory_bytes_per_s: float
    cache_bytes: float
    gemm: dict[str, tuple[str, str]] = field(hash=False)
    attention: str
    attention_source: str
    head_dims: tuple[int, ...]
    grouped: dict[str, tuple[str, str, str, str]] = field(hash=False)
    collectives: str
    groups: tuple[int, ...] = (2, 4, 8)
    note: str = ""


def _trtllm(
    key: str,
    folder: str,
    *,
    num_sms: int,
    memory_bytes_per_s: float,
    cache_bytes: float,
    dtypes: tuple[str, ...],
    head_dims: tuple[int, ...] = (64, 128, 256),
    groups: tuple[int, ...] = (2, 4, 8),
    bf16_framework: str = "trtllm/1.3.0rc20",
) -> Machine:
    """Return an accelerator measured with TensorRT-LLM 1.3.0rc20 and NCCL 2.29.2."""
    root = f"{DATA}/{folder}"
    frameworks = dict.fromkeys(dtypes, "trtllm/1.3.0rc20") | {"bf16": bf16_framework}
    moe = f"{root}/moe/trtllm/1.3.0rc20/moe_perf.parquet"
    return Machine(
        key=key,
        num_sms=num_sms,
        memory_bytes_per_s=memory_bytes_per_s,
        cache_bytes=cache_bytes,
        gemm={
            dtype: (f"{root}/gemm/{frameworks[dtype]}/gemm_perf.parquet", TABLE_DTYPE[dtype])
            for dtype in dtypes
        },
        attention=f"{root}/attention/trtllm/1.3.0rc20/context_attention_perf.parquet",
        attention_source="torch_flow",
        head_dims=head_dims,
        grouped={
            dtype: (moe, "moe_torch_flow_cutlass", TABLE_DTYPE[dtype], "balanced")
            for dtype in dtypes
        },
        collectives=f"{root}/comm/nccl/2.29.2/nccl_perf.parquet",
        groups=groups,
        note="short bursts on inference kernels; long training runs are slower",
    )


_A100: Final = Machine(
    key="a100",
    num_sms=108,
    memory_bytes_per_s=2.039e12,
    cache_bytes=4.0e7,
    gemm={"bf16": (f"{DATA}/a100_sxm/gemm/sglang/0.5.10/gemm_perf.parquet", "bfloat16")},
    attention=f"{DATA}/a100_sxm/attention/sglang/0.5.10/context_attention_perf.parquet",
    attention_source="flash_attention",
    head_dims=(128,),
    grouped={
        "bf16": (
            f"{DATA}/a100_sxm/moe/trtllm/1.0.0/moe_perf.parquet",
            "moe_torch_flow", "bfloat16", "power_law_1.01",
        )
    },
    collectives=f"{DATA}/a100_sxm/comm/nccl/2.27.3/nccl_perf.parquet",
    note="short bursts on inference kernels; expert layers with a mildly skewed load",
)  # fmt: skip

_HOPPER: Final = ("bf16", "fp8")
_BLACKWELL: Final = ("bf16", "fp8", "nvfp4")
_SGLANG: Final = "sglang/0.5.14"

# Multiprocessors, HBM and L2: NVIDIA data sheets and architecture papers of each product.
MACHINES: Final = (
    _A100,
    _trtllm("h100", "h100_sxm", num_sms=132, memory_bytes_per_s=3.35e12, cache_bytes=5.0e7,
            dtypes=_HOPPER, head_dims=(64, 128, 192, 256)),
    _trtllm("h200", "h200_sxm", num_sms=132, memory_bytes_per_s=4.8e12, cache_bytes=5.0e7,
            dtypes=_HOPPER, head_dims=(64, 128, 192, 256)),
    _trtllm("b200", "b200_sxm", num_sms=148, memory_bytes_per_s=8e12, cache_bytes=1.26e8,
            dtypes=_BLACKWELL, bf16_framework=_SGLANG),
    _trtllm("b300", "b300_sxm", num_sms=148, memory_bytes_per_s=8e12, cache_bytes=1.26e8,
            dtypes=_BLACKWELL, bf16_framework=_SGLANG),
    _trtllm("gb200", "gb200", num_sms=152, memory_bytes_per_s=8e12, cache_bytes=1.26e8,
            dtypes=_BLACKWELL, bf16_framework=_SGLANG, groups=(2, 4)),
    _trtllm("gb300", "gb300", num_sms=152, memory_bytes_per_s=8e12, cache_bytes=1.26e8,
            dtypes=_BLACKWELL, groups=(2, 4)),
)  # fmt: skip
