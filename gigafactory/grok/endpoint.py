"""A model behind any OpenAI-compatible server: vLLM, SGLang, Ollama, xAI's API, `giga serve`.

The stream is read as server-sent events; what is no such thing is junk, and is said to be.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import httpx

from gigafactory.errors import SpecError
from gigafactory.grok.modelled import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECT_S: Final = 5.0
READ_S: Final = 60.0  # between two pieces
WHOLE_S: Final = 180.0
MAX_WAIT_S: Final = 5.0  # that a busy server may ask us to wait, once
MAX_TOKENS: Final = 400
MAX_LINE_CHARS: Final = 1_000_000
_BUSY: Final = frozenset({429, 503})

log = logging.getLogger(__name__)


class Endpoint:
    """A chat model behind a URL such as http://127.0.0.1:8000/v1.

    Args:
        url: Where the API begins, with or without a closing slash.
        model: The model to ask for; the first one the server lists if empty.
        token: Shown as a bearer token; never logged.
        read_s: The longest wait between two pieces of a reply.
        whole_s: The longest time a reply may take.
    """

    is_small = False

    def __init__(
        self, url: str, *, model: str = "", token: str = "",
        read_s: float = READ_S, whole_s: float = WHOLE_S,
    ) -> None:  # fmt: skip
        parsed = httpx.URL(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise SpecError(f"endpoint: url must be http(s)://HOST/..., got {url!r}", field="url")
        self._url = str(parsed).rstrip("/")
        self._model = model
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = httpx.Timeout(read_s, connect=min(CONNECT_S, read_s))
        self._whole_s = whole_s

    @property
    def name(self) -> str:
        """The model's name; the server's address until it is known."""
        return self._model or self._url

    def chat(self, messages: Sequence[dict[str, str]]) -> Iterator[str]:
        """Yield the reply in pieces.

        Raises:
            ModelError: No connection, an HTTP error, too long a wait, or junk.
        """
        try:
            with httpx.Client(timeout=self._timeout, headers=self._headers) as client:
                self._model = self._model or self._first_model(client)
                yield from self._reply(client, messages)
        except httpx.TimeoutException:
            raise ModelError(f"{self._url} does not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelError(f"{self._url}: {_reason(error)}") from None

    def _first_model(self, client: httpx.Client) -> str:
        told = client.get(f"{self._url}/models")
        _require_ok(told, self._url)
        try:
            return str(told.json()["data"][0]["id"])
        except (ValueError, LookupError, TypeError):
            raise ModelError(f"{self._url}/models lists no model") from None

    def _reply(self, client: httpx.Client, messages: Sequence[dict[str, str]]) -> Iterator[str]:
        asked = {
            "model": self._model, "messages": list(messages), "stream": True, "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }  # fmt: skip
        ends_at = time.monotonic() + self._whole_s
        for is_last in (False, True):
            with client.stream("POST", f"{self._url}/chat/completions", json=asked) as response:
                wait_s = _wait_s(response)
                if wait_s is None or is_last:
                    _require_ok(response, self._url)
                    yield from self._pieces(response, ends_at)
                    return
            log.info("%s is busy; asked again in %.1f s", self._url, wait_s)
            time.sleep(wait_s)

    def _pieces(self, response: httpx.Response, ends_at: float) -> Iterator[str]:
        if "text/event-stream" not in response.headers.get("content-type", ""):
            yield _whole(response.read(), self._url)
            return
        for line in _lines(response, self._url):
            if time.monotonic() > ends_at:
                raise ModelError(f"{self._url} took longer than {self._whole_s:.0f} s")
            if not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                return
            yield _piece(data, self._url)


def _lines(response: httpx.Response, url: str) -> Iterator[str]:
    """Yield the lines of a stream; a line without end is junk, and is not waited for."""
    waiting = ""
    for text in response.iter_text():
        *whole, waiting = (waiting + text).replace("\r\n", "\n").split("\n")
        yield from whole
        if len(waiting) > MAX_LINE_CHARS:
            raise ModelError(f"{url} sent a line of more than {MAX_LINE_CHARS} characters")
    yield waiting


def _piece(data: str, url: str) -> str:
    try:
        told = json.loads(data)
        if "error" in told:
            raise ModelError(f"{url}: {str(told['error'])[:200]}")
        choices = told["choices"]
        content = choices[0].get("delta", {}).get("content") if choices else ""
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ModelError(f"{url} sent no chat completion: {data[:80]!r}") from None
    return _text(content, url)


def _whole(body: bytes, url: str) -> str:
    """Return the text of a reply that is not streamed."""
    try:
        content = json.loads(body[:MAX_LINE_CHARS])["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise ModelError(f"{url} sent no chat completion: {body[:80]!r}") from None
    return _text(content, url)


def _text(content: Any, url: str) -> str:
    if content is not None and not isinstance(content, str):
        raise ModelError(f"{url} sent no text: {str(content)[:80]!r}")
    return content or ""


def _wait_s(response: httpx.Response) -> float | None:
    """Return how long a busy server asks to wait; None if it is not busy or asks too much."""
    if response.status_code not in _BUSY:
        return None
    try:
        asked = float(response.headers.get("retry-after", "1"))
    except ValueError:
        return None
    return asked if 0 <= asked <= MAX_WAIT_S else None


def _require_ok(response: httpx.Response, url: str) -> None:
    if response.status_code != httpx.codes.OK:
        raise ModelError(f"{url} answered HTTP {response.status_code}")


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
