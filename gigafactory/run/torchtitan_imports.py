"""The imports of an exported torchtitan module: those names that its text uses, and no other."""

from __future__ import annotations

import re
from typing import Final

LINE: Final = 100
MODULES: Final = {
    "components.checkpoint": ("CheckpointManager",),
    "components.loss": ("ChunkedLossWrapper", "CrossEntropyLoss"),
    "components.metrics": ("MetricsProcessor",),
    "components.optimizer": (
        "LRSchedulersContainer", "OptimizersContainer", "ParamGroupConfig",
        "register_moe_load_balancing_hook",
    ),
    "components.quantization": (
        "Float8GroupedExpertsConverter", "Float8LinearConverter", "MXFP8GroupedExpertsConverter",
        "MXFP8LinearConverter", "NVFP4LinearConverter",
    ),
    "components.validate": ("Validator",),
    "config": ("CompileConfig", "ParallelismConfig", "TrainingConfig"),
    "config.configs": ("CommConfig", "DebugConfig"),
    "distributed.activation_checkpoint": ("FullAC", "SelectiveAC"),
    "distributed.pipeline_parallel": ("pipeline_llm",),
    "hf_datasets.text_datasets": ("HuggingFaceTextDataLoader",),
    "models.common": ("ComplexRoPE", "Embedding", "Linear", "RMSNorm"),
    "models.common.config_utils": (
        "get_attention_config", "make_ffn_config", "make_gqa_config", "make_moe_config",
        "make_routed_experts_config", "make_router_config",
    ),
    "models.common.param_init": ("depth_scaled_std", "skip_param_init"),
    "models.deepseek_v3": ("make_mla_attention_config",),
    "models.deepseek_v3.model": ("DeepSeekV3Model", "DeepSeekV3TransformerBlock"),
    "models.deepseek_v3.parallelize": ("parallelize_deepseekv3",),
    "models.llama3.model": ("Llama3Model", "Llama3TransformerBlock"),
    "models.llama3.parallelize": ("parallelize_llama",),
    "models.qwen3.model": ("Qwen3Model", "Qwen3TransformerBlock"),
    "models.qwen3.parallelize": ("parallelize_qwen3",),
    "protocols.model_spec": ("ModelSpec",),
    "trainer": ("Trainer",),
}  # fmt: skip
STANDARD: Final = """\
from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn as nn
"""


def imports_code(text: str) -> str:
    """Return the import statements that `text` needs, in the order ruff sorts them."""
    words = set(re.findall(r"\w+", text))
    told = {module: [n for n in names if n in words] for module, names in MODULES.items()}
    return STANDARD + "".join(_statement(module, names) for module, names in told.items() if names)


def _statement(module: str, names: list[str]) -> str:
    start = f"from torchtitan.{module} import "
    line = start + ", ".join(names)
    if len(line) <= LINE:
        return f"{line}\n"
    return f"{start}(\n" + "".join(f"    {name},\n" for name in names) + ")\n"
