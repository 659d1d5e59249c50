"""Documents out of files: decoded, empty ones dropped, long ones in pieces that memory holds.

A text file is one document; so is the field of a JSONL line. What had to be mended or left out is
counted in a `Tally`, to be told.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.run.trainer.corpus import JSONL_SUFFIXES, fault, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.run.trainer.corpus import Corpus, SourceFile

PIECE_BYTES: Final = (256, 65_536)  # least and most characters of a piece, but for the line's end
PIECES: Final = 128  # a small text has at least this many, so that some can be held out
LINE_BYTES: Final = 1 << 28  # of JSONL; a longer one is no line of text
MAX_FAULTS: Final = 5  # faulty lines that are named; the others are counted
LOOK_BYTES: Final = 65_536  # of a file, that tell text from binary data
# Longer marks first: that of UTF-32 begins with that of UTF-16.
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes that are no UTF-8 decode to lone surrogates, which JSON may hold too; no encoder takes them.
_LONE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A document, or a part of one that was cut at a line's end.

    Attributes:
        ends: The document ends here.
    """

    text: str
    ends: bool

    @property
    def digest(self) -> int:
        """Return 64 bits that depend on the text alone: pieces that are alike share them."""
        return int.from_bytes(hashlib.blake2b(self.text.encode(), digest_size=8).digest())


@dataclass(slots=True)
class Tally:
    """What was read, mended and left out. Grows while documents are read."""

    documents: int = 0
    characters: int = 0
    replaced: int = 0
    empty: int = 0
    binary: int = 0
    firsts: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, kind: str, name: str, count: int = 1) -> None:
        """Count what was mended or left out of a file, and keep the first file's name."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            self.firsts.setdefault(kind, name)

    def notes(self) -> tuple[str, ...]:
        """Return one sentence for each kind of thing that was mended or left out."""
        words = {
            "replaced": "{:,} bytes that are no valid text became U+FFFD (first in {})",
            "empty": "{:,} empty documents were dropped (first in {})",
            "binary": "{:,} files of binary data were left out (first {})",
        }
        return tuple(
            words[kind].format(getattr(self, kind), name) for kind, name in self.firsts.items()
        )


def pieces(corpus: Corpus, tally: Tally) -> Iterator[Piece]:
    """Yield the text of a corpus, file after file, in pieces.

    Raises:
        SpecError: A file that cannot be read, a named file of binary data, or lines that are no
            JSON object with the field; it names the first few.
    """
    least, most = PIECE_BYTES
    size = min(max(corpus.text_bytes // PIECES, least), most)
    for file in corpus.files:
        try:
            for piece in _of_file(file, corpus, size, tally):
                tally.characters += len(piece.text)
                tally.documents += piece.ends
                yield piece
        except (OSError, EOFError, zlib.error) as error:
            raise unreadable(file.path, error) from None
    if faults := tally.faults:
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise SpecError(f"data: {'; '.join(faults[:MAX_FAULTS])}{more}", field="data")


def _of_file(file: SourceFile, corpus: Corpus, size: int, tally: Tally) -> Iterator[Piece]:
    """Yield the pieces of one file."""
    with gzip.open(file.path, "rb") if file.is_packed else file.path.open("rb") as raw:
        data = io.BufferedReader(raw, LOOK_BYTES)
        head = data.peek(LOOK_BYTES)[:LOOK_BYTES]
        encoding = next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")
        if encoding == "utf-8" and b"\0" in head:
            if not corpus.is_folder:
                raise fault(file.path, "holds binary data, not text")
            tally.note("binary", file.name)
        elif file.suffix in JSONL_SUFFIXES:
            yield from _of_lines(data, file, corpus.field, size, tally)
        else:
            errors = "replace" if encoding[:6] in {"utf-16", "utf-32"} else "surrogateescape"
            text = io.TextIOWrapper(data, encoding=encoding, errors=errors, newline="")
            yield from _cut(text, file, size, tally)


def _of_lines(
    data: IO[bytes], file: SourceFile, name: str, size: int, tally: Tally
) -> Iterator[Piece]:
    """Yield the pieces of the field `name` of each line."""
    number = 0
    while line := data.readline(LINE_BYTES):
        number += 1
        if line.isspace():
            continue
        found = _field(line.removeprefix(codecs.BOM_UTF8), name)
        if isinstance(found, str):
            yield from _cut(io.StringIO(found, newline=""), file, size, tally)
        elif found is None:
            tally.note("empty", file.name)
        else:
            tally.faults.append(f"{file.path} line {number}: {found.args[0]}")


def _field(line: bytes, name: str) -> str | ValueError | None:
    """Return the text of a field of a JSON object, None where it is null, or what is wrong."""
    try:
        table = json.loads(line.decode("utf-8", "surrogateescape"))
    except RecursionError:
        return ValueError("is nested too deeply")
    except ValueError as error:
        return ValueError(f"is no JSON ({' '.join(str(error).split())})")
    if not isinstance(table, dict):
        return ValueError(f"must be a JSON object, is {type(table).__name__}")
    if name not in table:
        return ValueError(f"has no field {name!r}, only {', '.join(list(table)[:8]) or 'none'}")
    found = table[name]
    if found is None or isinstance(found, str):
        return found
    return ValueError(f"field {name!r} must be text, is {type(found).__name__}")


def _cut(text: IO[str], file: SourceFile, size: int, tally: Tally) -> Iterator[Piece]:
    """Yield a document in pieces of `size` characters and the rest of a line; empty: nothing."""
    part = _next(text, size)
    if not part.strip():
        following = _next(text, size)
        if not following:
            tally.note("empty", file.name)
            return
        part += following
    while part:
        following = _next(text, size)
        yield Piece(_mended(part, file, tally), ends=not following)
        part = following


def _next(text: IO[str], size: int) -> str:
    part = text.read(size)
    return part + text.readline(size) if len(part) == size else part


def _mended(text: str, file: SourceFile, tally: Tally) -> str:
    """Return text that every encoder takes."""
    if text.isascii():
        return text
    mended, count = _LONE.subn("\ufffd", text)
    tally.note("replaced", file.name, count)
    return mended
