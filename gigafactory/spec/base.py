"""What every spec shares: files must match it exactly, and its checks name every operand."""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

from gigafactory.errors import SpecError


class Spec:
    """Base of all specs. They are frozen: derive a changed one with `dataclasses.replace`."""

    __slots__ = ()
    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}


def require_count(spec: object, *fields: str, least: int = 1, most: int = 10**12) -> None:
    """Refuse a field that is no whole number between `least` and `most`.

    Raises:
        SpecError: Names the class, the field, its value and the rule.
    """
    for name in fields:
        value = getattr(spec, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise fault(spec, name, value, "must be a whole number")
        if not least <= value <= most:
            raise fault(spec, name, value, f"must be between {least} and {most}")


def require_positive(spec: object, *fields: str, zero: bool = False) -> None:
    """Refuse a field that is not a finite number above zero (or from zero on, if `zero`).

    Raises:
        SpecError: Names the class, the field, its value and the rule.
    """
    for name in fields:
        value = getattr(spec, name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise fault(spec, name, value, "must be a finite number")
        if value < 0 or (value == 0 and not zero):
            raise fault(spec, name, value, "must not be negative" if zero else "must be above 0")


def require_one_of(spec: object, field: str, choices: tuple[str, ...]) -> None:
    """Refuse a field whose text is not among `choices`.

    Raises:
        SpecError: Names the class, the field, its value and the choices.
    """
    value = getattr(spec, field)
    if value not in choices:
        raise fault(spec, field, value, f"must be one of {', '.join(choices)}")


def fault(spec: object, field: str, value: object, rule: str) -> SpecError:
    """Return the error that says `field` of `spec` holds `value` and breaks `rule`."""
    return SpecError(f"{type(spec).__name__.lower()}: {field} {rule}, got {value!r}", field=field)
