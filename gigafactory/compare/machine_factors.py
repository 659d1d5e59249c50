"""The factors of the step model that layers, passes and launches of this machine tell.

Each is solved from a measured time and what the laws fitted before leave of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gigafactory.compare.kernels import Unknown, fitted
from gigafactory.compare.machine_kernels import memory_bytes_per_s
from gigafactory.compare.machine_points import points, total_s
from gigafactory.compare.tables import Array, Points
from gigafactory.cost import operators as op
from gigafactory.cost.layer import HOST_BACKWARD, layer_parts
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.crowding import CROWDING
from gigafactory.plan.machine import rates_of
from gigafactory.run.measure.shapes import LAYER_SEQUENCE, TINY, layer_model
from gigafactory.spec.calibration import Factor
from gigafactory.spec.kernels import GroupedGemmKernel
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Experts

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.run.measure.samples import Measurements, Sample
    from gigafactory.spec.kernels import GemmKernel
    from gigafactory.spec.machine import Machine

SOFTWARE: Final = "gigafactory"
PASSES: Final = 1.0 + HOST_BACKWARD
LEAST_S: Final = 1e-9
OPTIMIZER_COUNT: Final = (
    40.0  # norm 4; clipping 8; weight, gradient, two moments read, three written
)
LOSS_COUNT: Final = 36.0  # log-softmax, its gradient and the loss's: nine passes in fp32


class Both(NamedTuple):
    """Seconds of both passes."""

    forward: float
    backward: float


@dataclass(frozen=True, slots=True)
class Layers:
    """Prices measured layers with a machine whose factors are known in part.

    Attributes:
        machine_with: Returns the machine with further factors.
    """

    machine_with: Callable[[dict[str, Factor]], Machine]

    def seconds(self, shape: dict[str, float], precision: str, factors: dict[str, Factor]) -> Both:
        """Return what the step model says of a dense layer."""
        case = layer_case(shape, precision)
        machine = self.machine_with(factors)
        s, _ = columns([case])
        parts = layer_parts(s, rates_of(machine, precision, case.model.head_dim))
        return Both(float(parts.forward.sum()), float(parts.backward.sum()))


def layer_case(shape: dict[str, float], precision: str, experts: Experts | None = None) -> Case:
    """Return a measured layer as a case of one layer on one rank."""
    batch, seq = int(shape.get("batch", 1)), int(shape.get("seq", 0) or shape["tokens"])
    layout = Layout(data_parallel=1, global_batch_size=batch, micro_batch_size=batch, seq_len=seq,
                    precision=precision)  # type: ignore[arg-type]  # fmt: skip
    return Case(layer_model(int(shape["hidden"]), experts=experts), layout)


def known(name: str, value: float, prior: float, spread: float, reason: str) -> dict[str, Factor]:
    """Return a measured factor under its name."""
    return {name: Factor(value=value, prior=prior, spread=spread, reason=reason)}


def host(told: Measurements, layers: Layers, precision: str) -> dict[str, Factor]:
    """Return what launching a layer takes."""
    taken = _both_s(told, f"launches.{precision}", TINY)
    laws = layers.seconds(TINY, precision, host_of(0.0) | elementwise_of(precision, 1.0, 0.0))
    launching = max(taken - sum(laws), LEAST_S) / PASSES
    return host_of(launching)


def spreading(told: Measurements) -> dict[str, Factor]:
    """Return what spreading a model over ranks costs the host; nothing of a single rank.

    Each time is that of a spread model less that of its part, or of the whole, alone.

    Raises:
        SpecError: Fewer shapes than unknowns.
    """
    found: dict[str, Factor] = {}
    if any(s.kernel == "tensor_launches" for s in told.samples):
        found |= _tensor(told)
    if any(s.kernel == "shard_launches" for s in told.samples):
        found |= _sharding(told)
    return found


def _tensor(told: Measurements) -> dict[str, Factor]:
    """Return what dispatching distributed tensors adds to each layer, to its arrays, to the ends.

    Raises:
        SpecError: Fewer than three shapes.
    """
    shapes, more = _spread_over_alone(told, "tensor", least=3)
    layers, elements = shapes["layers"], LAYER_SEQUENCE * shapes["hidden"]
    per_layer, per_element, ends = _shares([layers, layers * elements, np.ones_like(layers)], more)
    moved = per_element / PASSES * memory_bytes_per_s(told)
    return _measured(
        f"host_tensor_s.{SOFTWARE}", per_layer / PASSES,
        "host time that dispatching distributed tensors adds to a forward layer: models of two "
        "depths and widths less their parts alone",
    ) | _measured(
        f"tensor_copy_bytes.{SOFTWARE}", moved,
        "bytes at the memory's rate that it adds for each token and hidden element",
    ) | _measured(
        f"host_tensor_ends_s.{SOFTWARE}", ends,
        "the same of embedding, logits and loss, both passes",
    )  # fmt: skip


def _sharding(told: Measurements) -> dict[str, Factor]:
    """Return what full sharding adds to each group of parameters, and to each parameter.

    Raises:
        SpecError: Fewer than two shapes.
    """
    shapes, more = _spread_over_alone(told, "shard", least=2)
    parameters = [
        float(layer_model(int(hidden), layers=int(layers)).num_parameters)
        for hidden, layers in zip(shapes["hidden"], shapes["layers"], strict=True)
    ]
    per_group, per_parameter = _shares([shapes["layers"] + 1.0, np.array(parameters)], more)
    return _measured(
        f"host_shard_s.{SOFTWARE}", per_group,
        "host time of gathering and reducing one fully sharded layer, both passes: models of two "
        "widths less the same models whole",
    ) | _measured(
        f"shard_copy_bytes.{SOFTWARE}", per_parameter * memory_bytes_per_s(told),
        "bytes at the memory's rate that each parameter is copied by for it",
    )  # fmt: skip


def _spread_over_alone(told: Measurements, kind: str, *, least: int) -> tuple[Points, Array]:
    names = ("hidden", "layers")
    spread = points(told, f"{kind}_launches", *names, least=least)
    return spread, spread.time_s - points(told, f"{kind}_alone", *names, least=least).time_s


def _shares(columns: list[Array], seconds: Array) -> list[float]:
    """Return what one of each costs, nothing less than zero; short times count as much as long."""
    from scipy.optimize import nnls

    matrix = np.stack(columns, axis=1)
    weights = 1.0 / np.maximum(seconds, LEAST_S)
    found, _ = nnls(matrix * weights[:, None], np.maximum(seconds, LEAST_S) * weights)
    return [float(one) for one in found]


def _measured(name: str, value: float, reason: str) -> dict[str, Factor]:
    return known(name, value, value, 0.0, reason)


def host_of(seconds: float) -> dict[str, Factor]:
    """Return the factor of launching."""
    return known(f"host_layer_s.{SOFTWARE}", seconds, 4e-4, 0.0,
                 "host time to launch one forward layer, measured with a tiny one")  # fmt: skip


def elementwise(
    told: Measurements, layers: Layers, precision: str, launching: dict[str, Factor]
) -> dict[str, Factor]:
    """Return element-wise traffic over the count, from whole layers less products and attention.

    Raises:
        SpecError: Products and attention alone take longer than the layers.
    """
    found = []
    for sample in _layers(told, precision):
        none = layers.seconds(
            sample.shape, precision, launching | elementwise_of(precision, 0.0, 0.0)
        )
        once = layers.seconds(
            sample.shape, precision, launching | elementwise_of(precision, 1.0, 0.0)
        )
        taken = _both_s(told, f"layer.{precision}", sample.shape)
        found.append((taken - sum(none)) / (sum(once) - sum(none)))
    value, spread = float(np.median(found)), float(np.std(found))
    if value <= 0:
        raise SpecError(
            f"calibrate: whole layers in {precision} take less than their products and attention "
            f"(element-wise traffic {value:.2f} of the count): measure again on a calmer machine",
            field="elementwise",
        )
    return elementwise_of(precision, value, spread / value)


def elementwise_of(precision: str, value: float, spread: float) -> dict[str, Factor]:
    """Return the factor of element-wise traffic."""
    return known(f"elementwise.{SOFTWARE}.{precision}", value, 1.0, spread,
                 "element-wise bytes moved over the count of eager passes: below 1 in caches, "
                 "above 1 with casts; median of whole layers")  # fmt: skip


def grouped(
    told: Measurements, machine: Machine, precision: str, gemm: GemmKernel
) -> GroupedGemmKernel:
    """Return what experts' products and the order of their rows take beyond dense products.

    Raises:
        SpecError: Fewer than two layers of experts, or times that cannot be.
    """
    del gemm
    name = f"experts.{precision}"
    names = ("hidden", "width", "tokens", "experts", "top_k")
    ahead = points(told, name, *names, least=2)
    back = points(told, f"experts_backward.{precision}", *names, least=2)
    laws = [_experts_law(dict(zip(names, row, strict=True)), machine, precision)
            for row in zip(*(ahead[c] for c in names), strict=True)]  # fmt: skip
    both = Points(table=ahead.table, columns={"tokens": np.concatenate([ahead["tokens"]] * 2)},
                  time_s=np.concatenate([ahead.time_s, back.time_s]))  # fmt: skip

    def law(kernel: GroupedGemmKernel) -> Any:
        seconds = [one(kernel) for one in laws]
        return np.array([s.forward for s in seconds] + [s.backward for s in seconds])

    start = GroupedGemmKernel(relative_rate=0.9, launch_s=1e-4, moved_bytes_per_element=20.0)
    unknowns = [
        Unknown("relative_rate", 0.9, 0.2, 1.0),
        Unknown("launch_s", 1e-4, 1e-7, 1e-1),
        Unknown("moved_bytes_per_element", 20.0, 0.1, 1000.0),
    ]
    return fitted(start, unknowns, law, both)


def _experts_law(
    shape: dict[str, float], machine: Machine, precision: str
) -> Callable[[GroupedGemmKernel], op.Seconds]:
    from dataclasses import replace

    experts = Experts(num_experts=int(shape["experts"]), top_k=int(shape["top_k"]),
                      ffn_hidden_size=int(shape["width"]))  # fmt: skip
    case = layer_case(shape, precision, experts)
    s, _ = columns([case])
    rates = rates_of(machine, precision, case.model.head_dim)

    def law(kernel: GroupedGemmKernel) -> op.Seconds:
        mine = replace(rates, grouped=kernel)
        both = op.sum_seconds(
            [op.expert_matmuls_time_s(s, mine), op.expert_traffic_time_s(s, mine)]
        )
        return op.Seconds(float(np.sum(both.forward)), float(np.sum(both.backward)))

    return law


def passes(told: Measurements) -> dict[str, Factor]:
    """Return the traffic of loss and optimizer, in bytes at the memory's rate."""
    rate = memory_bytes_per_s(told)
    losses, steps = points(told, "loss", "tokens", "vocab"), points(told, "optimizer", "parameters")
    per_logit = losses.time_s * rate / (losses["tokens"] * losses["vocab"])
    per_parameter = steps.time_s * rate / steps["parameters"]
    return known(
        f"cross_entropy_bytes.{SOFTWARE}", float(np.median(per_logit)), LOSS_COUNT,
        float(np.std(per_logit) / np.median(per_logit)),
        "bytes per logit at the memory's rate, both passes; exponentials included",
    ) | known(
        f"optimizer_bytes.{SOFTWARE}", float(np.median(per_parameter)), OPTIMIZER_COUNT, 0.0,
        "bytes per parameter of norm, clipping and AdamW at the memory's rate",
    )  # fmt: skip


