"""A Hugging Face `config.json` as a model: the shapes of the families that this package knows.

Left out: vision and audio towers, multi-token-prediction heads, sliding windows (attention is
priced over the whole sequence) and biases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from gigafactory.catalog import read
from gigafactory.errors import CatalogError, SpecError
from gigafactory.spec.model import Experts, LatentAttention, Model

if TYPE_CHECKING:
    from pathlib import Path

Positions = Literal["rope", "alibi", "learned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """What a `model_type` implies without writing it into the file.

    Attributes:
        tied: The value of a missing `tie_word_embeddings`.
        wide: Width of the MLP over the hidden size where no key says it.
        experts: How the mixture of experts is written: its convention, "" for a dense family.
    """

    gated: bool = True
    tied: bool = False
    positions: Positions = "rope"
    wide: int | None = None
    experts: Literal["", "local", "qwen", "deepseek", "llama4"] = ""


_PLAIN: Final = _Family()
_DEEPSEEK: Final = _Family(experts="deepseek")
FAMILIES: Final = {
    "llama": _PLAIN,
    "mistral": _PLAIN,
    "qwen2": _PLAIN,
    "qwen3": _PLAIN,
    "nemotron": _Family(gated=False),
    "mixtral": _Family(experts="local"),
    "gpt_oss": _Family(experts="local"),
    "grok-1": _Family(experts="local", tied=True),
    "qwen2_moe": _Family(experts="qwen"),
    "qwen3_moe": _Family(experts="qwen"),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "glm4_moe": _DEEPSEEK,
    "llama4_text": _Family(experts="llama4"),
    "gpt2": _Family(gated=False, tied=True, positions="learned", wide=4),
    "bloom": _Family(gated=False, tied=True, positions="alibi", wide=4),
    "mpt": _Family(gated=False, tied=True, positions="alibi", wide=4),
    "falcon": _Family(gated=False, tied=True, wide=4),
}
_REFUSED: Final = {
    "attention in only some layers, state-space (Mamba) or linear ones between": (
        "nemotron_h", "mamba", "mamba2", "jamba", "bamba", "zamba", "zamba2", "falcon_mamba",
        "falcon_h1", "granitemoehybrid", "qwen3_next", "qwen3_5", "qwen3_5_moe", "rwkv",
    ),
    "a different shape in each layer": ("nemotron-nas", "deci"),
    "sparse attention": (
        "deepseek_v32", "deepseek_v4", "deepseek_ref", "glm_moe_dsa", "minimax_m3",
    ),
}  # fmt: skip


@dataclass(slots=True)
class _Config:
    """Typed look-ups in the file that remember every key at fault."""

    values: dict[str, Any]
    faults: list[str] = field(default_factory=list)

    def count(self, *keys: str, default: int | None = None) -> int:
        """Return the first of `keys` that the file sets; 1 and a fault when it is no count."""
        for key in keys:
            value = self.values.get(key)
            if value is None:
                continue
            if type(value) is int and value >= 0:
                return value
            self.faults.append(f"{key} must be a whole number from 0 on, got {str(value)[:60]!r}")
            return 1
        if default is None:
            self.faults.append(f"{' or '.join(keys)} is missing")
            return 1
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a true or false of the file."""
        value = self.values.get(key, default)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.faults.append(f"{key} must be true or false, got {str(value)[:60]!r}")
        return bool(value)

    def table(self, key: str) -> dict[str, Any]:
        """Return a nested object of the file, empty where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, dict) else {}


def model_of(path: Path) -> Model:
    """Return the model that a Hugging Face `config.json` describes.

    Raises:
        CatalogError: Unreadable, of a family that has no shape here, or keys missing.
    """
    values = read.json_table(path)
    text = values.get("text_config")
    if values.get("model_type") == "llama4" and isinstance(text, dict):
        values = {"model_type": "llama4_text", **text}
    family = _family(path, values)
    config = _Config(values)
    try:
        found = _model(config, family, _name(path, values), f"{path.name} (Hugging Face)")
    except SpecError as error:
        faults = config.faults or [str(error)]
        raise CatalogError(f"{path}: {_one_line(faults)}") from None
    if config.faults:
        raise CatalogError(f"{path}: {_one_line(config.faults)}")
    return found


def _one_line(faults: list[str]) -> str:
    return " ".join("; ".join(dict.fromkeys(faults)).split())


def _name(path: Path, values: dict[str, Any]) -> str:
    """Return a name: the maker's, the file's, or that of its folder."""
    stem = path.stem.removesuffix("config").strip("_-.")
    given = values.get("_name_or_path")
    return stem or (given if isinstance(given, str) and given else path.absolute().parent.name)


def _family(path: Path, values: dict[str, Any]) -> _Family:
    kind = values.get("model_type")
    if not isinstance(kind, str):
        raise CatalogError(f"{path}: model_type is missing: no Hugging Face config of a model")
    for reason, kinds in _REFUSED.items():
        if kind in kinds:
            raise CatalogError(f"{path}: model_type {kind} is not supported: it has {reason}")
    if kind not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise CatalogError(f"{path}: model_type {kind[:60]!r} is not supported; these are: {known}")
    return FAMILIES[kind]


def _model(config: _Config, family: _Family, name: str, source: str) -> Model:
    hidden = config.count("hidden_size", "d_model", "n_embd", "n_embed")
    heads = config.count("num_attention_heads", "n_heads", "n_head")
    experts = _experts(config, family)
    return Model(
        name=name,
        num_layers=config.count("num_hidden_layers", "n_layers", "n_layer"),
        hidden_size=hidden,
        ffn_hidden_size=_dense_width(config, family, hidden),
        num_heads=heads,
        num_kv_heads=_kv_heads(config, heads),
        head_dim=_head_dim(config, hidden, heads),
        vocab_size=config.count("vocab_size"),
        context_length=config.count(
            "max_position_embeddings", "n_positions", "max_seq_len", "seq_length"
        ),
        gated=family.gated,
        tied_embeddings=config.flag("tie_word_embeddings", default=family.tied),
        positions=_positions(config, family),
        experts=experts,
        latent_attention=_latent_attention(config),
        source={"default": source},
    )


def _positions(config: _Config, family: _Family) -> Positions:
    if config.values.get("model_type") == "mpt" and not config.table("attn_config").get(
        "alibi", True
    ):
        return "learned"
    if config.values.get("model_type") == "falcon" and config.flag("alibi", default=False):
        return "alibi"
    return family.positions


def _kv_heads(config: _Config, heads: int) -> int:
    if config.values.get("model_type") == "falcon":
        if config.flag("new_decoder_architecture", default=False):
            return config.count("num_kv_heads", default=heads)
        return 1 if config.flag("multi_query", default=True) else heads
    in_attention = config.table("attn_config").get("kv_n_heads")
    default = in_attention if type(in_attention) is int else heads
    return config.count("num_key_value_heads", default=default)


def _head_dim(config: _Config, hidden: int, heads: int) -> int:
    """Return the width of a head; of a value for latent attention."""
    if config.values.get("kv_lora_rank") is not None:
        return config.count("v_head_dim")
    if config.values.get("head_dim") is None and heads and hidden % heads:
        config.faults.append(f"hidden_size {hidden} must be a multiple of {heads} attention heads")
    return config.count("head_dim", default=hidden // max(heads, 1))


def _dense_width(config: _Config, family: _Family, hidden: int) -> int:
    """Return the width of a dense layer's MLP."""
    if family.experts == "llama4":
        return config.count("intermediate_size_mlp")
    ratio = config.count("expansion_ratio", default=family.wide or 0)
    keys = ("intermediate_size", "n_inner", "ffn_hidden_size")
    return config.count(*keys, default=ratio * hidden or None)


