"""Where answers are made: each in a thread of its own, so many at once, the others in a queue.

Answers block: they read files, and wait for models. A thread is told when nobody wants its answer
any more, and keeps its place until it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gigafactory.grok.api_refusal import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

PartT = TypeVar("PartT")
_END: Final = object()


class Desk:
    """Makes answers.

    Args:
        at_once: Answers that are made at the same time.
        max_waiting: Further ones that may wait.
    """

    def __init__(self, at_once: int, max_waiting: int) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._most = at_once + max_waiting
        self._max_waiting = max_waiting
        self.present = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            RequestError: It is full; status 429.
        """
        if self.present >= self._most:
            raise RequestError(
                f"{self._max_waiting} requests are waiting already; try again later",
                status=429,
                code="queue_full",
                retry_after_s=1,
            )
        self.present += 1
        try:
            yield
        finally:
            self.present -= 1

    async def parts(
        self, begin: Callable[[Callable[[], bool]], Iterator[PartT]]
    ) -> AsyncGenerator[PartT]:
        """Yield what an iterator in a thread yields; closed early, the thread is told to stop.

        Args:
            begin: Makes the iterator; is given what tells whether it is to stop.
        """
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        given: asyncio.Queue[Any] = asyncio.Queue()
        stopped = Event()

        def put(part: object) -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                loop.call_soon_threadsafe(given.put_nowait, part)

        def work() -> None:
            try:
                _pour(begin(stopped.is_set), put, stopped)
            except Exception as error:  # told to whoever waits
                put(_Failure(error))
            put(_END)
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._slots.release)

        Thread(target=work, name="answer", daemon=True).start()
        try:
            while (part := await given.get()) is not _END:
                if isinstance(part, _Failure):
                    raise part.error
                yield part
        finally:
            stopped.set()


class _Failure:
    """What a thread died of."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _pour(parts: Iterator[Any], put: Callable[[object], None], stopped: Event) -> None:
    """Give all parts, until nobody wants them; a generator is closed in its own thread."""
    with contextlib.ExitStack() as closing:
        if hasattr(parts, "close"):
            closing.callback(parts.close)
        for part in parts:
            put(part)
            if stopped.is_set():
                return
