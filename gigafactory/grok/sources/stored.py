"""What a source must ask of the log: which posts of its are kept, so as to forget them in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Kept(NamedTuple):
    """A post in the log, by its identifier and the revision that is held."""

    id: str
    revision: int


# The posts of a source (first argument) whose identifier begins with a prefix (second; empty for
# all), the newest first where the log knows. Called from a thread.
KeptPosts = Callable[[str, str], Iterable[Kept]]


def nothing_kept(_source: str, _prefix: str) -> Iterable[Kept]:
    """Return no post: the log of a source that is read for the first time."""
    return ()
