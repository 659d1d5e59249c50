"""Reads configuration modules with torchtitan's own parser and checks; a program of its own.

It runs where torchtitan is on the path and no GPU is. Standard input: a JSON list of
{"name", "folder", "module", "world_size", "capability", "shard"}. Standard output: {name: {"error"}
or what torchtitan made of it}. With "shard" it also splits the model over that many ranks that do
not exist, as rank 0: its own code, on tensors without memory.
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
    from torchtitan.components.quantization import (
        float8,
        mx,
        nvfp4,
    )

    for asks in (float8, mx, nvfp4):
        asks.has_cuda_capability = lambda major, minor: [major, minor] <= capability


def read(case: dict[str, Any]) -> dict[str, Any]:
    """Return what torchtitan makes of one module: parsed, checked, and the model built."""
    from torchtitan.config.manager import ConfigManager
    from torchtitan.distributed import ParallelDims

    sys.path.insert(0, case["folder"])
    stand_in_for_a_gpu(case["capability"])
    words = ["--module", case["module"], "--config", "train"]
    # The default backend, spmd_types, needs a later PyTorch than the one tested with.
    words += ["--parallelism.spmd_backend", "full_dtensor"] if case["shard"] else []
    config = ConfigManager().parse_args(words)
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
    told |= built(config)
    return told | sharded(config, dims, case["world_size"]) if case["shard"] else told


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


def sharded(config: Any, dims: Any, world_size: int) -> dict[str, Any]:
    """Return what rank 0 holds: the parts of its pipeline stage, and its share of parameters."""
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore
    from torchtitan.distributed import parallel_dims, utils

    parallel_dims.device_type = "cpu"
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world_size)
    dims.build_mesh()
    utils.set_spmd_backend(config.parallelism.spmd_backend)
    with torch.device("meta"):
        model = config.model_spec.model.build()
    config.compile.enable = False  # nothing runs, so nothing is compiled
    given = {
        "parallel_dims": dims, "training": config.training, "parallelism": config.parallelism,
        "compile_config": config.compile, "ac_config": config.activation_checkpoint,
        "dump_folder": "",
    }  # fmt: skip
    spec, schedule, parts = config.model_spec, None, [model]
    if dims.pp_enabled:
        more = {"device": torch.device("cpu"), "model_config": spec.model,
                "parallelize_fn": spec.parallelize_fn,
                "loss_fn": config.loss.build(compile_config=config.compile)}  # fmt: skip
        schedule, parts, _, _ = spec.pipelining_fn(model, **given, **more)
    else:
        spec.parallelize_fn(model, **given)
    return {
        "schedule": type(schedule).__name__,
        "parts": [sorted({".".join(n.split(".")[:2]) for n, _ in p.named_parameters()})
                  for p in parts],
        "local_parameters": sum(p.to_local().numel() for m in parts for p in m.parameters()),
    }  # fmt: skip


def main() -> None:
    """Read every case; a fault of one is its answer."""
    warnings.simplefilter("ignore")
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
