"""Which layers stand in which chunk of the pipeline, as `plan` and `cost` assume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.cost.schedule import chunk_layers

if TYPE_CHECKING:
    from gigafactory.spec.layout import Layout
    from gigafactory.spec.model import Model


def placement(model: Model, layout: Layout) -> tuple[range, ...]:
    """Return the layers (from 0) of every chunk, in the order a token passes them.

    Chunk c of stage s is the (c pp + s)-th piece of the model. The first piece also embeds, the
    last one also holds norm, logits and loss; each may go without a layer for that.

    >>> from gigafactory.catalog import loader
    >>> from gigafactory.spec.layout import Layout
    >>> split = Layout(data_parallel=1, global_batch_size=16, seq_len=8192, pipeline_parallel=16)
    >>> [len(layers) for layers in placement(loader.model("llama-3.1-405b"), split)][:2]
    [7, 8]
    """
    held = chunk_layers(model.num_layers, layout.pipeline_parallel, layout.virtual_pipeline)
    counts = [int(count) for count in held.T.ravel()]
    starts = [sum(counts[:at]) for at in range(len(counts))]
    pieces = tuple(range(at, at + count) for at, count in zip(starts, counts, strict=True))
    assert [layer for piece in pieces for layer in piece] == list(range(model.num_layers))
    return pieces


def is_even(pieces: tuple[range, ...]) -> bool:
    """Return whether every chunk holds as many layers."""
    return len({len(piece) for piece in pieces}) == 1


def expert_layers(model: Model) -> tuple[bool, ...]:
    """Return for every layer whether its MLP is a mixture of experts.

    Of the layers after the leading dense ones, the last of every `every` has experts.
    """
    experts = model.experts
    if experts is None:
        return (False,) * model.num_layers
    first, every = experts.first_dense_layers, experts.every
    return tuple(
        layer >= first and (layer - first + 1) % every == 0 for layer in range(model.num_layers)
    )
