"""A file of lines read in blocks of whole lines, from a place that is known again.

The cursor is a place in the file and a hash of what stands before it: a file that grew is read on,
one that was written anew is read again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from gigafactory.grok.sources.payload import MAX_EVENT_BYTES, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_BYTES: Final = 1 << 18
BEFORE_BYTES: Final = 1024  # hashed before a place, to know the file again
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Place(NamedTuple):
    """A place between two lines of a file: bytes and lines before it, a hash of the last bytes."""

    offset: int = 0
    lines: int = 0
    before: str = ""

    def cursor(self, path: Path) -> str:
        """Return it as the log keeps it."""
        return json.dumps({"file": str(path.resolve()), **self._asdict()})


class Block(NamedTuple):
    """Whole lines without their ends, the place after them, and whether a torn one follows."""

    lines: list[bytes]
    after: Place
    torn: bool = False


def place_of(cursor: str | None, file: BinaryIO, path: Path) -> Place:
    """Return the place in a cursor if this file still holds what was read; else its start."""
    try:
        told = table(json.loads(cursor or "{}"))
        place = kept_place(told)
        same = told["file"] == str(path.resolve()) and is_there(file, place)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Place()
    return place if same else Place()


def kept_place(told: dict[str, Any]) -> Place:
    """Return the place that `Place._asdict` told; the start if it told nothing.

    Raises:
        TypeError: It told something else.
    """
    place = Place(told.get("offset", 0), told.get("lines", 0), told.get("before", ""))
    counts = isinstance(place.offset, int) and isinstance(place.lines, int)
    if not counts or not isinstance(place.before, str) or min(place.offset, place.lines) < 0:
        raise TypeError(f"is no place in a file: {told}")
    return place


class Line(NamedTuple):
    """A line of a file: where it begins, its number from 1, its bytes without the end."""

    offset: int
    number: int
    data: bytes


class Tail:
    """The lines of a file that grows, each once; a file that is not there yet has none.

    Attributes:
        path: The file.
        place: What is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = Place()

    def lines(self) -> Iterator[Line]:
        """Yield the whole lines after the place, which moves block by block."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for block in blocks_of(file, self.place, grows=True):
                offset, number = self.place.offset, self.place.lines
                for data in block.lines:
                    number += 1
                    yield Line(offset, number, data)
                    offset += len(data) + 1
                self.place = block.after

    def is_anew(self) -> bool:
        """Return whether the file is not the one that was read; then the place is its start."""
        try:
            with self.path.open("rb") as file:
                same = is_there(file, self.place)
        except FileNotFoundError:
            same = not self.place.offset
        if not same:
            self.place = Place()
        return not same

    def place_at(self, line: Line) -> Place:
        """Return the place before a line."""
        with self.path.open("rb") as file:
            return Place(line.offset, line.number - 1, _before(file, line.offset))


def is_there(file: BinaryIO, place: Place) -> bool:
    """Return whether a file still holds what was read up to a place."""
    return not place.offset or _before(file, place.offset) == place.before


def blocks_of(file: BinaryIO, place: Place, *, grows: bool = False) -> Iterator[Block]:
    """Yield the lines after a place, block by block.

    A last line without an end counts if it is whole JSON; if the file grows, it waits. Of a line
    that is too long a beginning is given that is too long as well.
    """
    file.seek(place.offset)
    number = place.lines
    while data := _whole_lines(file):
        end, torn = file.tell(), False
        if not data.endswith(b"\n"):
            rest = data[data.rfind(b"\n") + 1 :]
            torn = grows or not _is_json(rest)
            if torn:
                data, end = data.removesuffix(rest), end - len(rest)
        lines = data.removesuffix(b"\n").split(b"\n") if data else []
        number += len(lines)
        if lines and number == len(lines):
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        yield Block(lines, Place(end, number, _before(file, end)), torn)
        if torn:
            return


def _whole_lines(file: BinaryIO) -> bytes:
    """Return the next lines up to the end of one; of a line without end, only its beginning."""
    data = file.read(BLOCK_BYTES)
    if not data or data.endswith(b"\n"):
        return data
    data += file.readline(MAX_EVENT_BYTES)
    if data.endswith(b"\n") or len(data) < MAX_EVENT_BYTES:
        return data
    while (more := file.readline(BLOCK_BYTES)) and not more.endswith(b"\n"):
        pass
    return data + b"\n" if more else data


def _before(file: BinaryIO, offset: int) -> str:
    """Return a hash of the bytes before an offset, and leave the file there."""
    start = max(0, offset - BEFORE_BYTES)
    file.seek(start)
    return hashlib.blake2b(file.read(offset - start), digest_size=8).hexdigest()


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
