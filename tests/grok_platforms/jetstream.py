"""Jetstream, v1 and v2, as its documentation and lexicon describe it."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.protocol import State

from gigafactory.grok.sources.moments import from_microseconds
from tests.grok_platforms.loopback import HOST, Act, Asked, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

METHOD = "network.bsky.jetstream.subscribeEvents"
V2 = f"/xrpc/{METHOD}"
BASE_US = 1_783_175_888_000_000  # 2026-07-04
TIMES_FROM = 10**15  # cursors from here on are times
_TID = "234567abcdefghijklmnopqrstuvwxyz"


def tid(number: int) -> str:
    """Return the TID of a 63-bit number."""
    return "".join(_TID[number >> 5 * place & 31] for place in range(12, -1, -1))


def rev(time_us: int) -> str:
    """Return the TID of a time."""
    return tid(time_us << 10 | 7)


@dataclass
class Jetstream:
    """The server's state: all events by seq from 1, and what each connection does.

    Attributes:
        events: Each the fields that v1 and v2 share: did, kind, body.
        floor: The lowest seq that is told; what is before it was forgotten.
        speaks: The dialects it knows.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    floor: int = 1
    speaks: tuple[str, ...] = ("v1", "v2")

    def commit(self, did: str, rkey: str, operation: str, text: str = "", **record: Any) -> int:
        """Add a commit about a post; return its seq."""
        time_us = self._time_us(len(self.events) + 1)
        told = {"$type": "app.bsky.feed.post", "text": text, "langs": ["en"]}
        told["createdAt"] = "2026-07-04T14:38:06.240Z"
        body: dict[str, Any] = {
            "rev": rev(time_us),
            "operation": operation,
            "collection": "app.bsky.feed.post",
            "rkey": rkey,
        }
        if operation != "delete":
            body |= {"record": told | record, "cid": "bafyreiguce4jh7kcbmof3pmcvasifqtw24b6isakj5"}
        return self.add(did, "commit", body)

    def account(self, did: str, status: str) -> int:
        """Add that an account is not shown any more; return its seq."""
        body = {"active": False, "status": status, "did": did, "seq": 7, "time": _iso(BASE_US)}
        return self.add(did, "account", body)

    def identity(self, did: str, handle: str) -> int:
        """Add that an author has a handle; return its seq."""
        body = {"did": did, "handle": handle, "seq": 7, "time": _iso(BASE_US)}
        return self.add(did, "identity", body)

    def add(self, did: str, kind: str, body: dict[str, Any]) -> int:
        """Add an event; return its seq."""
        self.events.append({"did": did, "kind": kind, "body": body})
        return len(self.events)

    def _time_us(self, seq: int) -> int:
        return BASE_US + seq * 1_000_000

    def frame(self, seq: int, version: str) -> str:
        """Return an event as a dialect says it."""
        told = self.events[seq - 1]
        did, kind, body = told["did"], told["kind"], told["body"]
        time_us = self._time_us(seq)
        if version == "v1":
            return json.dumps({"did": did, "time_us": time_us, "kind": kind, kind: body})
        fields = body if kind == "commit" else {kind: body}
        place = {"seq": seq, "did": did, "time": _iso(time_us), "witnessedAt": _iso(time_us)}
        payload = {"$type": f"{METHOD}#{kind}", **place, **fields}
        return json.dumps({"$type": "message", "payload": payload})

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve; yield host and port."""

        async def run(port: asyncio.Future[int], stop: asyncio.Event) -> None:
            async with serve(self._connected, HOST, 0, process_request=self._admit,
                             select_subprotocol=_subprotocol, ping_interval=None,
                             close_timeout=0.1) as server:  # fmt: skip
                port.set_result(_port(server))
                await stop.wait()

        with running(run) as port:
            yield f"{HOST}:{port}"

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse what the protocol refuses before the upgrade."""
        parts = urlsplit(request.path)
        params = parse_qs(parts.query)
        flat = {name: ",".join(values) for name, values in params.items()}
        self.asked.append(Asked("GET", parts.path, flat))
        version = "v1" if parts.path == "/subscribe" else "v2" if parts.path == V2 else ""
        if version not in self.speaks:
            return connection.respond(HTTPStatus.NOT_FOUND, "not found\n")
        act = self.acts[0] if self.acts else Act()
        if act.status != 200:
            self.acts.pop(0)
            answer = connection.respond(HTTPStatus(act.status), json.dumps(act.body))
            for name, value in act.headers.items():
                answer.headers[name] = value
            return answer
        cursor = int(flat.get("cursor", "0"))
        if version == "v2" and ("wantedCollections" in params or "wantedDids" in params):
            return connection.respond(HTTPStatus.BAD_REQUEST, '{"error":"InvalidRequest"}')
        if version == "v2" and 0 < cursor < min(self.floor, TIMES_FROM):
            told = {"error": "CursorTooOld", "message": f"cursor is below the floor {self.floor}"}
            return connection.respond(HTTPStatus.BAD_REQUEST, json.dumps(told))
        return None

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        params = parse_qs(parts.query)
        version = "v1" if parts.path == "/subscribe" else "v2"
        act = self.acts.pop(0) if self.acts else Act()
        if act.raw:
            await connection.send(act.raw, text=True)
        seq = await self._start(connection, int(params.get("cursor", ["0"])[0]), version)
        told = 0
        while connection.state is State.OPEN:
            if act.end and told >= act.after:
                await self._ended(connection, act)
                return
            if seq <= len(self.events):
                if self._wanted(seq, params):
                    await connection.send(self.frame(seq, version))
                    told += 1
                seq += 1
            else:
                await asyncio.sleep(0.01)

    async def _start(self, connection: ServerConnection, cursor: int, version: str) -> int:
        """Return the first seq to tell; say on v2 if that is not what was asked for."""
        if not cursor:
            return len(self.events) + 1
        if cursor < TIMES_FROM:
            return max(cursor, self.floor)
        after = (seq for seq in range(1, len(self.events) + 1) if self._time_us(seq) >= cursor)
        first = next(after, len(self.events) + 1)
        if first < self.floor and version == "v2":
            info = {"$type": f"{METHOD}#info", "name": "OutdatedCursor"}
            await connection.send(json.dumps({"$type": "message", "payload": info}))
        return max(first, self.floor)

    def _wanted(self, seq: int, params: dict[str, list[str]]) -> bool:
        told = self.events[seq - 1]
        dids = params.get("dids", params.get("wantedDids", []))
        collections = params.get("collections", params.get("wantedCollections", []))
        if dids and told["did"] not in dids:
            return False
        return (
            told["kind"] != "commit" or not collections or told["body"]["collection"] in collections
        )

    async def _ended(self, connection: ServerConnection, act: Act) -> None:
        if act.end == "stall":
            await connection.wait_closed()
        elif act.end == "cut":
            connection.transport.abort()
        elif act.end != "close":
            told = {"$type": "error", "error": act.end, "message": "the stream ends"}
            await connection.send(json.dumps(told))
        await connection.close()


def _subprotocol(_connection: ServerConnection, offered: Any) -> Any:
    return next((one for one in offered if one == "xrpc.v1.json"), None)


def _port(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


def _iso(time_us: int) -> str:
    moment = from_microseconds(time_us)
    assert moment is not None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
