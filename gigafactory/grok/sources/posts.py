"""A post made of what a stranger says: cleaned, cut, its clock put right, each of it told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    url: str = "",
    lang: str = "",
    arrived: datetime | None = None,
) -> Post | None:
    """Return the post, cleaned; None if nothing is left of its text.

    Text that is too long is cut, and told as "oversized"; a time from more than five minutes ahead
    becomes the time of arrival ("clock_skew"). Fields are as of `Post`, in any characters; `id` as
    `identifier` returned it, times in UTC; `arrived` is now if it is not given.
    """
    kept, cut = capped(text)
    if not kept:
        return None
    if cut:
        tell("oversized", f"post {id}: text of {len(text)} characters is cut to {len(kept)}")
    arrived = arrived or tell.now()
    return Post(
        id=id,
        source=tell.source,
        author=one_line(author, MAX_HANDLE_CHARS).lstrip("@") or "unknown",
        created_at=_not_ahead(tell, id, created_at, arrived),
        text=kept,
        url=url if _is_address(url, tell) else "",
        lang=lang if _is_tag(lang) else "",
        revision=min(max(revision, 0), FINAL_REVISION - 1),
        edited_at=None if edited_at is None else _not_ahead(tell, id, edited_at, arrived),
    )


def _is_address(url: str, tell: Teller) -> bool:
    """Return whether a browser may open it; a file only if the factory itself points at it."""
    told = len(url) <= MAX_URL_CHARS and url.isprintable() and " " not in url
    ours = tell.source.startswith("run:") and url.startswith("file:///")
    return told and (ours or url.startswith(("https://", "http://")))


def _is_tag(lang: str) -> bool:
    """Return whether it may be the tag of a language."""
    return len(lang) <= MAX_LANG_CHARS and lang.isascii() and lang.replace("-", "").isalnum()


def _not_ahead(tell: Teller, id: str, moment: datetime, arrived: datetime) -> datetime:
    if moment - arrived <= moments.MAX_SKEW:
        return moment
    tell("clock_skew", f"post {id}: dated {moment.isoformat()}, taken as written at its arrival")
    return arrived
