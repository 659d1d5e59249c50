"""The log of posts, written: changes, the cursor behind them and what was met, all or nothing.

WAL with `synchronous=NORMAL`: what `write` acknowledged outlives the death of the process at any
moment. A power cut may take the last seconds with it, cursor and posts alike, so the sources give
them again. `secure_delete` overwrites erased words with zeros; `checkpoint` empties the WAL.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.errors import CatalogError
from gigafactory.grok.fold import Effect, Folded, Gone, Held
from gigafactory.grok.log import (
    BUSY_S,
    COLUMNS,
    SCHEMA,
    TABLES,
    Log,
    faults_told,
    held_under,
    microseconds,
)
from gigafactory.spec.post import Deletion, Incident, Post, PostKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from gigafactory.spec.post import Batch, Change

CACHE_KIB: Final = 65_536
WAL_PAGES: Final = 4_000  # 16 MB before pages move from the WAL into the file
ROW: Final = f"(?{',?' * 11})"
INSERT: Final = f"INSERT INTO posts (sequence, {COLUMNS}) VALUES {ROW}"  # noqa: S608
ROWS_AT_ONCE: Final = 250
INSERT_MANY: Final = INSERT + f", {ROW}" * (ROWS_AT_ONCE - 1)
WORDS_OF_IGNORED: Final = {
    Effect.LATE: "older than what the log holds",
    Effect.MALFORMED: "cannot be stored: no whole characters, or a revision beyond 64 bits",
}


class Standing(NamedTuple):
    """The state of a source, as it is to be written."""

    state: str
    since: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """What one `write` did.

    Attributes:
        changes: What the index has to follow, in the order of the log; one a key.
        fresh: Keys among them that the log never held before.
        counts: How many changes of each source had which effect.
        sequence: Place behind them.
    """

    changes: tuple[Change, ...]
    fresh: frozenset[PostKey]
    counts: Counter[tuple[str, Effect]]
    sequence: int


class LogWriter(Log):
    """Writes the log; the caller holds the lock of the feed.

    Raises:
        CatalogError: The file cannot be made, is no log of posts, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        _create(path)
        super().__init__(path)
        self._connection.close()
        with faults_told(path):
            self._connection = _connected(path)

    def write(
        self,
        batches: Sequence[Batch],
        now: datetime,
        *,
        standings: dict[str, Standing] | None = None,
        incidents: Iterable[tuple[Incident, int]] = (),
    ) -> Written:
        """Write changes, cursors, states and incidents in one transaction; return what was done.

        Raises:
            sqlite3.OperationalError: The disk is full or fails; nothing was written.
        """
        changes = [(change.key, change) for batch in batches for change in batch.changes]
        before = held_under(self._connection, {key for key, _ in changes}, self._one_at_a_time)
        folded = Folded(dict(before))
        for key, change in changes:
            folded.add(key, change)
        after = folded.after
        with self._transaction():
            first = self._replace(before, after, now)
            self._raise(folded.raised)
            self._count_posts(before, after, now)
            for batch in {batch.source: batch for batch in batches}.values():
                self._move(batch, now)
            for name, standing in (standings or {}).items():
                self._stand(name, standing)
            self._count_incidents([*incidents, *_ignored(folded.counts, now)])
        fresh = frozenset(key for key in after if key not in before)
        return Written(tuple(after.values()), fresh, folded.counts, first + len(after))

    def expire(self, keys: Sequence[PostKey], now: datetime) -> Written:
        """Take the words of posts out that are older than this feed keeps; return what was done."""
        held = held_under(self._connection, keys, self._one_at_a_time)
        after: dict[PostKey, Change] = {
            key: Deletion(id=key.id, source=key.source, revision=one.revision)
            for key, one in held.items()
            if one.post
        }
        with self._transaction():
            first = self._replace(held, after, now, Gone.EXPIRED)
            self._count_posts(held, after, now)
        return Written(tuple(after.values()), frozenset(), Counter(), first + len(after))

    def oldest(self, limit: int, before: datetime | None = None) -> Sequence[PostKey]:
        """Return the posts that were written first, those before a time if one is given."""
        bound = 2**63 - 1 if before is None else microseconds(before)
        rows = self._rows(
            "SELECT source, id FROM posts WHERE gone = 0 AND created_us < ?"
            " ORDER BY created_us LIMIT ?",
            bound,
            limit,
        )
        return [PostKey(*row) for row in rows]

    def forget(self, gone_before: datetime, up_to: int) -> int:
        """Remove old tombstones that the index followed; return how many."""
        with self._transaction():
            return self._connection.execute(
                "DELETE FROM posts WHERE gone > 0 AND arrived_us < ? AND sequence <= ?",
                (microseconds(gone_before), up_to),
            ).rowcount

    def checkpoint(self) -> bool:
        """Move the WAL into the file and empty it; return whether no reader was in the way."""
        return not self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]

    def index_made_anew(self, begun: datetime) -> None:
        """Note that the index holds no word that was erased before it was `begun`."""
        since = self.erased_since()
        with self._transaction():
            if since is not None and since < begun:
                last = self._rows("SELECT max(arrived_us) FROM posts WHERE gone > 0")[0][0]
                later = last is not None and last >= microseconds(begun)
                self._note("erased_since_us", microseconds(begun) if later else None)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _replace(
        self,
        before: dict[PostKey, Held],
        after: dict[PostKey, Change],
        now: datetime,
        gone: Gone = Gone.DELETED,
    ) -> int:
        """Put changes in the place of what stood under their keys; return the place before them."""
        first = self.sequence()
        if not after:
            return first
        old = [key for key in after if key in before]
        self._connection.executemany("DELETE FROM posts WHERE source = ? AND id = ?", old)
        arrived_us = microseconds(now)
        rows = [
            (place, *_row(change, gone, arrived_us))
            for place, change in enumerate(after.values(), first + 1)
        ]
        self._insert(rows)
        self._note("sequence", first + len(after))
        if any(before[key].post for key in old) and self.erased_since() is None:
            self._note("erased_since_us", arrived_us)
        return first

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        """Insert rows, hundreds by one statement.

        The interpreter lock is let go once a statement: row by row, a source that parses on
        another thread would have it each time for its whole interval.
        """
        whole = len(rows) - len(rows) % ROWS_AT_ONCE
        for begin in range(0, whole, ROWS_AT_ONCE):
            some = rows[begin : begin + ROWS_AT_ONCE]
            self._connection.execute(INSERT_MANY, list(itertools.chain.from_iterable(some)))
        self._connection.executemany(INSERT, rows[whole:])

    def _raise(self, revisions: dict[PostKey, int]) -> None:
        """Note that posts, as they stand, were told again with higher revisions."""
        self._connection.executemany(
            "UPDATE posts SET revision = ? WHERE source = ? AND id = ?",
            [(revision, *key) for key, revision in revisions.items()],
        )

    def _count_posts(
        self, before: dict[PostKey, Held], after: dict[PostKey, Change], now: datetime
    ) -> None:
        """Keep the number of posts of each source, so that nobody has to count a million."""
        more: Counter[str] = Counter()
        for key, change in after.items():
            held = before.get(key)
            more[key.source] += isinstance(change, Post) - bool(held and held.post)
        self._connection.executemany(
            "INSERT INTO sources (source, posts, since_us) VALUES (?, ?, ?)"
            " ON CONFLICT (source) DO UPDATE SET posts = posts + excluded.posts",
            [(source, number, microseconds(now)) for source, number in more.items()],
        )

    def _move(self, batch: Batch, now: datetime) -> None:
        event, arrived_us = batch.last_event_at, microseconds(now)
        event_us = None if event is None else microseconds(event)
        lag_s = None if event_us is None else max((arrived_us - event_us) / 1e6, 0.0)
        self._connection.execute(
            "INSERT INTO sources (source, cursor, since_us, last_event_us, last_arrival_us, lag_s)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE SET"
            " cursor = excluded.cursor,"
            " last_arrival_us = excluded.last_arrival_us, lag_s = coalesce(excluded.lag_s, lag_s),"
            " last_event_us = coalesce(excluded.last_event_us, last_event_us)",
            (batch.source, batch.cursor, arrived_us, event_us, arrived_us, lag_s),
        )

    def _stand(self, name: str, standing: Standing) -> None:
        self._connection.execute(
            "INSERT INTO sources (source, state, since_us, detail) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (source) DO UPDATE SET state = excluded.state,"
            " since_us = excluded.since_us, detail = excluded.detail",
            (name, standing.state, microseconds(standing.since), standing.detail),
        )

    def _count_incidents(self, incidents: Iterable[tuple[Incident, int]]) -> None:
        self._connection.executemany(
            "INSERT INTO incidents VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, kind) DO UPDATE SET"
            " count = count + excluded.count, at_us = excluded.at_us, detail = excluded.detail",
            [
                (one.source, one.kind, count, microseconds(one.at), one.detail)
                for one, count in incidents
            ],
        )

    def _note(self, name: str, value: int | None) -> None:
        self._connection.execute("REPLACE INTO meta VALUES (?, ?)", (name, value))


