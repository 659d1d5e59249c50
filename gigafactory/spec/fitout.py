"""What a cluster needs besides servers: switches and racks, as their makers state them."""

from __future__ import annotations

from dataclasses import dataclass, field

from gigafactory.spec.base import Spec, require_count, require_positive
from gigafactory.spec.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Spec):
    """One kind of switch of a scale-out network.

    Attributes:
        ports: Ports at the rate of one accelerator's network card.
        port_bytes_per_s: Rate of one port, one direction.
        usd: Price of one; None where none is published.
        fabrics: Names of the catalog's fabrics that are built of it.
        source: Where each number comes from; "default" covers those not named.
    """

    name: str
    title: str
    ports: int
    port_bytes_per_s: float
    usd: Interval | None = None
    fabrics: tuple[str, ...] = ()
    note: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(self, "ports", least=2, most=4096)
        require_positive(self, "port_bytes_per_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack(Spec):
    """How servers of one kind, named like it, are set in racks.

    Attributes:
        nodes: Servers to a rack.
        coolant_units: Coolant distribution units in the rack.
        source: Where each number comes from; "default" covers those not named.
    """

    name: str
    title: str
    nodes: int
    coolant_units: int = 0
    source: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_count(self, "nodes", most=1000)
        require_count(self, "coolant_units", least=0, most=1000)
