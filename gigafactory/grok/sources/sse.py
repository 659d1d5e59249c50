"""Server-sent events: lines to named events. Source: WHATWG HTML, section 9.2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gigafactory.grok.sources.payload import MAX_EVENT_BYTES

MOST_LINES: Final = 10_000


class Event(NamedTuple):
    """One event; `name` is "message" where none was told."""

    name: str
    data: bytes


@dataclass(slots=True)
class Parser:
    r"""Takes lines, gives events; comments, such as a heartbeat, give none.

    >>> parser = Parser()
    >>> lines = (b":thump", b"event: delete", b"data: 1", b"data:2", b"")
    >>> [parser.feed(line) for line in lines][-1]
    Event(name='delete', data=b'1\n2')
    """

    _name: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    def feed(self, line: bytes) -> Event | None:
        """Return the event that ends with this line, if one does."""
        if not line:
            return self._ended()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value
        elif name == b"data" and len(self._data) < MOST_LINES:
            self._bytes += len(value)
            if self._bytes <= MAX_EVENT_BYTES:
                self._data.append(value)
        return None

    def _ended(self) -> Event | None:
        name, data = self._name, self._data
        self._name, self._data, self._bytes = b"", [], 0
        if not data:
            return None
        return Event(name.decode("utf-8", errors="replace") or "message", b"\n".join(data))
