"""The one writer: many sources, trouble of each kind, and death at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gigafactory.errors import CatalogError, SpecError
from gigafactory.grok import ingest as writer
from gigafactory.grok.feed import Feed
from gigafactory.grok.fold import Effect
from gigafactory.grok.home import FeedHome, writer_pid, writing
from gigafactory.grok.inbox import Inbox
from gigafactory.grok.index import TantivyIndex
from gigafactory.grok.ingest import Ingest, Totals, utc_now
from gigafactory.grok.keeper import Keeper
from gigafactory.grok.log import Log
from gigafactory.spec.post import Batch, Incident, Query
from tests.feed_killed import check, killed
from tests.made_posts import MadeSource, batch, deletion, post, zipf_posts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from gigafactory.grok.doors import Source

ROUNDS = 5  # the benchmark does 20


def ingested(home: FeedHome, *sources: Source) -> Totals:
    async def go() -> Totals:
        return await Ingest(Keeper(home, utc_now), sources).run()

    with writing(home):
        return asyncio.run(go())


def numbered(source: str, number: int, size: int = 10) -> list[list]:  # type: ignore[type-arg]
    return [[post(f"{n}-{k}", source=source) for k in range(size)] for n in range(number)]


def test_many_sources_are_written_at_once_each_with_its_cursor(tmp_path: Path) -> None:
    home = FeedHome(tmp_path)
    totals = ingested(home, *(MadeSource(name, numbered(name, 30)) for name in "abc"))
    assert totals.effects[Effect.NEW] == 900
    log = Log(home.posts)
    assert [log.cursor(name) for name in "abc"] == ["30", "30", "30"]
    assert {status.source: status.posts for status in log.statuses()} == dict.fromkeys("abc", 300)
    assert len(Feed(home).search(Query(words="rocket", limit=1000))) == 900


def test_a_source_goes_on_behind_its_cursor(tmp_path: Path) -> None:
    home = FeedHome(tmp_path)
    ingested(home, MadeSource("a", numbered("a", 3)))
    totals = ingested(home, MadeSource("a", numbered("a", 5)))
    assert totals.effects[Effect.NEW] == 20
    assert totals.effects[Effect.REPEATED] == 0


class Broken(MadeSource):
    """Fails once in the middle, as a source with a bug does."""

    failed = False

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncIterator[Batch]:
        async for one in super().batches(cursor, tell):
            yield one
            if one.cursor == "2" and not self.failed:
                self.failed = True
                raise KeyError("a bug")


def test_a_source_that_breaks_is_begun_again_and_hinders_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "BROKEN_S", (0.2, 1.0))
    home = FeedHome(tmp_path)
    totals = ingested(home, Broken("a", numbered("a", 4)), MadeSource("b", numbered("b", 4)))
    assert totals.effects[Effect.NEW] == 80
    assert totals.incidents["disconnected"] == 1
    assert "KeyError" in caplog.text
    (status,) = (one for one in Log(home.posts).statuses() if one.source == "a")
    assert status.incidents == {"disconnected": 1}


class Refused(MadeSource):
    """Is told that its token is no good."""

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncIterator[Batch]:
        del cursor, tell
        raise SpecError("x: the token is refused")
        yield


def test_what_only_the_user_can_mend_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    home = FeedHome(tmp_path)
    totals = ingested(home, Refused("x", []), MadeSource("b", numbered("b", 2)))
    assert [str(error) for error in totals.refused] == ["x: the token is refused"]
    assert totals.effects[Effect.NEW] == 20
    status = next(one for one in Log(home.posts).statuses() if one.source == "x")
    assert status.incidents == {"refused": 1}


def test_a_flood_of_the_same_trouble_is_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Noisy(MadeSource):
        async def batches(
            self, cursor: str | None, tell: Callable[[Incident], None]
        ) -> AsyncIterator[Batch]:
            for _ in range(1000):
                tell(Incident(source="n", kind="malformed", detail="no JSON", at=utc_now()))
            async for one in super().batches(cursor, tell):
                yield one

    home = FeedHome(tmp_path)
    ingested(home, Noisy("n", numbered("n", 1)))
    assert Log(home.posts).statuses()[0].incidents == {"malformed": 1000}
    assert caplog.text.count("no JSON") == 1


def test_a_full_disk_loses_nothing_and_writing_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite itself says that the disk is full: its limit of pages is reached, then raised."""
    monkeypatch.setattr(writer, "RETRY_S", (0.05, 0.1))
    home = FeedHome(tmp_path)

    async def go() -> Totals:
        keeper = Keeper(home, utc_now)
        keeper.log._rows("PRAGMA max_page_count = 40")
        texts = [[post(f"{n}", made.text * 5)] for n, made in enumerate(zipf_posts(400, 2))]
        ingest = Ingest(keeper, [MadeSource("file", texts)])
        running = asyncio.create_task(ingest.run())
        while not ingest.totals.incidents["disk_full"]:
            await asyncio.sleep(0.01)
        keeper.log._rows("PRAGMA max_page_count = 100000")
        return await running

    with writing(home):
        totals = asyncio.run(go())
    log = Log(home.posts)
    assert len(log.kept("file")) == 400
    assert log.cursor("file") == "400"
    assert totals.incidents["disk_full"] >= 1
    assert "not written, tried again: database or disk is full" in caplog.text
    assert log.incidents()["log"]["disk_full"] >= 1