def _experts(config: _Config, family: _Family) -> Experts | None:
    """Return the mixture of experts in the convention of the family."""
    if not family.experts:
        return None
    width = config.count(
        *(() if family.experts in ("local", "llama4") else ("moe_intermediate_size",)),
        *(() if family.experts in ("qwen", "deepseek") else ("intermediate_size",)),
    )
    shared = config.count("n_shared_experts", default=0) * width
    if family.experts == "qwen":
        shared = config.count("shared_expert_intermediate_size", default=0)
    return Experts(
        num_experts=config.count("num_local_experts", "num_experts", "n_routed_experts"),
        top_k=config.count("num_experts_per_tok", "experts_per_token"),
        ffn_hidden_size=width,
        shared_ffn_hidden_size=width if family.experts == "llama4" else shared,
        first_dense_layers=_first_dense(config),
        every=config.count(
            "moe_layer_freq", "decoder_sparse_step", "interleave_moe_layer_step", default=1
        ),
    )


def _first_dense(config: _Config) -> int:
    dense = config.values.get("mlp_only_layers") or []
    if isinstance(dense, list) and dense == list(range(len(dense))):
        return len(dense) or config.count("first_k_dense_replace", default=0)
    config.faults.append("mlp_only_layers must be the leading layers, 0, 1, 2 ...")
    return 0


def _latent_attention(config: _Config) -> LatentAttention | None:
    if config.values.get("kv_lora_rank") is None:
        return None
    return LatentAttention(
        query_rank=config.count("q_lora_rank", default=0),
        kv_rank=config.count("kv_lora_rank"),
        nope_head_dim=config.count("qk_nope_head_dim"),
        rope_head_dim=config.count("qk_rope_head_dim"),
        value_head_dim=config.count("v_head_dim"),
    )
