"""Times as platforms write them, and as numbers that order versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_SKEW: Final = timedelta(minutes=5)  # a post from further ahead has a wrong clock
_MICROSECOND: Final = timedelta(microseconds=1)


def parsed(text: object) -> datetime | None:
    """Return the moment in ISO 8601 text with a time zone, in UTC; None if it is no such text.

    >>> parsed("2026-01-01T00:00:00.5+01:00")
    datetime.datetime(2025, 12, 31, 23, 0, 0, 500000, tzinfo=datetime.timezone.utc)
    >>> parsed("2026-01-01"), parsed(3)
    (None, None)
    """
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def microseconds(moment: datetime) -> int:
    """Return whole microseconds since 1970.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 2, 3, tzinfo=UTC))
    2000003
    """
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime | None:
    """Return the moment that many microseconds after 1970; None if no calendar holds it."""
    try:
        return EPOCH + timedelta(microseconds=count)
    except OverflowError:
        return None