def test_an_index_that_fails_holds_up_nothing_and_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gigafactory.grok.keeper.REOPEN_S", 0.1)
    faults = [CatalogError("No space left on device"), CatalogError("a segment is gone")]
    commit = TantivyIndex.commit

    def failing(index: TantivyIndex, sequence: int) -> None:
        if sequence and faults:
            raise faults.pop()
        commit(index, sequence)

    monkeypatch.setattr(TantivyIndex, "commit", failing)
    home = FeedHome(tmp_path)

    async def go() -> None:
        keeper = Keeper(home, utc_now)
        source = MadeSource("a", numbered("a", 50), live=True)
        ingest = Ingest(keeper, [source], commit_s=0.1)
        running = asyncio.create_task(ingest.run())
        while not (keeper._index and keeper.level() and keeper.log.sequence() == 500):
            await asyncio.sleep(0.02)
        ingest.stop()
        await running

    with writing(home):
        asyncio.run(go())
    assert len(Feed(home).search(Query(words="rocket", limit=1000))) == 500
    assert Log(home.posts).incidents()["index"] == {"disk_full": 1, "damaged": 1}
    assert faults == []


def test_sources_wait_when_more_has_arrived_than_can_be_written() -> None:
    async def go() -> tuple[int, int]:
        inbox = Inbox(most_changes=25)
        source = asyncio.create_task(_fill(inbox, 100))
        await asyncio.sleep(0.05)
        waiting = len(inbox)
        taken = 0
        while taken < 1000:
            taken += sum(len(one.changes) for one in await inbox.take(50))
            await asyncio.sleep(0)
        await source
        return waiting, taken

    assert asyncio.run(go()) == (3, 1000)


async def _fill(inbox: Inbox, number: int) -> None:
    for n in range(number):
        await inbox.put(batch(*(post(f"{n}-{k}") for k in range(10))))


def test_posts_in_bulk_hold_sources_up_too() -> None:
    async def go() -> bool:
        inbox = Inbox(most_chars=1000)
        await inbox.put(batch(post("1", "x" * 5000)))
        return inbox.full

    assert asyncio.run(go())


def test_a_second_writer_is_refused_with_the_process_that_writes(tmp_path: Path) -> None:
    home = FeedHome(tmp_path)
    child = _child(tmp_path)
    try:
        assert writer_pid(home) == child.pid
        with pytest.raises(SpecError, match=f"process {child.pid} writes this feed"), writing(home):
            pass
    finally:
        child.kill()
        child.communicate()  # which closes the pipe
    with writing(home):  # the kernel took the lock from the dead
        assert writer_pid(home)
    assert writer_pid(home) is None


