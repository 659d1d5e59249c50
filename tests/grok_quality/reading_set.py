"""What the reader learns from: questions beside passages, and whether the one answers the other.

`reading/*/*.jsonl` holds a cluster a line: posts on one narrow matter that are easily confused, and
questions about it, each with the places of the posts that answer it, of which there may be none:

    {"topic": ..., "now": "2031-03-04 18:00 Tue", "posts": [["@handle", "2031-03-04 07:12 Tue",
     "text"], ...], "asks": [["question", [0, 3]], ["another question", []], ...]}

People ask in other words than posts are written in, and about half of the questions are not
answered by the post that shares most words with them. All of it was written for this by hand, in
rounds, apart from the examinations; nothing was ever posted on a platform.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.grok.lexicon import word_set
from gigafactory.grok.reader import passage_text, question_text
from gigafactory.grok.reading import READ
from gigafactory.grok.signals import whole
from gigafactory.spec.post import Post
from tests.grok_quality.question_set import LEARNING, UNREAD, lines_of
from tests.grok_quality.worlds import Found, found_in

if TYPE_CHECKING:
    import random

ROUNDS: Final = Path(__file__).parent / "reading"
PARTS: Final = ("first", "second")
HELD_OUT: Final = 35  # each such cluster is not learned from
AGAIN: Final = 0.4  # of what clusters give, beside what worlds do
HARDEST: Final = 0.6  # of the posts shown as wrong first, those that share most words
SHOWN_WRONG: Final = 2  # posts shown under a question that none answers; else one
FIRST_FOUND: Final = 3  # posts of a world shown as wrong, the best hits
NEXT_FOUND: Final = 1  # and of those hits behind them that would be read
_PLAIN: Final = word_set(
    """the a an of in on at to for is are was were be do does did has have had what who when where
    why how which it its and or not with from by about that this there any will can i my me you we
    """
)


class Pair(NamedTuple):
    """A question and a passage as the reader is shown them, and whether the passage answers."""

    question: str
    passage: str
    answers: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """Posts on one matter, and questions with the places of those that answer."""

    now: datetime
    posts: tuple[Post, ...]
    asks: tuple[tuple[str, frozenset[int]], ...]


def clusters(part: str) -> list[Cluster]:
    """Return the clusters of one round, file by file."""
    files = sorted((ROUNDS / part).glob("*.jsonl"))
    return [_cluster(json.loads(line)) for file in files for line in lines_of(file)]


def _cluster(told: dict[str, Any]) -> Cluster:
    posts = (
        Post(
            id=str(place),
            source="file",
            author=author.lstrip("@"),
            created_at=moment(at),
            text=text,
        )
        for place, (author, at, text) in enumerate(told["posts"])
    )
    asks = tuple((asked, frozenset(answers)) for asked, answers in told["asks"])
    return Cluster(moment(told["now"]), tuple(posts), asks)


def moment(text: str) -> datetime:
    """Return a moment, whose day of the week must be right.

    Raises:
        ValueError: It is not.
    """
    at = datetime.strptime(text[:16], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    if f"{at:%a}" != text[17:]:
        raise ValueError(f"{text}: the day is a {at:%A}")
    return at


def every(cluster: Cluster) -> list[Pair]:
    """Return each question beside each post."""
    shown = [passage_text(whole(post)) for post in cluster.posts]
    return [
        Pair(question_text(asked, cluster.now), text, place in answers)
        for asked, answers in cluster.asks
        for place, text in enumerate(shown)
    ]


def some(cluster: Cluster, chance: random.Random) -> list[Pair]:
    """Return each question beside the posts that answer it and one or two that do not."""
    shown = [passage_text(whole(post)) for post in cluster.posts]
    pairs = []
    for asked, answers in cluster.asks:
        wrong = [place for place in range(len(shown)) if place not in answers]
        wrong = _wrong(asked, shown, wrong, 1 if answers else SHOWN_WRONG, chance)
        text = question_text(asked, cluster.now)
        pairs += [
            Pair(text, shown[place], place in answers) for place in [*sorted(answers), *wrong]
        ]
    return pairs


def _wrong(
    asked: str, shown: list[str], wrong: list[int], most: int, chance: random.Random
) -> list[int]:
    """Return some of the posts that do not answer, often the one that shares most words."""
    shared = {place: len(_words(asked) & _words(shown[place])) for place in wrong}
    first = sorted(wrong, key=lambda place: -shared[place] - 0.9 * chance.random())[:1]
    if chance.random() >= HARDEST:
        first = chance.sample(wrong, min(1, len(wrong)))
    rest = [place for place in wrong if place not in first]
    return first + chance.sample(rest, min(len(rest), most - 1))


def _words(text: str) -> set[str]:
    found = re.findall(r"[a-z0-9]+", text.lower())
    return {word[:5] for word in found if word not in _PLAIN}


def of_clusters(chance: random.Random) -> list[Pair]:
    """Return pairs of all clusters that are learned from."""
    learned = [one for part in PARTS for one in in_part(part, held_out=False)]
    return [pair for one in learned for pair in some(one, chance)]


def of_both(chance: random.Random) -> list[Pair]:
    """Return what worlds give, and some of what clusters do."""
    worlds, clusters_ = of_worlds(chance), of_clusters(chance)
    return worlds + chance.sample(clusters_, int(len(clusters_) * AGAIN))


def in_part(part: str, *, held_out: bool) -> list[Cluster]:
    """Return the clusters of one round that are held out of the learning, or all others."""
    return [one for place, one in enumerate(clusters(part)) if (place % HELD_OUT == 0) == held_out]


def of_worlds(chance: random.Random) -> list[Pair]:
    """Return questions about the worlds that are learned from, beside posts found for them."""
    return [pair for one in _found_in_worlds() for pair in _of_world(one, chance)]


@cache
def _found_in_worlds() -> list[Found]:
    return [one for world in LEARNING if world.name not in UNREAD for one in found_in(world)]


def _of_world(found: Found, chance: random.Random) -> list[Pair]:
    """Return a question beside posts that answer it, the best hits, and some of the next."""
    question, text, _, posts = found
    right = [post for post in posts if post.id in question.supporting]
    first = [post for post in posts[:FIRST_FOUND] if post not in right]
    rest = [post for post in posts[FIRST_FOUND:READ] if post not in right]
    next_ = chance.sample(rest, min(len(rest), NEXT_FOUND))
    asked = question_text(text, question.now)
    return [Pair(asked, passage_text(whole(post)), post in right) for post in right + first + next_]
