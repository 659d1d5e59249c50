"""Models and layouts as columns: the bridge from nouns to arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gigafactory.cost.columns import (
    RECOMPUTE_LEVEL,
    SHARDING_LEVEL,
    Grid,
    Shape,
    columns_of,
)
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Model


class Case(NamedTuple):
    """One step to price: a model, how it is split, and what a layout does not say.

    Attributes:
        capacity_factor: Of a mixture of experts that drops tokens; None trains dropless.
        recomputed: Share of the layers that is recomputed whole where the layout's recompute is
            not full.
        unpublished: Inputs that nobody told, taken as the engine's default.
    """

    model: Model
    layout: Layout
    capacity_factor: float | None = None
    recomputed: float = 0.0
    unpublished: tuple[str, ...] = ()


def check(case: Case) -> None:
    """Refuse a layout that its model cannot be split by.

    Raises:
        SpecError: Every rule it breaks, with both operands.
    """
    model, layout = case.model, case.layout
    experts = model.experts.num_experts if model.experts else 1
    width = model.experts.ffn_hidden_size if model.experts else 1
    chunks = layout.pipeline_parallel * layout.virtual_pipeline
    faults = [
        f"{degree} {value} must divide {what} {whole}"
        for degree, value, what, whole in (
            ("tensor_parallel", layout.tensor_parallel, "num_heads", model.num_heads),
            ("tensor_parallel", layout.tensor_parallel, "ffn_hidden_size", model.ffn_hidden_size),
            ("context_parallel", layout.context_parallel, "seq_len", layout.seq_len),
            ("expert_parallel", layout.expert_parallel, "num_experts", experts),
            ("expert_tensor_parallel", layout.expert_tensor_parallel, "expert width", width),
        )
        if whole % value
    ]
    # Embedding and loss may each take a chunk of their own (Llama 3: 126 layers in 128 chunks).
    if chunks > 1 and chunks > model.num_layers + 2:
        faults.append(
            f"pipeline_parallel {layout.pipeline_parallel} x virtual_pipeline "
            f"{layout.virtual_pipeline} must be at most num_layers {model.num_layers} + 2"
        )
    if faults:
        raise SpecError("layout: " + "; ".join(faults), field="layout")


def model_columns(model: Model) -> dict[str, Any]:
    """Return the model's share of a `Shape`."""
    experts, latent = model.experts, model.latent_attention
    return {
        "layers": model.num_layers,
        "hidden": model.hidden_size,
        "ffn": model.ffn_hidden_size,
        "gated": float(model.gated),
        "heads": model.num_heads,
        "kv_heads": model.num_kv_heads,
        "head_dim": model.head_dim,
        "vocab": model.vocab_size,
        "tied": float(model.tied_embeddings),
        "rope": float(model.positions == "rope"),
        "learned_rows": model.context_length if model.positions == "learned" else 0,
        "experts": experts.num_experts if experts else 0,
        "top_k": experts.top_k if experts else 0,
        "expert_ffn": experts.ffn_hidden_size if experts else 0,
        "shared_ffn": experts.shared_ffn_hidden_size if experts else 0,
        "expert_layers": model.num_expert_layers,
        "query_rank": latent.query_rank if latent else 0,
        "kv_rank": latent.kv_rank if latent else 0,
        "nope_dim": latent.nope_head_dim if latent else 0,
        "rope_dim": latent.rope_head_dim if latent else 0,
        "value_dim": latent.value_head_dim if latent else 0,
    }


def split_columns(layout: Layout) -> dict[str, Any]:
    """Return the layout's share of a `Shape`."""
    return {
        "seq": layout.seq_len,
        "micro_batch": layout.micro_batch_size,
        "tp": layout.tensor_parallel,
        "sp": float(layout.sequence_parallel and layout.tensor_parallel > 1),
        "cp": layout.context_parallel,
        "ep": layout.expert_parallel,
        "etp": layout.expert_tensor_parallel,
        "recompute": RECOMPUTE_LEVEL[layout.recompute],
    }


def grid_columns(layout: Layout) -> dict[str, Any]:
    """Return the layout's `Grid` row."""
    shard = layout.data_shard if layout.sharding == "hsdp" else None
    return {
        "pp": layout.pipeline_parallel,
        "vpp": layout.virtual_pipeline,
        "dp": layout.data_parallel,
        "shard": shard or layout.data_parallel,
        "sharding": SHARDING_LEVEL[layout.sharding],
        "microbatches": layout.num_microbatches,
    }


def columns(cases: Sequence[Case]) -> tuple[Shape, Grid]:
    """Return the columns of the given cases, one row each."""
    shapes = [
        model_columns(c.model)
        | split_columns(c.layout)
        | {"capacity": c.capacity_factor or 0.0, "recomputed": c.recomputed}
        for c in cases
    ]
    grids = [grid_columns(c.layout) for c in cases]
    return (
        columns_of(Shape, {name: [row[name] for row in shapes] for name in shapes[0]}),
        columns_of(Grid, {name: [row[name] for row in grids] for name in grids[0]}),
    )
