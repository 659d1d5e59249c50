"""A Mastodon server as its documentation describes it: streaming, timeline, statuses, instance."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.grok_platforms.loopback import Act, Asked, Cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

TOKEN = "secret-of-mastodon"  # noqa: S105  (of a server on loopback)


def status(id: int, html: str, **more: Any) -> dict[str, Any]:
    """Return a status as Mastodon writes it."""
    return {
        "id": str(id),
        "created_at": "2026-01-02T03:04:05.000Z",
        "edited_at": None,
        "visibility": "public",
        "sensitive": False,
        "spoiler_text": "",
        "language": "en",
        "uri": f"http://127.0.0.1/statuses/{id}",
        "url": f"http://127.0.0.1/@ann/{id}",
        "content": html,
        "reblog": None,
        "account": {"id": "1", "username": "ann", "acct": "ann", "display_name": "Ann"},
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "emojis": [],
    } | more


@dataclass
class MastodonPlatform:
    """The server's state: statuses, events in their order, what each connection does."""

    statuses: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    delivered: int = 0  # the stream has no memory
    heartbeat_s: float = 0.05
    can_look_up: bool = True

    def write(self, id: int, html: str, **more: Any) -> None:
        """Write a status."""
        self.statuses[id] = status(id, html, **more)
        self.events.append(("update", json.dumps(self.statuses[id])))

    def edit(self, id: int, html: str, at: str) -> None:
        """Edit a status."""
        self.statuses[id] |= {"content": html, "edited_at": at}
        self.events.append(("status.update", json.dumps(self.statuses[id])))

    def delete(self, id: int) -> None:
        """Delete a status."""
        del self.statuses[id]
        self.events.append(("delete", str(id)))

    def app(self) -> Starlette:
        """Return the server."""
        return Starlette(
            routes=[
                Route("/api/v1/instance/", self.instance),
                Route("/api/v2/instance/", self.instance),
                Route("/api/v2/instance", self.instance),
                Route("/api/v1/streaming/health", self.health),
                Route("/api/v1/streaming/public", self.stream),
                Route("/api/v1/timelines/public", self.timeline),
                Route("/api/v1/statuses", self.lookup),
            ]
        )

    def refused(self, request: Request) -> Response | None:
        """Note a request; return the refusal of one without the token."""
        params = dict(request.query_params)
        authorization = request.headers.get("authorization", "")
        self.asked.append(Asked(request.method, request.url.path, params, authorization))
        if authorization == f"Bearer {TOKEN}":
            return None
        return JSONResponse({"error": f"The access token is invalid: {authorization}"}, 401)

    async def instance(self, request: Request) -> Response:
        """Answer GET /api/v2/instance, which names where the stream is."""
        base = str(request.base_url).rstrip("/").replace("http", "ws", 1)
        urls = {"streaming": base}
        told = {
            "version": "4.5.0",
            "configuration": {"urls": urls},
            "urls": {"streaming_api": base},
        }
        return JSONResponse({"title": "test", "uri": "127.0.0.1", "domain": "127.0.0.1", **told})

    async def health(self, _request: Request) -> Response:
        """Answer GET /api/v1/streaming/health."""
        return PlainTextResponse("OK")

    async def stream(self, request: Request) -> Response:
        """Answer GET /api/v1/streaming/public."""
        if refusal := self.refused(request):
            return refusal
        act = self.acts.pop(0) if self.acts else Act()
        if act.status != 200:
            return JSONResponse(act.body, act.status, act.headers)
        return StreamingResponse(self.said(act), media_type="text/event-stream")

    async def said(self, act: Act) -> AsyncIterator[bytes]:
        """Yield what one connection says."""
        yield b":)\n" + act.raw
        told = 0
        while True:
            if act.end and told >= act.after:
                if act.end == "close":
                    return
                if act.end == "cut":
                    yield b"event: update\ndata: {"
                    raise Cut
                await asyncio.sleep(3600)
            if self.delivered < len(self.events):
                name, data = self.events[self.delivered]
                self.delivered, told = self.delivered + 1, told + 1
                yield f"event: {name}\ndata: {data}\n\n".encode()
            else:
                yield b":thump\n"
                await asyncio.sleep(self.heartbeat_s)

    async def timeline(self, request: Request) -> Response:
        """Answer GET /api/v1/timelines/public: with min_id the next ones, newest of them first."""
        if refusal := self.refused(request):
            return refusal
        after = int(request.query_params.get("min_id", "0"))
        limit = int(request.query_params.get("limit", "20"))
        ids = [id for id in sorted(self.statuses) if id > after][:limit]
        return JSONResponse([self.statuses[id] for id in reversed(ids)])

    async def lookup(self, request: Request) -> Response:
        """Answer GET /api/v1/statuses?id[]=, since Mastodon 4.3."""
        if refusal := self.refused(request):
            return refusal
        if not self.can_look_up:
            return JSONResponse({"error": "Record not found"}, 404)
        ids = [int(id) for id in request.query_params.getlist("id[]")]
        return JSONResponse([self.statuses[id] for id in ids if id in self.statuses])
