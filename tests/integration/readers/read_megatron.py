"""Reads argument lists with Megatron-LM's own parser and checks; a program of its own.

It runs where megatron-core is on the path and no GPU is. Standard input: a JSON list of
{"name", "argv", "world_size", "env"}. Standard output: {name: {"error"} or {"args", "chunks"}}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import types
import typing
import warnings
from typing import Any

import torch
import typing_extensions

KEPT = (
    "num_layers", "hidden_size", "ffn_hidden_size", "num_attention_heads", "num_query_groups",
    "kv_channels", "seq_length", "data_parallel_size", "micro_batch_size", "global_batch_size",
    "train_iters", "tensor_model_parallel_size", "pipeline_model_parallel_size",
    "virtual_pipeline_model_parallel_size", "context_parallel_size", "expert_model_parallel_size",
    "expert_tensor_parallel_size", "sequence_parallel", "use_distributed_optimizer",
    "use_megatron_fsdp", "data_parallel_sharding_strategy", "num_distributed_optimizer_instances",
    "overlap_grad_reduce", "overlap_param_gather", "tp_comm_overlap", "recompute_granularity",
    "recompute_modules", "bf16", "fp16", "fp8", "fp8_recipe", "fp4", "num_experts",
    "moe_router_topk", "moe_ffn_hidden_size", "moe_shared_expert_intermediate_size",
    "moe_expert_capacity_factor", "moe_token_dispatcher_type", "moe_layer_freq",
    "multi_latent_attention", "q_lora_rank", "kv_lora_rank", "swiglu", "normalization",
    "untie_embeddings_and_output_weights", "position_embedding_type", "rotary_base",
    "add_bias_linear", "vocab_size", "padded_vocab", "save_interval", "async_save", "lr", "min_lr",
    "lr_warmup_iters", "lr_decay_style", "grad_reduce_in_bf16", "exit_signal_handler",
    "attention_dropout", "hidden_dropout", "use_dist_ckpt", "ckpt_format",
)  # fmt: skip


def stand_in_for_a_gpu() -> None:
    """Answer what the checks ask of a device; and give Python 3.11 the decorator of 3.12."""
    if not hasattr(typing, "override"):
        setattr(typing, "override", typing_extensions.override)  # noqa: B010
    properties = types.SimpleNamespace(major=9, minor=0, multi_processor_count=132)
    torch.cuda.is_available = lambda: True
    answers = {"get_device_capability": (9, 0), "get_device_properties": properties}
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    torch.cuda.current_device = lambda: 0


def stand_in_for_transformer_engine() -> None:
    """Answer the checks that ask for its release: the one megatron-core 0.19 is built for."""
    from megatron.core import utils
    from megatron.core.models.common.embeddings import rope_utils
    from packaging.version import Version

    utils._te_version = Version("2.9.0")
    rope_utils.fused_apply_rotary_pos_emb = lambda *_: None


def read(case: dict[str, Any]) -> dict[str, Any]:
    """Return what Megatron-LM makes of one argument list."""
    from megatron.core.transformer.pipeline_parallel_layer_layout import (
        PipelineParallelLayerLayout,
    )
    from megatron.training.argument_utils import (
        core_transformer_config_from_args,
    )
    from megatron.training.arguments import (
        parse_args,
        validate_args,
    )
    from megatron.training.training import (
        num_floating_point_operations,
    )
    from megatron.training.vocab_utils import (
        calculate_padded_vocab_size,
    )

    sys.argv = ["pretrain_gpt.py", *case["argv"]]
    os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
    os.environ.update(case["env"], RANK="0", WORLD_SIZE=str(case["world_size"]))
    args = validate_args(parse_args())
    args.padded_vocab = calculate_padded_vocab_size(
        args.vocab_size, args.make_vocab_size_divisible_by, args.tensor_model_parallel_size
    )
    config = core_transformer_config_from_args(args)
    pieces = None
    if args.pipeline_model_parallel_layout:
        pp = args.pipeline_model_parallel_size
        layout = PipelineParallelLayerLayout(str(args.pipeline_model_parallel_layout), pp)
        layout.validate_layer_layout(args.num_layers, 0)
        pieces = [[[kind.name for kind in chunk] for chunk in rank] for rank in layout.layout]
    told = {name: getattr(args, name) for name in KEPT}
    told["moe_layer_freq"] = config.moe_layer_freq
    args.padded_vocab_size = args.padded_vocab
    flops = num_floating_point_operations(args, args.global_batch_size)
    return {"args": told, "chunks": pieces, "flops": flops}


def main() -> None:
    """Read every case; a fault of one is its answer."""
    warnings.simplefilter("ignore")
    stand_in_for_a_gpu()
    stand_in_for_transformer_engine()
    answers: dict[str, Any] = {}
    for case in json.load(sys.stdin):
        with contextlib.redirect_stdout(sys.stderr):
            try:
                answers[case["name"]] = read(case)
            except (Exception, SystemExit) as error:
                answers[case["name"]] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    main()
