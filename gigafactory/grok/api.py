"""Grok over HTTP: cited answers from the feed, as any client of OpenAI's APIs can ask for them.

POST /v1/chat/completions  /v1/responses      GET POST /v1/search      GET /v1/models
GET DELETE /v1/responses/ID                    GET /healthz  /metrics
"""

from __future__ import annotations

import ipaddress
import logging
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gigafactory.errors import CatalogError, SpecError
from gigafactory.grok.api_answers import Answers, failure, utc_now
from gigafactory.grok.api_ask import Chat, Responses, SearchAsk, built, json_object, parsed
from gigafactory.grok.api_desk import Desk
from gigafactory.grok.api_gate import Gate, body_of
from gigafactory.grok.api_meters import Meters
from gigafactory.grok.api_refusal import RequestError, error_table
from gigafactory.grok.query import moment, parse
from gigafactory.grok.told import hit_table, standing_table

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gigafactory.grok.doors import Searchable
    from gigafactory.grok.modelled import ChatModel
    from gigafactory.grok.reader import Reader
    from gigafactory.spec.post import Query

GRACE_S: Final = 30  # answers under way may end before the server does
MAX_CONNECTIONS: Final = 256  # more are answered 503 at once
LOCAL_NAMES: Final = ["localhost", "127.0.0.1", "[::1]", "::1"]
AT_ONCE: Final = 4
MAX_WAITING: Final = 32
PER_S: Final = 10.0
PATHS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/search", "/v1/models")
OWNER: Final = "gigafactory"

log = logging.getLogger(__name__)


