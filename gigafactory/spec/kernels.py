"""How fast kernels ran on one accelerator: a few fitted numbers per kernel, and how well they fit.

The laws that use these numbers stand in `gigafactory.cost.kernels`; the fit itself in
`gigafactory.compare.kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_one_of, require_positive

COLLECTIVE_KINDS: Final = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
KERNEL_DTYPES: Final = ("fp32", "bf16", "fp8", "nvfp4")


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmKernel(Spec):
    """Dense matrix product on one accelerator in one number format.

    Attributes:
        peak_flops_per_s: Rate of an infinitely large tile over an infinitely long k.
        launch_s: Time before the first tile starts and after the last one ends.
        k_overhead: Prologue and epilogue of a tile, as steps of k.
        wave_weight: Share of the idle part of the last wave that is paid for, 0 to 1.
        tile_edge: Loss of small tiles: a tile (a, b) costs 1 + tile_edge * (1/a + 1/b).
        num_sms: Streaming multiprocessors that take tiles at the same time.
        memory_bytes_per_s: Rate at which operands and result move when they bound the time.
        operand_bytes: Bytes per element of both operands, scales included.
        output_bytes: Bytes per element of the result.
        quantise_bytes_per_element: Traffic of bringing the m x k operand into this format.
        cache_bytes: Second-level cache.
        cache_loss: Slow-down per e-fold that the operands exceed the cache.
        whole_tiles: Rows and columns are padded to whole tiles, as on a GPU; a CPU takes any.
    """

    peak_flops_per_s: float
    launch_s: float
    k_overhead: float
    wave_weight: float
    tile_edge: float
    num_sms: int
    memory_bytes_per_s: float
    operand_bytes: float
    output_bytes: float = 2.0
    quantise_bytes_per_element: float = 0.0
    cache_bytes: float = 5e7
    cache_loss: float = 0.0
    whole_tiles: bool = True

    def __post_init__(self) -> None:
        require_positive(
            self, "peak_flops_per_s", "launch_s", "memory_bytes_per_s", "operand_bytes",
            "output_bytes", "cache_bytes",
        )  # fmt: skip
        require_positive(
            self, "k_overhead", "wave_weight", "tile_edge", "quantise_bytes_per_element",
            "cache_loss", zero=True,
        )  # fmt: skip
        require_count(self, "num_sms", most=10**5)
        if self.wave_weight > 1:
            raise fault(self, "wave_weight", self.wave_weight, "must not be above 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedGemmKernel(Spec):
    """What a product over several experts adds to one `GemmKernel` of the same format.

    Attributes:
        relative_rate: Tile rate over that of the dense kernel.
        launch_s: Time of starting one grouped product (the dense launch time does not apply).
        moved_bytes_per_element: Traffic of permutation, activation and combination per
            element of tokens x top_k x hidden; part of the measured layers, not of the product.
    """

    relative_rate: float
    launch_s: float
    moved_bytes_per_element: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "relative_rate", "launch_s")
        require_positive(self, "moved_bytes_per_element", zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionKernel(Spec):
    """Fused (flash) attention, forward, for one head dimension.

    Attributes:
        forward_flops_per_s: Rate for an endless sequence.
        half_seq: Causal sequence length at which half of that rate is reached.
        launch_s: Fixed time of one call.
        wave_weight: Share of the idle part of the last wave that is paid for, 0 to 1.
        block_queries: Query rows that one thread block works on.
        head_dim_step: GPU kernels are compiled for head dimensions in steps of 32 and pad to the
            next; those of a CPU take any.
        num_sms: Streaming multiprocessors that take blocks at the same time.
        memory_bytes_per_s: Rate at which queries, keys, values and result move.
    """

    forward_flops_per_s: float
    half_seq: float
    launch_s: float
    wave_weight: float = 0.0
    num_sms: int
    memory_bytes_per_s: float
    block_queries: int = 128
    head_dim_step: int = 32

    def __post_init__(self) -> None:
        require_positive(self, "forward_flops_per_s", "launch_s", "memory_bytes_per_s")
        require_positive(self, "half_seq", "wave_weight", zero=True)
        require_count(self, "block_queries", "num_sms", "head_dim_step", most=10**5)
        if self.wave_weight > 1:
            raise fault(self, "wave_weight", self.wave_weight, "must not be above 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveKernel(Spec):
    """One collective inside a scale-up domain, for one group size.

    Attributes:
        kind: all_reduce, all_gather, reduce_scatter or all_to_all.
        group: Number of accelerators.
        latency_s: Time of an empty message.
        bytes_per_s: Bus bandwidth of an endless message (bytes on the wire per accelerator).
        sqrt_s_per_root_byte: Ramp between the two: seconds per square root of a byte.
    """

    kind: str
    group: int
    latency_s: float
    bytes_per_s: float
    sqrt_s_per_root_byte: float = 0.0

    def __post_init__(self) -> None:
        require_one_of(self, "kind", COLLECTIVE_KINDS)
        require_count(self, "group", least=2, most=10**6)
        require_positive(self, "latency_s", "bytes_per_s")
        require_positive(self, "sqrt_s_per_root_byte", zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals(Spec):
    """How far a fitted law lies from the points it was fitted on (fractions, not percent).

    Attributes:
        num_points: Measured points compared.
        mean: Mean of ``|predicted / measured - 1|``.
        median: Its median.
        p90: Its 90th percentile.
        shapes: Range of shapes compared, such as "m 2048-32768, n 1024-65536, k 1024-65536".
        table: Measured table, a path inside the package.
    """

    num_points: int
    mean: float
    median: float
    p90: float
    shapes: str = ""
    table: str = ""

    def __post_init__(self) -> None:
        require_count(self, "num_points")
        require_positive(self, "mean", "median", "p90", zero=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelProvenance(Spec):
    """Where the measured tables come from.

    Attributes:
        package: Name of the package that holds the tables.
        version: Its version.
        license: Its license.
        sha256: Digest of each table read, by path inside the package.
        note: What else one has to know, such as from which fit this one was derived.
    """

    package: str
    version: str
    license: str = ""
    sha256: dict[str, str] = field(default_factory=dict, hash=False)
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFit(Spec):
    """All fitted kernels of one accelerator.

    Attributes:
        accelerator: Key of the accelerator in the catalog.
        gemm: By number format: bf16, fp8, nvfp4.
        attention: By head dimension: "64", "128" ...
        grouped_gemm: By number format.
        collectives: By kind and group size: "all_reduce_8" ...
        residuals: By kernel: "gemm_bf16", "attention_128", "collective_all_reduce_8" ...
        measured: False for a fit scaled from another accelerator.
    """

    accelerator: str
    gemm: dict[str, GemmKernel] = field(hash=False)
    attention: dict[str, AttentionKernel] = field(hash=False)
    grouped_gemm: dict[str, GroupedGemmKernel] = field(default_factory=dict, hash=False)
    collectives: dict[str, CollectiveKernel] = field(default_factory=dict, hash=False)
    provenance: KernelProvenance
    residuals: dict[str, Residuals] = field(default_factory=dict, hash=False)
    measured: bool = True

    def __post_init__(self) -> None:
        for name in ("gemm", "grouped_gemm"):
            unknown = sorted(set(getattr(self, name)) - set(KERNEL_DTYPES))
            if unknown:
                rule = f"must be keyed by {', '.join(KERNEL_DTYPES)}"
                raise fault(self, name, unknown[0], rule)
        for key in self.attention:
            if not key.isdecimal():
                raise fault(self, "attention", key, "must be keyed by a head dimension")
        for key, kernel in self.collectives.items():
            if key != f"{kernel.kind}_{kernel.group}":
                raise fault(self, "collectives", key, f"must be {kernel.kind}_{kernel.group}")


def scaled_fit(
    fit: KernelFit,
    *,
    name: str,
    flops_ratio: dict[str, float] | float,
    memory_ratio: float,
    link_ratio: float,
    num_sms: int | None = None,
) -> KernelFit:
    """Return a fit for accelerator `name`, which has no tables, from a measured relative's.

    Rates are multiplied by data-sheet ratios, at an unknown error; all else but residuals stays.

    Args:
        fit: The measured relative's.
        name: Key of the new accelerator.
        flops_ratio: Peak over the relative's; a table by number format drops what it leaves out.
        memory_ratio: HBM bandwidth over the relative's.
        link_ratio: Scale-up bandwidth over the relative's.
        num_sms: Multiprocessors, if they differ.

    Raises:
        SpecError: A ratio is not a finite number above zero, or bf16 is missing.
    """
    by_dtype = _checked_ratios(name, fit, flops_ratio, memory_ratio, link_ratio)
    return KernelFit(
        accelerator=name,
        gemm={
            key: _scaled_gemm(fit.gemm[key], ratio, memory_ratio, num_sms)
            for key, ratio in by_dtype.items()
        },
        attention={
            key: _scaled_attention(a, by_dtype["bf16"], memory_ratio, num_sms)
            for key, a in fit.attention.items()
        },
        grouped_gemm={key: value for key, value in fit.grouped_gemm.items() if key in by_dtype},
        collectives={key: _scaled_link(c, link_ratio) for key, c in fit.collectives.items()},
        provenance=replace(fit.provenance, note=f"scaled from {fit.accelerator}, not measured"),
        measured=False,
    )


def _checked_ratios(
    name: str, fit: KernelFit, flops: dict[str, float] | float, memory: float, link: float
) -> dict[str, float]:
    """Return the ratio of FLOP/s by number format that `fit` holds, all ratios checked."""
    given = flops if isinstance(flops, dict) else dict.fromkeys(fit.gemm, flops)
    for what, ratio in (*given.items(), ("memory", memory), ("link", link)):
        if not 0 < ratio < float("inf"):
            raise SpecError(f"kernelfit {name}: ratio of {what} must be above 0, got {ratio!r}")
    if "bf16" not in given or "bf16" not in fit.gemm:
        raise SpecError(f"kernelfit {name}: the ratio of bf16 is missing", field="flops_ratio")
    return {dtype: ratio for dtype, ratio in given.items() if dtype in fit.gemm}


def _scaled_gemm(kernel: GemmKernel, flops: float, memory: float, sms: int | None) -> GemmKernel:
    """Return `kernel` with its rates multiplied."""
    return replace(
        kernel,
        peak_flops_per_s=kernel.peak_flops_per_s * flops,
        memory_bytes_per_s=kernel.memory_bytes_per_s * memory,
        num_sms=sms or kernel.num_sms,
    )


def _scaled_attention(
    kernel: AttentionKernel, flops: float, memory: float, sms: int | None
) -> AttentionKernel:
    """Return `kernel` with its rates multiplied."""
    return replace(
        kernel,
        forward_flops_per_s=kernel.forward_flops_per_s * flops,
        memory_bytes_per_s=kernel.memory_bytes_per_s * memory,
        num_sms=sms or kernel.num_sms,
    )


def _scaled_link(kernel: CollectiveKernel, link: float) -> CollectiveKernel:
    """Return `kernel` with its bandwidth and its ramp multiplied."""
    return replace(
        kernel,
        bytes_per_s=kernel.bytes_per_s * link,
        sqrt_s_per_root_byte=kernel.sqrt_s_per_root_byte / link**0.5,
    )
