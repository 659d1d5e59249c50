"""A stream read beside its use: what waits is taken together, and silence is noticed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from gigafactory.grok.sources.reconnect import Stalled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")
MOST_WAITING: Final = 2000  # then the reader waits, and with it the platform
MOST_TOGETHER: Final = 500


async def gathered(
    items: AsyncGenerator[T, None], silence_s: float, most: int = MOST_TOGETHER
) -> AsyncGenerator[list[T], None]:
    """Yield the items that have arrived, in order, up to `most` of them at once.

    Time counts as silence only while there is nothing to do: a slow user stalls no stream.

    Args:
        items: The stream; closed at the end.
        silence_s: Seconds without an item after which the stream counts as dead.
        most: Items at once.

    Raises:
        Stalled: Nothing came for `silence_s`.
        Exception: Whatever `items` ended with, after all that came before it.
    """
    waiting: asyncio.Queue[T | None] = asyncio.Queue(MOST_WAITING)
    reader = asyncio.create_task(_read(items, waiting))
    try:
        while True:
            together = await _next(waiting, silence_s, most)
            ended = together[-1] is None
            found = [one for one in together if one is not None]
            if found:
                yield found
            if ended:
                await reader
                return
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reader


async def _read(items: AsyncGenerator[T, None], waiting: asyncio.Queue[T | None]) -> None:
    """Put items into the queue, None behind the last one, however they end."""
    try:
        async with aclosing(items):
            async for item in items:
                await waiting.put(item)
    except asyncio.CancelledError:
        raise
    except BaseException:
        await waiting.put(None)
        raise
    await waiting.put(None)


async def _next(waiting: asyncio.Queue[T | None], silence_s: float, most: int) -> list[T | None]:
    try:
        found = [await asyncio.wait_for(waiting.get(), silence_s)]
    except TimeoutError:
        raise Stalled(f"nothing came for {silence_s:g} s") from None
    while found[-1] is not None and len(found) < most and not waiting.empty():
        found.append(waiting.get_nowait())
    return found


async def merged(*streams: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield from several streams as they come, until the first of them ends.

    One item at a time is asked of each, so that none runs ahead of its use.

    Raises:
        Exception: Whatever the first stream that ended was ended with.
    """
    asked = {asyncio.ensure_future(anext(stream)): stream for stream in streams}
    try:
        while True:
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = asked.pop(task)
                try:
                    item = task.result()
                except StopAsyncIteration:
                    return
                yield item
                asked[asyncio.ensure_future(anext(stream))] = stream
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        for stream in streams:
            await stream.aclose()
