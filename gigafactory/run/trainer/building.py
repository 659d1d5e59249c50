"""A folder that is there whole or not at all, whoever is killed while making it.

It is made beside its place under another name and renamed. One process makes it at a time; what a
killed one left is removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK: Final = "lock"


@contextlib.contextmanager
def built_whole(folder: Path) -> Iterator[Path | None]:
    """Yield an empty folder that takes the place of `folder` when the block ends without error.

    Yields None where `folder` is there already, or another process made it in the meantime.
    """
    part = folder.with_name(f".{folder.name}.part")
    with _alone(folder, part) as mine:
        if not mine:
            yield None
            return
        try:
            yield part
            (part / LOCK).unlink()
            _sync(part)
            part.rename(folder)
            _sync(folder.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextlib.contextmanager
def _alone(folder: Path, part: Path) -> Iterator[bool]:
    """Hold the lock of an emptied `part`; give False if `folder` is there."""
    while not _is_filled(folder):
        part.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), (part / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_same(part / LOCK, lock.fileno()):
                continue  # whoever held it has finished, or given up
            _empty(part)
            yield True
            return
    yield False


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _is_same(path: Path, handle: int) -> bool:
    """Return whether an open file is still the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _empty(part: Path) -> None:
    for path in part.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
