"""Numbers that a text gives, with what they measure: 340, "twelve", £2.4m, 30 %, 12 km, 3-1.

Times are not quantities: pass what `times` found, and its numbers are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gigafactory.grok.times import When


def _listed(text: str) -> list[str]:
    return text.split()


_ONES: Final = dict(
    zip(
        _listed("""zero one two three four five six seven eight nine ten eleven twelve thirteen
        fourteen fifteen sixteen seventeen eighteen nineteen"""),
        range(20),
        strict=True,
    )
)
_TENS: Final = dict(
    zip(
        _listed("twenty thirty forty fifty sixty seventy eighty ninety"),
        range(20, 100, 10),
        strict=True,
    )
)
_ORDINALS: Final = dict(
    zip(
        _listed("second third fourth fifth sixth seventh eighth ninth tenth"),
        range(2, 11),
        strict=True,
    )
)
_SCALES: Final = {
    "k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "mln": 1e6, "million": 1e6, "bn": 1e9,
    "b": 1e9, "billion": 1e9, "trillion": 1e12, "hundred": 1e2, "dozen": 12, "lakh": 1e5,
}  # fmt: skip
# How much of the kind's own unit (seconds, metres, ...) each unit is.
_MEASURES: Final[dict[str, dict[float, str]]] = {
    "percent": {
        1: "%|percent|per cent|pc",
    },
    "duration": {
        1: "seconds|second|secs|sec|s",
        0.001: "ms|milliseconds",
        60: "minutes|minute|mins|min",
        3600: "hours|hour|hrs|hr|h",
        86400: "days|day|nights",
        604800: "weeks|week",
        2629800: "months|month",
        31557600: "years|year",
        315576000: "decades",
    },
    "length": {
        1000.0: "km|kilometres|kilometers|kilometre",
        1609.344: "miles|mile",
        1: "metres|meters|metre|meter|m",
        0.01: "cm",
        0.001: "mm",
        0.3048: "feet|ft|foot",
        0.0254: "inches|inch",
        0.9144: "yards",
        1852.0: "nautical miles|nautical mile",
        1.495978707e11: "astronomical units|astronomical unit|au",
        9.4607e15: "light-years|light years|light-year|light year",
        3.844e8: "lunar distances|lunar distance",
    },
    "mass": {
        1: "kg|kilos|kilograms|kilo",
        0.001: "g|grams",
        1000.0: "tonnes|tonne|tons|ton",
        0.4536: "lb|lbs",
        6.35: "stone",
    },
    "money": {
        1: "pounds|dollars|dollar|usd|euros|euro|eur|gbp|quid|yen|kronor|kroner|krone|"
        "krona|kr|francs|franc|crowns|crown|pound|chf|rupees|rupee|pesos|peso|yuan|"
        "won|zloty|lira|dirhams|rand|reais|shekels|roubles|rubles|forints",
        0.01: "cents|pence|p",
    },
    "temperature": {
        1: "°c|°|c|°f|degrees|degree|celsius",
    },
    "speed": {
        0.44704: "mph",
        0.27778: "km/h|kph|kmh",
        1: "m/s",
        0.51444: "knots",
    },
    "power": {
        1: "w",
        1000.0: "kw",
        1000000.0: "mw",
        1000000000.0: "gw",
    },
    "energy": {
        3600000.0: "kwh",
        3600000000.0: "mwh",
    },
    "bytes": {
        1000000.0: "mb",
        1000000000.0: "gb",
        1000000000000.0: "tb",
        1000.0: "kb",
        1000000000000000.0: "pb",
    },
    "volume": {
        1: "litres|liters|l",
        0.001: "ml",
        4.546: "gallons",
        0.568: "pints",
    },
    "area": {
        10000.0: "hectares",
        4047: "acres",
        1: "sqm",
    },
}
_UNITS: Final = {
    unit: (kind, size)
    for kind, sizes in _MEASURES.items()
    for size, listed in sizes.items()
    for unit in listed.split("|")
}
_NAMED_UNITS: Final = "|".join(sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True))
_WORDS: Final = "|".join([*_TENS, *sorted(_ONES, key=len, reverse=True)])
_NUMBER: Final = re.compile(
    rf"""(?<![\w.,:/@#-])(?P<sign>[-\u2212])?(?P<money>[$€£¥]\s?|(?:USD|EUR|GBP)\s)?
    (?:(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\d)
       (?P<ordinal>(?:st|nd|rd|th)\b)?
      |(?P<words>(?:{_WORDS})(?:[ -](?:{_WORDS}))?
        |(?:a|half\ a|several)(?=\s(?:hundred|thousand|million|billion|dozen)))\b)
    (?:[ -]?(?P<scale>hundred|thousand|million|billion|trillion|dozen|bn|mn|mln|k|b|m)\b)?
    (?:\s?-?(?P<unit>{_NAMED_UNITS})(?!\w))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SCORE: Final = re.compile(r"(?<![\w/.:-])(\d{1,3})\s?[-\u2013:]\s?(\d{1,3})(?![\w/:-]|\.\d)")
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
