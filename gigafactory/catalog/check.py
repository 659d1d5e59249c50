"""Turns a table into a spec, or says everything that is wrong with it in one line."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_type_hints

from gigafactory.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import TypeAdapter

SpecT = TypeVar("SpecT")

_MAX_FAULTS: Final = 20  # a file of garbage must still give a line that can be read
_MAX_SHOWN: Final = 60
_UNIT: Final = re.compile(
    r"_(?:[kmgtpe]i?)?(?:b|bytes?|bits?|w|watts?|wh|j|flops?|usd|s|seconds?|ms|us|ns|min|minutes|"
    r"hours?|days?)(?:_?per_(?:s|hour)|ps)?$|_[kmgtpe]?bs$"
)


def build(
    cls: type[SpecT],
    table: Mapping[str, Any],
    where: str,
    *,
    sourced: bool,
    extra: tuple[str, ...] = (),
) -> SpecT:
    """Return the spec that `table` describes.

    Args:
        cls: A spec class.
        table: Keys and values, as TOML gives them.
        where: Names the table in the error.
        sourced: Ask a source for every number, where `cls` has a place for it.
        extra: Faults found before, to be told in the same line.

    Raises:
        CatalogError: Names every key at fault, its rule and its value.
    """
    from pydantic import ValidationError

    faults = [*extra, *_not_finite(table), *(_without_source(cls, table) if sourced else ())]
    spec: SpecT | None = None
    key: Any = cls  # a class can be hashed, which mypy does not see of type[SpecT]
    try:
        # Strict rules take a table for a spec, and a list for a tuple, from JSON only.
        spec = _adapter(key).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        told = {fault.partition(":")[0] for fault in extra}
        found = error.errors(include_url=False)
        found += _behind_unknown(_adapter(key), table, found)
        faults += [_rule(cls, one) for one in found if ".".join(map(str, one["loc"])) not in told]
    except (OverflowError, RecursionError, ValueError) as error:
        faults.append(f"a value is too large or nested too deeply ({error})")
    if faults or spec is None:
        raise CatalogError(f"{where}: {_one_line(faults)}")
    return spec


def _behind_unknown(adapter: Any, table: Mapping[str, Any], found: list[Any]) -> list[Any]:
    """Return the faults that unknown keys hide: a spec's own rules run only without them."""
    from pydantic import ValidationError

    unknown = [one["loc"] for one in found if "unexpected" in one["type"] or "extra" in one["type"]]
    if not unknown or len(unknown) < len(found):
        return []
    known = json.loads(json.dumps(table, default=str))
    for path in unknown:
        inner = known
        for step in path[:-1]:
            inner = inner[step]
        inner.pop(path[-1], None)
    try:
        adapter.validate_json(json.dumps(known))
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


def nearest(name: str, known: list[str]) -> str:
    """Return `nearest: ` and up to three of `known` like `name`, or `known: ` and all of them."""
    similar = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    return f"nearest: {', '.join(similar)}" if similar else f"known: {', '.join(known)}"


def shortened(text: str) -> str:
    """Return the text, cut where it is too long for a message."""
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _one_line(faults: list[str]) -> str:
    unique = list(dict.fromkeys(faults))
    more = len(unique) - _MAX_FAULTS
    text = "; ".join(unique[:_MAX_FAULTS]) + (f"; and {more} more" if more > 0 else "")
    return " ".join(text.split())


def _shown(value: object) -> str:
    try:
        return shortened(repr(value))
    except ValueError:  # Python refuses to print a whole number of thousands of digits
        return "a huge number"


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _not_finite(table: Mapping[str, Any]) -> list[str]:
    return [
        f"{path}: must be a finite number, got {value}"
        for path, value in _leaves(table, "")
        if isinstance(value, float) and not isfinite(value)
    ]


def _without_source(cls: type, table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return a fault for each number that no source covers, and each source of nothing."""
    names = {item.name for item in fields(cls)} if is_dataclass(cls) else set()
    if "source" not in names:
        return []
    source = table.get("source", {})
    source = source if isinstance(source, dict) else {}
    faults = []
    for key, value in table.items():
        inner = spec_in(get_type_hints(cls).get(key))
        if isinstance(value, dict) and inner and "source" in {item.name for item in fields(inner)}:
            faults += _without_source(inner, value, f"{prefix}{key}.")
        elif key in names and _holds_number(value) and not {key, "default"} & source.keys():
            faults.append(f"{prefix}{key}: has no source (name it, or `default`, in [source])")
    strangers = sorted(source.keys() - names - {"default"})
    faults += [f"{prefix}source.{key}: names no field{_hint(key, names)}" for key in strangers]
    return faults


def _holds_number(value: object) -> bool:
    return any(
        isinstance(leaf, int | float | dt.date) and not isinstance(leaf, bool)
        for _, leaf in _leaves(value, "")
    )


def spec_in(hint: object) -> Any:
    """Return the spec class that an annotation such as `tuple[Tier, ...] | None` holds, or None."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next((found for arg in get_args(hint) if (found := spec_in(arg))), None)


def _class_at(cls: type, location: tuple[int | str, ...]) -> type:
    """Return the spec class of the table that holds the last part of `location`."""
    for part in location[:-1]:
        inner = spec_in(get_type_hints(cls).get(str(part)))
        cls = inner or cls
    return cls


def _rule(cls: type, error: Any) -> str:
    """Return one fault as `key: rule, got value`."""
    location: tuple[int | str, ...] = error["loc"]
    key = ".".join(str(part) for part in location)
    kind = error["type"]
    if kind == "missing":
        return f"{key}: is missing"
    if kind == "unexpected_keyword_argument":
        owner = _class_at(cls, location)
        known = {item.name for item in fields(owner)}
        return f"{key}: is no key of {owner.__name__.lower()}{_hint(str(location[-1]), known)}"
    if kind == "value_error":
        return f"{key}: {error['ctx']['error']}" if key else str(error["ctx"]["error"])
    message = (
        error["msg"].replace("Input should be", "must be").replace("Field required", "is missing")
    )
    return f"{key}: {message}, got {_shown(error['input'])}"


def _hint(key: str, known: set[str]) -> str:
    """Return how the key should be called, if any known one is meant."""
    stem = _UNIT.sub("", key)
    same = sorted((name for name in known if stem == _UNIT.sub("", name) != name), key=len)
    if same and stem != key:
        rate = [name for name in same if name.endswith("_per_s")]
        is_rate = re.search(r"(per_s|bs|ps)$", key) is not None
        return f" (wrong unit: use {(rate if is_rate and rate else same)[0]}, in SI)"
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
