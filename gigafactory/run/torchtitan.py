"""A plan as a torchtitan configuration: an importable module whose `train()` returns a config.

Written for torchtitan 0.3, which takes its configuration from Python alone:
`torchrun … -m torchtitan.train --module NAME --config train`.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.run.handover import Handover, common_notes, header, refuse
from gigafactory.run.placement import placement
from gigafactory.run.torchtitan_imports import imports_code
from gigafactory.run.torchtitan_model import family, model_code
from gigafactory.run.torchtitan_settings import data_degrees, pipeline_schedule, settings_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Model

TARGET: Final = "torchtitan 0.3"
MODULE: Final = "train_plan"


def module(order: Handover, name: str = MODULE) -> str:
    """Return the text of a Python module whose `train()` returns a `Trainer.Config`.

    Args:
        order: What is exported.
        name: What the module will be imported as.

    Raises:
        SpecError: torchtitan cannot express the plan; names every reason. Or no name of a module.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise SpecError(f"out: {name!r} must be a name that Python can import", field="out")
    refuse("torchtitan", faults(order))
    launch = (
        f"# On every host: torchrun --nnodes={order.num_hosts} --nproc-per-node={order.host_gpus} "
        f"--max-restarts={order.training.max_restarts} \\\n"
        '#   --rdzv-backend=c10d --rdzv-endpoint="$MASTER_ADDR:29500" -m torchtitan.train \\\n'
        f"#   --module {name} --config train \\\n"
        "#   --hf_assets_path=TOKENIZER --dump_folder=SHARED\n"
    )
    top = header(order, TARGET, notes(order))
    body = f"{model_code(order)}\n\n{settings_code(order)}"
    return f"{top}#\n{launch}\n{imports_code(body)}\n{body}"


def faults(order: Handover) -> Iterator[str]:
    """Yield why torchtitan cannot express a plan."""
    model, layout = order.plan.model, order.plan.layout
    if not model.gated:
        yield "its decoders have gated MLPs only"
    if model.positions != "rope":
        yield f"its decoders have rotary positions, not {model.positions}"
    if layout.precision == "fp16":
        yield "it trains in bf16 and fp32 (or fp8, nvfp4), not fp16"
    if layout.precision == "nvfp4" and model.experts:
        yield "it has no nvfp4 experts"
    if model.tied_embeddings and layout.pipeline_parallel > 1:
        yield "it does not tie embeddings across pipeline stages"
    if order.plan.job.capacity_factor is not None:
        yield "its experts drop no tokens: the job must have no capacity_factor"
    yield from _split_faults(model, layout)
    yield from _pipeline_faults(layout)
    if model.experts:
        yield from _expert_faults(layout)


def _split_faults(model: Model, layout: Layout) -> Iterator[str]:
    tp, cp = layout.tensor_parallel, layout.context_parallel
    if not model.latent_attention and model.num_kv_heads % tp:
        yield f"tensor_parallel {tp} must divide num_kv_heads {model.num_kv_heads}"
    cut = (tp if layout.sequence_parallel else 1) * (2 * cp if cp > 1 else 1)
    if layout.seq_len % cut:
        yield f"seq_len {layout.seq_len} must be a multiple of {cut}, for its sequence shards"


def _pipeline_faults(layout: Layout) -> Iterator[str]:
    pp, vpp = layout.pipeline_parallel, layout.virtual_pipeline
    if pp == 1:
        return
    if pipeline_schedule(layout) is None:
        yield (
            f"its {layout.schedule} schedule wants another virtual_pipeline than {vpp} (DualPipeV "
            "2; zero-bubble 2 or more)"
        )
    if vpp > 1 and layout.num_microbatches % pp:
        yield (
            f"with virtual_pipeline {vpp} the {layout.num_microbatches} microbatches must be a "
            f"multiple of pipeline_parallel {pp}"
        )


def _expert_faults(layout: Layout) -> Iterator[str]:
    """Yield what its expert mesh (all ranks of a sharded copy) does not offer."""
    ep, etp = layout.expert_parallel, layout.expert_tensor_parallel
    tp = layout.tensor_parallel
    if ep > 1 and etp > 1:
        yield "with expert_parallel above 1, expert_tensor_parallel must be 1"
    if ep == 1 and etp != tp:
        yield f"without expert_parallel, expert_tensor_parallel must be tensor_parallel {tp}"
    ranks = data_degrees(layout)[1] * layout.context_parallel * tp
    if ranks % ep:
        yield f"expert_parallel {ep} must divide the {ranks} ranks of a sharded copy and stage"


def notes(order: Handover) -> list[str]:
    """Return what the module cannot say, and what it says that the plan does not."""
    plan, training = order.plan, order.training
    told = common_notes(order, profiles=("torchtitan", "pytorch-fsdp"))
    told.append(f"Model code: {family(plan.model).name}, without norms of queries and keys.")
    if plan.layout.sharding == "zero1":
        told.append("sharding zero1: FSDP shards gradients as well (zero2), at the same traffic.")
    if training.keep_checkpoints == 1:
        told.append("keep_checkpoints 1: torchtitan keeps at least 2.")
    if any(not len(piece) for piece in placement(plan.model, plan.layout)):
        told.append("weight_decay: on norms too, since a chunk without a layer has none.")
    if plan.layout.schedule == "dualpipe":
        told.append("DualPipeV folds the pipeline: rank 0 holds the first and the last chunk.")
    told.append("Data: c4, streamed; --dataloader.dataset names another.")
    return told
