"""The shapes of the catalog give the number of parameters that the makers state."""

from __future__ import annotations

import pytest

from gigafactory.catalog import loader

TOLERANCE = 0.01
LABELS = {
    "llama-2-70b": "the label 70B is rounded up: its shapes give 69.0B, as do its released weights",
    "kimi-k2": "the label 1T is rounded down: its shapes give 1.026T",
}
STATED = [name for name in loader.names("models") if loader.model(name).published_parameters]


@pytest.mark.parametrize("name", sorted({*STATED} - {*LABELS}))
def test_a_model_is_as_large_as_its_makers_state(name: str) -> None:
    model = loader.model(name)
    assert model.num_parameters == pytest.approx(model.published_parameters, rel=TOLERANCE)


@pytest.mark.parametrize("name", sorted(LABELS))
def test_a_model_whose_label_is_rounded_is_within_three_percent_of_it(name: str) -> None:
    model = loader.model(name)
    assert model.num_parameters == pytest.approx(model.published_parameters, rel=0.03)
    assert model.num_parameters != pytest.approx(model.published_parameters, rel=TOLERANCE)


def test_grok_1_has_its_total_and_its_active_parameters() -> None:
    model = loader.model("grok-1")
    assert round(model.num_parameters / 1e9, 1) == 315.7
    assert round(model.num_active_parameters / 1e9, 1) == 83.8


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("mixtral-8x7b", 12.9e9),  # arXiv 2401.04088
        ("mixtral-8x22b", 39e9),  # mistral.ai, 2024-04-17
        ("deepseek-v3", 37e9),  # arXiv 2412.19437; both embeddings are counted here
        ("qwen3-235b-a22b", 22e9),  # arXiv 2505.09388
        ("qwen3-30b-a3b", 3.3e9),  # Hugging Face model card
        ("kimi-k2", 32.6e9),  # arXiv 2507.20534
        ("llama-4-maverick", 17e9),  # ai.meta.com, 2025-04-05
    ],
)
def test_a_mixture_of_experts_passes_a_token_through_what_its_makers_state(
    name: str, active: float
) -> None:
    assert loader.model(name).num_active_parameters == pytest.approx(active, rel=0.02)


def test_gpt_oss_counts_its_active_parameters_without_the_input_embedding() -> None:
    """Its model card states 5.13B: the input embedding is only looked up."""
    model = loader.model("gpt-oss-120b")
    active = model.num_active_parameters - model.embedding_parameters
    assert active == pytest.approx(5.13e9, rel=TOLERANCE)


def test_grok_tiny_has_the_proportions_of_grok_1_at_ten_million_parameters() -> None:
    tiny, large = loader.model("grok-tiny"), loader.model("grok-1")
    assert tiny.num_parameters == pytest.approx(10e6, rel=0.02)
    assert tiny.num_heads / tiny.num_kv_heads == large.num_heads / large.num_kv_heads
    assert tiny.ffn_hidden_size / tiny.hidden_size == large.ffn_hidden_size / large.hidden_size
    assert tiny.experts is not None
    assert large.experts is not None
    assert (tiny.experts.num_experts, tiny.experts.top_k) == (8, 2)
    assert (large.experts.num_experts, large.experts.top_k) == (8, 2)
