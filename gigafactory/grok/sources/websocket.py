"""Messages of a WebSocket, and its end in the words of `reconnect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory import __version__
from gigafactory.grok.sources.payload import MAX_EVENT_BYTES
from gigafactory.grok.sources.reconnect import Answered, Dropped
from gigafactory.grok.sources.streaming import wait_asked_s

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from websockets.exceptions import InvalidStatus

    from gigafactory.grok.sources.telling import Teller

OPEN_S: Final = 10.0
PING_S: Final = 20.0
SUBPROTOCOL: Final = "xrpc.v1.json"


async def messages(url: str, tell: Teller, *, v1: bool) -> AsyncGenerator[bytes, None]:
    """Yield the messages as bytes, so that text in a wrong encoding ends nothing.

    Raises:
        Answered: The server lets nobody in.
        Dropped: The connection failed or ended.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
    from websockets.typing import Subprotocol

    opening = connect(
        url,
        subprotocols=None if v1 else [Subprotocol(SUBPROTOCOL)],
        max_size=2 * MAX_EVENT_BYTES,  # the server is asked for half of it at most
        compression=None,
        user_agent_header=f"gigafactory/{__version__}",
        open_timeout=OPEN_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        close_timeout=1.0,
    )
    try:
        async with opening as socket:
            tell("connected", url.partition("?")[0])
            while True:
                yield await socket.recv(decode=False)
    except InvalidStatus as refusal:
        raise _answered(refusal, tell) from None
    except (InvalidHandshake, WebSocketException, OSError, TimeoutError) as error:
        raise Dropped(f"{type(error).__name__}: {error}") from None


def _answered(refusal: InvalidStatus, tell: Teller) -> Answered:
    answer = refusal.response
    detail = bytes(answer.body or b"")[:400].decode("utf-8", errors="replace")
    wait_s = wait_asked_s(dict(answer.headers.raw_items()), tell.now())
    return Answered(answer.status_code, detail or answer.reason_phrase, wait_s)
