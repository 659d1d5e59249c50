"""What a change does to what the log holds: new, edit, deletion, repeated or late.

The order of arrival decides nothing where revisions differ: any order of the same changes leaves
the same posts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from gigafactory.spec.post import Change, Deletion, Post, PostKey

REVISIONS = range(-(2**63), 2**63)  # what SQLite can hold


class Effect(Enum):
    """What became of a change, and whether the log is another one afterwards."""

    NEW = ("new", True)
    EDITED = ("edited", True)
    DELETED = ("deleted", True)
    REPEATED = ("repeated", False)
    LATE = ("late", False)
    MALFORMED = ("malformed", False)

    def __init__(self, word: str, alters: bool) -> None:
        self.word = word
        self.alters = alters

    __hash__ = object.__hash__  # members are single; the one of Enum took a tenth of all writing


class Gone(Enum):
    """Why a post has no text any more."""

    NOT = 0
    DELETED = 1  # by its author or the platform
    EXPIRED = 2  # by our own retention: may come again


class Held(NamedTuple):
    """What the log holds under a key; the post is None of one that is gone."""

    revision: int
    gone: Gone
    post: Post | None


def effect(held: Held | None, change: Change) -> Effect:
    """Return what a change does, given what is held under its key.

    A higher revision wins. Of equal ones a deletion wins over a text, the later of two different
    texts over the earlier (files may give no order), and the same post again is one, whose
    revision is then the higher of the two.
    """
    if not _storable(change):
        return Effect.MALFORMED
    if held is None:
        return Effect.DELETED if isinstance(change, Deletion) else Effect.NEW
    if change.revision < held.revision:
        return Effect.LATE
    return _of_deletion(held, change) if isinstance(change, Deletion) else _of_post(held, change)


def _of_deletion(held: Held, change: Deletion) -> Effect:
    again = held.gone is Gone.DELETED and change.revision == held.revision
    return Effect.REPEATED if again else Effect.DELETED


def _of_post(held: Held, post: Post) -> Effect:
    if held.post is not None:
        again = replace(merged(held, post), revision=held.post.revision) == held.post
        return Effect.REPEATED if again else Effect.EDITED
    late = held.gone is Gone.DELETED and post.revision == held.revision
    return Effect.LATE if late else Effect.NEW


def merged(held: Held | None, post: Post) -> Post:
    """Return a post as it is to be kept: what an edit leaves out stands as it was."""
    before = held.post if held else None
    if before is None:
        return post
    first = before.created_at if post.edited_at else post.created_at
    return replace(
        post,
        created_at=min(first, post.created_at),
        author=post.author or before.author,
        url=post.url or before.url,
        lang=post.lang or before.lang,
    )


def _storable(change: Change) -> bool:
    """Whether every field can be written: whole characters, a revision of 64 bits."""
    words = change.source + change.id
    if isinstance(change, Post):
        words += change.author + change.text + change.url + change.lang
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return change.revision in REVISIONS


@dataclass(slots=True)
class Folded:
    """What changes come to: what stands under altered keys, and what only rose in revision."""

    held: dict[PostKey, Held]
    after: dict[PostKey, Change] = field(default_factory=dict)
    raised: dict[PostKey, int] = field(default_factory=dict)
    counts: Counter[tuple[str, Effect]] = field(default_factory=Counter)

    def add(self, key: PostKey, change: Change) -> None:
        """Take in the next change, which is to what stands under a key."""
        held = self.held.get(key)
        one = effect(held, change)
        self.counts[change.source, one] += 1
        if one.alters:
            self._alter(key, held, change)
        elif one is Effect.REPEATED and held and change.revision > held.revision:
            self.held[key] = held._replace(revision=change.revision)
            self.raised[key] = change.revision

    def _alter(self, key: PostKey, held: Held | None, change: Change) -> None:
        self.after.pop(key, None)  # so that it comes last
        self.raised.pop(key, None)
        if isinstance(change, Post):
            post = change if held is None else merged(held, change)
            self.held[key], self.after[key] = Held(post.revision, Gone.NOT, post), post
        else:
            self.held[key], self.after[key] = Held(change.revision, Gone.DELETED, None), change
