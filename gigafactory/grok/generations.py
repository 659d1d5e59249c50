"""Generations of the index: the next one is made beside the one in use, then takes its place.

So a damaged index is replaced while the log goes on, and the words of deleted posts leave the disk:
an index forgets them from its own files only when it happens to merge them.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Final

from gigafactory.catalog.files import write_whole
from gigafactory.errors import CatalogError
from gigafactory.grok.index import TantivyIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gigafactory.spec.post import PostKey, Query

CURRENT: Final = "current"  # a file with the name of the generation in use
_log = logging.getLogger(__name__)


def current(folder: Path, log: str) -> TantivyIndex:
    """Return the index in use of a log.

    Raises:
        CatalogError: There is none, it is damaged, or it is of another log.
    """
    try:
        name = (folder / CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise CatalogError(f"{folder}: no index: {error}") from None
    if not name.isdigit():
        raise CatalogError(f"{folder / CURRENT}: must name a generation, got {name[:40]!r}")
    return TantivyIndex(folder / name, log)


def current_or_new(folder: Path, log: str, *, sequence: int) -> TantivyIndex:
    """Return the index in use, or an empty one in its place if that is of no use; which is told.

    Args:
        folder: Of all generations.
        log: Which log it must be an index of.
        sequence: Where that log ends: an index that is beyond knows posts that the log lost.
    """
    try:
        found = current(folder, log)
    except CatalogError as error:
        if sequence:
            _log.warning("the index is made anew from the log: %s", error)
    else:
        if found.sequence() <= sequence:
            _remove_others(folder, found)  # one that was being made when its process ended
            return found
        found.close()
        _log.warning("the index is made anew: it is ahead of the log, which lost posts")
    made = begin(folder, log)
    made.commit(0)
    switch(folder, made)
    return made


def begin(folder: Path, log: str) -> TantivyIndex:
    """Return an empty index of the next generation, not yet in use."""
    taken = [int(one.name) for one in _generations(folder)]
    made = folder / str(max(taken, default=0) + 1)
    return TantivyIndex(made, log, make=True)


def switch(folder: Path, index: TantivyIndex) -> None:
    """Put an index in use and remove every other; who reads an old one may finish."""
    write_whole(folder / CURRENT, f"{index.folder.name}\n")
    _remove_others(folder, index)


def abandon(folder: Path) -> None:
    """Put no index in use: the next one who asks makes one from the log."""
    (folder / CURRENT).unlink(missing_ok=True)


class IndexReader:
    """Searches the index in use, whichever that is at the moment.

    Raises:
        CatalogError: There is no index of this log that can be read.
    """

    def __init__(self, folder: Path, log: str) -> None:
        self._folder, self._log = folder, log
        self._seen = self._stamp()
        self._index = current(folder, log)

    def sequence(self) -> int:
        """Return the place of the log up to which posts are found."""
        return self._index.sequence()

    def search(self, query: Query) -> Sequence[tuple[PostKey, float]]:
        """Return the best keys with their scores, best first."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._index, self._seen = current(self._folder, self._log), stamp
        try:
            return self._index.search(query)
        except CatalogError:  # switched between the two looks
            self._index = current(self._folder, self._log)
            return self._index.search(query)

    def _stamp(self) -> tuple[int, int]:
        try:
            found = (self._folder / CURRENT).stat()
        except OSError as error:
            raise CatalogError(f"{self._folder}: no index: {error.strerror}") from None
        return found.st_ino, found.st_mtime_ns


def _remove_others(folder: Path, index: TantivyIndex) -> None:
    for one in _generations(folder):
        if one != index.folder:
            shutil.rmtree(one, ignore_errors=True)


def _generations(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [one for one in folder.iterdir() if one.name.isdigit() and one.is_dir()]
