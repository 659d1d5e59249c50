"""Matmul shapes of tiny models by hand, attention, experts, and the FLOPs they add up to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gigafactory.catalog import loader, machines
from gigafactory.cost import operators as op
from gigafactory.cost.kernels import gemm_time_s
from gigafactory.cost.layer import held_parameters
from gigafactory.plan.cases import Case, columns
from gigafactory.plan.machine import rates_of
from gigafactory.spec.layout import Layout
from gigafactory.spec.model import Experts, LatentAttention, Model

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column, Shape
    from gigafactory.cost.rates import Rates

TINY = Model(
    name="tiny", num_layers=4, hidden_size=64, ffn_hidden_size=256, num_heads=8, num_kv_heads=2,
    head_dim=8, vocab_size=1000, context_length=128,
)  # fmt: skip
MIXTURE = replace(TINY, experts=Experts(num_experts=8, top_k=2, ffn_hidden_size=96))
LATENT = replace(
    TINY,
    num_kv_heads=8,
    latent_attention=LatentAttention(
        query_rank=24, kv_rank=16, nope_head_dim=8, rope_head_dim=4, value_head_dim=6
    ),
)


def shape_of(model: Model = TINY, capacity: float | None = None, **degrees: Any) -> Shape:
    values: dict[str, Any] = {"data_parallel": 8, "global_batch_size": 64, "seq_len": 128}
    layout = Layout(**values | {"micro_batch_size": 2} | degrees)
    return columns([Case(model, layout, capacity)])[0]


def rates_for(software: str = "megatron-core", gpu: str = "h100-sxm") -> Rates:
    machine = machines.machine(machines.cluster_of_row(gpu, 8, 3200.0), software)
    return rates_of(machine, "bf16", 128)


def number(column: Column) -> float:
    """Return the only entry of a column."""
    return float(np.ravel(column)[0])


def products(ops: list[op.Matmul]) -> list[tuple[float, ...]]:
    """Return (m, n, k) of the products that are done."""
    numbers = [tuple(number(x) for x in one) for one in ops]
    return [one[:3] for one in numbers if one[3]]


def test_projections_of_grouped_query_attention_are_split_by_tensor_parallelism() -> None:
    tokens = 2 * 128
    assert products(op.attention_matmuls(shape_of())) == [(tokens, 96, 64), (tokens, 64, 64)]
    split = products(op.attention_matmuls(shape_of(tensor_parallel=2)))
    assert split == [(tokens, 48, 64), (tokens, 64, 32)]


def test_context_parallelism_splits_the_tokens_and_nothing_else() -> None:
    split = products(op.attention_matmuls(shape_of(context_parallel=2)))
    assert split == [(128, 96, 64), (128, 64, 64)]


def test_a_gated_mlp_has_its_two_upward_matrices_in_one_product() -> None:
    assert products(op.mlp_matmuls(shape_of(), 256.0)) == [(256, 512, 64), (256, 64, 256)]
    plain = shape_of(replace(TINY, gated=False), tensor_parallel=4)
    assert products(op.mlp_matmuls(plain, 256.0)) == [(256, 64, 64), (256, 64, 64)]


def test_logits_are_split_over_the_vocabulary() -> None:
    assert products(op.output_matmuls(shape_of(tensor_parallel=4))) == [(256, 250, 64)]


def test_latent_attention_passes_through_its_ranks_and_splits_only_the_heads() -> None:
    ops = products(op.attention_matmuls(shape_of(LATENT, tensor_parallel=2)))
    assert ops == [
        (256, 24, 64),  # down to the query rank, whole on every rank
        (256, 8 * 12 / 2, 24),
        (256, 16 + 4, 64),
        (256, 8 * (8 + 6) / 2, 16),
        (256, 64, 8 * 6 / 2),
    ]


def test_latent_attention_without_a_query_rank_projects_queries_at_once() -> None:
    assert LATENT.latent_attention is not None
    direct = replace(LATENT, latent_attention=replace(LATENT.latent_attention, query_rank=0))
    ops = products(op.attention_matmuls(shape_of(direct)))
    assert ops[0] == (256, 96, 64)
    assert len(ops) == 4


@pytest.mark.parametrize("model", [TINY, LATENT, MIXTURE])
def test_products_hold_the_parameters_that_the_model_counts(model: Model) -> None:
    held = held_parameters(shape_of(model))
    layers = model.num_layers * number(held.dense + held.expert)
    ends = 2 * number(held.end)
    assert layers + ends == pytest.approx(model.num_parameters, rel=1e-12)


@pytest.mark.parametrize("name", ["grok-1", "deepseek-v3", "llama-3.1-405b", "qwen3-235b-a22b"])
def test_ranks_hold_the_parameters_of_catalog_models_between_them(name: str) -> None:
    model = loader.model(name)
    held = held_parameters(shape_of(model, seq_len=4096, expert_parallel=8))
    dense, expert, end = (number(x) for x in held)
    total = model.num_layers * (dense + 8 * expert) + (1 if model.tied_embeddings else 2) * end
    assert total == pytest.approx(model.num_parameters, rel=1e-9)


def test_a_products_gradients_are_two_products_of_the_same_work() -> None:
    kernel = rates_for().gemm
    m, n, k = 4096.0, 8192.0, 1024.0
    time = op.matmuls_time_s([op.Matmul(m, n, k, 3.0)], kernel)
    forward, inputs, weights = (
        float(gemm_time_s(*dims, kernel)) for dims in ((m, n, k), (m, k, n), (k, n, m))
    )
    assert float(time.forward) == pytest.approx(3 * forward)
    assert float(time.backward) == pytest.approx(3 * (inputs + weights))


def test_a_product_done_no_times_takes_no_time() -> None:
    time = op.matmuls_time_s([op.Matmul(0.0, 8.0, 0.0, 0.0)], rates_for().gemm)
    assert (float(time.forward), float(time.backward)) == (0.0, 0.0)


def test_every_token_visits_its_experts_once_whatever_the_expert_parallelism() -> None:
    for degree in (1, 2, 8):
        shape = shape_of(MIXTURE, expert_parallel=degree)
        assert number(shape.expert_rows) == 256 * 2
        assert number(shape.local_experts) == 8 / degree


def test_expert_tensor_ranks_gather_the_rows_of_one_another() -> None:
    alone = shape_of(MIXTURE, tensor_parallel=4)
    gathered = shape_of(MIXTURE, tensor_parallel=4, expert_tensor_parallel=4)
    assert number(alone.expert_rows) == 256 / 4 * 2
    assert number(gathered.expert_rows) == 256 * 2


def test_a_capacity_factor_below_one_drops_rows_and_above_one_adds_none() -> None:
    rows = [number(shape_of(MIXTURE, factor).expert_rows) for factor in (0.5, 1.0, 2.0)]
    assert rows == [256, 512, 512]


def test_dropless_experts_on_several_ranks_wait_for_the_fullest() -> None:
    rates = replace(rates_for(), imbalance=1.5)
    model = replace(
        MIXTURE, hidden_size=4096, experts=Experts(num_experts=8, top_k=2, ffn_hidden_size=16384)
    )
    even = op.expert_matmuls_time_s(shape_of(model, 1.0, expert_parallel=8, seq_len=8192), rates)
    uneven = op.expert_matmuls_time_s(shape_of(model, expert_parallel=8, seq_len=8192), rates)
    together = op.expert_matmuls_time_s(shape_of(model, seq_len=8192), rates)
    calm = op.expert_matmuls_time_s(shape_of(model, seq_len=8192), replace(rates, imbalance=1.0))
    assert 1.3 < number(uneven.forward / even.forward) < 1.6
    assert number(together.forward) == number(calm.forward)


def test_unfused_attention_adds_passes_over_the_score_matrix() -> None:
    rates = rates_for("megatron-2021", "a100-sxm-80")
    assert rates.features.attention == "unfused"
    model = replace(TINY, num_kv_heads=8)
    shape = shape_of(model)
    rows = 2 * 8 * 128.0
    products_s = op.matmuls_time_s(
        [op.Matmul(rows, 128.0, 8.0, 1.0), op.Matmul(rows, 8.0, 128.0, 1.0)], rates.gemm
    )
    chain_s = rows * 128 * 2 / rates.memory_bytes_per_s
    time = op.attention_time_s(shape, rates)
    assert number(time.forward) == pytest.approx(float(products_s.forward) + 5 * chain_s)
    assert number(time.backward) == pytest.approx(float(products_s.backward) + 4.5 * chain_s)


def test_flash_attention_of_a_long_sequence_grows_with_its_square() -> None:
    rates = rates_for()
    times = [
        number(op.attention_time_s(shape_of(TINY, seq_len=seq), rates).forward)
        for seq in (65536, 131072)
    ]
    assert times[1] / times[0] == pytest.approx(4, rel=0.05)


def test_sequence_parallelism_splits_norms_and_residuals() -> None:
    rates = rates_for()
    model = replace(TINY, positions="alibi")
    whole = op.elementwise_time_s(shape_of(model, tensor_parallel=4), rates)
    split = op.elementwise_time_s(shape_of(model, tensor_parallel=4, sequence_parallel=True), rates)
    assert number(whole.forward / split.forward) == pytest.approx(4)


def test_rope_is_traffic_of_its_own() -> None:
    rates = rates_for()
    without = op.elementwise_time_s(shape_of(replace(TINY, positions="alibi")), rates)
    assert number(op.elementwise_time_s(shape_of(), rates).forward) > number(without.forward)


def test_the_loss_reads_its_share_of_the_logits() -> None:
    rates = rates_for()
    whole, quarter = (
        op.loss_time_s(shape_of(), rates),
        op.loss_time_s(shape_of(tensor_parallel=4), rates),
    )
    assert number(whole / quarter) == pytest.approx(4)


@pytest.mark.parametrize("degrees", [{}, {"tensor_parallel": 4}, {"context_parallel": 2}])
def test_model_flops_are_six_per_active_weight_and_causal_attention(degrees: Any) -> None:
    weights = MIXTURE.num_active_parameters - MIXTURE.embedding_parameters
    weights -= 2 * MIXTURE.hidden_size * MIXTURE.num_layers  # norms are no products
    expected = 6 * weights + 6 * 4 * 8 * 8 * 128
    assert number(op.layer_model_flops(shape_of(MIXTURE, **degrees))) == expected


@pytest.mark.parametrize("name", ["deepseek-v3", "llama-3.1-8b", "grok-1"])
def test_model_flops_do_not_depend_on_how_a_layer_is_split(name: str) -> None:
    model = loader.model(name)
    flops = [
        float(np.asarray(op.layer_model_flops(columns([Case(model, layout)])[0])).item())
        for layout in (
            Layout(data_parallel=4, global_batch_size=4, seq_len=2048),
            Layout(data_parallel=1, tensor_parallel=4, sequence_parallel=True,
                   global_batch_size=4, seq_len=2048),
        )
    ]  # fmt: skip
    assert flops[0] == pytest.approx(flops[1], rel=1e-12)
