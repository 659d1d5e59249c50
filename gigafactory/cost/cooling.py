"""Heat of the machine, and what carries it away: chillers and water.

heat = IT power;  power of cooling and losses = IT power x (PUE - 1);  water = IT energy x WUE
"""

from __future__ import annotations

from typing import Final

from gigafactory.spec.interval import Interval
from gigafactory.units import SECONDS_PER_DAY

# Chillers per watt of IT: 119-121 for the 200 MW of Colossus 2.
# Source: Epoch AI Frontier Data Centers (2026-03-06); SemiAnalysis as quoted by climateerinvest.
CHILLERS_PER_W: Final = Interval(low=119 / 200e6, expected=120 / 200e6, high=121 / 200e6)
# Litres per kWh of IT energy with wet cooling towers; hybrid plants take 0.2 to 0.5.
# Source: datacentersx.com, energy and sustainability (read 2026); expected: the middle.
WET_LITRES_PER_KWH: Final = Interval(low=1.0, expected=1.5, high=2.0)
_J_PER_KWH: Final = 3.6e6
_LITRES_PER_M3: Final = 1000.0


def water_m3_per_day(it_w: float, litres_per_kwh: float) -> float:
    """Return the cubic metres of water that cooling takes in a day.

    >>> round(water_m3_per_day(1e6, 1.0), 9)
    24.0
    """
    return it_w * SECONDS_PER_DAY / _J_PER_KWH * litres_per_kwh / _LITRES_PER_M3


def chillers(it_w: float) -> Interval:
    """Return the number of air-cooled chillers for the heat of `it_w`, scaled from one plant."""
    return CHILLERS_PER_W.scaled(it_w)
