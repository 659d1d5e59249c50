"""A post made of what a stranger says: cleaned, cut, its clock put right, each of it told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gigafactory.grok.sources import moments
from gigafactory.grok.sources.text import capped, one_line
from gigafactory.spec.post import Post

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.grok.sources.telling import Teller

FINAL_REVISION: Final = (
    2**63 - 1
)  # of a deletion that nothing revives: the identifier is not reused
MAX_ID_CHARS: Final = 512
MAX_HANDLE_CHARS: Final = 320
MAX_URL_CHARS: Final = 2048
MAX_LANG_CHARS: Final = 35


def identifier(value: object) -> str:
    """Return an identifier in text or a whole number; empty if it is none.

    >>> identifier(12), identifier("at://a"), identifier(True), identifier("a b")
    ('12', 'at://a', '', '')
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        return ""
    return value if value.isprintable() and " " not in value else ""


def post(
    tell: Teller,
    *,
    id: str,
    author: str,
    created_at: datetime,
    text: str,
    edited_at: datetime | None = None,
    revision: int = 0,
    **links: str,
) -> Post | None:
    """Return the post, cleaned; None, told as "malformed", if nothing is left of its text.

    Text that is too long is cut ("oversized"); a time from more than five minutes ahead becomes
    the time of arrival ("clock_skew").

    Args:
        tell: Its source.
        id: As `identifier` returned it.
        author: Handle.
        created_at: In UTC.
        text: Plain text of any characters.
        edited_at: In UTC.
        revision: As of `Post`.
        **links: `url` and `lang`, where there are any.
    """
    kept, cut = capped(text)
    if not kept:
        return None
    if cut:
        tell("oversized", f"post {id}: text of {len(text)} characters is cut to {len(kept)}")
    edited_at = None if edited_at is None else _not_ahead(tell, id, edited_at)
    return Post(
        id=id,
        source=tell.source,
        author=one_line(author, MAX_HANDLE_CHARS).lstrip("@") or "unknown",
        created_at=_not_ahead(tell, id, created_at),
        text=kept,
        revision=min(max(revision, 0), FINAL_REVISION - 1),
        edited_at=edited_at,
        **_links(**links),
    )


def _links(url: str = "", lang: str = "") -> dict[str, Any]:
    """Return the page if a browser may open it, and the language if it may be a tag of one."""
    told = len(url) <= MAX_URL_CHARS and url.isprintable() and " " not in url
    web = told and url.startswith(("https://", "http://", "file:///"))
    tag = len(lang) <= MAX_LANG_CHARS and lang.isascii() and lang.replace("-", "").isalnum()
    return {"url": url if web else "", "lang": lang if tag else ""}


def _not_ahead(tell: Teller, id: str, moment: datetime) -> datetime:
    arrival = tell.now()
    if moment - arrival <= moments.MAX_SKEW:
        return moment
    tell("clock_skew", f"post {id}: dated {moment.isoformat()}, taken as written at its arrival")
    return arrival
