"""The log of posts: one SQLite file that is the durable truth; here it is read.

Every change takes the next `sequence`, and a post stands under that of its latest change, so
whoever remembers a sequence reads on from there. A deleted post leaves only its key and revision.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import CatalogError
from gigafactory.grok.fold import Gone, Held
from gigafactory.spec.post import Change, Deletion, Post, PostKey, SourceStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SCHEMA: Final = 1
BUSY_S: Final = 30.0
KEYS_AT_ONCE: Final = 500  # variables of one statement
BEYOND: Final = "\U0010ffff"  # sorts behind every character an identifier holds
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
COLUMNS: Final = (
    "source, id, revision, gone, created_us, edited_us, author, text, url, lang, arrived_us"
)
TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE posts (
  sequence INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
  gone INTEGER NOT NULL, created_us INTEGER NOT NULL, edited_us INTEGER, author TEXT NOT NULL,
  text TEXT NOT NULL, url TEXT NOT NULL, lang TEXT NOT NULL, arrived_us INTEGER NOT NULL,
  UNIQUE (source, id));
CREATE INDEX posts_created ON posts (created_us) WHERE gone = 0;
CREATE INDEX posts_gone ON posts (arrived_us) WHERE gone > 0;
CREATE TABLE sources (
  source TEXT PRIMARY KEY, cursor TEXT, state TEXT NOT NULL DEFAULT 'stopped',
  since_us INTEGER NOT NULL, detail TEXT NOT NULL DEFAULT '', last_event_us INTEGER,
  last_arrival_us INTEGER, lag_s REAL, posts INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE incidents (
  source TEXT, kind TEXT, count INTEGER NOT NULL, at_us INTEGER NOT NULL, detail TEXT NOT NULL,
  PRIMARY KEY (source, kind)) WITHOUT ROWID;
"""


def microseconds(at: datetime) -> int:
    """Return microseconds since 1970, exactly.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (at - EPOCH) // MICROSECOND


def moment(at_us: int) -> datetime:
    """Return the time that is so many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=at_us)


