"""An answer and the feed's standing as tables that JSON can hold: for `giga chat` and the API.

Spans count characters (Unicode code points), the end exclusive: `answer[start:end]` is the sentence
with its mark, `text[quote_start:quote_end]` of the post the words it rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from gigafactory.grok.shown import cited

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.spec.answer import Answer, Citation
    from gigafactory.spec.post import Freshness, Hit, Post, SourceStatus

_PAGES: Final = ("https://", "http://", "file:///")


def answer_table(answer: Answer) -> dict[str, Any]:
    """Return all of an answer; `citations` in order of their place in its text."""
    return {
        "answer": answer.text,
        "citations": [citation_table(one, answer.freshness.as_of) for one in answer.citations],
        "abstained": answer.abstained,
        "model": answer.model,
        **about_table(answer),
    }


def about_table(answer: Answer) -> dict[str, Any]:
    """Return how an answer came about: what was looked for, as of when, how fresh the feed was."""
    return {
        "id": answer.id,
        "question": answer.question,
        "asked_at": answer.asked_at.isoformat(),
        **standing_table(answer.freshness),
        "searches": list(answer.searches),
        "dropped": answer.dropped,
        "notes": list(answer.notes),
    }


def citation_table(citation: Citation, as_of: datetime) -> dict[str, Any]:
    """Return one mark: whose post, how old, which words of it, and how the post stands since."""
    post = citation.post
    return {
        "id": post.id,
        "url": _web(post),
        "start": citation.start,
        "end": citation.end,
        "number": citation.number,
        "source": post.source,
        "author": post.author,
        "created_at": post.created_at.isoformat(),
        "age_s": age_s(post.created_at, as_of),
        "quote_start": citation.quote_start,
        "quote_end": citation.quote_end,
        "quote": post.text[citation.quote_start : citation.quote_end],
        "state": citation.state,
    }


def standing_table(freshness: Freshness) -> dict[str, Any]:
    """Return how the feed stood: as of when, its newest post, its lag, each source."""
    newest = freshness.newest_at
    return {
        "as_of": freshness.as_of.isoformat(),
        "newest_at": newest.isoformat() if newest else None,
        "newest_age_s": age_s(newest, freshness.as_of) if newest else None,
        "lag_s": lag_s(freshness),
        "sources": [source_table(one) for one in freshness.sources],
    }


def source_table(status: SourceStatus) -> dict[str, Any]:
    """Return how one source stands."""
    return {
        "source": status.source,
        "state": status.state,
        "since": status.since.isoformat(),
        "lag_s": status.lag_s,
        "posts": status.posts,
        "detail": status.detail,
    }


def hit_table(hit: Hit) -> dict[str, Any]:
    """Return a post that was found."""
    post = hit.post
    return {
        "id": post.id,
        "source": post.source,
        "url": _web(post),
        "author": post.author,
        "created_at": post.created_at.isoformat(),
        "text": post.text,
        "score": hit.score,
    }


def lag_s(freshness: Freshness) -> float | None:
    """Return seconds from a platform's event to its arrival, of the slowest live source."""
    lags = (one.lag_s for one in freshness.sources if one.state == "live")
    return max((lag for lag in lags if lag is not None), default=None)


def age_s(written_at: datetime, as_of: datetime) -> float:
    """Return how old a post is; a clock that runs ahead makes none younger than now."""
    return max((as_of - written_at).total_seconds(), 0.0)


def page(post: Post) -> str:
    """Return the page of a post; of one that has none a name that no other post has.

    >>> from datetime import UTC, datetime
    >>> from gigafactory.spec.post import Post
    >>> page(Post(id="a b", source="file", author="", created_at=datetime.now(UTC), text=""))
    'post:file/a%20b'
    """
    return _web(post) or f"post:{quote(post.source, safe=':')}/{quote(post.id, safe=':')}"


def pages(answer: Answer) -> list[str]:
    """Return the page of each cited post; that of mark [n] stands at place n - 1."""
    return [page(one.post) for one in cited(answer)]


def _web(post: Post) -> str:
    """Return where a browser may be sent; empty if a post names no such place."""
    return post.url if post.url.startswith(_PAGES) else ""
