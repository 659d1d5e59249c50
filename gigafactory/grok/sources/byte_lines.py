"""Lines of a stream of bytes; one that grows without end is passed over, not kept."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from gigafactory.grok.sources.payload import MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gigafactory.grok.sources.telling import Teller


class Splitter:
    """Cuts bytes into lines; the last one stays inside until its end comes.

    Attributes:
        oversized: Lines that were passed over so far.
    """

    def __init__(self, most_bytes: int = MAX_EVENT_BYTES) -> None:
        self.oversized = 0
        self._most_bytes = most_bytes
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        r"""Return the lines that are whole now, without their ends.

        >>> cut = Splitter(most_bytes=4)
        >>> cut.feed(b"a\r\nbc"), cut.feed(b"d\n\n"), cut.feed(b"12345"), cut.feed(b"6\nx\n")
        ([b'a'], [b'bcd', b''], [], [b'x'])
        >>> cut.oversized
        1
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        if whole and self._skipping:
            self._skipping = False
            whole = whole[1:]
        kept = [line.removesuffix(b"\r") for line in whole if len(line) <= self._most_bytes]
        self.oversized += len(whole) - len(kept)
        if self._skipping or len(self._rest) > self._most_bytes:
            self.oversized += not self._skipping
            self._skipping, self._rest = True, b""
        return kept


async def lines_of(
    chunks: AsyncGenerator[bytes, None], tell: Teller
) -> AsyncGenerator[bytes, None]:
    """Yield the lines in chunks of bytes; what follows the last end of a line is torn, and lost."""
    splitter = Splitter()
    async with aclosing(chunks):
        async for chunk in chunks:
            before = splitter.oversized
            for line in splitter.feed(chunk):
                yield line
            for _ in range(splitter.oversized - before):
                tell("oversized", f"an event of more than {MAX_EVENT_BYTES} bytes is passed over")