class Log:
    """Reads the log; any number of threads and processes may, while one process writes it.

    Raises:
        CatalogError: The file is there, but is no log of posts or one of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._one_at_a_time = threading.Lock()
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with faults_told(path):
            self._connection = sqlite3.connect(
                uri, uri=True, check_same_thread=False, timeout=BUSY_S, isolation_level=None
            )
            version = self._rows("PRAGMA user_version")[0][0]
        if version != SCHEMA:
            raise CatalogError(f"{path}: schema must be {SCHEMA}, got {version}")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def id(self) -> str:
        """Return what tells this log from any other, a new one at the same place too."""
        return str(self._meta("id", ""))

    def sequence(self) -> int:
        """Return the place behind the latest change; 0 of an empty log."""
        return int(self._meta("sequence", 0))

    def post(self, key: PostKey) -> Post | None:
        """Return a post as it stands; None if it is gone or was never read."""
        return self.posts([key]).get(key)

    def posts(self, keys: Iterable[PostKey]) -> dict[PostKey, Post]:
        """Return those of the posts that stand."""
        held = held_under(self._connection, keys, self._one_at_a_time)
        return {key: one.post for key, one in held.items() if one.post is not None}

    def changes_after(self, sequence: int, limit: int) -> Sequence[tuple[int, Change]]:
        """Return the latest change of each key behind a place, in order of their places."""
        rows = self._rows(
            f"SELECT sequence, {COLUMNS} FROM posts WHERE sequence > ? ORDER BY sequence LIMIT ?",  # noqa: S608
            sequence,
            limit,
        )
        return [(row[0], _change(row[1:])) for row in rows]

    def cursor(self, source: str) -> str | None:
        """Return where a source is to go on; None if it was never read."""
        rows = self._rows("SELECT cursor FROM sources WHERE source = ?", source)
        return rows[0][0] if rows else None

    def kept(self, source: str, prefix: str = "") -> Sequence[tuple[str, int]]:
        """Return identifier and revision of a source's posts that stand, the newest first.

        Args:
            source: Whose.
            prefix: Only identifiers that begin so.
        """
        rows = self._rows(
            "SELECT id, revision FROM posts WHERE source = ? AND id >= ? AND id < ? AND gone = 0"
            " ORDER BY sequence DESC",
            source,
            prefix,
            prefix + BEYOND,
        )
        return [(row[0], row[1]) for row in rows]

    def newest_at(self, now: datetime) -> datetime | None:
        """Return the platform's time of the newest post written by `now`; None without any."""
        found = self._rows(
            "SELECT max(created_us) FROM posts WHERE gone = 0 AND created_us <= ?",
            microseconds(now),
        )[0][0]
        return None if found is None else moment(found)

    def statuses(self) -> Sequence[SourceStatus]:
        """Return how each source stood when the writer last wrote, by name."""
        counts = self.incidents()
        rows = self._rows(
            "SELECT source, state, since_us, last_event_us, last_arrival_us, lag_s, posts, detail"
            " FROM sources ORDER BY source"
        )
        return [_status(row, counts.get(row[0], {})) for row in rows]

    def incidents(self) -> dict[str, dict[str, int]]:
        """Return how often what was met, by source; "log" and "index" are the feed's own."""
        counts: dict[str, dict[str, int]] = {}
        for source, kind, count in self._rows("SELECT source, kind, count FROM incidents"):
            counts.setdefault(source, {})[kind] = count
        return counts

    def live_bytes(self) -> int:
        """Return how much of the file is in use; what was freed is used again first."""
        pages, free, size = (
            self._rows(f"PRAGMA {name}")[0][0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def erased_since(self) -> datetime | None:
        """Return when words were first taken out that the index may still hold on disk."""
        found = self._meta("erased_since_us", None)
        return None if found is None else moment(found)

    def _meta(self, name: str, default: Any) -> Any:
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return rows[0][0] if rows else default

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with self._one_at_a_time:
            return self._connection.execute(statement, values).fetchall()


@contextlib.contextmanager
def faults_told(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is no log into one line.

    Raises:
        CatalogError: Names the file.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise CatalogError(f"{path}: cannot be read as a log of posts: {error}") from None


def held_under(
    connection: sqlite3.Connection, keys: Iterable[PostKey], lock: threading.Lock
) -> dict[PostKey, Held]:
    """Return what stands under each of the keys, those left out that were never read."""
    by_source: dict[str, list[str]] = {}
    for source, one in keys:
        by_source.setdefault(source, []).append(one)
    found: dict[PostKey, Held] = {}
    for source, ids in by_source.items():
        for begin in range(0, len(ids), KEYS_AT_ONCE):
            some = ids[begin : begin + KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            statement = f"SELECT {COLUMNS} FROM posts WHERE source = ? AND id IN ({marks})"  # noqa: S608
            with lock:
                rows = connection.execute(statement, (source, *some)).fetchall()
            found.update((PostKey(row[0], row[1]), _held(row)) for row in rows)
    return found


def _held(row: Any) -> Held:
    change = _change(row)
    return Held(row[2], Gone(row[3]), change if isinstance(change, Post) else None)


def _change(row: Any) -> Change:
    """Return the post of a row, or the deletion that it is."""
    source, one, revision, gone, created_us, edited_us, author, text, url, lang, _ = row
    if gone:
        return Deletion(id=one, source=source, revision=revision)
    return Post(
        id=one, source=source, revision=revision, author=author, text=text, url=url, lang=lang,
        created_at=moment(created_us), edited_at=None if edited_us is None else moment(edited_us),
    )  # fmt: skip


def _status(row: Any, incidents: dict[str, int]) -> SourceStatus:
    source, state, since_us, last_event_us, last_arrival_us, lag_s, posts, detail = row
    return SourceStatus(
        source=source, state=state, since=moment(since_us), lag_s=lag_s, posts=posts,
        last_event_at=None if last_event_us is None else moment(last_event_us),
        last_arrival_at=None if last_arrival_us is None else moment(last_arrival_us),
        detail=detail, incidents=incidents,
    )  # fmt: skip
