"""Statuses of Mastodon: HTML to text, identifiers that hold their time, edits by their date."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.grok.sources import moments, posts
from gigafactory.grok.sources.markup import text_of
from gigafactory.grok.sources.payload import decoded, json_object, table, words
from gigafactory.spec.post import Deletion

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.grok.sources.sse import Event
    from gigafactory.grok.sources.telling import Teller
    from gigafactory.spec.post import Change, Post

SHOWN: Final = ("public", "unlisted")  # anything else was not meant for us
TIME_BITS: Final = 16  # an identifier is milliseconds since 1970, then a sequence of 16 bits


class Status(NamedTuple):
    """What an event says of a status: its change, and its number in the order of the server."""

    number: int = 0
    change: Change | None = None


def status_of(event: Event, tell: Teller) -> Status:
    """Return what an event says; of another kind, or malformed (which is told), nothing."""
    if event.name == "delete":
        id = posts.identifier(decoded(event.data, tell).strip())
        if id:
            return Status(change=deletion(id, tell))
        tell("malformed", f"delete: must tell an identifier, got {event.data[:60]!r}")
    elif event.name in ("update", "status.update"):
        told = json_object(event.data, tell, event.name)
        if told is not None:
            return shown(told, tell)
    return Status()


def deletion(id: str, tell: Teller) -> Deletion:
    """Return that a status is gone; its identifier is not used again."""
    return Deletion(id=id, source=tell.source, revision=posts.FINAL_REVISION)


def shown(told: dict[str, Any], tell: Teller) -> Status:
    """Return a status as it is told; nothing of a boost, or of one that was not meant for us."""
    id = posts.identifier(told.get("id"))
    created = moments.parsed(told.get("created_at"))
    if not id or created is None or not isinstance(told.get("content"), str):
        tell("malformed", f"status {told.get('id')!r}: must have id, created_at and content")
        return Status()
    number = int(id) if id.isdecimal() and id.isascii() else 0
    if told.get("reblog") or told.get("visibility", "public") not in SHOWN:
        return Status(number)
    edited = moments.parsed(told.get("edited_at"))
    made = _post(id, told, created, edited, tell)
    if made is None and edited is not None:  # nothing is left to be read of it
        revision = max(moments.microseconds(edited), 0)
        return Status(number, Deletion(id=id, source=tell.source, revision=revision))
    return Status(number, made)


def _post(
    id: str, told: dict[str, Any], created_at: datetime, edited_at: datetime | None, tell: Teller
) -> Post | None:
    warning = words(told.get("spoiler_text"))
    text = text_of(told["content"])
    return posts.post(
        tell,
        id=id,
        author=_handle(words(table(told.get("account")).get("acct")), tell),
        created_at=created_at,
        edited_at=edited_at,
        text=f"{warning}\n\n{text}" if warning else text,
        url=words(told.get("url")),
        lang=words(told.get("language")),
        revision=0 if edited_at is None else moments.microseconds(edited_at),
    )


def _handle(acct: str, tell: Teller) -> str:
    """Return a handle that is one author on every server; a server's own come without its name."""
    host = tell.source.partition(":")[2]
    return acct if "@" in acct or not acct else f"{acct}@{host}"


def id_of(moment: datetime) -> int:
    """Return the lowest identifier of a moment."""
    return max(moments.microseconds(moment) // 1000, 0) << TIME_BITS


def earlier(number: int, by: timedelta) -> int:
    """Return the lowest identifier of a moment before that of `number`."""
    return max((number >> TIME_BITS) - by // timedelta(milliseconds=1), 0) << TIME_BITS
