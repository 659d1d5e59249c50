"""What a scale-out network is made of: switches, cables and optics, counted from its tiers.

A tree of k tiers: every switch but the topmost has half its ports down and half up (fewer up where
the tier above is oversubscribed), the topmost has all of them down.

    switches of a tier = links from below x (1 + 1 / oversubscription above) / ports
    cables between two tiers = links: the endpoints, over all oversubscription below

Left out: management and storage networks, spares, patch panels.
Source: NVIDIA DGX SuperPOD reference architectures (H100, B200, B300), tables of scalable units.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.spec.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

# Cables with optics at both ends: $398 M for three tiers of 104,856 links each.
# Source: Eugene Cheah, H100 Freakonomics cluster table (Aug 2024), 13,107 nodes.
CABLE_USD: Final = 398e6 / (3 * 13_107 * 8)
# Watts of one 400 Gb/s module in a network card, and of one 2 x 400 Gb/s module in a switch.
# Source: NVIDIA, specifications of MMS4X00-NS400, MMS4X00-NS and 800GMMS4X00-NS (read 2026).
CARD_OPTIC_W: Final = Interval(low=8.0, expected=8.5, high=9.0)
SWITCH_OPTIC_W: Final = Interval(low=16.0, expected=16.0, high=17.0)
LINKS_PER_SWITCH_OPTIC: Final = 2
DEFAULT_PORTS: Final = 64  # of a switch that nobody named: the commonest at 400 Gb/s


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricCount:
    """Parts of one scale-out network.

    Attributes:
        switches: By tier, innermost first.
        cables: By tier: those that come from below.
        card_optics: Modules in network cards.
        switch_optics: Modules in switches, two links each.
    """

    switches: tuple[int, ...]
    cables: tuple[int, ...]
    card_optics: int
    switch_optics: int

    @property
    def optics_w(self) -> Interval:
        """Power of all optical modules."""
        cards, ports = self.card_optics, self.switch_optics
        return Interval(
            low=cards * CARD_OPTIC_W.low + ports * SWITCH_OPTIC_W.low,
            expected=cards * CARD_OPTIC_W.expected + ports * SWITCH_OPTIC_W.expected,
            high=cards * CARD_OPTIC_W.high + ports * SWITCH_OPTIC_W.high,
        )


def fabric_count(endpoints: int, ports: int, oversubscription: Sequence[float]) -> FabricCount:
    """Return the parts of a network of full or thinned tree tiers.

    >>> fabric_count(16_384, 64, [1.0, 1.0, 1.0]).switches
    (512, 512, 256)

    Args:
        endpoints: Accelerators, one link each.
        ports: Of a switch, at the rate of an endpoint.
        oversubscription: Of each tier used, innermost first; 7 thins the links into that tier.

    Raises:
        SpecError: There are no endpoints or no tiers.
    """
    if endpoints < 1 or not oversubscription:
        raise SpecError(
            f"fabric: must have endpoints and tiers, got {endpoints} and {len(oversubscription)}"
        )
    links, switches, cables = float(endpoints), [], []
    for tier in range(len(oversubscription)):
        above = tuple(oversubscription[tier + 1 : tier + 2])
        up = links / above[0] if above else 0.0
        switches.append(ceil((links + up) / ports))
        cables.append(ceil(links))
        links = up
    ends = endpoints + 2 * sum(cables[1:])
    return FabricCount(
        switches=tuple(switches),
        cables=tuple(cables),
        card_optics=endpoints,
        switch_optics=ceil(ends / LINKS_PER_SWITCH_OPTIC),
    )
