"""Where the feed of this machine is kept, and who may write it: one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.errors import CatalogError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_HOME: Final = "~/.gigafactory"
PATIENCE_S: Final = 1.0  # one who only asks whether the lock is held takes it for microseconds


@dataclass(frozen=True, slots=True)
class FeedHome:
    """The files of one feed: `posts.sqlite` is the truth, `index` can always be made anew."""

    folder: Path

    @property
    def posts(self) -> Path:
        """The log of posts."""
        return self.folder / "posts.sqlite"

    @property
    def index(self) -> Path:
        """The folder of the index."""
        return self.folder / "index"

    @property
    def lock(self) -> Path:
        """Held by the process that writes; holds its id."""
        return self.folder / "feed.lock"


def feed_home(environ: Mapping[str, str] | None = None) -> FeedHome:
    """Return the feed under `GIGA_HOME`, of `~/.gigafactory` where that is not set."""
    environ = os.environ if environ is None else environ
    home = environ.get("GIGA_HOME", "").strip() or DEFAULT_HOME
    return FeedHome(Path(home).expanduser() / "feed")


@contextlib.contextmanager
def writing(home: FeedHome) -> Iterator[None]:
    """Hold the feed for the length of a block: no other process can write it meanwhile.

    The lock is the kernel's, so it ends with its process however that ends.

    Raises:
        SpecError: Another process writes it; its id is told.
        CatalogError: The folder or the lock cannot be made.
    """
    try:
        home.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CatalogError(f"{home.lock}: cannot be written: {error.strerror}") from None
    try:
        _take(handle, home)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def writer_pid(home: FeedHome) -> int | None:
    """Return the id of the process that writes the feed now; None if there is none."""
    try:
        handle = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _pid(handle)
    finally:
        os.close(handle)
    return None


def _take(handle: int, home: FeedHome) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                raise SpecError(
                    f"{home.folder}: process {_pid(handle)} writes this feed, and only one may",
                    field="feed",
                ) from None
        time.sleep(0.02)


def _pid(handle: int) -> int:
    """Return what the lock's file says; 0 if it says nothing yet."""
    words = os.pread(handle, 32, 0).split()
    return int(words[0]) if words and words[0].isdigit() else 0