def crowding(told: Measurements, precision: str) -> dict[str, Factor]:
    """Return the share of a rank's time that the others of its node cost it, where it was measured.

    A rank that is faster among others than alone was measured in noise: nothing is lost then.
    """
    shapes = [s.shape for s in told.samples if s.kernel == f"alone.{precision}"]
    if not shapes:
        return {}
    shares = [
        _both_s(told, f"alone.{precision}", shape) / _both_s(told, f"layer.{precision}", shape)
        for shape in shapes
    ]
    lost = max(1.0 - float(np.median(shares)), 0.0)
    return known(CROWDING, lost, 0.0, float(np.std(shares)),
                 "share of a rank's time lost to the others of its node: whole layers of one rank "
                 "alone over those of all at once")  # fmt: skip


def repeats_over_law(
    told: Measurements, layers: Layers, precisions: tuple[str, ...], factors: dict[str, Factor]
) -> list[float]:
    """Return measured over predicted of every repeat of every whole layer."""
    return [
        seconds / told.free_share / law
        for precision in precisions
        for kernel, side in (("layer", 0), ("layer_backward", 1))
        for sample in told.samples
        if sample.kernel == f"{kernel}.{precision}"
        for law in [layers.seconds(sample.shape, precision, factors)[side]]
        for seconds in sample.seconds
    ]


def _layers(told: Measurements, precision: str) -> list[Sample]:
    found = [s for s in told.samples if s.kernel == f"layer.{precision}"]
    if len(found) < 2:
        raise SpecError(f"calibrate: layer.{precision} must have at least 2 shapes, got "
                        f"{len(found)}", field="layer")  # fmt: skip
    return found


def _both_s(told: Measurements, kernel: str, shape: dict[str, float]) -> float:
    name, _, precision = kernel.partition(".")
    return total_s(told, kernel, shape) + total_s(told, f"{name}_backward.{precision}", shape)
