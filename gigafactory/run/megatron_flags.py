"""The flags of Megatron-LM that follow from one part of a plan each."""

from __future__ import annotations

from itertools import groupby
from math import ceil
from typing import TYPE_CHECKING, Final

from gigafactory.run.placement import expert_layers

if TYPE_CHECKING:
    from gigafactory.run.handover import Handover
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Experts, LatentAttention, Model

AUXILIARY_LOSS: Final = 0.01  # arXiv 2101.03961, section 2.2
VOCABULARY_ROWS: Final = (128, 64, 32, 16, 8)  # rows per rank that vocabularies are padded to
DROPOUT: Final = 0.1
ATTENTION: Final = {
    "unfused": "unfused", "triton": "flash", "flash2": "flash", "flash3": "fused",
}  # fmt: skip
RECOMPUTED: Final = {
    "attention": ("core_attn",),
    "elementwise": ("core_attn", "layernorm"),
    "matmuls": ("core_attn", "layernorm", "mlp"),
}
FULLY_SHARDED: Final = {
    "zero2": "optim_grads", "zero3": "optim_grads_params", "hsdp": "optim_grads_params",
}  # fmt: skip
BF16_BYTES: Final = 2.0


def model_flags(order: Handover) -> list[str]:
    """Return the shape of the model."""
    model, layout = order.plan.model, order.plan.layout
    table = model.positions == "learned"  # one row per position, and no more
    positions = model.context_length if table else max(model.context_length, layout.seq_len)
    told = [
        f"--num-layers {model.num_layers}",
        f"--hidden-size {model.hidden_size}",
        f"--ffn-hidden-size {model.ffn_hidden_size}",
        f"--num-attention-heads {model.num_heads}",
        *_attention_flags(model),
        f"--seq-length {layout.seq_len}",
        f"--max-position-embeddings {positions}",
        *_style_flags(model, order.rope_base),
        f"--vocab-size {model.vocab_size}",
        f"--make-vocab-size-divisible-by {_rows(model.vocab_size, layout.tensor_parallel)}",
        f"--attention-backend {ATTENTION[order.features.attention]}",
    ]
    dropout = DROPOUT if order.features.dropout else 0
    return [*told, f"--attention-dropout {dropout}", f"--hidden-dropout {dropout}"]


def _attention_flags(model: Model) -> list[str]:
    told = [f"--kv-channels {model.head_dim}"]
    if model.latent_attention is not None:
        return told + _latent_flags(model.latent_attention)
    if model.num_kv_heads < model.num_heads:
        told += ["--group-query-attention", f"--num-query-groups {model.num_kv_heads}"]
    return told


def _latent_flags(latent: LatentAttention) -> list[str]:
    """Return multi-head latent attention; its latents are normalised (arXiv 2405.04434, 3.1.2)."""
    query = [f"--q-lora-rank {latent.query_rank}"] if latent.query_rank else []
    return [
        "--multi-latent-attention",
        *query,
        f"--kv-lora-rank {latent.kv_rank}",
        f"--qk-head-dim {latent.nope_head_dim}",
        f"--qk-pos-emb-head-dim {latent.rope_head_dim}",
        f"--v-head-dim {latent.value_head_dim}",
        "--rope-type rope",
        "--no-rope-fusion",  # for latent attention it is offered with YaRN alone
        "--qk-layernorm",
    ]


def _style_flags(model: Model, rope_base: float) -> list[str]:
    told = ["--swiglu"] if model.gated else []
    if model.positions == "rope":
        told += ["--position-embedding-type rope", f"--rotary-base {rope_base:.0f}"]
        told += ["--normalization RMSNorm", "--disable-bias-linear"]
    else:
        told += ["--position-embedding-type learned_absolute", "--normalization LayerNorm"]
    return told if model.tied_embeddings else [*told, "--untie-embeddings-and-output-weights"]


def _rows(vocabulary: int, tp: int) -> int:
    """Return the rows per rank to pad to: the most that add nothing, else the usual 128."""
    return next((rows for rows in VOCABULARY_ROWS if vocabulary % (rows * tp) == 0), 128)


def padded_vocabulary(vocabulary: int, tp: int) -> int:
    """Return the rows of the embedding that Megatron-LM makes of a vocabulary.

    >>> padded_vocabulary(128_256, 8), padded_vocabulary(50_257, 8)
    (128256, 51200)
    """
    multiple = _rows(vocabulary, tp) * tp
    return ceil(vocabulary / multiple) * multiple


def expert_flags(order: Handover) -> list[str]:
    """Return the mixture of experts: which layers, how wide, how tokens travel."""
    model, experts = order.plan.model, order.plan.model.experts
    if experts is None:
        return []
    told = [
        f"--num-experts {experts.num_experts}",
        f"--moe-router-topk {experts.top_k}",
        *(["--moe-router-pre-softmax"] if experts.top_k == 1 else []),  # softmax of one is 1
        f"--moe-ffn-hidden-size {experts.ffn_hidden_size}",
        *_shared_flags(experts),
        f"--moe-layer-freq '{layer_pattern(expert_layers(model))}'",
        "--moe-router-dtype fp32",
        "--moe-router-load-balancing-type aux_loss",
        f"--moe-aux-loss-coeff {AUXILIARY_LOSS}",
        "--moe-grouped-gemm",
    ]
    if order.features.one_copy_per_domain:
        told += ["--moe-token-dispatcher-type flex", "--moe-flex-dispatcher-backend deepep"]
    else:
        told.append("--moe-token-dispatcher-type alltoall")
    capacity = order.plan.job.capacity_factor
    return [*told, f"--moe-expert-capacity-factor {capacity:g}"] if capacity else told


