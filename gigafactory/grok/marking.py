"""Earlier answers, marked when a post they cite was edited or deleted since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gigafactory.grok.doors import Searchable
    from gigafactory.spec.answer import Answer, Citation


def mark(answer: Answer, feed: Searchable) -> Answer:
    """Return an answer whose citations say how their posts stand now.

    What was deleted at its source is not kept: the post's text in the citation is emptied. The
    answer's own sentence is the answer's; who stores answers decides whether to keep it.
    """
    return replace(answer, citations=tuple(_marked(one, feed) for one in answer.citations))


def _marked(citation: Citation, feed: Searchable) -> Citation:
    now = feed.post(citation.post.key)
    if now is None:
        gone = replace(citation.post, text="")
        return replace(citation, post=gone, quote_start=0, quote_end=0, state="deleted")
    return citation if now.text == citation.post.text else replace(citation, state="edited")
