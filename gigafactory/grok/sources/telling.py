"""What a source meets, told in one line each: without secrets, without control characters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gigafactory.grok.sources.text import one_line
from gigafactory.spec.post import Incident

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DETAIL_CHARS: Final = 300


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells the incidents of one source.

    Attributes:
        source: Its name.
        tell: Who wants to know.
        now: The clock.
        secrets: Words that are blackened wherever they turn up, such as a token that a server
            repeats in its error.
    """

    source: str
    tell: Callable[[Incident], None]
    now: Callable[[], datetime] = utc_now
    secrets: tuple[str, ...] = ()

    def __call__(self, kind: str, detail: str) -> None:
        """Tell an incident that happens now."""
        line = self.blackened(detail)
        self.tell(Incident(source=self.source, kind=kind, detail=line, at=self.now()))

    def blackened(self, detail: str) -> str:
        """Return a detail as it may be shown: one line, no secret in it."""
        for secret in self.secrets:
            if secret:
                detail = detail.replace(secret, "***")
        return one_line(detail, MAX_DETAIL_CHARS)
