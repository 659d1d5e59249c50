"""The tool `x_search` of xAI's API: whose posts an answer may rest on, and from which days.

Here it narrows what is always searched: the whole feed, X and its open peers alike.

Source: https://docs.x.ai/developers/tools/x-search.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from gigafactory.spec.base import Spec, fault
from gigafactory.spec.post import Query

MAX_HANDLES: Final = 20
_HANDLE: Final = re.compile(r"@?[\w.:@-]{1,253}")


@dataclass(frozen=True, slots=True, kw_only=True)
class XSearch(Spec):
    """Which posts may be read.

    Attributes:
        from_date: First day (UTC), or moment, in ISO 8601; empty for any.
        to_date: Last day, itself included, or the moment before which.
        allowed_x_handles: Only these authors, on whichever platform.
        excluded_x_handles: None of these; not together with the others.
        enable_image_understanding: Only false can be done.
        enable_video_understanding: Only false can be done.
    """

    type: Literal["x_search"]
    from_date: str = ""
    to_date: str = ""
    allowed_x_handles: tuple[str, ...] = ()
    excluded_x_handles: tuple[str, ...] = ()
    enable_image_understanding: bool = False
    enable_video_understanding: bool = False

    def __post_init__(self) -> None:
        if self.allowed_x_handles and self.excluded_x_handles:
            rule = "must not be given together with allowed_x_handles"
            raise fault(self, "excluded_x_handles", list(self.excluded_x_handles), rule)
        for name in ("allowed_x_handles", "excluded_x_handles"):
            self._require_handles(name, getattr(self, name))
        for name in ("enable_image_understanding", "enable_video_understanding"):
            if getattr(self, name):
                raise fault(self, name, True, "is not supported by this server")
        since, until = self._moment("from_date"), self._moment("to_date")
        if since and until and since >= until:
            raise fault(self, "from_date", self.from_date, f"must not be after {self.to_date}")

    @property
    def within(self) -> Query:
        """The posts that may be read, as a query without words."""
        return Query(
            authors=_bare(self.allowed_x_handles),
            excluded_authors=_bare(self.excluded_x_handles),
            since=self._moment("from_date"),
            until=self._moment("to_date"),
        )

    @property
    def table(self) -> dict[str, Any]:
        """What was given, as a client gives it."""
        names = ("from_date", "to_date", "allowed_x_handles", "excluded_x_handles")
        return {name: value for name in names if (value := getattr(self, name))}

    def _require_handles(self, name: str, handles: tuple[str, ...]) -> None:
        if len(handles) > MAX_HANDLES:
            raise fault(self, name, len(handles), f"must hold at most {MAX_HANDLES} handles")
        for handle in handles:
            if not _HANDLE.fullmatch(handle):
                raise fault(self, name, handle[:80], "must hold handles such as @nasa")

    def _moment(self, name: str) -> datetime | None:
        text: str = getattr(self, name)
        if not text:
            return None
        try:
            if len(text) > len("2026-11-01"):
                at = datetime.fromisoformat(text)
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            day = date.fromisoformat(text) + timedelta(days=name == "to_date")
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        except (ValueError, OverflowError):
            raise fault(self, name, text[:80], "must be a date such as 2026-11-01") from None


def _bare(handles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(handle.removeprefix("@") for handle in handles)
