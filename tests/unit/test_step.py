"""One step: its parts sum, what runs under what, full sharding, jitter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.cost.layer import PARTS, LayerParts, LayerPrice, price_layer
from gigafactory.cost.optimizer import optimizer_time_s, owned_share
from gigafactory.cost.step import (
    data_traffic,
    exposed_parts,
    exposed_under,
    fully_sharded,
    owned_parameters,
    reduction_s,
    sharded_layer_s,
    step_parts,
)
from gigafactory.errors import SpecError
from gigafactory.plan.cases import Case, check, columns
from gigafactory.plan.machine import rates_of
from gigafactory.spec.layout import Layout

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Grid
    from gigafactory.cost.rates import Rates
    from gigafactory.spec.model import Model

LLAMA = loader.model("llama-3.1-8b")
GPU = machines.cluster_of_row("h100-sxm", 8, 3200.0)
MEGATRON = rates_of(machines.machine(GPU, "megatron-core"), "bf16", 128)
FSDP = rates_of(machines.machine(GPU, "pytorch-fsdp1"), "bf16", 128)


def number(column: Column) -> float:
    return float(np.ravel(column)[0])


def with_features(rates: Rates, **changes: Any) -> Rates:
    return replace(rates, features=replace(rates.features, **changes))


def priced(
    rates: Rates = MEGATRON, model: Model = LLAMA, **degrees: Any
) -> tuple[LayerPrice, LayerParts, Grid]:
    values: dict[str, Any] = {"data_parallel": 16, "global_batch_size": 128, "seq_len": 4096}
    shape, grid = columns([Case(model, Layout(**values | degrees))])
    return (*price_layer(shape, rates), grid)


def seconds(rates: Rates = MEGATRON, model: Model = LLAMA, **degrees: Any) -> float:
    price, _, grid = priced(rates, model, **degrees)
    return number(step_parts(price, grid, rates).total_s)


LAYOUTS: list[dict[str, Any]] = [
    {},
    {"tensor_parallel": 4, "sequence_parallel": True, "recompute": "selective"},
    {"pipeline_parallel": 4},
    {"pipeline_parallel": 4, "virtual_pipeline": 4, "tensor_parallel": 8},
    {"pipeline_parallel": 5, "recompute": "full"},
    {"context_parallel": 4, "sharding": "zero3"},
    {"sharding": "hsdp", "data_shard": 8},
    {"sharding": "none", "micro_batch_size": 4},
]


@pytest.mark.parametrize("degrees", LAYOUTS, ids=str)
@pytest.mark.parametrize("rates", [MEGATRON, FSDP], ids=["megatron", "fsdp"])
@pytest.mark.parametrize("name", ["llama-3.1-8b", "mixtral-8x7b", "deepseek-v3"])
def test_exposed_parts_sum_to_the_step(degrees: dict[str, Any], rates: Rates, name: str) -> None:
    price, parts, grid = priced(rates, loader.model(name), **degrees)
    step = step_parts(price, grid, rates)
    exposed = exposed_parts(price, parts, grid, step)
    total = sum(number(part) for part in exposed.values())
    assert total == pytest.approx(number(step.total_s), rel=1e-9)
    assert all(number(part) > -1e-9 * total for part in exposed.values()), exposed


def test_a_layers_parts_sum_to_its_passes() -> None:
    price, parts, _ = priced(tensor_parallel=4, recompute="full")
    assert len(PARTS) == len(parts.forward) == len(parts.backward)
    assert number(parts.forward.sum(axis=0)) == pytest.approx(number(price.forward_s))
    assert number(parts.backward.sum(axis=0)) == pytest.approx(number(price.backward_s))


def test_full_recomputation_repeats_the_forward_pass() -> None:
    quick = replace(MEGATRON, host_layer_s=1e-9)
    none, _, _ = priced(quick, tensor_parallel=4)
    full, _, _ = priced(quick, tensor_parallel=4, recompute="full")
    repeated = number(full.backward_s) - number(none.backward_s)
    assert repeated == pytest.approx(number(none.forward_s))


def test_a_slow_host_sets_the_pace_of_small_layers_and_not_of_large_ones() -> None:
    slow = replace(MEGATRON, host_layer_s=10.0)
    price, _, _ = priced(slow)
    assert number(price.forward_s) == pytest.approx(10.0, rel=1e-3)
    quick, _, _ = priced(replace(MEGATRON, host_layer_s=1e-6))
    none, _, _ = priced(replace(MEGATRON, host_layer_s=0.0))
    assert number(quick.forward_s) == pytest.approx(number(none.forward_s), rel=1e-9)


def test_what_fits_under_work_only_costs_its_contention() -> None:
    assert float(exposed_under(2.0, 5.0, 0.1, overlap=True)) == pytest.approx(0.2)
    assert float(exposed_under(5.0, 2.0, 0.1, overlap=True)) == pytest.approx(3.2)
    assert float(exposed_under(5.0, 2.0, 0.1, overlap=False)) == 5.0


def test_reducing_gradients_under_the_backward_pass_takes_no_longer_than_after_it() -> None:
    hidden, shown = (with_features(MEGATRON, overlap_data=on) for on in (True, False))
    assert seconds(hidden) < seconds(shown)


def test_the_last_bucket_is_exposed_however_fast_the_network() -> None:
    price, _, grid = priced()
    traffic = data_traffic(price, grid, MEGATRON)
    exposed = number(reduction_s(price, grid, traffic, MEGATRON))
    assert exposed >= (number(traffic.reduce) + number(traffic.gather)) / LLAMA.num_layers


def test_reduction_without_overlap_is_the_whole_transfer() -> None:
    rates = with_features(MEGATRON, overlap_data=False, overlap_parameters=False)
    price, _, grid = priced(rates)
    traffic = data_traffic(price, grid, rates)
    exposed = number(reduction_s(price, grid, traffic, rates))
    assert exposed == pytest.approx(number(traffic.reduce) + number(traffic.gather))


def test_one_data_parallel_rank_reduces_nothing() -> None:
    price, _, grid = priced(data_parallel=1, global_batch_size=8)
    traffic = data_traffic(price, grid, MEGATRON)
    assert all(number(part) == 0 for part in traffic)
    assert number(reduction_s(price, grid, traffic, MEGATRON)) == 0


def test_context_ranks_reduce_gradients_with_one_another() -> None:
    price, _, grid = priced(data_parallel=1, context_parallel=8, global_batch_size=8)
    assert number(data_traffic(price, grid, MEGATRON).reduce) > 0


def test_layers_are_gathered_where_the_software_shards_them() -> None:
    def sharded(rates: Rates, **degrees: Any) -> bool:
        return bool(np.ravel(fully_sharded(priced(rates, **degrees)[2], rates))[0])

    assert not sharded(MEGATRON, sharding="zero1")
    assert not sharded(MEGATRON, sharding="zero2")
    assert sharded(MEGATRON, sharding="zero3")
    assert sharded(FSDP, sharding="zero2")
    assert not sharded(FSDP, sharding="zero3", data_parallel=1)


def test_full_sharding_gathers_again_before_the_backward_pass() -> None:
    rates = with_features(FSDP, prefetch=False)
    price, _, grid = priced(rates, sharding="zero3")
    traffic = data_traffic(price, grid, rates)
    whole = number(sharded_layer_s(price, grid, traffic, rates))
    layer = 2 * number(traffic.layer_gather) + number(traffic.layer_scatter)
    ends = number(traffic.end_gather) + number(traffic.end_scatter)
    assert ends > 0
    assert whole == pytest.approx(layer + ends)
    kept, _, grid = priced(rates, sharding="zero2")
    once = number(sharded_layer_s(kept, grid, traffic, rates))
    assert once == pytest.approx(layer - number(traffic.layer_gather) + ends)


def test_prefetching_hides_gathers_that_fit_under_the_layer() -> None:
    quick = replace(FSDP, nic_bytes_per_s=1e15, nic_latency_s=0.0, sharded_contention=0.0)
    price, _, grid = priced(quick, sharding="zero3", seq_len=8192, data_parallel=8)
    traffic = data_traffic(price, grid, quick)
    assert number(sharded_layer_s(price, grid, traffic, quick)) == 0


def test_more_nodes_wait_longer_for_the_slowest() -> None:
    rates = replace(MEGATRON, straggler=0.01)
    price, _, grid = priced(rates, data_parallel=64)
    step = step_parts(price, grid, rates)
    expected = 0.01 * 3 * (number(step.pipeline) + number(step.reduction))
    assert number(step.jitter) == pytest.approx(expected)


def test_one_node_waits_for_nobody() -> None:
    price, _, grid = priced(data_parallel=8)
    assert number(step_parts(price, grid, MEGATRON).jitter) == 0


def test_a_pipeline_of_one_stage_has_neither_bubble_nor_transfers() -> None:
    price, parts, grid = priced()
    exposed = exposed_parts(price, parts, grid, step_parts(price, grid, MEGATRON))
    assert number(exposed["pipeline_comm"]) == 0
    assert number(exposed["pipeline_bubble"]) == pytest.approx(0, abs=1e-12)


def test_interleaving_shrinks_the_bubble() -> None:
    bubbles = []
    for vpp in (1, 2, 8):
        price, parts, grid = priced(pipeline_parallel=4, virtual_pipeline=vpp)
        exposed = exposed_parts(price, parts, grid, step_parts(price, grid, MEGATRON))
        bubbles.append(number(exposed["pipeline_bubble"]))
    assert bubbles[0] > bubbles[1] > bubbles[2] > 0


def test_the_fullest_stage_sets_the_pace_of_an_uneven_pipeline() -> None:
    even = replace(LLAMA, num_layers=32, vocab_size=1000)
    uneven = replace(even, num_layers=30)  # 7 + 8 + 8 + 7: as slow, and a little less work
    ratio = seconds(model=uneven, pipeline_parallel=4, global_batch_size=4096) / seconds(
        model=even, pipeline_parallel=4, global_batch_size=4096
    )
    assert 0.97 < ratio <= 1.0


def test_every_parameter_is_updated_once_by_the_ranks_that_share_it() -> None:
    for sharding, owners in (("none", 1), ("zero1", 16), ("zero3", 16)):
        price, _, grid = priced(sharding=sharding)
        owned = number(owned_parameters(price, grid))
        assert owned * owners == pytest.approx(LLAMA.num_parameters, rel=1e-6)


def test_the_optimizer_is_bound_by_memory() -> None:
    assert float(optimizer_time_s(2e9, 50.0, 2e12)) == pytest.approx(0.05)
    assert float(owned_share(3.0, 64, 8)) == 1 / 8
    assert float(owned_share(2.0, 64, 8)) == 1 / 64


def test_tied_embeddings_on_one_stage_are_one_matrix() -> None:
    tied = replace(LLAMA, tied_embeddings=True)
    owned = [
        number(owned_parameters(*priced(model=m, sharding="none")[::2])) for m in (LLAMA, tied)
    ]
    assert owned[0] - owned[1] == pytest.approx(LLAMA.vocab_size * LLAMA.hidden_size)


def test_a_hybrid_pays_for_reducing_gradients_between_its_copies() -> None:
    slow = replace(FSDP, nic_bytes_per_s=FSDP.nic_bytes_per_s / 100)
    fast, crawling = (
        seconds(rates, data_parallel=64, data_shard=8, sharding="hsdp") for rates in (FSDP, slow)
    )
    assert crawling > 1.1 * fast


@pytest.mark.parametrize(
    ("degrees", "told"),
    [
        ({"tensor_parallel": 7}, "tensor_parallel 7 must divide num_heads 32"),
        ({"context_parallel": 5}, "context_parallel 5 must divide seq_len 4096"),
        ({"expert_parallel": 2}, "expert_parallel 2 must divide num_experts 1"),
        (
            {"pipeline_parallel": 64},
            "pipeline_parallel 64 x virtual_pipeline 1 must be at most num_layers 32",
        ),
    ],
)
def test_a_layout_its_model_cannot_be_split_by_is_refused(
    degrees: dict[str, Any], told: str
) -> None:
    values: dict[str, Any] = {"data_parallel": 16, "global_batch_size": 128, "seq_len": 4096}
    with pytest.raises(SpecError) as caught:
        check(Case(LLAMA, Layout(**values | degrees)))
    assert told in str(caught.value)


def test_all_splits_that_cannot_be_are_named_at_once() -> None:
    layout = Layout(
        data_parallel=1, tensor_parallel=7, context_parallel=5, global_batch_size=1, seq_len=4096
    )
    with pytest.raises(SpecError, match=r"tensor_parallel 7.*context_parallel 5"):
        check(Case(LLAMA, layout))


def test_gradients_added_in_a_pass_of_their_own_cost_it_once_a_microbatch() -> None:
    adding = replace(MEGATRON, accumulation_bytes=6.0, straggler=0.0)
    plain = replace(adding, accumulation_bytes=0.0)
    more = seconds(adding, pipeline_parallel=1) - seconds(plain, pipeline_parallel=1)
    price, _, grid = priced(plain)
    parameters = LLAMA.num_layers * number(price.held.dense) + 2 * number(price.held.end)
    passes = number(grid.microbatches) * parameters * 6.0 / MEGATRON.memory_bytes_per_s
    assert more == pytest.approx(passes)


def test_one_microbatch_and_sharded_gradients_are_not_added_up() -> None:
    adding = replace(MEGATRON, accumulation_bytes=6.0)
    alone: dict[str, Any] = {"global_batch_size": 16}
    assert seconds(adding, **alone) == pytest.approx(seconds(MEGATRON, **alone))
    assert seconds(adding, sharding="zero3") == pytest.approx(seconds(MEGATRON, sharding="zero3"))


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
def test_recomputing_that_stops_early_spares_the_last_product(recompute: str) -> None:
    whole, early = (with_features(FSDP, early_stop=on) for on in (False, True))
    backward = [number(priced(r, recompute=recompute)[0].backward_s) for r in (whole, early)]
    assert (backward[1] < backward[0]) == (recompute == "full")


def test_selective_recomputation_redoes_what_the_engine_selects() -> None:
    def backward_s(selective: str) -> float:
        rates = with_features(replace(FSDP, host_layer_s=0.0), selective=selective)
        return number(priced(rates, recompute="selective")[0].backward_s)

    none = number(priced(replace(FSDP, host_layer_s=0.0), recompute="none")[0].backward_s)
    assert none < backward_s("elementwise") < backward_s("matmuls")
    assert none < backward_s("attention")


def test_quantised_activations_are_gathered_in_half_the_time() -> None:
    degrees: dict[str, Any] = {"tensor_parallel": 8, "sequence_parallel": True}
    thin = replace(MEGATRON, gathered_bytes=1.0)
    row = PARTS.index("tensor_comm")
    full, half = (number(priced(r, **degrees)[1].forward[row]) for r in (MEGATRON, thin))
    assert 0.5 * full < half < full


def test_a_ring_through_one_card_is_slower_by_the_cards_of_a_node() -> None:
    one = replace(with_features(FSDP, sharded_rails=False), nic_latency_s=0.0)
    rails = replace(FSDP, nic_latency_s=0.0)
    price, _, grid = priced(rails, sharding="zero3", data_parallel=64)
    fast, slow = (data_traffic(price, grid, rates).layer_gather for rates in (rails, one))
    across = 7 / 8 * number(price.held.dense) * rails.weight_bytes / rails.nic_bytes_per_s
    assert number(slow) - number(fast) == pytest.approx(across * (1 - 1 / 8))
