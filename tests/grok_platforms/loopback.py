"""A platform on loopback, in a thread with a loop of its own: blocking clients may use it too."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from starlette.applications import Starlette

HOST = "127.0.0.1"


class Cut(Exception):  # noqa: N818  (no error: it is what the test asks for)
    """The connection ends in the middle of what it says."""


@dataclass
class Asked:
    """One request that a platform got."""

    method: str
    path: str
    params: dict[str, str]
    authorization: str = ""


@dataclass
class Act:
    """What one connection of a stream does before it goes on as usual.

    Attributes:
        status: Answers with this status instead of a stream.
        body: Of that answer.
        headers: Of that answer.
        after: Events that it delivers before `end`.
        end: "cut" (without a goodbye), "close", "stall" (open, and silent), or "" for none.
        raw: Bytes that it says first, as they are.
    """

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    end: str = ""
    raw: bytes = b""


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """Serve an application; yield its address, such as http://127.0.0.1:4711."""
    config = uvicorn.Config(
        app, host=HOST, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)


@contextmanager
def running(serve: Callable[[asyncio.Future[int], asyncio.Event], Coroutine[Any, Any, None]]
) -> Iterator[int]:  # fmt: skip
    """Run a server's coroutine; yield the port that it puts into its first argument."""
    ready = threading.Event()
    found: list[Any] = []

    async def main() -> None:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        found.extend((asyncio.get_running_loop(), stop))
        task = asyncio.create_task(serve(port, stop))
        found.append(await port)
        ready.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    loop, stop, port = found
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
