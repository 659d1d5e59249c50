"""A plan as a Megatron-LM launch script: one flag a line, then `torchrun pretrain_gpt.py`.

Flags are those of megatron-core 0.19 (`megatron.training.arguments`).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from gigafactory.run.handover import Handover, common_notes, header, refuse
from gigafactory.run.megatron_flags import (
    checkpoint_flags,
    data_parallel_flags,
    expert_flags,
    is_fully_sharded,
    model_flags,
    optimizer_flags,
    padded_vocabulary,
    precision_flags,
    recompute_flags,
)
from gigafactory.run.placement import is_even, placement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Model

TARGET: Final = "Megatron-LM (megatron-core 0.19)"
NEEDS: Final = """\
# Needs MEGATRON_LM (a checkout, with pretrain_gpt.py), DATA_PATH, TOKENIZER_MODEL and
# CHECKPOINT_DIR (shared by all hosts); on more than one host also MASTER_ADDR, and NODE_RANK where
# the order of hosts matters. Run it once on every host; what follows its name is passed on, such
# as --exit-interval 20.
"""


def script(order: Handover) -> str:
    """Return a bash script that trains the plan with Megatron-LM, the same on every host.

    Raises:
        SpecError: Megatron-LM cannot express the plan; names every reason.
    """
    refuse("Megatron-LM", faults(order))
    groups = {
        "MODEL": model_flags(order),
        "EXPERTS": expert_flags(order),
        "PARALLEL": [*parallel_flags(order), *data_parallel_flags(order)],
        "PRECISION": [*precision_flags(order), *recompute_flags(order)],
        "TRAINING": optimizer_flags(order),
        "CHECKPOINT": checkpoint_flags(order),
    }
    told = {name: flags for name, flags in groups.items() if flags}
    arrays = "\n".join(_array(name, flags) for name, flags in told.items())
    top = header(order, TARGET, notes(order))
    return (
        f"#!/usr/bin/env bash\n{top}#\n{NEEDS}set -euo pipefail\n{_environment(order)}\n{arrays}\n"
        f"{_launch(order, list(told))}"
    )


def faults(order: Handover) -> Iterator[str]:
    """Yield why Megatron-LM cannot express a plan."""
    model, layout = order.plan.model, order.plan.layout
    if model.positions == "alibi":
        yield "it has no alibi positions"
    if model.positions == "learned" and layout.seq_len > model.context_length:
        yield (
            f"seq_len {layout.seq_len} is longer than the {model.context_length} learned positions"
        )
    if layout.schedule in ("zero-bubble", "dualpipe"):
        yield f"it has no {layout.schedule} schedule (1f1b and interleaved)"
    yield from _split_faults(model, layout)
    yield from _pipeline_faults(layout)


def _split_faults(model: Model, layout: Layout) -> Iterator[str]:
    tp, cp = layout.tensor_parallel, layout.context_parallel
    groups = model.num_kv_heads
    if not model.latent_attention and groups % tp and tp % groups:
        yield f"tensor_parallel {tp} must divide num_kv_heads {groups} or be a multiple of it"
    if cp > 1 and layout.seq_len % (2 * cp):
        yield f"2 x context_parallel {cp} must divide seq_len {layout.seq_len}"
    if layout.sequence_parallel and layout.seq_len % (tp * cp):
        yield (
            f"tensor_parallel {tp} x context_parallel {cp} must divide seq_len {layout.seq_len} "
            "with sequence_parallel"
        )
    if model.experts and tp > 1 and not layout.sequence_parallel:
        yield "experts with tensor_parallel need sequence_parallel"


def _pipeline_faults(layout: Layout) -> Iterator[str]:
    pp, vpp, microbatches = (
        layout.pipeline_parallel,
        layout.virtual_pipeline,
        layout.num_microbatches,
    )
    if vpp > 1 and microbatches % pp:
        yield (
            f"with virtual_pipeline {vpp} the {microbatches} microbatches must be a multiple of "
            f"pipeline_parallel {pp}"
        )


def notes(order: Handover) -> list[str]:
    """Return what the script cannot say, and what it says that the plan does not."""
    model, layout = order.plan.model, order.plan.layout
    norm = "RMSNorm without biases" if model.positions == "rope" else "LayerNorm with biases"
    told = common_notes(order, profiles=("megatron", "nemo"))
    told.append(f"Norm and biases: {norm}, as models with {model.positions} positions have.")
    if not model.gated:
        told.append("Activation: GeLU.")
    if model.experts:
        told.append("Load balance: auxiliary loss, coefficient 0.01 (arXiv 2101.03961, 2.2).")
    padded = padded_vocabulary(model.vocab_size, layout.tensor_parallel)
    if padded != model.vocab_size:
        told.append(f"Vocabulary padded from {model.vocab_size:,} to {padded:,} rows.")
    if order.training.seed == 0:
        told.append("Seed 0: Megatron-LM wants a positive one and takes its own, 1234.")
    if order.training.keep_checkpoints > 1:
        kept = order.training.keep_checkpoints
        told.append(f"keep_checkpoints {kept}: only the newest is kept (--save-retain-interval).")
    return told


def parallel_flags(order: Handover) -> list[str]:
    """Return the degrees of parallelism, and where the layers stand."""
    model, layout = order.plan.model, order.plan.layout
    told = [
        f"--tensor-model-parallel-size {layout.tensor_parallel}",
        f"--pipeline-model-parallel-size {layout.pipeline_parallel}",
        f"--context-parallel-size {layout.context_parallel}",
    ]
    if layout.sequence_parallel and layout.tensor_parallel > 1:
        told.append("--sequence-parallel")
        if order.features.overlap_tensor and not model.latent_attention:
            told.append("--tp-comm-overlap")
    if model.experts:
        told.append(f"--expert-model-parallel-size {layout.expert_parallel}")
        told.append(f"--expert-tensor-parallel-size {layout.expert_tensor_parallel}")
    pieces = placement(model, layout)
    if not is_even(pieces):
        told.append(f"--pipeline-model-parallel-layout '{pipeline_layout(pieces)}'")
    elif layout.virtual_pipeline > 1:
        told.append(f"--num-virtual-stages-per-pipeline-rank {layout.virtual_pipeline}")
    return told


def pipeline_layout(pieces: tuple[range, ...]) -> str:
    """Return the layers of every chunk as Megatron-LM writes them: E embeds, t is a layer, L loss.

    >>> pipeline_layout((range(0, 7), range(7, 15), range(15, 23), range(23, 30)))
    'Et*7|(t*8|)*2t*7L'
    """
    cells = [f"t*{len(piece)}" if len(piece) > 1 else "t" * len(piece) for piece in pieces]
    inner = [(cell, len(list(run))) for cell, run in groupby(cells[1:-1])]
    middle = "".join(f"({cell}|)*{n}" if n > 1 else f"{cell}|" for cell, n in inner)
    return f"E{cells[0]}|{middle}{cells[-1]}L" if len(cells) > 1 else f"E{cells[0]}L"


def _environment(order: Handover) -> str:
    """Return the environment that the flags need."""
    layout = order.plan.layout
    ordered = layout.tensor_parallel > 1 or layout.context_parallel > 1
    if ordered and not is_fully_sharded(layout):
        # Kernels must be queued in the order they are launched, or overlaps are lost.
        return "export CUDA_DEVICE_MAX_CONNECTIONS=1\n"
    return "unset CUDA_DEVICE_MAX_CONNECTIONS\n"


def _array(name: str, flags: list[str]) -> str:
    lines = "".join(f"  {flag}\n" for flag in flags)
    return f"{name}=(\n{lines})\n"


def _launch(order: Handover, groups: list[str]) -> str:
    """Return the torchrun line; hosts that know their rank keep it, else torchrun orders them."""
    alone = order.num_hosts == 1
    master = "${MASTER_ADDR:-127.0.0.1}" if alone else "${MASTER_ADDR:?host of rank 0}"
    words = [
        "exec torchrun",
        f"--nnodes={order.num_hosts} --nproc-per-node={order.host_gpus}",
        '"${RENDEZVOUS[@]}"',
        '"${MEGATRON_LM:?checkout of Megatron-LM}/pretrain_gpt.py"',
        " ".join(f'"${{{name}[@]}}"' for name in groups) + ' "$@"',
    ]
    return (
        f"""\
MASTER="{master}" PORT="${{MASTER_PORT:-29500}}"
if [[ -n "${{NODE_RANK:-}}" ]]; then
  RENDEZVOUS=(--node-rank="$NODE_RANK" --master-addr="$MASTER" --master-port="$PORT")
else
  RENDEZVOUS=(--rdzv-backend=c10d --rdzv-endpoint="$MASTER:$PORT")
  RENDEZVOUS+=(--rdzv-id="${{RUN_ID:-{order.plan_hash[:12]}}}")
  RENDEZVOUS+=(--max-restarts={order.training.max_restarts})
fi

"""
        + " \\\n  ".join(words)
        + "\n"
    )
