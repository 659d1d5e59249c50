"""Parameter counts by hand, and what a model refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.spec.model import Experts, LatentAttention, Model

TINY = Model(
    name="tiny", num_layers=3, hidden_size=8, ffn_hidden_size=32, num_heads=4, num_kv_heads=2,
    head_dim=2, vocab_size=100, context_length=16,
)  # fmt: skip
ATTENTION = 8 * 8 + 2 * 8 * 4 + 8 * 8  # queries, keys and values, output
NORMS = 2 * 8
ENDS = 2 * 100 * 8
MIXTURE = Experts(num_experts=4, top_k=2, ffn_hidden_size=16)
LATENT = LatentAttention(
    query_rank=6, kv_rank=5, nope_head_dim=3, rope_head_dim=1, value_head_dim=2
)


def test_a_gated_mlp_has_three_matrices_and_a_plain_one_two() -> None:
    assert TINY.num_parameters == 3 * (ATTENTION + NORMS + 3 * 8 * 32) + ENDS
    plain = replace(TINY, gated=False)
    assert plain.num_parameters == 3 * (ATTENTION + NORMS + 2 * 8 * 32) + ENDS


def test_a_dense_model_is_active_as_a_whole() -> None:
    assert TINY.num_active_parameters == TINY.num_parameters
    assert TINY.num_expert_layers == 0


def test_tied_embeddings_are_counted_once() -> None:
    tied = replace(TINY, tied_embeddings=True)
    assert tied.output_parameters == 0
    assert TINY.num_parameters - tied.num_parameters == 100 * 8


def test_learned_positions_are_rows_of_the_embedding() -> None:
    learned = replace(TINY, positions="learned")
    assert learned.embedding_parameters - TINY.embedding_parameters == 16 * 8


def test_all_experts_are_held_and_only_some_are_active() -> None:
    model = replace(TINY, experts=MIXTURE)
    expert, router = 3 * 8 * 16, 8 * 4
    assert model.num_parameters == 3 * (ATTENTION + NORMS + 4 * expert + router) + ENDS
    assert model.num_active_parameters == 3 * (ATTENTION + NORMS + 2 * expert + router) + ENDS


def test_a_shared_expert_is_always_active() -> None:
    shared = replace(MIXTURE, shared_ffn_hidden_size=24)
    with_it, without = replace(TINY, experts=shared), replace(TINY, experts=MIXTURE)
    more = 3 * 3 * 8 * 24
    assert with_it.num_parameters - without.num_parameters == more
    assert with_it.num_active_parameters - without.num_active_parameters == more


@pytest.mark.parametrize(("dense", "every", "layers"), [(0, 1, 3), (1, 1, 2), (1, 2, 1), (3, 1, 0)])
def test_layers_with_experts_come_after_the_dense_ones(dense: int, every: int, layers: int) -> None:
    experts = replace(MIXTURE, first_dense_layers=dense, every=every)
    assert replace(TINY, experts=experts).num_expert_layers == layers


def test_latent_attention_passes_through_its_ranks() -> None:
    model = replace(TINY, latent_attention=LATENT)
    query = 6 * 8 + 6 * 4 * (3 + 1)
    key_value = 8 * (5 + 1) + 5 * 4 * (3 + 2)
    assert model.attention_parameters == query + key_value + 4 * 2 * 8


def test_latent_attention_without_a_query_rank_projects_queries_at_once() -> None:
    direct = replace(TINY, latent_attention=replace(LATENT, query_rank=0))
    ranked = replace(TINY, latent_attention=LATENT)
    difference = 8 * 4 * 4 - (6 * 8 + 6 * 4 * 4)
    assert direct.attention_parameters - ranked.attention_parameters == difference


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_layers": 0}, ["model", "num_layers", "between 1 and", "got 0"]),
        ({"hidden_size": -8}, ["hidden_size", "got -8"]),
        ({"vocab_size": 1.5}, ["vocab_size", "whole number", "got 1.5"]),
        ({"num_heads": True}, ["num_heads", "whole number", "got True"]),
        ({"head_dim": 10**9}, ["head_dim", "between 1 and", "got 1000000000"]),
        ({"num_kv_heads": 3}, ["num_kv_heads", "must divide num_heads 4", "got 3"]),
        ({"published_parameters": 0.0}, ["published_parameters", "above 0", "got 0.0"]),
        ({"published_parameters": float("nan")}, ["published_parameters", "finite", "got nan"]),
        (
            {"experts": replace(MIXTURE, first_dense_layers=4)},
            ["first_dense_layers", "at most num_layers 3", "got 4"],
        ),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_by_name(
    changes: dict[str, Any], told: list[str]
) -> None:
    with pytest.raises(SpecError) as caught:
        replace(TINY, **changes)
    assert all(part in str(caught.value) for part in told), str(caught.value)


def test_more_experts_chosen_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(SpecError, match=r"top_k must be at most num_experts 4, got 5") as caught:
        replace(MIXTURE, top_k=5)
    assert caught.value.field == "top_k"


@pytest.mark.parametrize("name", ["kv_rank", "nope_head_dim", "rope_head_dim", "value_head_dim"])
def test_latent_attention_needs_every_width_but_the_query_rank(name: str) -> None:
    changes: dict[str, Any] = {name: 0}
    with pytest.raises(SpecError, match=f"latentattention: {name} must be between 1 and"):
        replace(LATENT, **changes)
