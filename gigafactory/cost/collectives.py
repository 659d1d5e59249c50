"""Time of collectives across the scale-up domain, the network cards and the tiers above them.

A collective over ranks that lie `stride` GPUs apart runs inside each scale-up domain first and
then between domains, each rank with its own share of the data on its own network card.
Source: NCCL's hierarchical and rail-aligned algorithms; the algebra is Thakur et al. 2005,
"Optimization of Collective Communication Operations in MPICH", section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gigafactory.cost.kernels import collective_time_s

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column
    from gigafactory.cost.rates import Rates


def local_ranks(group: Column, stride: Column, domain: float) -> Column:
    """Return how many ranks of a group share a scale-up domain.

    >>> float(local_ranks(16, 2, 8)), float(local_ranks(16, 8, 8))
    (4.0, 1.0)
    """
    return np.clip(np.floor(domain / stride), 1.0, group)


def crossing_slowdown(group: Column, stride: Column, rates: Rates) -> Column:
    """Return by how much oversubscribed tiers slow a ring over the group.

    A ring leaves a pod once however many of its ranks lie inside, so with `m` ranks of each ring
    in a pod only 1/m of the cards' traffic goes up; the tier slows it when that share times its
    oversubscription passes 1.
    """
    slow: Column = 1.0
    for inner, outer in zip(rates.tiers, rates.tiers[1:], strict=False):
        members = np.clip(inner.num_gpus / np.maximum(stride, rates.scale_up_domain), 1.0, None)
        crosses = group * stride > inner.num_gpus
        slow = np.maximum(slow, np.where(crosses, outer.oversubscription / members, 1.0))
    return slow


def hierarchical_time_s(
    kind: str,
    size_bytes: Column,
    group: Column,
    stride: Column,
    rates: Rates,
    *,
    rails: bool = True,
) -> Column:
    """Return the seconds of one collective over `group` ranks that lie `stride` GPUs apart.

    Args:
        kind: "all_gather", "reduce_scatter" or "all_reduce" of `size_bytes` in all (the whole,
            unsharded buffer, as in NCCL's own tables).
        size_bytes: Bytes of the buffer.
        group: Number of ranks.
        stride: GPUs between two neighbouring ranks.
        rates: The machine.
        rails: Every rank of a node uses a network card of its own; else one ring takes all of
            the message through one card.
    """
    inside = local_ranks(group, stride, rates.scale_up_domain)
    together = np.maximum(local_ranks(group, stride, rates.gpus_per_node), inside)
    nodes = np.maximum(group / together, 1.0)
    passes = 2.0 if kind == "all_reduce" else 1.0
    # Terms without the message first: they have fewer axes in a search.
    per_byte = passes * (nodes - 1.0) / nodes / rates.nic_bytes_per_s
    per_byte = per_byte * crossing_slowdown(group, stride, rates)
    if rails:
        per_byte = per_byte / together
    if rates.scale_up_domain < rates.gpus_per_node:
        per_byte = per_byte + passes * _bridge_s_per_byte(together / inside, inside, rates)
    latency = rates.nic_latency_s * np.log2(nodes)
    within = collective_time_s(kind, size_bytes, inside, rates.collectives)
    return within + per_byte * size_bytes + latency


def _bridge_s_per_byte(groups: Column, inside: Column, rates: Rates) -> Column:
    """Return the seconds per byte of one pass between the linked groups of one server.

    The cards of a group carry it together, each its own share of the message.
    """
    return (groups - 1.0) / groups / inside / rates.bridge_bytes_per_s


def all_to_all_time_s(
    sent_bytes: Column, group: Column, stride: Column, rates: Rates, copies: Column = 1.0
) -> Column:
    """Return the seconds in which every rank sends `sent_bytes`, an equal part to each rank.

    The part for ranks of the same scale-up domain and the part for others travel at once. Of
    `copies` copies of a row only one goes to each domain, where it is handed on.

    Source for the last: DeepSeek-V3 technical report, section 3.2.2, and DeepEP.
    """
    inside = local_ranks(group, stride, rates.scale_up_domain)
    domains = group / inside
    reached = domains * (1.0 - (1.0 - 1.0 / domains) ** copies)
    near = collective_time_s("all_to_all", sent_bytes * inside / group, inside, rates.collectives)
    far_bytes = sent_bytes * (group - inside) / group * (reached / copies)
    far = far_bytes / (rates.nic_bytes_per_s * rates.exchange_share)
    far = far * exchange_slowdown(group * stride, rates) + np.where(
        group > inside, rates.nic_latency_s * np.log2(np.maximum(group / inside, 1.0)), 0.0
    )
    return np.maximum(np.where(inside > 1, near, 0.0), far)


def exchange_slowdown(span: Column, rates: Rates) -> Column:
    """Return by how much oversubscribed tiers slow traffic that must leave the inner ones.

    Args:
        span: GPUs between the first and the last rank that talk.
        rates: The machine.
    """
    slow: Column = 1.0
    for inner, outer in zip(rates.tiers, rates.tiers[1:], strict=False):
        away = np.clip(1.0 - inner.num_gpus / span, 0.0, 1.0)
        slow = np.maximum(slow, outer.oversubscription * away)
    return np.maximum(slow, 1.0)


def point_to_point_time_s(size_bytes: Column, stride: Column, rates: Rates) -> Column:
    """Return the seconds to send `size_bytes` to the rank `stride` GPUs away."""
    near = size_bytes / rates.link_bytes_per_s
    slow: Column = 1.0
    for inner, outer in zip(rates.tiers, rates.tiers[1:], strict=False):
        slow = np.where(stride >= inner.num_gpus, np.maximum(slow, outer.oversubscription), slow)
    far = size_bytes / rates.nic_bytes_per_s * slow + rates.nic_latency_s
    if rates.scale_up_domain < rates.gpus_per_node:
        far = np.where(stride < rates.gpus_per_node, size_bytes / rates.bridge_bytes_per_s, far)
    return np.where(stride < rates.scale_up_domain, near, far)
