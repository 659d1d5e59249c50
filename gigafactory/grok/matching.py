"""A `Query` as tantivy takes it: built term by term, so nothing a user types is ever parsed.

Relevance is BM25 over stems, with a third of it again for the very form of a word. A quoted
phrase must stand in the post. Filters never change a score.

Source: Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond*, 2009.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tantivy import FieldType, Occur
from tantivy import Query as Terms

from gigafactory.grok import text_analysis as analysis
from gigafactory.grok.index_fields import MARK, schema
from gigafactory.grok.log import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gigafactory.spec.post import Query

EXACT_FORM: Final = 1 / 3  # of a stem's weight; breaks ties between forms, outweighs no stem
MOST_TERMS: Final = 64  # of one query: a pasted page must not occupy the machine
_QUOTED: Final = re.compile(r'"([^"]*)"')

Clauses = list[tuple[Occur, Terms]]


def relevant(query: Query) -> Terms:
    """Return what finds posts with all phrases or else any of the words, the telling ones first."""
    phrases, loose = _parts(query.words)
    clauses = filters(query) + [(Occur.Must, one) for one in phrases]
    any_of = [(Occur.Should, term) for forms in loose for term in forms]
    if any_of and not clauses:
        # A flat union and nothing else: the engine skips blocks that cannot reach the best ten.
        return Terms.boolean_query(any_of)
    if any_of:
        clauses.append((Occur.Should if phrases else Occur.Must, Terms.boolean_query(any_of)))
    return Terms.boolean_query(_some_post(clauses))


def sharing(query: Query, share: float) -> Terms:
    """Return what finds posts with at least this share of the words."""
    phrases, loose = _parts(query.words)
    clauses = filters(query) + [(Occur.Must, one) for one in phrases]
    if loose:
        least = max(1, -int(-len(loose) * share // 1))
        any_form = [
            Terms.boolean_query([(Occur.Should, term) for term in forms]) for forms in loose
        ]
        some = Terms.boolean_query([(Occur.Should, one) for one in any_form], least)
        clauses.append((Occur.Must, some))
    return Terms.boolean_query(_some_post(clauses))


def mark() -> Terms:
    """Return what finds the document that says how far the log was followed."""
    return _term("mark", MARK)


def num_words(query: Query) -> int:
    """Return how many words, phrases left aside, a post may hold of the query."""
    return len(_parts(query.words)[1])


def filters(query: Query) -> Clauses:
    """Return what every hit must fulfil besides its words; nothing of it counts in the score."""
    clauses: Clauses = [
        (Occur.MustNot, _term("author", one.lower())) for one in query.excluded_authors
    ]
    for field, values in (
        ("author", query.authors), ("source", query.sources), ("lang", query.langs),
    ):  # fmt: skip
        if values:
            lowered = values if field == "source" else [one.lower() for one in values]
            any_of = Terms.boolean_query([(Occur.Should, _term(field, one)) for one in lowered])
            clauses.append((Occur.Must, Terms.boost_query(any_of, 0.0)))
    clauses += _between("created_us", query.since, query.until)
    return clauses + _between("stands_us", None, query.as_of, inclusive=True)


def _between(
    field: str, since: datetime | None, until: datetime | None, *, inclusive: bool = False
) -> Clauses:
    if since is None and until is None:
        return []
    asked = Terms.range_query(
        schema(),
        field,
        FieldType.Integer,
        None if since is None else microseconds(since),
        None if until is None else microseconds(until),
        include_upper=inclusive or until is None,
    )
    return [(Occur.Must, Terms.boost_query(asked, 0.0))]


def _parts(text: str) -> tuple[Sequence[Terms], Sequence[Sequence[Terms]]]:
    """Return quoted phrases, and for each telling word outside of them the terms it may be."""
    text = analysis.whole(text)
    phrases = [_phrase(found) for found in map(analysis.words, _QUOTED.findall(text)) if found]
    rest = _QUOTED.sub(" ", text)
    loose = [_word(word) for word in analysis.telling(analysis.words(rest))]
    loose += [[_term("pairs", one, "freq")] for one in dict.fromkeys(analysis.pairs(rest))]
    return phrases[:MOST_TERMS], loose[:MOST_TERMS]


def _phrase(found: list[str]) -> Terms:
    if len(found) == 1:
        return _term("words", found[0], "position")
    return Terms.phrase_query(schema(), "words", list(found[:MOST_TERMS]))


def _word(word: str) -> list[Terms]:
    exact = Terms.boost_query(_term("words", word, "freq"), EXACT_FORM)
    stem = analysis.stem(word)
    return [_term("stems", stem, "freq"), exact] if stem else [exact]


def _term(field: str, value: str, option: str = "basic") -> Terms:
    return Terms.term_query(schema(), field, analysis.whole(value), option)


def _some_post(clauses: Clauses) -> Clauses:
    """Add all posts, and nothing else, where only exclusions are asked."""
    asks: Iterable[bool] = (occur is not Occur.MustNot for occur, _ in clauses)
    if any(asks):
        return clauses
    return [*clauses, (Occur.Must, Terms.all_query()), (Occur.MustNot, mark())]
