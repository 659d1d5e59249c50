"""The index: BM25 by tantivy, searchable within a second, always able to be made anew.

A commit is atomic and holds one document that says how far the log was followed, so after a crash
the index goes on at exactly that place and no post is in it twice.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import tantivy

from gigafactory.errors import CatalogError
from gigafactory.grok import matching
from gigafactory.grok.index_fields import (
    EDITION,
    MARK,
    key_of,
    key_term,
    mark_document,
    post_document,
    schema,
)
from gigafactory.grok.text_analysis import analyzers
from gigafactory.spec.post import Post, PostKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gigafactory.grok.doors import PostIndex
    from gigafactory.grok.log import Log
    from gigafactory.spec.post import Change, Query

HEAP_BYTES: Final = 96_000_000
CHUNK: Final = 2_000
SHARES: Final = (1.0, 0.5)  # of the words, that a post must hold to be among the newest


class TantivyIndex:
    """One index of a log, in a folder of its own; written by one process, read by any number.

    Raises:
        CatalogError: The folder holds no index of this log, or it is damaged.
    """

    def __init__(self, folder: Path, log: str, *, make: bool = False) -> None:
        self.folder = folder
        self._log = log
        self._writer: tantivy.IndexWriter | None = None
        with damage_told(folder):
            if make:
                folder.mkdir(parents=True, exist_ok=True)
                self._index = tantivy.Index(schema(), path=str(folder))
            else:
                self._index = tantivy.Index.open(str(folder))
        for name, analyzer in analyzers().items():
            self._index.register_tokenizer(name, analyzer)
        self._index.config_reader("manual")
        self._seen = self._stamp()
        self._reload()
        if not make and self._mark() is None:
            raise CatalogError(f"{folder}: is the index of another log or of another version")

    def apply(self, changes: Iterable[Change], fresh: frozenset[PostKey] = frozenset()) -> None:
        """Add, replace or remove; searchable after the next `commit`.

        Args:
            changes: In the order of the log.
            fresh: Keys the index surely does not hold: nothing is looked for to be replaced,
                which is a third faster.
        """
        with damage_told(self.folder):
            writer = self._writing()
            for change in changes:
                key = change.key
                if key not in fresh:
                    writer.delete_documents_by_term("key", key_term(key))
                if isinstance(change, Post):
                    writer.add_document(post_document(change))

    def commit(self, sequence: int) -> None:
        """Make all that was applied searchable and durable, as of place `sequence` of the log."""
        with damage_told(self.folder):
            writer = self._writing()
            writer.delete_documents_by_term("mark", MARK)
            writer.add_document(mark_document(sequence, self._log))
            writer.commit()
        self._reload()

    def sequence(self) -> int:
        """Return the place of the log up to which all is committed; 0 of an empty index."""
        self._follow()
        return self._mark() or 0

    def search(self, query: Query) -> Sequence[tuple[PostKey, float]]:
        """Return the best keys with their scores, best first.

        Scores are BM25's. Where the newest are asked for (and of a query without words) the order
        is that of time, among posts that hold all words, then among those that hold half of them;
        the score is then one over the place.
        """
        self._follow()
        if query.limit < 1:
            return []
        with damage_told(self.folder):
            if not matching.num_words(query):
                return self._newest(query, shares=(0.0,))
            return self._newest(query, SHARES) if query.newest_first else self._relevant(query)

    def close(self) -> None:
        """End writing; what was not committed is left to the log."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(CatalogError), damage_told(self.folder):
                writer.rollback()  # one that failed has nothing to wait for
                writer.wait_merging_threads()

    def _relevant(self, query: Query) -> Sequence[tuple[PostKey, float]]:
        searcher = self._index.searcher()
        found = searcher.search(matching.relevant(query), query.limit, count=False)
        return [(_key(searcher, at), float(score)) for score, at in found.hits]

    def _newest(self, query: Query, shares: Sequence[float]) -> Sequence[tuple[PostKey, float]]:
        searcher = self._index.searcher()
        keys: dict[PostKey, None] = {}
        for share in shares:
            asked = matching.sharing(query, share)
            found = searcher.search(asked, query.limit, count=False, order_by_field="created_us")
            keys.update((_key(searcher, at), None) for _, at in found.hits)
            if len(keys) >= query.limit:
                break
        return [(key, 1 / place) for place, key in enumerate(keys, 1)][: query.limit]

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=1)
        return self._writer

    def _follow(self) -> None:
        """See what another process committed: its file of segments is then another one."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._reload()
            self._seen = stamp

    def _reload(self) -> None:
        with damage_told(self.folder):
            self._index.reload()

    def _stamp(self) -> tuple[int, int]:
        try:
            found = (self.folder / "meta.json").stat()
        except OSError as error:
            raise CatalogError(f"{self.folder}: no index: {error.strerror}") from None
        return found.st_ino, found.st_mtime_ns

    def _mark(self) -> int | None:
        """Return the place in this log that was committed; None if the mark is of another log."""
        with damage_told(self.folder):
            searcher = self._index.searcher()
            found = searcher.search(matching.mark(), 1, count=False).hits
            if not found:
                return None
            held = searcher.doc(found[0][1])
        return int(held["sequence"][0]) if held["log"] == [f"{EDITION} {self._log}"] else None


@contextlib.contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn what the engine says of files it cannot read or write into one line.

    It raises `ValueError`; where damage surprises it, it panics, which no `Exception` is.

    Raises:
        CatalogError: Names the folder.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, ValueError | OSError) or type(error).__name__ == "PanicException":
            raise CatalogError(f"{folder}: the index failed: {error}") from None
        raise


def catch_up(index: PostIndex, log: Log, *, budget_s: float | None = None) -> bool:
    """Follow the log from the place the index is at; return whether it is level now.

    Args:
        index: To be brought up.
        log: The truth.
        budget_s: Seconds after which to stop, with what was done committed; None until level.
    """
    begun, place = time.monotonic(), index.sequence()
    level, empty = False, place == 0
    while not level and (budget_s is None or time.monotonic() - begun < budget_s):
        some = log.changes_after(place, CHUNK)
        # A key stands once in the log: what is made from its beginning has nothing to replace.
        fresh = frozenset(change.key for _, change in some) if empty else frozenset[PostKey]()
        index.apply([change for _, change in some], fresh)
        level = len(some) < CHUNK
        place = some[-1][0] if some else max(place, log.sequence())
    if place > index.sequence():
        index.commit(place)
    return level


def _key(searcher: tantivy.Searcher, at: tantivy.DocAddress) -> PostKey:
    return key_of(searcher.doc(at)["key"][0])
