"""A Hugging Face `config.json` is taken wherever a model's name is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gigafactory.catalog import loader
from gigafactory.errors import CatalogError

CONFIGS = Path(__file__).parent / "data" / "hf"
LLAMA = "meta-llama--Meta-Llama-3.1-8B_config.json"

GPT2 = {
    "model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024,
    "vocab_size": 50257,
}  # fmt: skip
MPT_7B = {
    "model_type": "mpt", "n_layers": 32, "d_model": 4096, "n_heads": 32, "max_seq_len": 2048,
    "vocab_size": 50432, "expansion_ratio": 4, "attn_config": {"alibi": True},
}  # fmt: skip
BLOOM = {
    "model_type": "bloom", "n_layer": 70, "hidden_size": 14336, "num_attention_heads": 112,
    "vocab_size": 250880, "seq_length": 2048,
}  # fmt: skip
FALCON_40B = {
    "model_type": "falcon", "num_hidden_layers": 60, "hidden_size": 8192,
    "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": True,
    "vocab_size": 65024, "max_position_embeddings": 2048,
}  # fmt: skip
NEMOTRON_15B = {
    "model_type": "nemotron", "num_hidden_layers": 32, "hidden_size": 6144,
    "intermediate_size": 24576, "num_attention_heads": 48, "num_key_value_heads": 8,
    "vocab_size": 256000, "max_position_embeddings": 4096,
}  # fmt: skip
GROK_1 = {
    "model_type": "grok-1", "num_hidden_layers": 64, "hidden_size": 6144,
    "intermediate_size": 32768, "num_attention_heads": 48, "num_key_value_heads": 8,
    "num_experts": 8, "num_experts_per_tok": 2, "vocab_size": 131072,
    "max_position_embeddings": 8192,
}  # fmt: skip
GLM_4_5 = {
    "model_type": "glm4_moe", "num_hidden_layers": 92, "hidden_size": 5120,
    "intermediate_size": 12288, "moe_intermediate_size": 1536, "num_attention_heads": 96,
    "num_key_value_heads": 8, "head_dim": 128, "n_routed_experts": 160, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "first_k_dense_replace": 3, "vocab_size": 151552,
    "max_position_embeddings": 131072,
}  # fmt: skip


def written(folder: Path, values: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return path


def refusal(folder: Path, values: object) -> str:
    path = written(folder, values)
    with pytest.raises(CatalogError) as caught:
        loader.model(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("file", "entry"),
    [
        (LLAMA, "llama-3.1-8b"),
        ("meta-llama--Meta-Llama-3.1-70B_config.json", "llama-3.1-70b"),
        ("mistralai--Mixtral-8x7B-v0.1_config.json", "mixtral-8x7b"),
        ("Qwen--Qwen3-30B-A3B_config.json", "qwen3-30b-a3b"),
        ("deepseek-ai--DeepSeek-V3_config.json", "deepseek-v3"),
        ("moonshotai--Kimi-K2-Instruct_config.json", "kimi-k2"),
        ("openai--gpt-oss-120b_config.json", "gpt-oss-120b"),
    ],
)
def test_a_config_gives_the_shape_of_the_catalog(file: str, entry: str) -> None:
    found, known = loader.model(str(CONFIGS / file)), loader.model(entry)
    for field in known.__dataclass_fields__:
        if field not in ("name", "source", "published_parameters"):
            assert getattr(found, field) == getattr(known, field), field


@pytest.mark.parametrize(
    ("values", "parameters"),
    [
        (GPT2, 124.4e6),  # huggingface.co/openai-community/gpt2: 124M
        (MPT_7B, 6.65e9),  # huggingface.co/mosaicml/mpt-7b: 6.65B
        (BLOOM, 176.25e9),  # arXiv 2211.05100
        (FALCON_40B, 41.8e9),  # huggingface.co/tiiuae/falcon-40b: 42B
        (NEMOTRON_15B, 15.7e9),  # arXiv 2402.16819
        (GROK_1, 314e9),  # xai-org/grok-1
        (GLM_4_5, 355e9),  # arXiv 2508.06471
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_other_families_have_the_published_size(
    tmp_path: Path, values: dict[str, Any], parameters: float
) -> None:
    model = loader.model(str(written(tmp_path, values)))
    assert model.num_parameters == pytest.approx(parameters, rel=0.02)


def test_the_text_part_of_llama_4_has_experts_in_every_layer_of_scout() -> None:
    file = "meta-llama--Llama-4-Scout-17B-16E-Instruct_config.json"
    model = loader.model(str(CONFIGS / file))
    assert model.num_expert_layers == 48
    assert model.num_active_parameters == pytest.approx(17.2e9, rel=0.01)  # published: 17B


def test_a_folder_that_holds_a_config_is_a_model_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "my-llama"
    folder.mkdir()
    (folder / "config.json").write_bytes((CONFIGS / LLAMA).read_bytes())
    assert loader.model(str(folder)).name == "my-llama"
    assert loader.model(str(CONFIGS / LLAMA)).name == "meta-llama--Meta-Llama-3.1-8B"


def test_a_hybrid_model_is_refused_with_the_reason() -> None:
    file = "nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16_config.json"
    with pytest.raises(CatalogError, match=r"nemotron_h is not supported: .* \(Mamba\)"):
        loader.model(str(CONFIGS / file))


def test_all_missing_keys_are_named_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"model_type": "llama", "hidden_size": 4096})
    for key in ("num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"):
        assert key in message


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ([1, 2], "must hold a JSON object, got list"),
        ({}, "model_type is missing"),
        ({"model_type": 3}, "model_type is missing"),
        ({"model_type": "t5"}, "model_type 't5' is not supported; these are: bloom,"),
        ({**GPT2, "n_layer": "twelve"}, "n_layer must be a whole number from 0 on, got 'twelve'"),
        ({**GPT2, "n_layer": -1}, "n_layer must be a whole number"),
        ({**GPT2, "n_layer": 0}, "num_layers must be between 1"),
        ({**GPT2, "n_head": 0}, "num_heads must be between 1"),
        ({**GPT2, "n_head": 7}, "hidden_size 768 must be a multiple of 7 attention heads"),
        ({**GPT2, "tie_word_embeddings": "no"}, "tie_word_embeddings must be true or false"),
        ({**GLM_4_5, "mlp_only_layers": [3]}, "mlp_only_layers must be the leading layers"),
        ({**GLM_4_5, "num_experts_per_tok": 999}, "top_k must be at most num_experts 160"),
        ({**GROK_1, "num_key_value_heads": 7}, "num_kv_heads must divide num_heads 48, got 7"),
        ({**GROK_1, "num_key_value_heads": 0}, "num_kv_heads must be between 1"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, values: object, rule: str) -> None:
    assert rule in refusal(tmp_path, values)


def test_a_file_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json"
    path.write_text('{"a":' * 100_000)
    with pytest.raises(CatalogError, match="nested too deeply"):
        loader.model(str(path))


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(CatalogError, match="must be at most 1000000 bytes"):
        loader.model(str(path))