def _shared_flags(experts: Experts) -> list[str]:
    width = experts.shared_ffn_hidden_size
    return [f"--moe-shared-expert-intermediate-size {width}"] if width else []


def layer_pattern(has_experts: tuple[bool, ...]) -> str:
    """Return which layers have experts, as `--moe-layer-freq` reads it: 1, or a Python list.

    >>> layer_pattern((True, True))
    '1'
    >>> layer_pattern((False, True, True, True))
    '[0]*1+[1]*3'
    >>> layer_pattern((False, True) * 2)
    '[0,1]*2'
    """
    if all(has_experts):
        return "1"
    runs = [(int(kind), len(list(run))) for kind, run in groupby(has_experts)]
    repeats = len(has_experts) // 2
    if len(runs) > len(has_experts) // 2 and has_experts == has_experts[:2] * repeats:
        return f"[{int(has_experts[0])},{int(has_experts[1])}]*{repeats}"
    return "+".join(f"[{kind}]*{length}" for kind, length in runs)


def is_fully_sharded(layout: Layout) -> bool:
    """Return whether gradients or weights are sharded too: Megatron-FSDP."""
    return layout.sharding in FULLY_SHARDED


def data_parallel_flags(order: Handover) -> list[str]:
    """Return what data-parallel ranks share out, and what runs under the computation."""
    layout, features = order.plan.layout, order.features
    told = ["--overlap-grad-reduce"] if features.overlap_data or is_fully_sharded(layout) else []
    if is_fully_sharded(layout):
        strategy = FULLY_SHARDED[layout.sharding]
        told += ["--use-distributed-optimizer", "--overlap-param-gather", "--use-megatron-fsdp"]
        told.append(f"--data-parallel-sharding-strategy {strategy}")
    elif layout.sharding == "zero1":
        told.append("--use-distributed-optimizer")
        if features.overlap_data and features.overlap_parameters:
            told.append("--overlap-param-gather")
    if layout.sharding == "hsdp" and layout.data_shard:
        copies = layout.data_parallel // layout.data_shard
        told.append(f"--num-distributed-optimizer-instances {copies}")
    return told


def precision_flags(order: Handover) -> list[str]:
    """Return the number formats of weights, matmuls and gradients."""
    layout, features = order.plan.layout, order.features
    if layout.precision == "fp32":
        return []
    told = ["--fp16"] if layout.precision == "fp16" else ["--bf16"]
    if features.gradient_bytes == BF16_BYTES and layout.precision != "fp16":
        told.append("--grad-reduce-in-bf16")
    if layout.precision == "fp8":
        told += ["--fp8-format hybrid", f"--fp8-recipe {_fp8_recipe(order)}"]
    if layout.precision == "nvfp4":
        told += ["--fp4-format e2m1", "--fp4-recipe nvfp4"]
    return told


def _fp8_recipe(order: Handover) -> str:
    """Return the scaling that the accelerator has in hardware; those with fp4 scale blocks."""
    return "mxfp8" if "nvfp4" in order.plan.cluster.accelerator.peak_flops_per_s else "tensorwise"


def recompute_flags(order: Handover) -> list[str]:
    """Return which activations are computed again."""
    level = order.plan.layout.recompute
    if level == "full":
        how = ["--recompute-method uniform", "--recompute-num-layers 1"]
        return ["--recompute-granularity full", *how]
    if level == "selective":
        modules = " ".join(RECOMPUTED[order.features.selective])
        return ["--recompute-granularity selective", f"--recompute-modules {modules}"]
    return []


def optimizer_flags(order: Handover) -> list[str]:
    """Return batch, steps, optimizer, data and evaluation."""
    layout, training = order.plan.layout, order.training
    seed = [f"--seed {training.seed}"] if training.seed else []
    return [
        f"--micro-batch-size {layout.micro_batch_size}",
        f"--global-batch-size {layout.global_batch_size}",
        f"--train-iters {order.steps}",
        "--optimizer adam",
        f"--lr {training.learning_rate:g}",
        f"--min-lr {training.learning_rate * training.final_learning_rate:g}",
        "--lr-decay-style cosine",
        f"--lr-decay-iters {order.steps}",
        f"--lr-warmup-iters {order.warm_up_steps}",
        f"--weight-decay {training.weight_decay:g}",
        f"--adam-beta1 {training.beta1:g}",
        f"--adam-beta2 {training.beta2:g}",
        f"--clip-grad {training.clip_norm:g}",
        *seed,
        f"--eval-interval {order.evaluate_every}",
        f"--eval-iters {training.evaluation_batches}",
        '--data-path "${DATA_PATH:?prefix of the tokenized data}"',
        "--split 99,1,0",
        "--tokenizer-type HuggingFaceTokenizer",
        '--tokenizer-model "${TOKENIZER_MODEL:?folder of the tokenizer}"',
        "--log-interval 1",
        "--log-throughput",
    ]


def checkpoint_flags(order: Handover) -> list[str]:
    """Return where, when and how the state is saved."""
    folder = '"${CHECKPOINT_DIR:?shared folder of the checkpoints}"'
    sharded = is_fully_sharded(order.plan.layout)
    every = order.checkpoint_steps
    told = [
        f"--save {folder}",
        f"--load {folder}",
        f"--save-interval {every}",
        f"--save-retain-interval {every * ceil(order.steps / every)}",  # the newest alone is kept
        f"--ckpt-format {'fsdp_dtensor' if sharded else 'torch_dist'}",
    ]
    if order.plan.checkpoint.asynchronous:
        told += ["--async-save", "--use-persistent-ckpt-worker"]
    minutes = max(1, ceil(order.training.hang_s / 60))
    return [*told, "--exit-signal-handler", f"--distributed-timeout-minutes {minutes}"]
