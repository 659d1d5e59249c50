"""The Python text that builds a plan's model out of torchtitan's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gigafactory.run.handover import Handover
    from gigafactory.spec.model import Experts, LatentAttention, Model


class Family(NamedTuple):
    """A decoder of torchtitan.

    Attributes:
        name: Of its package under `torchtitan.models`.
        model: Class of the whole.
        block: Class of a layer.
        parallelize: Function that shards it.
    """

    name: str
    model: str
    block: str
    parallelize: str


LLAMA: Final = Family("llama3", "Llama3Model", "Llama3TransformerBlock", "parallelize_llama")
QWEN: Final = Family("qwen3", "Qwen3Model", "Qwen3TransformerBlock", "parallelize_qwen3")
DEEPSEEK: Final = Family(
    "deepseek_v3", "DeepSeekV3Model", "DeepSeekV3TransformerBlock", "parallelize_deepseekv3"
)

INITIAL: Final = """\
LINEAR: dict[str, Callable] = {
    "weight": partial(nn.init.trunc_normal_, std=0.02),
    "bias": nn.init.zeros_,
}
NORM: dict[str, Callable] = {"weight": nn.init.ones_}


def deep(layer: int) -> dict[str, Callable]:
    std = depth_scaled_std(0.02, layer)
    return {"weight": partial(nn.init.trunc_normal_, std=std), "bias": nn.init.zeros_}


def norm() -> RMSNorm.Config:
    return RMSNorm.Config(normalized_shape=HIDDEN, param_init=NORM)


def mlp(layer: int, width: int) -> Any:
    return make_ffn_config(
        dim=HIDDEN, hidden_dim=width, w1_param_init=LINEAR, w2w3_param_init=deep(layer)
    )
"""


def family(model: Model) -> Family:
    """Return the decoder of torchtitan that a model is built of."""
    if model.latent_attention is not None:
        return DEEPSEEK
    return LLAMA if model.experts is None else QWEN


def model_code(order: Handover) -> str:
    """Return constants and the functions that build the model."""
    model = order.plan.model
    parts = [
        _constants(order),
        INITIAL,
        _attention_code(model),
        *([_experts_code(order, model.experts)] if model.experts else []),
        _layer_code(model),
        _whole_code(model),
    ]
    return "\n\n".join(parts)


def _constants(order: Handover) -> str:
    model, layout = order.plan.model, order.plan.layout
    latent = model.latent_attention
    head_dim = latent.rope_head_dim if latent else model.head_dim
    longest = max(model.context_length, layout.seq_len)
    rope = f"dim={head_dim}, max_seq_len={longest}, theta={order.rope_base}"
    return (
        f"LAYERS = {model.num_layers}\n"
        f"HIDDEN = {model.hidden_size}\n"
        f"VOCABULARY = {model.vocab_size}\n"
        f"ROPE = ComplexRoPE.Config({rope})\n"
    )


def _attention_code(model: Model) -> str:
    if model.latent_attention is not None:
        return _latent_code(model, model.latent_attention)
    return f"""\
def attention(layer: int) -> Any:
    return make_gqa_config(
        dim=HIDDEN,
        n_heads={model.num_heads},
        n_kv_heads={model.num_kv_heads},
        head_dim={model.head_dim},
        wqkv_param_init=LINEAR,
        wo_param_init=deep(layer),
        inner_attention=get_attention_config("flex"),
        fuse_qkv=True,
        rope=ROPE,
    )
"""


def _latent_code(model: Model, latent: LatentAttention) -> str:
    return f"""\
def attention(layer: int) -> Any:
    return make_mla_attention_config(
        layer_id=layer,
        dim=HIDDEN,
        n_heads={model.num_heads},
        q_lora_rank={latent.query_rank},
        kv_lora_rank={latent.kv_rank},
        qk_nope_head_dim={latent.nope_head_dim},
        qk_rope_head_dim={latent.rope_head_dim},
        v_head_dim={latent.value_head_dim},
        attn_backend="flex",
        linear_init=LINEAR,
        norm_init=NORM,
        depth_init=deep,
        rope=ROPE,
    )
"""


def _experts_code(order: Handover, experts: Experts) -> str:
    split = order.plan.layout.expert_parallel > 1
    backend = "deepep" if split and order.features.one_copy_per_domain else "standard"
    shared = experts.shared_ffn_hidden_size
    always_on = f"mlp(layer, {shared})" if shared else "None"
    return f"""\
def experts(layer: int) -> Any:
    up, down = LINEAR["weight"], deep(layer)["weight"]
    return make_moe_config(
        num_experts={experts.num_experts},
        router=make_router_config(
            dim=HIDDEN,
            num_experts={experts.num_experts},
            gate_param_init=deep(layer),
            top_k={experts.top_k},
            score_func="softmax",
            route_norm={experts.top_k > 1},
        ),
        routed_experts=make_routed_experts_config(
            dim=HIDDEN,
            hidden_dim={experts.ffn_hidden_size},
            num_experts={experts.num_experts},
            top_k={experts.top_k},
            param_init={{"w1_EFD": up, "w2_EDF": down, "w3_EFD": down}},
            comm_backend="{backend}",
        ),
        shared_experts={always_on},
    )
"""


def _layer_code(model: Model) -> str:
    block = family(model).block
    dense = f"mlp(layer, {model.ffn_hidden_size})"
    before, wide, many = "", dense, ""
    if model.experts is not None:
        first = model.experts.first_dense_layers + model.experts.every - 1
        before = f"    routed = layer in range({first}, LAYERS, {model.experts.every})\n"
        wide = f"None if routed else {dense}"
        many = "        moe=experts(layer) if routed else None,\n"
    return f"""\
def block(layer: int) -> {block}.Config:
{before}    return {block}.Config(
        attention_norm=norm(),
        attention=attention(layer),
        ffn_norm=norm(),
        feed_forward={wide},
{many}    )
"""


def _whole_code(model: Model) -> str:
    kind = family(model)
    tied = model.tied_embeddings
    start = "skip_param_init" if tied else "partial(nn.init.normal_, std=1.0)"
    return f"""\
def model() -> {kind.model}.Config:
    std = HIDDEN**-0.5
    last = partial(nn.init.trunc_normal_, std=std, a=-3 * std, b=3 * std)
    return {kind.model}.Config(
        dim=HIDDEN,
        vocab_size=VOCABULARY,
        enable_weight_tying={tied},
        tok_embeddings=Embedding.Config(
            num_embeddings=VOCABULARY,
            embedding_dim=HIDDEN,
            param_init={{"weight": {start}}},
        ),
        layers=[block(layer) for layer in range(LAYERS)],
        norm=norm(),
        lm_head=Linear.Config(
            in_features=HIDDEN, out_features=VOCABULARY, param_init={{"weight": last}}
        ),
    )
"""