def test_sigterm_ends_the_program_after_all_that_has_arrived_is_searchable(tmp_path: Path) -> None:
    """One source is a file, the other a server that is not there, so only the signal ends it."""
    home = FeedHome(tmp_path / "feed")
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "feed", "start", f"file:{_lines(tmp_path)}", "bluesky",
         "--bluesky-endpoint", "ws://127.0.0.1:9/subscribe", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "GIGA_HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        # a source is in the log from its first trouble or post on, and the two come in any order
        while not (_sequence(home) == 300 and "bluesky" in _states(home)):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert _states(home)["bluesky"] != "live"
        child.terminate()
        out, _ = child.communicate(timeout=60)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 0
    assert json.loads(out)["new"] == 300
    assert len(Feed(home).search(Query(words="rocket", limit=1000))) == 300
    assert set(_states(home).values()) == {"stopped"}


def _sequence(home: FeedHome) -> int:
    try:
        return Log(home.posts).sequence() if home.posts.exists() else 0
    except CatalogError:  # it is being made
        return 0


def _states(home: FeedHome) -> dict[str, str]:
    return {one.source: one.state for one in Feed(home).freshness(utc_now()).sources}


PROGRAM = "from gigafactory.cli import main; main()"


def _lines(folder: Path) -> Path:
    path = folder / "posts.jsonl"
    path.write_text(
        "".join(
            f'{{"id":"{n}","author":"ada","created_at":"2026-11-20T10:00:00Z",'
            f'"text":"The rocket flew {n} times"}}\n'
            for n in range(300)
        )
    )
    return path


def test_a_stop_ends_a_live_source_without_loss(tmp_path: Path) -> None:
    home = FeedHome(tmp_path)
    acknowledged: list[str] = []

    async def go() -> None:
        source = MadeSource("a", numbered("a", 200), live=True)
        ingest = Ingest(
            Keeper(home, utc_now), [source],
            written=lambda batches: acknowledged.extend(one.cursor for one in batches),
        )  # fmt: skip
        running = asyncio.create_task(ingest.run())
        while not acknowledged:
            await asyncio.sleep(0.001)
        ingest.stop()
        await running

    with writing(home):
        asyncio.run(go())
    log = Log(home.posts)
    assert log.cursor("a") == acknowledged[-1]
    assert len(log.kept("a")) == 10 * len(acknowledged)
    assert len(Feed(home).search(Query(words="rocket", limit=2000))) <= 10 * len(acknowledged)


def test_a_writer_killed_at_random_moments_loses_doubles_and_revives_nothing(
    tmp_path: Path,
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - a failure can be repeated with it
    chance = random.Random(seed)  # noqa: S311
    cursor = 0
    for _ in range(ROUNDS):
        acknowledged = killed(tmp_path, seed, chance)
        assert acknowledged > cursor, "it went on behind its cursor"
        cursor = check(tmp_path, seed, acknowledged)


def _child(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.feed_child", str(folder), "1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline()
    return child


def test_a_deleted_post_is_in_no_file_of_a_feed_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gigafactory.grok.upkeep.CHECKPOINT_S", 0.05)
    home = FeedHome(tmp_path)

    async def go() -> None:
        changes: list[Sequence] = [[post("1", "unspeakable")], [deletion("1")]]  # type: ignore[type-arg]
        ingest = Ingest(Keeper(home, utc_now), [MadeSource("file", changes, live=True)])
        running = asyncio.create_task(ingest.run())
        until = time.monotonic() + 30
        while b"unspeakable" in _log_bytes(home) or ingest.keeper.log.cursor("file") != "2":
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        ingest.stop()
        await running

    with writing(home):
        asyncio.run(go())


def _log_bytes(home: FeedHome) -> bytes:
    return b"".join(file.read_bytes() for file in home.folder.glob("posts.sqlite*"))
