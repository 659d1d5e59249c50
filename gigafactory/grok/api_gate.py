"""Who may ask, how often, and how much at once."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gigafactory.grok.api_refusal import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

MAX_BODY_BYTES: Final = 1 << 20
BODY_S: Final = 20.0  # a body may take so long to arrive
MAX_CLIENTS: Final = 10_000  # remembered; the fullest bucket is forgotten first, it says least
BURST_S: Final = 10.0  # a client that was silent may ask as much at once as in so many seconds


@dataclass(slots=True)
class Buckets:
    """A bucket of tokens for each client: a request takes one, time gives them back.

    Attributes:
        per_s: Requests a second; 0 for no limit.
        clock: Seconds that only grow.
    """

    per_s: float
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, client: str) -> float:
        """Return 0 if the client may ask now, else the seconds until it may."""
        if not self.per_s:
            return 0.0
        now = self.clock()
        left = self._now(client, now)
        if left < 1.0:
            return (1.0 - left) / self.per_s
        if len(self._left) >= MAX_CLIENTS and client not in self._left:
            del self._left[max(self._left, key=lambda one: self._now(one, now))]
        self._left[client] = (left - 1.0, now)
        return 0.0

    def _now(self, client: str, now: float) -> float:
        size = max(1.0, self.per_s * BURST_S)
        left, at = self._left.get(client, (size, now))
        return min(size, left + (now - at) * self.per_s)


class Gate:
    """Lets in those who show the token, each as often as is allowed.

    Args:
        token: What clients must show; empty for none.
        per_s: Requests a second of one client; 0 for no limit.
    """

    def __init__(self, token: str, per_s: float) -> None:
        self._token = token.encode()
        self._buckets = Buckets(per_s)

    def admit(self, request: Request) -> None:
        """Let in, or refuse.

        Raises:
            RequestError: Too often (429), or without the token (401).
        """
        if wait_s := self._buckets.take(client_of(request)):
            raise RequestError(
                f"too many requests from this address; try again in {math.ceil(wait_s)} s",
                status=429,
                code="rate_limit_exceeded",
                retry_after_s=math.ceil(wait_s),
            )
        if not self.knows(request):
            raise RequestError("the token is missing or wrong", status=401, code="invalid_api_key")

    def knows(self, request: Request) -> bool:
        """Return whether a client shows the token, where there is one."""
        shown = request.headers.get("authorization", "")
        return not self._token or hmac.compare_digest(shown.encode(), b"Bearer " + self._token)


def client_of(request: Request) -> str:
    """Return whom requests are counted for: an address, of IPv6 its network of 64 bits."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


async def body_of(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        RequestError: It is too large (413), or too slow (408).
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    words = f"the body must be at most {MAX_BODY_BYTES} bytes"
                    raise RequestError(words, status=413)
    except TimeoutError:
        raise RequestError(f"the body must arrive within {BODY_S:g} s", status=408) from None
    return bytes(body)