def serve(
    feed: Searchable, models: Mapping[str, ChatModel | None], bound: socket.socket, *,
    reader: Reader | None = None,
    token: str = "", at_once: int = AT_ONCE, max_waiting: int = MAX_WAITING, per_s: float = PER_S,
) -> None:  # fmt: skip
    """Answer requests until SIGTERM or SIGINT; answers under way are finished first.

    Args:
        feed: What is searched.
        models: Who may draft, by the names clients call them; None quotes posts.
        bound: The socket to listen on.
        reader: Reads question and posts together; None for nobody.
        token: What clients must show; empty for none.
        at_once: Answers that are made at the same time.
        max_waiting: Requests that may wait.
        per_s: Requests a second of one client; 0 for no limit.
    """
    local = ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback
    meters = Meters()
    answers = Answers(feed, models, Desk(at_once, max_waiting), meters, reader)
    config = uvicorn.Config(
        application(answers, meters, Gate(token, per_s), local=local),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = uvicorn.Server(config)
    # One that comes before the server listens to signals must end it too; and the server sends
    # itself the signal again when all is done, which then must not kill it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[bound])


def application(answers: Answers, meters: Meters, gate: Gate, *, local: bool = True) -> Starlette:
    """Return the API.

    Args:
        answers: Who answers.
        meters: What is counted.
        gate: Who is let in.
        local: Answer only to this machine's own names: a page on the web that a browser here
            shows cannot then pass itself off as a local one.
    """
    api = _Api(answers, meters, gate)
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    return Starlette(
        routes=[
            Route("/healthz", api.health),
            Route("/metrics", api.metrics),
            Route("/v1/models", api.list_models),
            Route("/v1/models/{name:path}", api.model),
            Route("/v1/search", api.search, methods=["GET", "POST"]),
            Route("/v1/chat/completions", api.chat, methods=["POST"]),
            Route("/v1/responses", api.response, methods=["POST"]),
            Route("/v1/responses/{name}", api.kept, methods=["GET", "DELETE"]),
        ],
        middleware=[Middleware(_Counted, meters=meters), *([hosts] if local else [])],
        exception_handlers={
            RequestError: _refused,
            SpecError: _unreadable,
            HTTPException: _not_found,
            Exception: _failed,
        },
    )


class _Api:
    """The handlers, one for each route."""

    def __init__(self, answers: Answers, meters: Meters, gate: Gate) -> None:
        self._answers, self._meters, self._gate = answers, meters, gate
        self._created = int(time.time())

    async def chat(self, request: Request) -> Response:
        """Answer a chat."""
        return await self._answered(request, Chat)

    async def response(self, request: Request) -> Response:
        """Answer a question of the Responses API."""
        return await self._answered(request, Responses)

    async def _answered(self, request: Request, cls: type[Chat] | type[Responses]) -> Response:
        self._gate.admit(request)
        asked: Chat | Responses = parsed(cls, await body_of(request))  # type: ignore[type-var]
        return await self._answers.answered(request, self._answers.understood(asked))

    async def kept(self, request: Request) -> Response:
        """Tell an earlier response, marked as its posts stand now; or forget it."""
        self._gate.admit(request)
        name, shelf = request.path_params["name"], self._answers.shelf
        if request.method == "DELETE":
            if shelf.remove(name):
                return JSONResponse({"id": name, "object": "response", "deleted": True})
            raise _no_response(name)
        kept = await run_in_threadpool(shelf.marked, name, self._answers.feed)
        if kept is None:
            raise _no_response(name)
        return JSONResponse(kept.reply.whole(kept.answer))

    async def list_models(self, request: Request) -> Response:
        """List who may draft."""
        self._gate.admit(request)
        listed = [self._model_table(name) for name in self._answers.models]
        return JSONResponse({"object": "list", "data": listed})

    async def model(self, request: Request) -> Response:
        """Tell of one who may draft."""
        self._gate.admit(request)
        name = request.path_params["name"]
        self._answers.model(name)
        return JSONResponse(self._model_table(name))

    def _model_table(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": OWNER}

    async def search(self, request: Request) -> Response:
        """Find posts by words and filters."""
        self._gate.admit(request)
        if request.method == "POST":
            table = json_object(await body_of(request))
        else:
            table = _of_address(request)
        query = _query(built(SearchAsk, (table, []), table))
        begun = time.perf_counter()
        with self._answers.desk.place():
            hits = await run_in_threadpool(self._answers.feed.search, query)
        told = [hit_table(hit) for hit in hits]
        return JSONResponse({"schema": 1, "hits": told, "wall_s": time.perf_counter() - begun})

    async def health(self, request: Request) -> Response:
        """Tell that the server is up; to those who may ask it also how the feed stands."""
        if not self._gate.knows(request):
            return JSONResponse({"status": "ok"})
        try:
            freshness = await run_in_threadpool(self._answers.feed.freshness, utc_now())
        except CatalogError as error:
            log.error("serve: the feed cannot be read: %s", error)
            return JSONResponse({"status": "failing"}, status_code=503)
        is_down = any(one.state == "down" for one in freshness.sources)
        told = {"status": "degraded" if is_down else "ok", "models": list(self._answers.models)}
        return JSONResponse({**told, "feed": standing_table(freshness)})

    async def metrics(self, request: Request) -> Response:
        """Tell what was counted, to Prometheus."""
        if not self._gate.knows(request):
            raise RequestError("the token is missing or wrong", status=401, code="invalid_api_key")
        freshness = await run_in_threadpool(self._answers.feed.freshness, utc_now())
        return Response(
            self._meters.text(freshness), media_type="text/plain; version=0.0.4; charset=utf-8"
        )


class _Counted:
    """Counts requests by path and status; of unknown paths only that they were unknown."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app, self._requests = app, meters.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = next((one for one in PATHS if scope["path"].startswith(one)), "other")

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.labels(path, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)


def _of_address(request: Request) -> dict[str, Any]:
    """Return a search as the address of a GET names it: `q` (or `query`), `limit`, `as_of`."""
    table: dict[str, Any] = dict(request.query_params)
    if "q" in table:
        table.setdefault("query", table.pop("q"))
    if str(table.get("limit", "")).isdecimal():
        table["limit"] = int(table["limit"][:9])
    return table


def _query(asked: SearchAsk) -> Query:
    now = utc_now()
    try:
        as_of = moment(asked.as_of, now, "as_of") if asked.as_of else None
        return parse(asked.query, now, limit=asked.limit, as_of=as_of)
    except SpecError as error:
        raise RequestError(str(error), param=error.field or None) from None


def _no_response(name: str) -> RequestError:
    return RequestError(f"no response {name[:80]!r} is kept here", status=404)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    table = error_table(str(error), error.status, error.param, error.code)
    return JSONResponse(table, status_code=error.status, headers=error.headers)


async def _unreadable(_: Request, error: Exception) -> Response:
    log.error("serve: the feed cannot be read: %s", error)
    status, table = failure(error)
    return JSONResponse(table, status_code=status)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = f"{request.method} {request.url.path}: {error.detail}"
    table = error_table(words, error.status_code)
    return JSONResponse(table, status_code=error.status_code, headers=error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    log.error("serve: a request failed", exc_info=error)
    status, table = failure(error)
    return JSONResponse(table, status_code=status)
