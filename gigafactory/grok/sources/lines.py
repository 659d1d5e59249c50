"""Posts in a file, one JSON object a line: written, edited (the identifier again), deleted.

    {"id", "author", "created_at", "text", "url"?, "lang"?, "edited_at"?}
    {"id", "text"}               edits a post that came before
    {"id", "deleted": true}

Lines take effect in their order. A faulty one is told with its number and passed over. Of a file
with millions of lines only a block is in memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.errors import SpecError
from gigafactory.grok.sources import moments, posts
from gigafactory.grok.sources.line_blocks import blocks_of, place_of
from gigafactory.grok.sources.payload import MAX_EVENT_BYTES, json_object, words
from gigafactory.grok.sources.telling import Teller, utc_now
from gigafactory.spec.post import Batch, Deletion, PostKey

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime
    from pathlib import Path

    from gigafactory.spec.post import Change, Incident, Post

NAME: Final = "file"
REMEMBERED: Final = 50_000  # posts that the log may not have yet when a line edits them


@dataclass(frozen=True)
class LinesSource:
    """The posts of a file; ends at its end.

    Attributes:
        path: The file.
        name: Source of its posts.
        find: Tells a post that the log holds, for a line that edits it without repeating its
            author and date.
        now: The clock.
    """

    path: Path
    name: str = NAME
    find: Callable[[PostKey], Post | None] | None = None
    now: Callable[[], datetime] = utc_now

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncGenerator[Batch, None]:
        """Yield the changes of some lines after the other; see `doors.Source`.

        Raises:
            SpecError: The file cannot be read.
        """
        teller = Teller(self.name, tell, self.now)
        parser = _Parser(str(self.path), teller, self.find)
        try:
            with self.path.open("rb") as file:
                place = place_of(cursor, file, self.path)
                blocks = blocks_of(file, place)
                while block := await asyncio.to_thread(next, blocks, None):
                    changes = tuple(parser.changes(block.lines, block.after.lines))
                    if block.torn:
                        teller("malformed", f"{parser.where(block.after.lines + 1)}: has no end")
                    cursor = block.after.cursor(self.path)
                    yield Batch(
                        source=self.name,
                        changes=changes,
                        cursor=cursor,
                        last_event_at=parser.newest,
                    )
        except OSError as error:
            message = f"{self.path}: cannot be read: {error.strerror or error}"
            raise SpecError(message, field="path") from None


class _Known(NamedTuple):
    """What a line that edits a post need not repeat, and what tells a repetition."""

    author: str
    created_at: datetime
    url: str
    lang: str
    text_hash: int


@dataclass(slots=True)
class _Parser:
    """Lines to changes. Each takes effect after the one before: revisions are times of arrival."""

    path: str
    tell: Teller
    find: Callable[[PostKey], Post | None] | None
    newest: datetime | None = None
    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)
    _revision: int = 0
    _arrived: datetime = moments.EPOCH  # of the lines at hand: a clock is dear beside a line
    _arrived_us: int = 0

    def where(self, number: int) -> str:
        """Return how a line is called."""
        return f"{self.path}: line {number}"

    def changes(self, lines: list[bytes], last: int) -> list[Change]:
        """Return what lines change; `last` is the number of the last one."""
        first = last - len(lines) + 1
        self._arrived = self.tell.now()
        self._arrived_us = moments.microseconds(self._arrived)
        found = (self._change(line, first + n) for n, line in enumerate(lines) if line.strip())
        return [one for one in found if one is not None]

    def _change(self, line: bytes, number: int) -> Change | None:
        where = self.where(number)
        if len(line) > MAX_EVENT_BYTES:
            self.tell("oversized", f"{where}: more than {MAX_EVENT_BYTES} bytes, passed over")
            return None
        told = json_object(line, self.tell, where)
        if told is None:
            return None
        id = posts.identifier(told.get("id"))
        if not id:
            self.tell("malformed", f"{where}: id must be a text without spaces, or a whole number")
            return None
        self._revision = max(self._revision + 1, self._arrived_us)
        if told.get("deleted") is True:
            self._known.pop(id, None)
            return Deletion(id=id, source=self.tell.source, revision=self._revision)
        return self._written(id, told, where)

    def _written(self, id: str, told: dict[str, Any], where: str) -> Post | None:
        """Return a new post or version; None of a repetition, or of a fault, which is told."""
        before = self._before(id, told)
        created = before.created_at if before else None
        created = moments.parsed(told["created_at"]) if "created_at" in told else created
        author = before.author if before else ""
        author = words(told["author"]) if "author" in told else author
        text = words(told.get("text"))
        if faults := _faults(told, created, author, text):
            self.tell("malformed", f"{where}: {'; '.join(faults)}")
            return None
        assert created is not None
        url = words(told.get("url")) or (before.url if before else "")
        lang = words(told.get("lang")) or (before.lang if before else "")
        known = _Known(author, created, url, lang, hash(text))
        if known == before:
            return None
        return self._made(id, known, text, self._edited_at(told, before))

    def _made(self, id: str, known: _Known, text: str, edited_at: datetime | None) -> Post | None:
        made = posts.post(
            self.tell,
            id=id,
            author=known.author,
            created_at=known.created_at,
            text=text,
            url=known.url,
            lang=known.lang,
            edited_at=edited_at,
            revision=self._revision,
            arrived=self._arrived,
        )
        if made is not None:
            self._remember(id, known)
            written = made.edited_at or made.created_at
            self.newest = max(self.newest or written, written)
        return made

    def _before(self, id: str, told: dict[str, Any]) -> _Known | None:
        """Return what is known of a post; the log is asked only where the line leaves it out."""
        if (known := self._known.get(id)) or self.find is None:
            return known
        if "author" in told and "created_at" in told:
            return None
        found = self.find(PostKey(self.tell.source, id))
        if found is None:
            return None
        return _Known(found.author, found.created_at, found.url, found.lang, hash(found.text))

    def _edited_at(self, told: dict[str, Any], before: _Known | None) -> datetime | None:
        return moments.parsed(told.get("edited_at")) or (self._arrived if before else None)

    def _remember(self, id: str, known: _Known) -> None:
        self._known[id] = known
        self._known.move_to_end(id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _faults(told: dict[str, Any], created: datetime | None, author: str, text: str) -> list[str]:
    """Return what is wrong with a line, all of it."""
    found = []
    if not author:
        found.append(_fault(told, "author", "must be a handle"))
    if created is None:
        found.append(_fault(told, "created_at", "must be a date and time with its zone"))
    if not text.strip():
        found.append(_fault(told, "text", "must be a text that is not empty"))
    return found


def _fault(told: dict[str, Any], key: str, rule: str) -> str:
    got = f"got {str(told[key])[:40]!r}" if key in told else "and no such post came before"
    return f"{key} {rule}, {got}"
