"""What spreading a model over ranks costs the host, beside the same model that is not spread.

Other ranks are waited for asleep, so that a rank's own clock tells what dispatching and copying
take. The models are as deep as tells a layer from the ends, and as wide as makes copies count.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch
import torch.distributed as dist
from torch.distributed.tensor.parallel import loss_parallel

from gigafactory.run.measure.probes import Probe
from gigafactory.run.measure.shapes import LAYER_SEQUENCE, layer_model, tensor_model
from gigafactory.run.trainer import mesh, replicas, tensor
from gigafactory.run.trainer.model import Transformer
from gigafactory.run.trainer.pipeline import loss_of
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.run.measure.clock import Clock
    from gigafactory.spec.model import Model

DEPTHS: Final = (1, 3)
HEADS: Final = (2, 6)  # of a tensor-parallel rank
WIDTHS: Final = (96, 320)  # hidden sizes of what is sharded
SHARDED_LAYERS: Final = 2


def launching(device: torch.device) -> list[Probe]:
    """Return the spread models of this rank; every rank must measure them in order."""
    if dist.get_world_size() == 1:
        return []
    tensors = [tensor_launches(heads, layers, device) for heads in HEADS for layers in DEPTHS]
    return [*tensors, *(shard_launches(hidden, device) for hidden in WIDTHS)]


def tensor_launches(heads: int, layers: int, device: torch.device) -> Probe:
    """Return a tensor-parallel model, and a rank's part of it as a model of its own."""
    ranks = dist.get_world_size()
    model = tensor_model(heads * ranks, layers=layers)
    part = replace(
        model, num_heads=heads, num_kv_heads=model.num_kv_heads // ranks,
        ffn_hidden_size=model.ffn_hidden_size // ranks, vocab_size=model.vocab_size // ranks,
    )  # fmt: skip
    layout = Layout(
        data_parallel=1, tensor_parallel=ranks, global_batch_size=1, seq_len=LAYER_SEQUENCE
    )
    spread = Transformer(model).to(device)
    tensor.spread(spread, layout, mesh.meshes(layout, device.type))
    calls = {
        "tensor_launches": _both_passes(spread, device, loss_parallel),
        "tensor_alone": _both_passes(Transformer(part).to(device), device),
    }
    return _probe(model, calls)


def shard_launches(hidden: int, device: torch.device) -> Probe:
    """Return a fully sharded model, and the same model whole."""
    ranks = dist.get_world_size()
    model = layer_model(hidden, layers=SHARDED_LAYERS)
    layout = Layout(data_parallel=ranks, sharding="zero3", global_batch_size=ranks,
                    seq_len=LAYER_SEQUENCE, precision="fp32")  # fmt: skip
    spread = Transformer(model).to(device)
    replicas.shard(spread, layout, mesh.meshes(layout, device.type))
    replicas.prepare(spread, layout, last=True)
    calls = {
        "shard_launches": _both_passes(spread, device),
        "shard_alone": _both_passes(Transformer(model).to(device), device),
    }
    return _probe(model, calls)


def _probe(model: Model, calls: dict[str, Callable[[], None]]) -> Probe:
    shape = {"hidden": float(model.hidden_size), "layers": float(model.num_layers)}

    def measured(clock: Clock) -> dict[str, float]:
        return {name: clock.seconds(call) for name, call in calls.items()}

    return Probe(shape, measured)


def _both_passes(
    stage: Transformer,
    device: torch.device,
    context: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[], None]:
    tokens = torch.zeros(1, LAYER_SEQUENCE, dtype=torch.int64, device=device)

    def both() -> None:
        with context():
            loss_of(stage(tokens), tokens).backward()  # type: ignore[no-untyped-call]
        for parameter in stage.parameters():
            parameter.grad = None

    return both
