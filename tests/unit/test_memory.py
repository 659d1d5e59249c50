"""Bytes on a GPU: Korthikanti's equations reproduced, what ZeRO divides, which stage is fullest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.cost.layer import held_parameters
from gigafactory.cost.memory import StageBytes, activation_bytes, peak_bytes, stage_bytes
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of
from gigafactory.plan.predict import predict
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Model

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Grid, Shape
    from gigafactory.cost.rates import Rates

GIB = 2.0**30
HEADS, HIDDEN, SEQ, MICRO, TP = 64, 6144, 2048, 4, 8
MODEL = Model(  # Megatron 22B
    name="22b", num_layers=48, hidden_size=HIDDEN, ffn_hidden_size=4 * HIDDEN, num_heads=HEADS,
    num_kv_heads=HEADS, head_dim=HIDDEN // HEADS, vocab_size=51200, context_length=SEQ,
    gated=False, tied_embeddings=True, positions="learned",
)  # fmt: skip
GPU = machines.cluster_of_row("a100-sxm-80", 8, 1600.0)
OLD = rates_of(machines.machine(GPU, "megatron-lm"), "fp16", 96)
OLD = replace(OLD, features=replace(OLD.features, attention="unfused", dropout=True))
NEW = rates_of(machines.machine(GPU, "megatron-core"), "bf16", 96)
NEW = replace(NEW, features=replace(NEW.features, attention="flash2"), gradient_state_bytes=4.0)
H100 = machines.cluster_of_row("h100-sxm", 8, 3200.0)
FP8 = rates_of(machines.machine(H100, "megatron-core"), "fp8", 96)
FSDP = rates_of(machines.machine(GPU, "pytorch-fsdp1"), "bf16", 96)
DEEPSPEED = rates_of(machines.machine(GPU, "megatron-deepspeed"), "fp16", 96)


def number(column: Column) -> float:
    return float(np.ravel(column)[0])


def columns_for(model: Model = MODEL, **degrees: Any) -> tuple[Shape, Grid]:
    values: dict[str, Any] = {
        "data_parallel": 1, "global_batch_size": 512, "seq_len": SEQ, "micro_batch_size": MICRO,
        "tensor_parallel": TP, "sharding": "none",
    }  # fmt: skip
    return columns([Case(model, Layout(**values | degrees))])


def kept(rates: Rates = OLD, **degrees: Any) -> float:
    """Return the activation bytes of one layer and microbatch, in units of s b h."""
    shape, _ = columns_for(**degrees)
    return number(activation_bytes(shape, rates).kept) / (SEQ * MICRO * HIDDEN)


def bytes_of(rates: Rates = NEW, stage: float = 0.0, **degrees: Any) -> StageBytes:
    """Return the bytes of one stage, as numbers."""
    shape, grid = columns_for(**degrees)
    held, acts = held_parameters(shape), activation_bytes(shape, rates)
    parts = stage_bytes(shape, grid, held, acts, stage=np.array([stage]), rates=rates)
    return StageBytes(*map(number, parts))


SCORES = 5 * HEADS * SEQ / (HIDDEN * TP)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        ({"tensor_parallel": 1}, 34 + 5 * HEADS * SEQ / HIDDEN),  # equation 1
        ({}, 10 + 24 / TP + SCORES),  # equation 2
        ({"sequence_parallel": True}, 34 / TP + SCORES),  # equation 4
        ({"sequence_parallel": True, "recompute": "selective"}, 34 / TP),  # equation 6
        ({"recompute": "selective"}, 10 + 24 / TP),
        ({"recompute": "full"}, 2),
        ({"recompute": "full", "sequence_parallel": True}, 2 / TP),
    ],
)
def test_activations_of_a_layer_are_korthikantis(degrees: Any, expected: float) -> None:
    assert kept(**degrees) == pytest.approx(expected, rel=1e-12)


def test_without_dropout_neither_masks_nor_dropped_copies_are_kept() -> None:
    without = replace(OLD, features=replace(OLD.features, dropout=False))
    assert kept(without) == pytest.approx(8 + 24 / TP + SCORES * 4 / 5)


def test_flash_attention_keeps_no_score_matrix() -> None:
    flash = replace(OLD, features=replace(OLD.features, attention="flash2"))
    assert kept(flash) == pytest.approx(10 + 24 / TP)


def test_context_parallelism_splits_every_activation() -> None:
    assert kept(NEW, context_parallel=2) == pytest.approx(kept(NEW) / 2)


def test_what_recomputation_does_not_keep_it_works_on_one_layer_at_a_time() -> None:
    whole, _ = columns_for()
    less, _ = columns_for(recompute="full")
    everything = number(activation_bytes(whole, OLD).kept)
    full = activation_bytes(less, OLD)
    assert number(full.kept) + number(full.working) == pytest.approx(everything)


def test_sharding_divides_what_zero_says_by_the_data_parallel_ranks() -> None:
    ranks = 8
    parts = {
        level: bytes_of(data_parallel=ranks, sharding=level)
        for level in ("none", "zero1", "zero2", "zero3")
    }
    whole = parts["none"]
    divided = {"none": (1, 1, 1), "zero1": (1, 1, 8), "zero2": (1, 8, 8), "zero3": (8, 8, 8)}
    for level, (weights, gradients, optimizer) in divided.items():
        assert parts[level].weights == pytest.approx(whole.weights / weights)
        assert parts[level].gradients == pytest.approx(whole.gradients / gradients)
        assert parts[level].optimizer == pytest.approx(whole.optimizer / optimizer)
    # Of the master, 16 bits are those of the bf16 weight; both moments have 32.
    assert whole.optimizer == pytest.approx(10 / 2 * number(whole.weights))


def test_gathered_layers_of_full_sharding_take_buffers() -> None:
    assert bytes_of(data_parallel=8, sharding="zero2").buffers == 0
    assert bytes_of(data_parallel=8, sharding="zero3").buffers > 0


def test_a_hybrid_shards_over_its_shard_alone() -> None:
    hybrid = bytes_of(data_parallel=32, data_shard=4, sharding="hsdp")
    small = bytes_of(data_parallel=4, sharding="zero3")
    assert hybrid == pytest.approx(small)


def test_context_ranks_share_the_optimizer_too() -> None:
    both = bytes_of(data_parallel=4, context_parallel=2, sharding="zero1")
    assert number(both.optimizer) == pytest.approx(number(bytes_of().optimizer) / 8)


def test_experts_are_sharded_over_their_own_data_ranks() -> None:
    model = loader.model("mixtral-8x7b")
    shape, grid = columns_for(
        model, data_parallel=16, tensor_parallel=1, expert_parallel=8, sharding="zero1"
    )
    held = held_parameters(shape)
    parts = stage_bytes(
        shape, grid, held, activation_bytes(shape, NEW), stage=np.zeros(1), rates=NEW
    )
    experts, dense = model.num_layers * number(held.expert), model.num_layers * number(held.dense)
    dense += 2 * number(held.end)
    assert number(parts.optimizer) == pytest.approx(10 * (dense / 16 + experts / 2))


def test_logits_stand_on_the_last_stage_alone() -> None:
    stages = [bytes_of(stage=s, pipeline_parallel=4).logits for s in (0.0, 1.0, 3.0)]
    assert stages[:2] == [0, 0]
    # In bf16 and in fp32, which softmax and gradient overwrite.
    assert stages[2] == pytest.approx(6 * SEQ * MICRO * 51200 / TP)


def test_the_first_stage_keeps_one_microbatch_for_every_stage() -> None:
    first, last = (bytes_of(stage=s, pipeline_parallel=4).activations for s in (0.0, 3.0))
    assert number(first) / number(last) == pytest.approx(4)


def test_embeddings_stand_on_the_ends_and_uneven_stages_hold_a_layer_more() -> None:
    model = replace(MODEL, num_layers=46)
    shape, grid = columns_for(model, pipeline_parallel=4)
    held, acts = held_parameters(shape), activation_bytes(shape, NEW)
    stage = np.arange(4.0)
    weights = np.asarray(stage_bytes(shape, grid, held, acts, stage=stage, rates=NEW).weights)
    layer, end = 2 * number(held.dense), 2 * number(held.end)
    assert weights.tolist() == pytest.approx(
        [11 * layer + end, 12 * layer, 12 * layer, 11 * layer + end]
    )


@pytest.mark.parametrize("pp", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize("layers", [17, 46, 48])
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_the_peak_is_that_of_the_fullest_of_all_stages(
    pp: int, layers: int, recompute: str
) -> None:
    model = replace(MODEL, num_layers=layers)
    shape, grid = columns_for(model, pipeline_parallel=pp, recompute=recompute)
    held, acts = held_parameters(shape), activation_bytes(shape, NEW)
    every = stage_bytes(shape, grid, held, acts, stage=np.arange(float(pp)), rates=NEW).total
    peak = number(peak_bytes(shape, grid, held, acts, NEW))
    assert peak == pytest.approx(float(np.max(np.asarray(every))), rel=1e-12)


def test_a_prediction_shows_the_parts_of_its_fullest_stage() -> None:
    machine = machines.machine(GPU, "megatron-core")
    layout = Layout(
        data_parallel=2, tensor_parallel=8, pipeline_parallel=4, global_batch_size=64,
        seq_len=SEQ,
    )  # fmt: skip
    predicted = predict(Case(MODEL, layout), machine)
    assert len(predicted.memory_per_stage_bytes) == 4
    assert predicted.memory.total_bytes == pytest.approx(max(predicted.memory_per_stage_bytes))
    assert predicted.fits == (predicted.memory.total_bytes <= predicted.memory_capacity_bytes)


def features(rates: Rates, **changes: Any) -> Rates:
    return replace(rates, features=replace(rates.features, **changes))


def test_inputs_of_matmuls_are_kept_in_eight_bits_where_they_are_quantised() -> None:
    # Both norms' outputs and the activation function's: 2 h and 4 h of 12 h a byte less; the
    # attention's output is kept in 16 bits by the core and in 8 by the projection.
    less = (2 * 1 + (4 - 1) / TP) * HIDDEN * SEQ * MICRO
    shape, _ = columns_for()
    whole, thin = (number(activation_bytes(shape, r).kept) for r in (NEW, FP8))
    assert whole - thin == pytest.approx(less)


def test_an_expert_row_weighted_before_its_last_product_is_not_kept_after_it() -> None:
    model = loader.model("mixtral-8x7b")
    shape, _ = columns_for(model, tensor_parallel=1, data_parallel=8, expert_parallel=8)
    late = number(activation_bytes(shape, features(NEW, keeps_expert_outputs=True)).kept)
    early = number(activation_bytes(shape, features(NEW, keeps_expert_outputs=False)).kept)
    assert late - early == pytest.approx(2 * SEQ * MICRO * 2 * model.hidden_size)


def test_fp32_shards_are_cast_as_they_are_gathered() -> None:
    whole = {level: bytes_of(FSDP, sharding=level) for level in ("none", "zero2")}
    shards = bytes_of(FSDP, data_parallel=8, sharding="zero3")
    parameters = number(whole["none"].weights) / 2
    assert number(bytes_of(FSDP, data_parallel=8, sharding="zero2").weights) == 2 * parameters
    assert shards.weights == 0
    # fp32 master, gradient and both moments
    assert shards.gradients + shards.optimizer == pytest.approx(16 * parameters / 8)


def test_a_limit_on_gathered_parameters_leaves_room_for_one_matrix() -> None:
    shape, _ = columns_for()
    largest = HIDDEN * 4 * HIDDEN / TP
    few = bytes_of(features(NEW, gathered_parameters=1.0), data_parallel=8, sharding="zero3")
    some = bytes_of(features(NEW, gathered_parameters=5e7), data_parallel=8, sharding="zero3")
    many = bytes_of(features(NEW, gathered_parameters=1e12), data_parallel=8, sharding="zero3")
    assert few.buffers == pytest.approx(4 * largest)
    assert some.buffers == pytest.approx(4 * 5e7)
    assert many.buffers == pytest.approx(4 * 2 * number(held_parameters(shape).dense))


def test_selective_recomputation_of_elements_keeps_products_alone() -> None:
    kind = features(NEW, selective="elementwise")
    saved = (2 * 2 + 2 * 4 / TP) * HIDDEN * SEQ * MICRO
    none, selective = (columns_for(recompute=level)[0] for level in ("none", "selective"))
    kept = [number(activation_bytes(shape, kind).kept) for shape in (none, selective)]
    assert kept[0] - kept[1] == pytest.approx(saved)


def test_selective_recomputation_of_matmuls_keeps_every_other_product() -> None:
    kind = features(NEW, selective="matmuls")
    shape, _ = columns_for(recompute="selective", tensor_parallel=1)
    # The layer's input and the attention's output, then half of q, k, v, projection (4 h), both
    # products of the MLP (4 h and h).
    per_token = 2 * (1 + 1 + (4 + 4 + 1) / 2) * HIDDEN
    assert number(activation_bytes(shape, kind).kept) == pytest.approx(per_token * SEQ * MICRO)


def test_a_share_of_recomputed_layers_lies_between_none_and_full() -> None:
    shapes = [columns_for(recompute=level)[0] for level in ("none", "full")]
    none, full = (number(activation_bytes(shape, NEW).kept) for shape in shapes)
    some = activation_bytes(replace(shapes[0], recomputed=0.25), NEW)
    assert number(some.kept) == pytest.approx(0.75 * none + 0.25 * full)
    assert number(some.working) == pytest.approx(none - full)


def test_an_allocators_losses_grow_with_what_is_kept() -> None:
    shape, _ = columns_for()
    lossless = number(activation_bytes(shape, replace(DEEPSPEED, fragmentation=0.0)).kept)
    lossy = number(activation_bytes(shape, DEEPSPEED).kept)
    assert lossy == pytest.approx(lossless * (1 + DEEPSPEED.fragmentation))
    assert DEEPSPEED.fragmentation > 0


# Korthikanti et al. 2022, figure 1, as digitised in Calculon's validation (GiB): model, tp, pp,
# vpp, micro batch, activations without and with sequence parallelism and selective recomputation.
# Stage 0 is the fullest. The figure shows what is saved, not what recomputation works on.
FIGURE_1 = [
    ("megatron-22b", 1, 1, 4, 59.25, 9.5625),
    ("gpt3-175b", 8, 3, 1, 66.84375, 12.3515625),
    ("megatron-530b", 35, 3, 1, 114.0234375, 23.076171875),
    ("megatron-1t", 64, 1, 1, 131.25, 26.5625),
]


@pytest.mark.parametrize("bars", FIGURE_1, ids=lambda bars: bars[0])
def test_activations_of_a_stage_are_those_that_korthikanti_published(
    bars: tuple[str, int, int, int, float, float],
) -> None:
    name, pp, vpp, micro, none, selective = bars
    model = loader.model(name)
    for published, changes in (
        (none, {}),
        (selective, {"sequence_parallel": True, "recompute": "selective"}),
    ):
        degrees: dict[str, Any] = {"pipeline_parallel": pp, "virtual_pipeline": vpp} | changes
        shape, grid = columns_for(model, micro_batch_size=micro, **degrees)
        held, acts = held_parameters(shape), activation_bytes(shape, OLD)
        parts = stage_bytes(shape, grid, held, acts, stage=np.zeros(1), rates=OLD)
        saved = number(parts.activations) - number(acts.working)
        assert saved / GIB == pytest.approx(published, rel=0.01)
