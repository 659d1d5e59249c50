"""Numbers that a text gives, with what they measure: 340, "twelve", £2.4m, 30 %, 12 km, 3-1.

Times are not quantities: pass what `times` found, and its numbers are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gigafactory.grok.times import When

_ONES: Final = dict(
    zip(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen""".split(),
        range(20),
        strict=True,
    )
)
_TENS: Final = dict(
    zip(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(),
        range(20, 100, 10),
        strict=True,
    )
)
_ORDINALS: Final = dict(
    zip(
        "second third fourth fifth sixth seventh eighth ninth tenth".split(),
        range(2, 11),
        strict=True,
    )
)
_SCALES: Final = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "mln": 1e6, "million": 1e6, "bn": 1e9,
    "b": 1e9, "billion": 1e9, "trillion": 1e12, "hundred": 1e2, "dozen": 12, "lakh": 1e5,
}  # fmt: skip
# Unit as written -> (kind, how many of the kind's own unit it is).
_UNITS: Final[dict[str, tuple[str, float]]] = {
    "%": ("percent", 1), "percent": ("percent", 1), "per cent": ("percent", 1), "pc": ("percent", 1),
    "seconds": ("duration", 1), "second": ("duration", 1), "secs": ("duration", 1), "sec": ("duration", 1), "s": ("duration", 1),
    "ms": ("duration", 1e-3), "milliseconds": ("duration", 1e-3),
    "minutes": ("duration", 60), "minute": ("duration", 60), "mins": ("duration", 60), "min": ("duration", 60),
    "hours": ("duration", 3600), "hour": ("duration", 3600), "hrs": ("duration", 3600), "hr": ("duration", 3600), "h": ("duration", 3600),
    "days": ("duration", 86400), "day": ("duration", 86400), "nights": ("duration", 86400), "weeks": ("duration", 604800), "week": ("duration", 604800),
    "months": ("duration", 2629800), "month": ("duration", 2629800), "years": ("duration", 31557600), "year": ("duration", 31557600),
    "decades": ("duration", 315576000), "km": ("length", 1e3), "kilometres": ("length", 1e3), "kilometers": ("length", 1e3), "kilometre": ("length", 1e3),
    "miles": ("length", 1609.344), "mile": ("length", 1609.344), "metres": ("length", 1), "meters": ("length", 1), "metre": ("length", 1), "meter": ("length", 1),
    "m": ("length", 1), "cm": ("length", 0.01), "mm": ("length", 0.001), "feet": ("length", 0.3048), "ft": ("length", 0.3048), "foot": ("length", 0.3048),
    "inches": ("length", 0.0254), "inch": ("length", 0.0254), "yards": ("length", 0.9144),
    "kg": ("mass", 1), "kilos": ("mass", 1), "kilograms": ("mass", 1), "kilo": ("mass", 1), "g": ("mass", 1e-3), "grams": ("mass", 1e-3), "tonnes": ("mass", 1e3),
    "tonne": ("mass", 1e3), "tons": ("mass", 1e3), "ton": ("mass", 1e3), "pounds": ("money", 1), "lb": ("mass", 0.4536), "lbs": ("mass", 0.4536), "stone": ("mass", 6.35),
    "°c": ("temperature", 1), "°": ("temperature", 1), "c": ("temperature", 1), "°f": ("temperature", 1), "degrees": ("temperature", 1), "degree": ("temperature", 1), "celsius": ("temperature", 1),
    "mph": ("speed", 0.44704), "km/h": ("speed", 0.27778), "kph": ("speed", 0.27778), "kmh": ("speed", 0.27778), "m/s": ("speed", 1), "knots": ("speed", 0.51444),
    "w": ("power", 1), "kw": ("power", 1e3), "mw": ("power", 1e6), "gw": ("power", 1e9), "kwh": ("energy", 3.6e6), "mwh": ("energy", 3.6e9),
    "mb": ("bytes", 1e6), "gb": ("bytes", 1e9), "tb": ("bytes", 1e12), "kb": ("bytes", 1e3), "pb": ("bytes", 1e15),
    "dollars": ("money", 1), "dollar": ("money", 1), "usd": ("money", 1), "euros": ("money", 1), "euro": ("money", 1), "eur": ("money", 1), "gbp": ("money", 1), "quid": ("money", 1),
    "cents": ("money", 0.01), "pence": ("money", 0.01), "p": ("money", 0.01), "yen": ("money", 1), "kronor": ("money", 1), "francs": ("money", 1), "crowns": ("money", 1),
    "litres": ("volume", 1), "liters": ("volume", 1), "l": ("volume", 1), "ml": ("volume", 1e-3), "gallons": ("volume", 4.546), "pints": ("volume", 0.568),
    "hectares": ("area", 1e4), "acres": ("area", 4047), "sqm": ("area", 1),
}  # fmt: skip
_NAMED_UNITS: Final = "|".join(
    sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True)
)
_WORDS: Final = "|".join([*_TENS, *sorted(_ONES, key=len, reverse=True)])
_NUMBER: Final = re.compile(
    rf"""(?<![\w.,:/@#-])(?P<sign>[-−])?(?P<money>[$€£¥]\s?|(?:USD|EUR|GBP)\s)?
    (?:(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\d)
       (?P<ordinal>(?:st|nd|rd|th)\b)?
      |(?P<words>(?:{_WORDS})(?:[ -](?:{_WORDS}))?|(?:a|half\ a|several)(?=\s(?:hundred|thousand|million|billion|dozen)))\b)
    (?:[ -]?(?P<scale>hundred|thousand|million|billion|trillion|dozen|bn|mn|mln|k|b|m)\b)?
    (?:\s?-?(?P<unit>{_NAMED_UNITS})(?!\w))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SCORE: Final = re.compile(r"(?<![\w/.:-])(\d{1,3})\s?[-–:]\s?(\d{1,3})(?![\w/:-]|\.\d)")
_VERSION: Final = re.compile(r"\bv?\d+\.\d+(?:\.\d+)+\b|\bv\d+(?:\.\d+)*\b", re.IGNORECASE)
_ORDINAL_WORD: Final = re.compile(rf"\b({'|'.join(_ORDINALS)})\b", re.IGNORECASE)
_EPSILON: Final = 1e-9


class Quantity(NamedTuple):
    """A number of a text.

    Attributes:
        start: First character in the text.
        end: One behind its last, the unit included.
        kind: "plain", "ordinal", "money", "percent", "duration", ..., "score", "version".
        value: In the kind's own unit; the first of a score.
        written: As written.
    """

    start: int
    end: int
    kind: str
    value: float
    written: str

    def same(self, other: Quantity) -> bool:
        """Return whether both give the same amount; a bare number may leave out the unit."""
        if {self.kind, other.kind} & {"score", "version"}:
            return self.written.lower() == other.written.lower()
        close = abs(self.value - other.value) <= _EPSILON * max(abs(self.value), 1.0)
        return close and (self.kind == other.kind or "plain" in {self.kind, other.kind})


def quantities(text: str, whens: Iterable[When] = ()) -> list[Quantity]:
    """Return the numbers of `text` in order, but for those inside `whens`."""
    taken = [(when.start, when.end) for when in whens]
    found: list[Quantity] = []
    for one in (*_versions(text), *_scores(text), *_numbers(text), *_ordinals(text)):
        if not any(one.start < end and start < one.end for start, end in taken):
            taken.append((one.start, one.end))
            found.append(one)
    return sorted(found)


def _versions(text: str) -> Iterator[Quantity]:
    for match in _VERSION.finditer(text):
        yield Quantity(match.start(), match.end(), "version", 0.0, match.group())


def _scores(text: str) -> Iterator[Quantity]:
    for match in _SCORE.finditer(text):
        yield Quantity(match.start(), match.end(), "score", float(match[1]), match.group())


def _ordinals(text: str) -> Iterator[Quantity]:
    for match in _ORDINAL_WORD.finditer(text):
        value = float(_ORDINALS[match.group().lower()])
        yield Quantity(match.start(), match.end(), "ordinal", value, match.group())


def _numbers(text: str) -> Iterator[Quantity]:
    for match in _NUMBER.finditer(text):
        kind, factor = "plain", 1.0
        scale, unit = (match["scale"] or "").lower(), (match["unit"] or "").lower()
        if match["ordinal"]:
            kind = "ordinal"
        elif match["money"]:
            kind = "money"
        elif scale == "m" and not unit:
            kind, factor, scale = "length", 1.0, ""
        elif unit:
            kind, factor = _UNITS[unit]
        value = _value(match) * _SCALES.get(scale, 1.0) * factor
        if match["sign"] and kind in {"temperature", "plain", "percent"}:
            value = -value
        yield Quantity(match.start(), match.end(), kind, value, match.group())


def _value(match: re.Match[str]) -> float:
    if match["digits"]:
        return float(match["digits"].replace(",", ""))
    written = match["words"].lower()
    if written in {"a", "half a", "several"}:
        return {"a": 1.0, "half a": 0.5}.get(written, 3.0)
    parts = re.split(r"[ -]", written)
    return float(sum(_TENS.get(part, _ONES.get(part, 0)) for part in parts))
