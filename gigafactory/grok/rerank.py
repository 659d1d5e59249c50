"""Re-ranking: the best posts by words, ordered by words and by meaning together.

Reciprocal rank fusion of both orders: a post at places $r_1, r_2$ scores $1/(k+r_1) + 1/(k+r_2)$.
Only the 50 best by words are embedded, when they are asked for; nothing is at writing.

Source: Cormack, Clarke and Buettcher, *Reciprocal Rank Fusion*, SIGIR 2009 (k = 60).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gigafactory.spec.post import Hit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gigafactory.grok.doors import Searchable
    from gigafactory.grok.embedding import Embedder
    from gigafactory.spec.post import Freshness, Post, PostKey, Query

CANDIDATES: Final = 50
K: Final = 60


@dataclass(frozen=True, slots=True)
class Reranked:
    """A feed whose hits by relevance are re-ranked; where the newest are asked for, time decides.

    Attributes:
        feed: Where posts are found.
        embedder: Tells how near texts are in meaning.
    """

    feed: Searchable
    embedder: Embedder

    def search(self, query: Query) -> Sequence[Hit]:
        """Return the best posts by words and meaning, best first."""
        if query.newest_first or not query.words:
            return self.feed.search(query)
        wide = replace(query, limit=max(query.limit, CANDIDATES))
        hits = self.feed.search(wide)
        return self._fused(query.words, hits)[: max(query.limit, 0)]

    def post(self, key: PostKey) -> Post | None:
        """Return a post as it stands now."""
        return self.feed.post(key)

    def freshness(self, now: datetime) -> Freshness:
        """Return how far behind the platforms the feed is."""
        return self.feed.freshness(now)

    def _fused(self, words: str, hits: Sequence[Hit]) -> list[Hit]:
        if not hits:
            return []
        asked, *texts = self.embedder.vectors([words, *(hit.post.text for hit in hits)])
        nearness = [float(asked @ text) for text in texts]
        by_meaning = sorted(range(len(hits)), key=lambda place: -nearness[place])
        scores = [1 / (K + rank) for rank in range(1, len(hits) + 1)]
        for rank, place in enumerate(by_meaning, 1):
            scores[place] += 1 / (K + rank)
        order = sorted(range(len(hits)), key=lambda place: -scores[place])
        return [Hit(post=hits[place].post, score=scores[place]) for place in order]
