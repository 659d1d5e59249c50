"""A cluster out of nothing but a number of accelerators: the servers and network it would have.

The network is a fat tree without oversubscription, as many tiers deep as its switches ask for.
What is assumed stands in the cluster's `source`.
"""

from __future__ import annotations

from typing import Final

from gigafactory.errors import SpecError
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.hardware import Accelerator, Fabric, Node, Tier

PORTS: Final = 64  # NVIDIA QM9700: 64 ports of 400 Gb/s (DGX SuperPOD reference architecture)
NODES_PER_LEAF: Final = PORTS // 2  # one port of each server, half of the ports go up
SERVER: Final = 8  # accelerators, where the catalog knows no server
WIRE_LATENCY_S: Final = 1.5e-6  # NDR InfiniBand on the wire, mlsysim 0.3.0, a teaching value
SWITCH_LATENCY_S: Final = 0.6e-6  # one more switch, same source
TIER_NAMES: Final = ("leaf", "spine", "core", "super-core", "tier-5", "tier-6")
_KINDS: Final = {"Google": "ici", "AWS": "efa"}
_ASSUMED: Final = "assumed: a fat tree of 64-port switches, without oversubscription"


def wired(accelerator: Accelerator, node: Node, num_gpus: int) -> Cluster:
    """Return an undated cluster of `num_gpus` accelerators, wired without oversubscription.

    Raises:
        SpecError: A count out of range, or one for which the accelerator needs a scale-out
            network whose rate was not published.
    """
    cluster = Cluster(
        name=f"{num_gpus}x-{accelerator.name}",
        title=f"{num_gpus} x {accelerator.title}",
        owner="",
        num_gpus=num_gpus,
        accelerator=accelerator,
        node=node,
        fabric=fat_tree(num_gpus, node.num_accelerators, kind=_kind(accelerator)),
        note="Servers and network assumed, not published.",
        source={"default": _ASSUMED, "num_gpus": "asked for"},
    )
    if not cluster.nic_bytes_per_s and num_gpus > cluster.scale_up_domain:
        raise SpecError(
            f"cluster: scale-out bandwidth of accelerator {accelerator.name} is not published, "
            f"num_gpus must be at most its scale-up domain of {cluster.scale_up_domain}, "
            f"got {num_gpus}",
            field="num_gpus",
        )
    return cluster


def assumed_node(accelerator: Accelerator) -> Node:
    """Return a server of 8 accelerators, or of their scale-up domain where that is larger."""
    size = max(accelerator.scale_up_domain, SERVER)
    nic = accelerator.nic_bytes_per_s
    return Node(
        name=f"{size}x-{accelerator.name}",
        title=f"{size} x {accelerator.title}",
        accelerator=accelerator.name,
        num_accelerators=size,
        nic_bytes_per_s=size * nic if nic else None,
        note="Assumed; power of the server not known.",
        source={"default": "assumed"},
    )


def fat_tree(num_gpus: int, gpus_per_node: int = SERVER, *, kind: str = "infiniband") -> Fabric:
    """Return the shallowest fat tree of 64-port switches that connects `num_gpus`.

    Rail-optimised: a leaf takes one card of each of 32 servers, so 32 servers of at most eight
    reach one another through it. Tiers k >= 2 carry 64^k / 2^(k-1) cards, one to an accelerator.

    >>> [tier.num_gpus for tier in fat_tree(16_384).tiers]
    [256, 2048, 65536]

    Raises:
        SpecError: More accelerators than six tiers connect, or not one.

    Source: NVIDIA DGX SuperPOD B200 reference architecture, table of scalable units (leaf
    switches, 2,048 accelerators on two tiers); latencies from mlsysim 0.3.0, not measured.
    """
    sizes = [NODES_PER_LEAF * min(gpus_per_node, SERVER)]
    while sizes[-1] < num_gpus:
        sizes.append(PORTS * NODES_PER_LEAF ** len(sizes))
    tiers = tuple(
        Tier(
            name=TIER_NAMES[min(level, len(TIER_NAMES) - 1)],
            num_gpus=size,
            hop_latency_s=WIRE_LATENCY_S + 2 * level * SWITCH_LATENCY_S,
        )
        for level, size in enumerate(sizes)
    )
    return Fabric(
        name=f"fat-tree-{len(tiers)}",
        title=f"fat tree of {len(tiers)} tiers, 64-port switches",
        kind=kind,
        tiers=tiers,
        source={"default": f"{_ASSUMED}; latency: mlsysim 0.3.0 (PyPI), a teaching value"},
    )


def _kind(accelerator: Accelerator) -> str:
    return _KINDS.get(accelerator.vendor, "infiniband")
