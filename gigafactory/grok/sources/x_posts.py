"""Posts of X as API v2 writes them; each version of an edited post has its own identifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.grok.sources import moments, posts
from gigafactory.grok.sources.payload import json_object, rows, table, words

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.grok.sources.telling import Teller
    from gigafactory.spec.post import Post

FIELDS: Final = {
    "tweet.fields": "author_id,created_at,edit_history_tweet_ids,lang,note_tweet",
    "expansions": "author_id",
    "user.fields": "username",
}
SNOWFLAKE_EPOCH_MS: Final = 1_288_834_974_657  # identifiers since then hold their time
FIRST_SNOWFLAKE: Final = 29_700_859_247
ESCAPES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))  # the only ones X writes


class Line(NamedTuple):
    """What one line of the stream says.

    Attributes:
        post: The post, if it is one.
        end: Why the stream ends here; empty if it goes on.
        crowded: It ends because there are too many connections.
    """

    post: Post | None = None
    end: str = ""
    crowded: bool = False


def line_of(data: bytes, tell: Teller) -> Line:
    """Return what a line says; an empty one (keep-alive) or a malformed one says nothing."""
    if not data.strip():
        return Line()
    told = json_object(data, tell)
    if told is None:
        return Line()
    if "data" in told:
        return Line(post_of(table(told["data"]), users(told), tell))
    problem = next(iter(rows(told.get("errors"))), told)
    if not (title := words(problem.get("title"))):
        tell("malformed", f"event: is neither a post nor an error: {data[:60]!r}")
        return Line()
    crowded = problem.get("connection_issue") == "TooManyConnections"
    return Line(end=f"{title}: {words(problem.get('detail'))}", crowded=crowded)


def users(told: dict[str, Any]) -> dict[str, str]:
    """Return the handles that came with an answer, by identifier of the author."""
    found = rows(table(told.get("includes")).get("users"))
    return {posts.identifier(one.get("id")): words(one.get("username")) for one in found}


def post_of(data: dict[str, Any], handles: dict[str, str], tell: Teller) -> Post | None:
    """Return one version of a post; None, told, if it lacks what a post must have.

    It is known by the identifier of the first version, and ordered by its own: a version that
    comes late, from a backfill or a lookup, cannot take the place of a newer one.
    """
    own, first = _number(data.get("id")), first_id(data)
    written = moments.parsed(data.get("created_at"))
    text = words(table(data.get("note_tweet")).get("text")) or words(data.get("text"))
    if own is None or first is None or written is None or not text:
        tell("malformed", f"post {data.get('id')!r}: must have id, text and created_at")
        return None
    author_id = posts.identifier(data.get("author_id"))
    author = handles.get(author_id) or author_id
    edited = own != first
    return posts.post(
        tell,
        id=str(first),
        author=author,
        created_at=(_snowflake_time(first) or written) if edited else written,
        edited_at=written if edited else None,
        text=_unescaped(text),
        url=f"https://x.com/{handles.get(author_id) or 'i'}/status/{own}",
        lang=words(data.get("lang")).removeprefix("und"),
        revision=own,
    )


def first_id(data: dict[str, Any]) -> int | None:
    """Return the identifier of the first version of a post."""
    ids = history(data)
    return min(ids) if ids else None


def history(data: dict[str, Any]) -> list[int]:
    """Return the identifiers of all versions that are told of, its own included."""
    told = data.get("edit_history_tweet_ids")
    found = [_number(one) for one in (told if isinstance(told, list) else [])]
    return [one for one in (*found, _number(data.get("id"))) if one is not None]


def _number(value: object) -> int | None:
    text = posts.identifier(value)
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else None


def _snowflake_time(id: int) -> datetime | None:
    if id < FIRST_SNOWFLAKE:
        return None
    return moments.from_microseconds(((id >> 22) + SNOWFLAKE_EPOCH_MS) * 1000)


def _unescaped(text: str) -> str:
    for escape, character in ESCAPES:
        text = text.replace(escape, character)
    return text
