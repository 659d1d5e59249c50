"""The scaling curves of a page: the same question at other sizes and other batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gigafactory.catalog import loader
from gigafactory.cli.progress import counted
from gigafactory.cli.request import DEFAULT_BATCH_TOKENS, Request
from gigafactory.plan.answer import Point, scaling
from gigafactory.spec.cluster import Cluster

SIZES: Final = (1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 100_000, 131_072, 200_000)
LARGEST_FREE_BATCH: Final = 16  # times the default bound: as free as a curve needs


def curves(request: Request) -> dict[str, list[Point]]:
    """Return the best plan for each size, by batch bound: 16M, 64M and free."""
    bounds = {
        "16M tokens per step": DEFAULT_BATCH_TOKENS,
        "64M tokens per step": 4 * DEFAULT_BATCH_TOKENS,
        "free batch": LARGEST_FREE_BATCH * DEFAULT_BATCH_TOKENS,
    }
    return {label: _curve(request, tokens) for label, tokens in bounds.items()}


def _curve(request: Request, batch_tokens: int) -> list[Point]:
    question, job = request.question, request.job
    batch = max(batch_tokens // question.seq_len, 1)
    machine = replace(question.machine, cluster=_extended(question.machine.cluster))
    with counted("layouts priced for the curves") as progress:
        return scaling(
            replace(question, global_batch_size=batch, machine=machine),
            replace(job, global_batch_size=batch),
            request.around,
            list(SIZES),
            progress,
        )


def _extended(cluster: Cluster) -> Cluster:
    """Return the cluster made larger than it is, on a network that grows with it."""
    if cluster.num_gpus >= max(SIZES) or cluster.accelerator.name not in loader.names(
        "accelerators"
    ):
        return cluster
    larger = loader.cluster_of(cluster.accelerator.name, max(SIZES))
    return replace(cluster, num_gpus=max(SIZES), fabric=larger.fabric)
