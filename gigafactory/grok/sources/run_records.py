"""Lines of a run folder as the nouns of `spec.run`; nothing of a line that is none."""

from __future__ import annotations

from dataclasses import fields
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gigafactory.errors import SpecError
from gigafactory.grok.sources import moments
from gigafactory.grok.sources.payload import json_object, table
from gigafactory.spec.run import Event, RunResult, StepRecord

if TYPE_CHECKING:
    from gigafactory.grok.sources.telling import Teller

RecordT = TypeVar("RecordT", Event, StepRecord, RunResult)
NOT_FINITE: Final = "not_finite"  # of a line: numbers that JSON has no word for, by their key
_ALLOWED: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (float, int),
    "dict[str, float]": (dict,),
}
_MOST: Final = 1e300  # a larger whole number is no float


def record(line: bytes, cls: type[RecordT], tell: Teller, where: str) -> RecordT | None:
    """Return the record of a line; None, told as "malformed", if it is none."""
    told = json_object(line, tell, where)
    if told is None:
        return None
    try:
        found = cls(**_fields(told, cls))
    except (SpecError, TypeError, ValueError) as error:
        tell("malformed", f"{where}: is no {cls.__name__}: {error}")
        return None
    if not isinstance(found, RunResult) and moments.parsed(found.time) is None:
        tell("malformed", f"{where}: time must be a date and time with its zone")
        return None
    return found


def _fields(told: dict[str, Any], cls: type[RecordT]) -> dict[str, Any]:
    """Return the fields that the noun knows, of the types it says.

    Raises:
        TypeError: One is of another type.
        ValueError: A number is written as none.
    """
    for key, value in table(told.pop(NOT_FINITE, None)).items():
        if key in told:
            told[key] = float(value)
    found = {}
    for one in fields(cls):
        if one.name not in told:
            continue
        allowed = _ALLOWED[str(one.type).removesuffix(" | None")]
        value = told[one.name]
        optional = value is None and str(one.type).endswith("None")
        if not optional and not isinstance(value, allowed):
            raise TypeError(f"{one.name} must be {allowed[0].__name__}, got {value!r}")
        if isinstance(value, int) and abs(value) > _MOST:
            raise ValueError(f"{one.name} is too large")
        found[one.name] = _values(value) if isinstance(value, dict) else value
    return found


def _values(told: dict[str, Any]) -> dict[str, float]:
    """Return the numbers among values that are finite."""
    return {
        str(key): float(value)
        for key, value in told.items()
        if isinstance(value, (int, float)) and abs(value) < _MOST and isfinite(value)
    }
