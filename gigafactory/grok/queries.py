"""A file of queries, one JSON object a line: `{"id", "query", "as_of"?}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import CatalogError, SpecError
from gigafactory.grok.query import moment, parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from gigafactory.spec.post import Query

KEYS: Final = ("id", "query", "as_of")
MOST_FAULTS: Final = 20  # told at once


def read_queries(path: Path, now: datetime, *, limit: int) -> Sequence[tuple[str | int, Query]]:
    """Return the queries of a file in its order, each with its identifier.

    Raises:
        CatalogError: The file cannot be read, or lines break rules; all of them are named.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatalogError(f"{path}: cannot be read: {reason}") from None
    found: list[tuple[str | int, Query]] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(_read(line, now, limit))
            except SpecError as error:
                faults.append(f"line {number}: {error}")
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise CatalogError(f"{path}: {'; '.join(faults[:MOST_FAULTS])}{more}", field="batch")
    return found


def _read(line: str, now: datetime, limit: int) -> tuple[str | int, Query]:
    told = _object(line)
    one, text, as_of = told.get("id"), told.get("query"), told.get("as_of")
    if isinstance(one, bool) or not isinstance(one, str | int):
        raise SpecError(f"id must be a text or a whole number, got {one!r}", field="id")
    if not isinstance(text, str):
        raise SpecError(f"query must be a text, got {text!r}", field="query")
    if as_of is not None and not isinstance(as_of, str):
        raise SpecError(f"as_of must be a date with time, got {as_of!r}", field="as_of")
    then = None if as_of is None else moment(as_of, now, "as_of")
    return one, parse(text, then or now, limit=limit, as_of=then)


def _object(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise SpecError(f"must be one JSON object, got {line[:40]!r}") from None
    if not isinstance(told, dict):
        raise SpecError(f"must be one JSON object, got {line[:40]!r}")
    if unknown := [key for key in told if key not in KEYS]:
        raise SpecError(f"unknown key {unknown[0]!r}; keys are {', '.join(KEYS)}")
    return told
