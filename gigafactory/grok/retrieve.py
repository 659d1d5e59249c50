"""What is looked for to answer a question, and the posts found by all the searches together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gigafactory.grok import lexicon
from gigafactory.grok.words import stem
from gigafactory.spec.post import Hit, Query

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gigafactory.grok.doors import Searchable
    from gigafactory.grok.question import Question

DEPTH: Final = 50  # posts read per question
MAX_ALIKE: Final = 4  # words of like meaning added per word
_RANK_OFFSET: Final = 60  # Cormack, Clarke, Buettcher 2009: reciprocal rank fusion


def searches(question: Question, within: Query) -> list[Query]:
    """Return what to look for: the question's words; words like them; those of its days.

    Args:
        question: What is asked.
        within: Filters that hold for all, such as allowed handles and an as-of time.
    """
    authors = _allowed(question.authors, within)
    if authors is None:
        return []
    given = [term.text.lstrip("#@") for term in question.terms]
    given += [number.written for number in question.numbers]
    base = replace(within, words=" ".join(given), authors=authors, limit=DEPTH)
    base = replace(base, newest_first=question.newest or not given)
    found = [base]
    more = [other for term in question.terms for other in _like(term.stem)]
    if base.newest_first and given:
        found.append(replace(base, newest_first=False))
    if more:
        found.append(replace(base, words=" ".join([*given, *more])))
    if span := _span(question, within):
        found.append(replace(base, since=span[0], until=span[1]))
    return found


def _allowed(asked: tuple[str, ...], within: Query) -> tuple[str, ...] | None:
    """Return whose posts may be read; None if those asked for are excluded."""
    shut = {one.lower() for one in within.excluded_authors}
    allowed = {one.lower() for one in within.authors}
    kept = [one for one in asked if one not in shut and (not allowed or one in allowed)]
    if asked:
        return tuple(kept) or None
    return within.authors


def _like(stemmed: str) -> list[str]:
    found: list[str] = []
    for line in lexicon.lines("synonyms"):
        members = line.split()
        if any(stem(one) == stemmed for one in members):
            found += [one for one in members if stem(one) != stemmed]
    return list(dict.fromkeys(found))[:MAX_ALIKE]


def _span(question: Question, within: Query) -> tuple[datetime, datetime] | None:
    """Return from when to when the question's days are, if it names any."""
    spans = [span for when in question.whens for span in when.spans]
    if not spans:
        return None
    low, high = min(low for low, _ in spans), max(high for _, high in spans)
    low = max(low, within.since) if within.since else low
    high = min(high, within.until) if within.until else high
    return (low, high) if low < high else None


def retrieve(feed: Searchable, queries: Iterable[Query]) -> list[Hit]:
    """Return the posts found by the searches, fused by rank; each post once, best first."""
    scores: defaultdict[object, float] = defaultdict(float)
    posts = {}
    for query in queries:
        for place, hit in enumerate(feed.search(query)):
            scores[hit.post.key] += 1.0 / (_RANK_OFFSET + place + 1)
            posts[hit.post.key] = hit.post
    ordered = sorted(posts, key=lambda key: (-scores[key], key))
    return [Hit(post=posts[key], score=scores[key]) for key in ordered[:DEPTH]]
