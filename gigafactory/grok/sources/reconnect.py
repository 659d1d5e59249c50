"""One live source for ever: attempt, tell how it ended, wait as the platform asks, go on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

from gigafactory.grok.sources.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from gigafactory.grok.sources.backoff import Manners
    from gigafactory.grok.sources.telling import Teller

T = TypeVar("T")
MOST_ASKED_S: Final = 3600.0  # a server that asks for more is asked again after an hour


class Interrupted(Exception):  # noqa: N818  (a family: why an attempt ended)
    """An attempt ended; another one follows."""

    kind = "disconnected"


class Dropped(Interrupted):
    """The connection failed, or the other side ended it."""


class Stalled(Interrupted):
    """Nothing came for longer than the platform promises."""

    kind = "stalled"


class Answered(Interrupted):
    """The server answered with an HTTP error.

    Attributes:
        wait_s: What it asked to wait, if it did.
    """

    def __init__(self, status: int, detail: str, wait_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {detail}")
        self.status = status
        self.wait_s = wait_s
        self.kind = "rate_limited" if status == 429 else "refused"


async def for_ever(
    attempt: Callable[[], AsyncGenerator[T, None]],
    manners: Manners,
    tell: Teller,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[T, None]:
    """Yield what attempts yield, one attempt after the other.

    Args:
        attempt: Connects and yields until the connection ends, by its end or an `Interrupted`.
        manners: The platform's.
        tell: Hears why each attempt ended.
        sleep: Waits.
    """
    backoff = Backoff(manners)
    while True:
        try:
            async with aclosing(attempt()) as items:
                async for item in items:
                    backoff.reset()
                    yield item
            raise Dropped("the server closed the stream")
        except Interrupted as end:
            wait_s = _wait_s(end, backoff)
            again = f"; again in {wait_s:g} s" if wait_s else ""
            tell(end.kind, f"{end}{again}")
        await sleep(wait_s)


def _wait_s(end: Interrupted, backoff: Backoff) -> float:
    if not isinstance(end, Answered):
        return backoff.network_s()
    own = backoff.rate_s() if end.status == 429 else backoff.server_s()
    return max(own, min(end.wait_s or 0.0, MOST_ASKED_S))
