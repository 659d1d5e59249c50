"""Units at the edge: SI floats inside, `400Gb/s`, `80GB` and `150MW` outside."""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

from gigafactory.errors import SpecError

SECONDS_PER_DAY: Final = 86_400.0
SECONDS_PER_HOUR: Final = 3_600.0
HOURS_PER_YEAR: Final = 8_766.0  # 365.25 days
J_PER_MWH: Final = 3.6e9

_PREFIX: Final = {
    "": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_UNIT: Final = {
    "": 1.0, "B": 1.0, "b": 0.125, "B/s": 1.0, "b/s": 0.125, "bps": 0.125, "W": 1.0, "J": 1.0,
    "Wh": 3600.0, "s": 1.0, "FLOP": 1.0, "FLOPs": 1.0, "FLOP/s": 1.0, "USD": 1.0,
}  # fmt: skip
_QUANTITY: Final = re.compile(
    r"\s*([-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
    r"([KMGTPE]i|[kKMGTPE])?([A-Za-z/]*)\s*"
)


def parse(text: str) -> float:
    """Return the SI value of a quantity: bytes, bytes per second, watts, seconds, FLOPs.

    >>> parse("400Gb/s"), parse("80GB"), parse("150MW"), parse("15e12")
    (50000000000.0, 80000000000.0, 150000000.0, 15000000000000.0)

    Raises:
        SpecError: The text is no number with a known unit.
    """
    match = _QUANTITY.fullmatch(text)
    if not match or match[3] not in _UNIT:
        raise SpecError(f"{text!r} is no quantity such as 400Gb/s, 80GB, 150MW or 15e12")
    value = float(match[1]) * _PREFIX[match[2] or ""] * _UNIT[match[3]]
    if not isfinite(value):
        raise SpecError(f"{text!r} is not a finite quantity")
    return value


def show(value: float, unit: str, digits: int = 3) -> str:
    """Return `value` with the decimal prefix that leaves 1 to 999 before the point.

    >>> show(1.5e8, "W"), show(0.0125, "s"), show(8e10, "B")
    ('150 MW', '12.5 ms', '80 GB')
    """
    scales: tuple[tuple[float, str], ...] = (
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
    )
    if unit == "s":
        scales = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))
    # Half a last digit below a scale rounds up to it: 999.96 kW is "1 MW", not "1e+03 kW".
    slack = 1 - 0.5 * 10.0**-digits
    scale, prefix = next(((s, p) for s, p in scales if abs(value) >= s * slack), scales[-1])
    return f"{value / scale:.{digits}g} {prefix}{unit}".rstrip()
