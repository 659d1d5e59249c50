"""What Jetstream says of Bluesky, in both its dialects.

v1 (`/subscribe`): `{"did", "time_us", "kind", "commit" | "identity" | "account": {...}}`.
v2 (`subscribeEvents`): `{"$type": "message", "payload": {"$type": "...#commit", "seq", "did",
"time", ...}}` or `{"$type": "error", "error"}`.

Source: bluesky-social/jetstream, docs/README.md section 5 and the lexicon of subscribeEvents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.grok.sources import moments, posts, tid
from gigafactory.grok.sources.payload import json_object, table, words
from gigafactory.spec.post import Deletion

if TYPE_CHECKING:
    from gigafactory.grok.sources.telling import Teller
    from gigafactory.spec.post import Change, Post

POSTS: Final = "app.bsky.feed.post"
HIDDEN: Final = ("deleted", "takendown", "suspended", "deactivated")
ORDERED: Final = range(2**63)


class Gone(NamedTuple):
    """An author whose posts must be forgotten: those before `revision`, or all of them."""

    did: str
    revision: int | None = None


class Event(NamedTuple):
    """What one message says; all of it may be empty.

    Attributes:
        seq: Its number in v2; 0 in v1.
        time_us: When Jetstream saw it; 0 if it tells no time.
        change: Of a post; its author is a DID.
        gone: An author who is.
        named: An author and the handle that is theirs now.
        notice: What v2 says of the stream itself, such as "OutdatedCursor".
        is_last: The notice is an error: the stream ends.
    """

    seq: int = 0
    time_us: int = 0
    change: Change | None = None
    gone: Gone | None = None
    named: tuple[str, str] | None = None
    notice: str = ""
    is_last: bool = False


def event_of(data: bytes | str, tell: Teller) -> Event:
    """Return what a message says; a malformed one, which is told, says nothing."""
    told = json_object(data, tell)
    if told is None:
        return Event()
    if told.get("$type") == "error":
        return Event(notice=words(told.get("error")) or "unnamed error", is_last=True)
    if told.get("$type") == "message":
        return _v2(table(told.get("payload")), tell)
    return _v1(told, tell)


def _v1(told: dict[str, Any], tell: Teller) -> Event:
    kind = words(told.get("kind"))
    time_us = told.get("time_us")
    return _event(kind, told, table(told.get(kind)), Event(time_us=_count(time_us)), tell)


def _v2(told: dict[str, Any], tell: Teller) -> Event:
    kind = words(told.get("$type")).partition("#")[2]
    if kind == "info":
        return Event(notice=words(told.get("name")) or "unnamed notice")
    seen = moments.parsed(told.get("witnessedAt")) or moments.parsed(told.get("time"))
    time_us = 0 if seen is None else max(moments.microseconds(seen), 0)
    place = Event(seq=_count(told.get("seq")), time_us=time_us)
    return _event(kind, told, told if kind == "commit" else table(told.get(kind)), place, tell)


def _event(
    kind: str, told: dict[str, Any], body: dict[str, Any], place: Event, tell: Teller
) -> Event:
    did = posts.identifier(told.get("did"))
    if not did.startswith("did:") or "/" in did or not place.time_us:
        tell("malformed", f"{kind or 'event'}: must have did and time, got {str(told)[:60]}")
        return place
    if kind == "commit":
        return place._replace(change=_change(did, body, place.time_us, tell))
    if kind == "identity":
        handle = words(body.get("handle"))
        named = (did, handle) if "." in handle and handle != "handle.invalid" else None
        return place._replace(named=named)
    if kind == "account":
        hidden = body.get("active") is False and body.get("status") in HIDDEN
        return place._replace(gone=Gone(did) if hidden else None)
    if kind == "sync":
        revision = tid.number(body.get("rev"))
        return place._replace(gone=None if revision is None else Gone(did, revision))
    return place  # a kind of a later release


def _change(did: str, commit: dict[str, Any], time_us: int, tell: Teller) -> Change | None:
    """Return what a commit changes among posts; None if it is about something else."""
    if commit.get("collection") != POSTS:
        return None
    rkey, operation = posts.identifier(commit.get("rkey")), commit.get("operation")
    revision = tid.number(commit.get("rev"))
    if not rkey or revision is None or operation not in ("create", "update", "delete"):
        tell("malformed", f"commit of {did}: must have operation, rkey and rev")
        return None
    id = f"{did}/{rkey}"
    if operation == "delete":
        return Deletion(id=id, source=tell.source, revision=revision)
    if not isinstance(commit.get("record"), dict):
        tell("malformed", f"commit of {did}: must have a record")
        return None
    made = _post(id, commit, time_us, revision, tell)
    if made is None and operation == "update":  # nothing is left to be read of it
        return Deletion(id=id, source=tell.source, revision=revision)
    return made


def _post(
    id: str, commit: dict[str, Any], time_us: int, revision: int, tell: Teller
) -> Post | None:
    record = commit["record"]
    seen = moments.from_microseconds(time_us) or tell.now()
    langs = record.get("langs")
    did, _, rkey = id.partition("/")
    return posts.post(
        tell,
        id=id,
        author=did,
        created_at=moments.parsed(record.get("createdAt")) or seen,
        edited_at=seen if commit["operation"] == "update" else None,
        text=words(record.get("text")),
        url=f"https://bsky.app/profile/{did}/post/{rkey}",
        lang=words(langs[0]) if isinstance(langs, list) and langs else "",
        revision=revision,
    )


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if value in ORDERED else 0
