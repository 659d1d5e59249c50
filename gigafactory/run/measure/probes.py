"""Kernels as the trainer calls them, each at a few shapes: products, attention, layers, passes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812

from gigafactory.run.measure.shapes import LAYER_SEQUENCE, TINY, layer_model
from gigafactory.run.trainer.attention import rotations
from gigafactory.run.trainer.experts import MixtureOfExperts
from gigafactory.run.trainer.model import Block, Transformer
from gigafactory.run.trainer.optimizer import Optimizer
from gigafactory.run.trainer.pipeline import loss_of
from gigafactory.spec.model import Experts
from gigafactory.spec.run import Training

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from gigafactory.run.measure.clock import Clock

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}
TIMES: Final = 20  # of calls too short for the clock
SHORT_S: Final = 5e-4

# Rows, columns, inner dimension: experts' runs of rows, narrow and wide layers, an output matrix.
PRODUCTS: Final = (
    (32, 256, 96), (128, 96, 256), (128, 384, 128), (256, 128, 128), (256, 256, 256),
    (256, 768, 256), (256, 256, 768), (512, 512, 512), (1024, 128, 128), (1024, 384, 160),
    (1024, 160, 384), (1024, 640, 256), (256, 3072, 128), (512, 1536, 384), (512, 384, 1536),
)  # fmt: skip
LARGE_PRODUCTS: Final = ((1024, 1024, 1024), (2048, 640, 640), (2048, 4096, 512))
# Head dimension, sequence; of as many heads as make a few hundred rows.
CORES: Final = tuple((d, s) for d in (16, 32, 48, 64, 96, 128) for s in (128, 256, 512))
LARGE_CORES: Final = ((64, 1024), (128, 1024))
# Hidden size, sequences of 256 tokens.
LAYERS: Final = ((96, 2), (160, 4), (256, 2), (256, 4))
LARGE_LAYERS: Final = ((512, 2),)
EXPERTS: Final = ((64, 256, 256), (96, 384, 512), (128, 512, 1024))  # hidden, width, tokens
LOSSES: Final = ((512, 1536), (1024, 2048), (1024, 4096))
STREAMS: Final = (2**15, 2**18, 2**21, 2**23)  # elements of fp32
STATE_PARAMETERS: Final = 4_000_000


@dataclass(slots=True)
class Probe:
    """A kernel at one shape, ready to be timed.

    Attributes:
        calls: Runs it once; gives the seconds of each part by kernel name.
    """

    shape: dict[str, float]
    calls: Callable[[Clock], dict[str, float]]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, clock: Clock) -> None:
        """Add one repeat."""
        for kernel, seconds in self.calls(clock).items():
            self.seconds.setdefault(kernel, []).append(seconds)


def probes(device: torch.device, precisions: tuple[str, ...], *, quick: bool) -> list[Probe]:
    """Return all kernels of one rank."""
    torch.manual_seed(0)
    found = [stream(n, device) for n in STREAMS]
    for name in precisions:
        found += [product(*shape, name, device) for shape in PRODUCTS]
        found += [core(*shape, name, device) for shape in CORES]
        found += [layer(*shape, name, device) for shape in LAYERS]
        found += [expert_layer(*shape, name, device) for shape in EXPERTS]
        found += [launches(name, device)]
        if not quick:
            found += [product(*shape, name, device) for shape in LARGE_PRODUCTS]
            found += [core(*shape, name, device) for shape in LARGE_CORES]
            found += [layer(*shape, name, device) for shape in LARGE_LAYERS]
    found += [loss(*shape, device) for shape in LOSSES]
    found.append(optimizer(device))
    return found


def alone(device: torch.device, precision: str) -> list[Probe]:
    """Return layers to be measured while all other ranks sleep."""
    return [
        _layer({"hidden": float(h), "batch": float(b), "seq": float(LAYER_SEQUENCE)}, "alone",
               precision, device)
        for h, b in LAYERS[1:]
    ]  # fmt: skip


def product(m: int, n: int, k: int, precision: str, device: torch.device) -> Probe:
    """Return the three products of a linear layer of m rows, k inputs and n outputs."""
    kind = DTYPES[precision]
    x = torch.randn(m, k, device=device, dtype=kind)
    w = torch.randn(n, k, device=device, dtype=kind)
    g = torch.randn(m, n, device=device, dtype=kind)
    name = f"gemm.{precision}"

    def calls(clock: Clock) -> dict[str, float]:
        return {
            name: _mean(clock, lambda: F.linear(x, w)),
            f"{name}.input": _mean(clock, lambda: g @ w),
            f"{name}.weight": _mean(clock, lambda: g.t() @ x),
        }

    return Probe({"m": float(m), "n": float(n), "k": float(k)}, calls)


def core(head_dim: int, seq: int, precision: str, device: torch.device) -> Probe:
    """Return causal attention of one head size, forward and backward."""
    heads = max(1024 // seq, 2)
    kind = DTYPES[precision]
    q, k, v = (
        torch.randn(1, seq, heads, head_dim, device=device, dtype=kind)
        .transpose(1, 2).requires_grad_()
        for _ in range(3)
    )  # fmt: skip
    grad = torch.randn(1, heads, seq, head_dim, device=device, dtype=kind)
    shape = {"head_dim": float(head_dim), "seq": float(seq), "heads": float(heads)}

    def forward() -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return Probe(shape, _both_ways(f"attention.{precision}", forward, [q, k, v], grad))


def layer(hidden: int, batch: int, precision: str, device: torch.device) -> Probe:
    """Return one dense layer of the trainer, forward and backward."""
    shape = {"hidden": float(hidden), "batch": float(batch), "seq": float(LAYER_SEQUENCE)}
    return _layer(shape, "layer", precision, device)


def _layer(shape: dict[str, float], kernel: str, precision: str, device: torch.device) -> Probe:
    hidden, batch, seq = (int(shape[name]) for name in ("hidden", "batch", "seq"))
    model = layer_model(hidden)
    block = Block(model, 0).to(device)
    x = torch.randn(batch, seq, hidden, device=device, requires_grad=True)
    cos, sin = rotations(model, seq, device)
    forward = _cast(lambda: block(x, cos, sin), precision, device)
    inputs = [x, *block.parameters()]
    return Probe(shape, _both_ways(f"{kernel}.{precision}", forward, inputs, torch.randn_like(x)))


def launches(precision: str, device: torch.device) -> Probe:
    """Return a layer so small that it is all launching."""
    return _layer(TINY, "launches", precision, device)


def expert_layer(hidden: int, width: int, tokens: int, precision: str,
                 device: torch.device) -> Probe:  # fmt: skip
    """Return one layer of eight experts, of which each token visits two, forward and backward."""
    experts = Experts(num_experts=8, top_k=2, ffn_hidden_size=width)
    module = MixtureOfExperts(layer_model(hidden, experts=experts)).to(device)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    x = torch.randn(1, tokens, hidden, device=device, requires_grad=True)
    forward = _cast(lambda: module(x), precision, device)
    inputs = [x, *module.parameters()]
    calls = _both_ways(f"experts.{precision}", forward, inputs, torch.randn_like(x))
    sizes = {"hidden": hidden, "width": width, "tokens": tokens, "experts": 8, "top_k": 2}
    shape = {name: float(size) for name, size in sizes.items()}
    return Probe(shape, calls)


def loss(tokens: int, vocab: int, device: torch.device) -> Probe:
    """Return the cross entropy, both ways."""
    logits = torch.randn(1, tokens, vocab, device=device, requires_grad=True)
    targets = torch.randint(0, vocab, (1, tokens), device=device)

    def both() -> None:
        torch.autograd.grad(loss_of(logits, targets), logits)

    return Probe(
        {"tokens": float(tokens), "vocab": float(vocab)}, lambda clock: {"loss": _mean(clock, both)}
    )


def stream(elements: int, device: torch.device) -> Probe:
    """Return a sum of two arrays: two reads and a write."""
    a, b = torch.ones(elements, device=device), torch.ones(elements, device=device)
    out = torch.empty(elements, device=device)

    def calls(clock: Clock) -> dict[str, float]:
        return {"stream": _mean(clock, lambda: torch.add(a, b, out=out))}

    return Probe({"bytes": 12.0 * elements}, calls)


def optimizer(device: torch.device) -> Probe:
    """Return one clipped step of AdamW over a few million parameters, as the trainer takes it."""
    model = layer_model(256, layers=5)
    stage = Transformer(model).to(device)
    adam = Optimizer([stage], Training(), ranks_of_stage=1)
    grads = [torch.full_like(p, 1e-3) for p in stage.parameters()]

    def step() -> None:
        for parameter, grad in zip(stage.parameters(), grads, strict=True):
            parameter.grad = grad
        norm = float(adam.take_gradients()) ** 0.5
        adam.step(1e-6, norm + 1.0)
        adam.forget_gradients()

    return Probe({"parameters": float(model.num_parameters)},
                 lambda clock: {"optimizer": clock.seconds(step)})  # fmt: skip


def _cast(
    call: Callable[[], Any], precision: str, device: torch.device
) -> Callable[[], torch.Tensor]:
    """Return the call in the trainer's context of a precision."""

    def context() -> AbstractContextManager[Any]:
        if precision == "bf16":
            return torch.autocast(device.type, dtype=torch.bfloat16)
        return nullcontext()

    def cast() -> torch.Tensor:
        with context():
            out: torch.Tensor = call()
        return out

    return cast


def _both_ways(
    kernel: str, forward: Callable[[], torch.Tensor], inputs: list[Any], grad: torch.Tensor
) -> Callable[[Clock], dict[str, float]]:
    """Return a probe's calls: forward, and backward to all inputs."""
    name, _, precision = kernel.partition(".")

    def calls(clock: Clock) -> dict[str, float]:
        out: list[torch.Tensor] = []
        ahead = clock.seconds(lambda: out.append(forward()))
        back = clock.seconds(lambda: torch.autograd.grad(out[0], inputs, grad.to(out[0].dtype),
                                                         allow_unused=True))  # fmt: skip
        return {f"{name}.{precision}": ahead, f"{name}_backward.{precision}": back}

    return calls


def _mean(clock: Clock, call: Callable[[], object]) -> float:
    """Return the seconds of a call: of many in a row where one is too short to time."""
    took = clock.seconds(call)
    return clock.seconds(call, TIMES) if took < SHORT_S else took
