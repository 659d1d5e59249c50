"""Measurements of a machine that obeys the laws exactly, for tests of the fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gigafactory.catalog import machines
from gigafactory.compare import machine as fits
from gigafactory.compare.machine_factors import (
    PASSES,
    SOFTWARE,
    Layers,
    _experts_law,
    elementwise_of,
    host_of,
    known,
)
from gigafactory.cost.kernels import attention_forward_time_s, collective_time_s, gemm_time_s
from gigafactory.run.measure.samples import Measurements, Sample
from gigafactory.run.measure.shapes import LAYER_SEQUENCE, TINY, layer_model
from gigafactory.spec.cluster import Measured
from gigafactory.spec.kernels import (
    AttentionKernel,
    CollectiveKernel,
    GemmKernel,
    GroupedGemmKernel,
    KernelFit,
    KernelProvenance,
)

if TYPE_CHECKING:
    from gigafactory.spec.machine import Machine

MEMORY = 1e10
GEMM = GemmKernel(
    peak_flops_per_s=6e10, launch_s=8e-6, k_overhead=12.0, wave_weight=0.0, tile_edge=6.0,
    num_sms=1, memory_bytes_per_s=3e10, operand_bytes=4.0, output_bytes=4.0, cache_bytes=1e6,
    cache_loss=0.02, whole_tiles=False,
)  # fmt: skip
CORE = AttentionKernel(forward_flops_per_s=2e10, half_seq=90.0, launch_s=5e-6, num_sms=1,
                       head_dim_step=1, memory_bytes_per_s=MEMORY)  # fmt: skip
EXPERTS = GroupedGemmKernel(relative_rate=0.8, launch_s=3e-4, moved_bytes_per_element=60.0)
KINDS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
LINKS = {
    f"{kind}_2": CollectiveKernel(kind=kind, group=2, latency_s=2e-4, bytes_per_s=1e9)
    for kind in KINDS
}
ELEMENTWISE, HOST_S, BACKWARD = 1.4, 4e-4, 2.2
SPREADING = {
    "host_tensor_s": 5e-3, "tensor_copy_bytes": 200.0, "host_tensor_ends_s": 4e-3,
    "host_shard_s": 3e-3, "shard_copy_bytes": 90.0,
}  # fmt: skip
LOST = 0.2  # of a rank's time, to the other one
LOGIT_BYTES, STEP_BYTES = 50.0, 44.0
PRODUCTS = [(m, n, k) for m in (64, 256, 1024) for n in (96, 384) for k in (128, 512)]
LAYERS = [{"hidden": h, "batch": b, "seq": 256.0} for h, b in ((96.0, 2.0), (256.0, 4.0))]


def made(*, free_share: float = 1.0, noise: float = 0.0, seed: int = 0) -> Measurements:
    """Return measurements of a core that is free for a share of the time, with noise on top."""
    drawn = np.random.default_rng(seed)

    def sample(kernel: str, shape: dict[str, float], seconds: float) -> Sample:
        repeats = seconds * np.exp(noise * drawn.standard_normal(9))
        return Sample(kernel=kernel, shape=shape, seconds=tuple(map(float, repeats)))

    told = Measurements(
        host="made", ranks=2, threads=1, device="cpu", processor="Made CPU", cores=2,
        memory_bytes=8e9, baseline_bytes=3e8, free_share=free_share, precisions=("fp32",),
        left_out={"bf16": "60 times the time of fp32"}, load=(0.1, 2.0), torch="2.13",
        began="2026-01-01T00:00:00+00:00", wall_s=15.0, samples=(),
    )  # fmt: skip
    work = [sample(*one) for one in _work()]
    waits = [sample(*one) for one in _waits()]
    with_work = replace(told, samples=(*work, *waits))
    return replace(with_work, samples=(*with_work.samples, *(sample(*s) for s in _layers(told))))


def _work() -> list[tuple[str, dict[str, float], float]]:
    found: list[tuple[str, dict[str, float], float]] = [
        ("stream", {"bytes": size}, size / MEMORY) for size in (1e6, 1e8)
    ]
    for m, n, k in PRODUCTS:
        shape = {"m": float(m), "n": float(n), "k": float(k)}
        for kernel, dims in (("gemm.fp32", (m, n, k)), ("gemm.fp32.input", (m, k, n)),
                             ("gemm.fp32.weight", (k, n, m))):  # fmt: skip
            found.append((kernel, shape, float(gemm_time_s(*dims, GEMM))))
    for width in (16.0, 32.0, 64.0):
        for seq in (128.0, 256.0, 512.0):
            shape = {"head_dim": width, "seq": seq, "heads": 4.0}
            forward = float(attention_forward_time_s(1, seq, seq, 4, 4, width, CORE))
            found += [("attention.fp32", shape, forward),
                      ("attention_backward.fp32", shape, forward * BACKWARD)]  # fmt: skip
    found += [("loss", {"tokens": 512.0, "vocab": v}, 512 * v * LOGIT_BYTES / MEMORY)
              for v in (1024.0, 4096.0)]  # fmt: skip
    return [*found, ("optimizer", {"parameters": 4e6}, 4e6 * STEP_BYTES / MEMORY)]


def _waits() -> list[tuple[str, dict[str, float], float]]:
    sizes = (1e3, 1e5, 1e6, 1e7)
    found: list[tuple[str, dict[str, float], float]] = [
        (kind, {"bytes": size, "group": 2.0}, float(collective_time_s(kind, size, 2, LINKS)))
        for kind in KINDS
        for size in sizes
    ]
    return [*found, *(("send", {"bytes": size}, 1e-4 + size / 2e9) for size in sizes)]


def truth(told: Measurements) -> Machine:
    """Return the machine that the laws were made with."""
    kernels = KernelFit(
        accelerator="core", gemm={"fp32": GEMM}, attention={"16": CORE, "32": CORE, "64": CORE},
        grouped_gemm={"fp32": EXPERTS}, collectives=LINKS,
        provenance=KernelProvenance(package="made", version="1"),
    )  # fmt: skip
    given = replace(told, samples=(*(Sample(kernel=k, shape=s, seconds=(t,)) for k, s, t in
                                     (*_work(), *_waits())),), free_share=1.0)  # fmt: skip
    factors = fits._plain(given, kernels)
    factors |= host_of(HOST_S) | elementwise_of("fp32", ELEMENTWISE, 0.0)
    for name, value in SPREADING.items():
        factors |= known(f"{name}.{SOFTWARE}", value, value, 0.0, "made")
    factors |= known("crowding", LOST, LOST, 0.0, "made")
    measured = Measured(kernels=kernels, calibration=fits._calibration(factors))
    return machines.machine(fits._cluster(given, measured), SOFTWARE)


def _layers(told: Measurements) -> list[tuple[str, dict[str, float], float]]:
    machine = truth(told)
    layers = Layers(lambda _: machine)
    found: list[tuple[str, dict[str, float], float]] = []
    for kernel, shapes, part in (
        ("layer", LAYERS, 1.0), ("launches", [TINY], 1.0), ("alone", LAYERS, 1.0 - LOST),
    ):  # fmt: skip
        for shape in shapes:
            both = layers.seconds(shape, "fp32", {})
            found += [(f"{kernel}.fp32", shape, both.forward * part),
                      (f"{kernel}_backward.fp32", shape, both.backward * part)]  # fmt: skip
    for hidden, width, tokens in (
        (64.0, 256.0, 256.0),
        (96.0, 384.0, 512.0),
        (128.0, 512.0, 1024.0),
    ):
        shape = {"hidden": hidden, "width": width, "tokens": tokens, "experts": 8.0, "top_k": 2.0}
        law: Any = _experts_law(shape, machine, "fp32")(EXPERTS)
        found += [("experts.fp32", shape, law.forward),
                  ("experts_backward.fp32", shape, law.backward)]  # fmt: skip
    return [*found, *_spread()]


def _spread() -> list[tuple[str, dict[str, float], float]]:
    """Return spread models, each 50 ms longer than the law says, and their parts alone: 50 ms."""
    cost, found = SPREADING, []
    for hidden in (128.0, 384.0):
        for layers in (1.0, 3.0):
            shape = {"hidden": hidden, "layers": layers}
            copies = cost["tensor_copy_bytes"] * LAYER_SEQUENCE * hidden / MEMORY
            more = layers * (cost["host_tensor_s"] + copies) * PASSES + cost["host_tensor_ends_s"]
            found += [("tensor_launches", shape, 0.05 + more), ("tensor_alone", shape, 0.05)]
    for hidden in (96.0, 320.0):
        shape = {"hidden": hidden, "layers": 2.0}
        parameters = layer_model(int(hidden), layers=2).num_parameters
        more = 3.0 * cost["host_shard_s"] + parameters * cost["shard_copy_bytes"] / MEMORY
        found += [("shard_launches", shape, 0.05 + more), ("shard_alone", shape, 0.05)]
    return found
