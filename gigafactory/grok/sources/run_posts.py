"""A post of the factory: its words are ours, its page is a line of a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from gigafactory.grok.sources import moments, posts

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from gigafactory.grok.sources.line_blocks import Line
    from gigafactory.grok.sources.telling import Teller
    from gigafactory.spec.post import Post

AUTHOR: Final = "factory"
LANG: Final = "en"


def run_post(
    tell: Teller,
    id: str,
    time: str,
    text: str,
    url: str,
    *,
    revision: int = 0,
    edited_at: datetime | None = None,
) -> Post | None:
    """Return the post about something that happened at `time`."""
    return posts.post(
        tell,
        id=id,
        author=AUTHOR,
        created_at=moments.parsed(time) or tell.now(),
        text=text,
        url=url,
        lang=LANG,
        revision=revision,
        edited_at=edited_at,
    )


def url_of(path: Path, line: Line) -> str:
    """Return the address of a line of a file."""
    return f"{path.resolve().as_uri()}#L{line.number}"


def digest_of(data: bytes) -> str:
    """Return a short hash that tells two texts apart."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()
