"""HTTP as the platforms speak it: a long answer in pieces, a short one whole, errors by status."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx

from gigafactory import __version__
from gigafactory.grok.sources.moments import parsed
from gigafactory.grok.sources.payload import json_value
from gigafactory.grok.sources.reconnect import Answered, Dropped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from gigafactory.grok.sources.telling import Teller

CONNECT_S: Final = 10.0
ANSWER_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 1 << 25
# When the window of a limit ends. X, Bluesky: Unix time; Mastodon: ISO 8601.
RESETS: Final = ("x-rate-limit-reset", "ratelimit-reset", "x-ratelimit-reset")


def client(base_url: str, token: str = "") -> httpx.AsyncClient:
    """Return a client of a platform; the token goes to this host alone."""
    headers = {"User-Agent": f"gigafactory/{__version__}"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.AsyncClient(
        base_url=base_url,
        headers=headers,
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
    )


async def pieces(
    http: httpx.AsyncClient, path: str, params: dict[str, str], tell: Teller
) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of a long answer; between them any time may pass.

    Raises:
        Answered: The status is not 200.
        Dropped: The connection failed, at first or later.
    """
    endless = httpx.Timeout(None, connect=CONNECT_S)
    try:
        async with http.stream("GET", path, params=params, timeout=endless) as answer:
            if answer.status_code != 200:
                raise _error(answer, await _whole(answer), tell)
            tell("connected", f"{answer.url.host}{answer.url.path}")
            async for piece in answer.aiter_bytes():
                yield piece
    except httpx.HTTPError as error:
        raise Dropped(_reason(error)) from None


async def fetched(
    http: httpx.AsyncClient, method: str, path: str, tell: Teller, **request: Any
) -> Any:
    """Return the JSON of a short answer; None in place of what is no JSON.

    Raises:
        Answered: The status is not of the 200s.
        Dropped: The connection failed, or the answer has no end.
    """
    try:
        async with http.stream(method, path, **request) as answer:
            body = await _whole(answer)
    except httpx.HTTPError as error:
        raise Dropped(_reason(error)) from None
    if not answer.is_success:
        raise _error(answer, body, tell)
    return json_value(body, tell, f"answer of {path}")


async def _whole(answer: httpx.Response) -> bytes:
    """Return the body, cut where no honest answer goes on."""
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise Dropped(f"answer of more than {MAX_ANSWER_BYTES} bytes")
    return body


def _error(answer: httpx.Response, body: bytes, tell: Teller) -> Answered:
    detail = body[:400].decode("utf-8", errors="replace") or answer.reason_phrase
    return Answered(answer.status_code, detail, wait_asked_s(answer.headers, tell.now()))


def wait_asked_s(told_by: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds a server asks to wait: `Retry-After`, or the end of its window."""
    headers = {name.lower(): value for name, value in told_by.items()}
    asked = headers.get("retry-after", "")
    if asked.isdecimal() and len(asked) < 8:
        return float(asked)
    until = _http_date(asked)
    for name in RESETS:
        told = headers.get(name, "")
        unix = told.isdecimal() and len(told) < 12
        until = until or (datetime.fromtimestamp(int(told), UTC) if unix else parsed(told))
    return None if until is None else max(0.0, (until - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _reason(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
