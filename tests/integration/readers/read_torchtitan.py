"""Reads configuration modules with torchtitan's own parser and checks; a program of its own.

It runs where torchtitan is on the path and no GPU is. Standard input: a JSON list of
{"name", "folder", "module", "world_size", "capability"}. Standard output: {name: {"error"} or what
torchtitan made of it}.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import warnings
from typing import Any

import torch


def stand_in_for_a_gpu(capability: list[int]) -> None:
    """Answer the converters that ask for the device's generation."""
    from torchtitan.components.quantization import (  # type: ignore[import-not-found]
        float8,
        mx,
        nvfp4,
    )

    for asks in (float8, mx, nvfp4):
        asks.has_cuda_capability = lambda major, minor: [major, minor] <= capability


def read(case: dict[str, Any]) -> dict[str, Any]:
    """Return what torchtitan makes of one module: parsed, checked, and the model built."""
    from torchtitan.config.manager import ConfigManager  # type: ignore[import-not-found]
    from torchtitan.distributed import ParallelDims  # type: ignore[import-not-found]

    sys.path.insert(0, case["folder"])
    stand_in_for_a_gpu(case["capability"])
    config = ConfigManager().parse_args(["--module", case["module"], "--config", "train"])
    dims = ParallelDims.from_config(config.parallelism, case["world_size"])
    spec = config.model_spec
    spec.model.update_from_config(config=config)
    batch = dims.dp_replicate * dims.dp_shard * config.training.local_batch_size
    assert config.training.global_batch_size % batch == 0, "batch"
    told = {
        "training": dataclasses.asdict(config.training),
        "parallelism": dataclasses.asdict(config.parallelism),
        "checkpoint": dataclasses.asdict(config.checkpoint),
        "scheduler": dataclasses.asdict(config.lr_scheduler),
        "compile": dataclasses.asdict(config.compile),
        "optimizer": [dataclasses.asdict(group) for group in config.optimizer.param_groups],
        "recompute": type(config.activation_checkpoint).__qualname__,
        "accumulation": config.training.global_batch_size // batch,
        "layers": len(spec.model.layers),
        "tied": spec.model.enable_weight_tying,
    }
    if case["build"]:
        told |= built(config)
    return told


def built(config: Any) -> dict[str, Any]:
    """Build the model without memory; return its parameters and its FLOPs per token."""
    with torch.device("meta"):
        model = config.model_spec.model.build()
    model.verify_module_protocol()
    parameters = {name: p.numel() for name, p in model.named_parameters()}
    _, flops = config.model_spec.model.get_nparams_and_flops(model, config.training.seq_len)
    return {
        "parameters": sum(parameters.values()),
        "norm": sum(n for name, n in parameters.items() if name.startswith("norm.")),
        "modules": sorted({".".join(name.split(".")[:2]) for name in parameters}),
        "flops_per_token": flops,
        "routed": [i for i, block in model.layers.items() if hasattr(block, "moe")],
    }


def main() -> None:
    """Read every case; a fault of one is its answer."""
    warnings.simplefilter("ignore")
    answers: dict[str, Any] = {}
    for case in json.load(sys.stdin):
        with contextlib.redirect_stdout(sys.stderr):
            try:
                answers[case["name"]] = read(case)
            except (Exception, SystemExit) as error:  # noqa: BLE001
                answers[case["name"]] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answers, sys.stdout, default=str)


if __name__ == "__main__":
    main()
