"""A run's newest checkpoint behind an OpenAI-compatible HTTP API.

    POST /v1/chat/completions  /v1/completions      GET /v1/models  /v1/models/NAME  /healthz

One text is generated at a time; see `engine`.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import signal
import time
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING, Final

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gigafactory.run import replies
from gigafactory.run.engine import Engine, Served
from gigafactory.run.record import RunFolder
from gigafactory.run.requests import Chat, Completion, RequestError, parsed
from gigafactory.run.trainer.load import load_model

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from gigafactory.run.trainer.generate import Sampling

MAX_BODY_BYTES: Final = 1 << 20
MAX_WAITING: Final = 16
GRACE_S: Final = 30  # answers under way may end before the server does
LOCAL_NAMES: Final = ["localhost", "127.0.0.1", "[::1]", "::1"]

log = logging.getLogger(__name__)


def load(run: Path, *, max_tokens: int | None = None) -> Served:
    """Return the model of a run's newest checkpoint, on the GPU if there is one.

    Raises:
        SpecError: It is no folder of a run, or holds no whole checkpoint.
    """
    plan = RunFolder(run).plan()
    transformer, tokenizer = load_model(run)
    window = min(plan.model.context_length, plan.layout.seq_len)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Served(plan.model.name, transformer.to(device), tokenizer, window, max_tokens or window)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def serve(served: Served, bound: socket.socket, *, token: str, max_waiting: int) -> None:
    """Answer requests until SIGTERM or SIGINT; answers under way are finished first."""
    local = _is_loopback(bound.getsockname()[0])
    app = application(served, token=token, max_waiting=max_waiting, local=local)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )
    server = uvicorn.Server(config)
    # One that comes before the server listens to signals must end it too; and the server sends
    # itself the signal again when all is done, which then must not kill it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[bound])


def application(
    served: Served, *, token: str = "", max_waiting: int = MAX_WAITING, local: bool = True
) -> Starlette:
    """Return the API of a model.

    Args:
        served: The model.
        token: What clients must show; empty for none.
        max_waiting: Requests that may wait while another is answered.
        local: Answer only to this machine's own names: a page on the web that a browser here
            shows cannot then pass itself off as a local one.
    """
    api = _Api(Engine(served, max_waiting), token)
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    return Starlette(
        routes=[
            Route("/healthz", api.health),
            Route("/v1/models", api.models),
            Route("/v1/models/{name:path}", api.model),
            Route("/v1/chat/completions", api.chat, methods=["POST"]),
            Route("/v1/completions", api.completion, methods=["POST"]),
        ],
        middleware=[hosts] if local else [],
        exception_handlers={
            RequestError: _refused,
            HTTPException: _not_found,
            Exception: _failed,
        },
    )


class _Api:
    """The handlers, one for each route."""

    def __init__(self, engine: Engine, token: str) -> None:
        self._engine, self._token = engine, token.encode()
        self._name, self._created = engine.served.name, int(time.time())

    async def health(self, _: Request) -> Response:
        """Answer that the server is up; needs no token."""
        return JSONResponse({"status": "ok", "model": self._name})

    async def models(self, request: Request) -> Response:
        """List the model."""
        self._admit(request)
        listed = [replies.model_object(self._name, self._created)]
        return JSONResponse({"object": "list", "data": listed})

    async def model(self, request: Request) -> Response:
        """Tell of the model."""
        self._admit(request)
        self._check_name(request.path_params["name"])
        return JSONResponse(replies.model_object(self._name, self._created))

    async def chat(self, request: Request) -> Response:
        """Answer a chat."""
        return await self._answered(request, Chat)

    async def completion(self, request: Request) -> Response:
        """Go on with a text."""
        return await self._answered(request, Completion)

    def _admit(self, request: Request) -> None:
        """Refuse a client without the token."""
        shown = request.headers.get("authorization", "")
        if self._token and not hmac.compare_digest(shown.encode(), b"Bearer " + self._token):
            raise RequestError("the token is missing or wrong", status=401, code="invalid_api_key")

    def _check_name(self, name: str) -> None:
        if name != self._name:
            raise RequestError(
                f"no model {name!r} here, only {self._name!r}",
                status=404,
                param="model",
                code="model_not_found",
            )

    async def _answered(self, request: Request, cls: type[Chat] | type[Completion]) -> Response:
        self._admit(request)
        asked: Chat | Completion = parsed(cls, await _body(request))  # type: ignore[type-var]
        self._check_name(asked.model)
        usage = asked.stream_options.include_usage
        reply = replies.Reply(self._name, isinstance(asked, Chat), usage)
        with ExitStack() as place:
            place.enter_context(self._engine.place())
            prompt, sampling = await self._engine.understood(asked)
            if not asked.stream:
                return await self._whole(request, reply, prompt, sampling)
            return _Stream(self._events(reply, prompt, sampling), place.pop_all())

    async def _whole(
        self, request: Request, reply: replies.Reply, prompt: list[int], sampling: Sampling
    ) -> Response:
        """Return a whole answer, or nothing once the client has left."""
        text = ""
        async with aclosing(self._engine.parts(prompt, sampling)) as parts:
            async for part in parts:
                text += part.text
                if await request.is_disconnected():
                    return Response(status_code=499)
        text = text.lstrip(" ") if reply.is_chat else text
        return JSONResponse(reply.whole(text, part.ended_by, (len(prompt), part.num_tokens)))

    async def _events(
        self, reply: replies.Reply, prompt: list[int], sampling: Sampling
    ) -> AsyncGenerator[str]:
        """Yield an answer's events as its text is drawn."""
        for event in reply.begin():
            yield event
        begun = not reply.is_chat  # a transcript has a space before each turn, an answer has none
        try:
            async with aclosing(self._engine.parts(prompt, sampling)) as parts:
                async for part in parts:
                    text = part.text if begun else part.text.lstrip(" ")
                    begun = begun or bool(text)
                    for event in reply.part(text, part.ended_by):
                        yield event
            for event in reply.end((len(prompt), part.num_tokens)):
                yield event
        except Exception:
            log.exception("serve: an answer failed")
            yield replies.event(replies.error_object("the answer failed", status=500))


class _Stream(StreamingResponse):
    """Server-sent events; whatever ends them, the generator and the place in the queue go too."""

    def __init__(self, events: AsyncGenerator[str], place: ExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self.headers["cache-control"] = "no-cache"
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            async with aclosing(self.body_iterator):  # type: ignore[type-var]
                await super().__call__(scope, receive, send)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(f"the body must be at most {MAX_BODY_BYTES} bytes", status=413)
    return bytes(body)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    table = replies.error_object(
        str(error), status=error.status, param=error.param, code=error.code
    )
    return JSONResponse(table, status_code=error.status)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse(
        replies.error_object(words, status=error.status_code),
        status_code=error.status_code,
        headers=error.headers,
    )


async def _failed(_: Request, error: Exception) -> Response:
    log.error("serve: a request failed", exc_info=error)
    return JSONResponse(replies.error_object("the request failed", status=500), status_code=500)
