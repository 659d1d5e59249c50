"""JSON of strangers: an object, or None and an incident that says why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gigafactory.grok.sources.text import REPLACEMENT

if TYPE_CHECKING:
    from gigafactory.grok.sources.telling import Teller

MAX_EVENT_BYTES: Final = 1 << 22  # an event of a platform is a hundredth of it
SHOWN_BYTES: Final = 60


def json_object(data: bytes | str, tell: Teller, where: str = "event") -> dict[str, Any] | None:
    """Return the JSON object in `data`; None if there is none, which is told as "malformed".

    Bytes that are no UTF-8 become U+FFFD, and are told.
    """
    found = json_value(data, tell, where)
    if found is None or isinstance(found, dict):
        return found
    tell("malformed", f"{where}: must be a JSON object, got {data[:SHOWN_BYTES]!r}")
    return None


def json_value(data: bytes | str, tell: Teller, where: str) -> Any:
    """Return the JSON value in `data`; None if there is none, which is told as "malformed"."""
    text = data if isinstance(data, str) else decoded(data, tell, where)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        tell("malformed", f"{where}: is no JSON: {reason}: {text[:SHOWN_BYTES]!r}")
        return None
    if found is None:
        tell("malformed", f"{where}: must hold something, got null")
    return found


def decoded(data: bytes, tell: Teller, where: str = "event") -> str:
    """Return bytes as text; what is no UTF-8 becomes U+FFFD, and is told."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        tell("malformed", f"{where}: byte {error.start} is no UTF-8; shown as {REPLACEMENT}")
        return data.decode("utf-8", errors="replace")


def table(value: object) -> dict[str, Any]:
    """Return a value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """Return the objects in a value that is a list, else none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def words(value: object) -> str:
    """Return a value if it is text, else none of it."""
    return value if isinstance(value, str) else ""
