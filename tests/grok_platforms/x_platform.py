"""X, API v2, as its documentation describes it: rules, filtered stream, recent search, lookup."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from tests.grok_platforms.loopback import Act, Asked, Cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

TOKEN = "secret-of-x"  # noqa: S105  (of a server on loopback)
RULES = "/2/tweets/search/stream/rules"
DISCONNECT = {
    "errors": [
        {
            "title": "operational-disconnect",
            "disconnect_type": "UpstreamOperationalDisconnect",
            "detail": "This stream has been disconnected upstream for operational reasons.",
            "type": "https://api.x.com/2/problems/operational-disconnect",
        }
    ]
}
CROWDED = {
    "title": "ConnectionException",
    "detail": "This stream is currently at the maximum allowed connection limit.",
    "connection_issue": "TooManyConnections",
    "type": "https://api.x.com/2/problems/streaming-connection",
}


def tweet(id: int, text: str, history: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    """Return a post as X writes it."""
    return {
        "id": str(id),
        "text": text,
        "author_id": "12",
        "created_at": "2026-01-02T03:04:05.000Z",
        "edit_history_tweet_ids": [str(one) for one in history or (id,)],
        "lang": "en",
    } | more


@dataclass
class XPlatform:
    """The server's state: what is posted, which rules there are, what each connection does."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    keep_alive_s: float = 0.05
    delivered: int = 0  # a stream has no memory: what is written while nobody listens is missed
    has_backfill: bool = True

    def app(self) -> Starlette:
        """Return the server."""
        return Starlette(
            routes=[
                Route(RULES, self.get_rules, methods=["GET"]),
                Route(RULES, self.post_rules, methods=["POST"]),
                Route("/2/tweets/search/stream", self.stream),
                Route("/2/tweets/search/recent", self.search),
                Route("/2/tweets", self.lookup),
            ]
        )

    def refused(self, request: Request) -> Response | None:
        """Note a request; return the refusal of one without the token."""
        params = dict(request.query_params)
        authorization = request.headers.get("authorization", "")
        self.asked.append(Asked(request.method, request.url.path, params, authorization))
        if authorization == f"Bearer {TOKEN}":
            return None
        problem = {"title": "Unauthorized", "status": 401, "detail": f"no: {authorization}"}
        return JSONResponse(problem, 401)

    async def get_rules(self, request: Request) -> Response:
        """Answer GET /2/tweets/search/stream/rules."""
        if refusal := self.refused(request):
            return refusal
        meta = {"sent": "2026-01-02T03:04:05.000Z", "result_count": len(self.rules)}
        data = {"data": list(self.rules.values())} if self.rules else {}
        return JSONResponse({**data, "meta": meta})

    async def post_rules(self, request: Request) -> Response:
        """Answer POST /2/tweets/search/stream/rules."""
        if refusal := self.refused(request):
            return refusal
        told = await request.json()
        for id in told.get("delete", {}).get("ids", ()):
            self.rules.pop(id, None)
        errors: list[dict[str, Any]] = []
        created: list[dict[str, Any]] = []
        for rule in told.get("add", ()):
            twin = next((one for one in self.rules.values() if one["value"] == rule["value"]), None)
            if twin:
                errors.append({"value": rule["value"], "id": twin["id"], "title": "DuplicateRule"})
            elif rule["value"].count("(") != rule["value"].count(")"):
                details = ["missing a closing parenthesis (at position 1)"]
                errors.append({"value": rule["value"], "details": details, "title": "InvalidRule"})
            else:
                id = str(100 + len(self.asked) * 10 + len(created))
                self.rules[id] = {"id": id, **rule}
                created.append(self.rules[id])
        meta = {"summary": {"created": len(created), "not_created": len(errors)}}
        return JSONResponse({"data": created, "meta": meta, "errors": errors}, 201)

    async def stream(self, request: Request) -> Response:
        """Answer GET /2/tweets/search/stream."""
        if refusal := self.refused(request):
            return refusal
        act = self.acts.pop(0) if self.acts else Act()
        if "backfill_minutes" in request.query_params and not self.has_backfill:
            detail = "The query parameter [backfill_minutes] is not available at your level."
            return JSONResponse({"title": "Invalid Request", "detail": detail}, 400)
        if act.status != 200:
            return JSONResponse(act.body, act.status, act.headers)
        if not self.rules:
            return JSONResponse({"title": "RuleConfigurationIssue"}, 409)
        return StreamingResponse(self.said(act, "backfill_minutes" in request.query_params))

    async def said(self, act: Act, backfill: bool) -> AsyncIterator[bytes]:
        """Yield the lines of one connection."""
        if backfill:  # delivers again: X does not deduplicate
            self.delivered = 0
        if act.raw:
            yield act.raw
        told = 0
        while True:
            if act.end and told >= act.after:
                if act.end == "close":
                    return
                if act.end == "cut":
                    yield b'{"data":{"id":"99","te'
                    raise Cut
                await asyncio.sleep(3600)
            if self.delivered < len(self.posts):
                data, self.delivered, told = (
                    self.posts[self.delivered],
                    self.delivered + 1,
                    told + 1,
                )
                yield self.line(data)
            else:
                yield b"\r\n"
                await asyncio.sleep(self.keep_alive_s)

    def line(self, data: dict[str, Any]) -> bytes:
        """Return a post as the stream says it."""
        rules = [{"id": one["id"], "tag": one.get("tag", "")} for one in self.rules.values()]
        told = {"data": data, "includes": self.users(), "matching_rules": rules}
        return json.dumps(told).encode() + b"\r\n"

    def users(self) -> dict[str, Any]:
        """Return what the expansion of authors adds."""
        return {"users": [{"id": "12", "name": "Ann", "username": "ann"}]}

    async def search(self, request: Request) -> Response:
        """Answer GET /2/tweets/search/recent, two posts a page, newest first."""
        if refusal := self.refused(request):
            return refusal
        start = datetime.fromisoformat(request.query_params["start_time"])
        found = [one for one in self.posts if datetime.fromisoformat(one["created_at"]) >= start]
        found = [one for one in reversed(found) if one["id"] not in self.deleted]
        at = int(request.query_params.get("next_token", "0"))
        meta = {"next_token": str(at + 2)} if at + 2 < len(found) else {}
        return JSONResponse({"data": found[at : at + 2], "includes": self.users(), "meta": meta})

    async def lookup(self, request: Request) -> Response:
        """Answer GET /2/tweets."""
        if refusal := self.refused(request):
            return refusal
        there = {one["id"]: one for one in self.posts if one["id"] not in self.deleted}
        ids = request.query_params["ids"].split(",")
        errors = [
            {
                "resource_id": id,
                "title": "Not Found Error",
                "type": "https://api.twitter.com/2/problems/resource-not-found",
            }
            for id in ids
            if id not in there
        ]
        data = [there[id] for id in ids if id in there]
        told: dict[str, Any] = {"data": data, "includes": self.users()} if data else {}
        return JSONResponse(told | ({"errors": errors} if errors else {}))