def _ignored(counts: Counter[tuple[str, Effect]], now: datetime) -> Iterator[tuple[Incident, int]]:
    """Yield what is to be told of changes that altered nothing, though they meant to."""
    for (source, one), number in counts.items():
        if one in WORDS_OF_IGNORED:
            yield (
                Incident(source=source, kind=one.word, detail=WORDS_OF_IGNORED[one], at=now),
                number,
            )


def _row(change: Change, gone: Gone, arrived_us: int) -> tuple[object, ...]:
    if isinstance(change, Deletion):
        return (change.source, change.id, change.revision, gone.value, 0, None, "", "", "", "",
                arrived_us)  # fmt: skip
    edited = change.edited_at
    return (change.source, change.id, change.revision, Gone.NOT.value,
            microseconds(change.created_at), None if edited is None else microseconds(edited),
            change.author, change.text, change.url, change.lang, arrived_us)  # fmt: skip


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, check_same_thread=False, timeout=BUSY_S, isolation_level=None
    )
    for setting in (
        "journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON",
        f"cache_size = -{CACHE_KIB}", f"wal_autocheckpoint = {WAL_PAGES}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {setting}")
    return connection


def _create(path: Path) -> None:
    """Make an empty log where there is none; one whose making was cut short is made again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be written: {os.strerror(error.errno or 0)}") from None
    with faults_told(path), contextlib.closing(_connected(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
            for statement in TABLES.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('id', ?)", (uuid.uuid4().hex,))
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
