"""The log: what changes leave behind, what is erased, what is kept together."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.errors import CatalogError
from gigafactory.grok.fold import Effect
from gigafactory.grok.log import Log
from gigafactory.grok.standing import Standings
from gigafactory.grok.writing import LogWriter
from gigafactory.spec.post import Change, Deletion, Incident, Post, PostKey
from tests.made_posts import NOON, at, batch, deletion, post, zipf_posts


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    return LogWriter(tmp_path / "posts.sqlite")


def words_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_batch_and_its_cursor_are_read_by_another_process_once_written(log: LogWriter) -> None:
    log.write([batch(post("1"), post("2"), cursor="17")], NOON)
    other = Log(log.path)
    assert other.post(PostKey("file", "1")) == post("1")
    assert other.cursor("file") == "17"
    assert other.sequence() == 2
    assert other.newest_at(NOON) == NOON
    assert other.newest_at(NOON - timedelta(seconds=1)) is None, "not written yet"


def test_a_batch_that_the_disk_has_no_room_for_leaves_neither_posts_nor_cursor(
    log: LogWriter,
) -> None:
    log.write([batch(post("1"), cursor="1")], NOON)
    pages = log._rows("PRAGMA page_count")[0][0]
    log._rows(f"PRAGMA max_page_count = {pages + 1}")
    many = batch(*(post(f"n{n}", "long " * 200) for n in range(500)), cursor="2")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        log.write([many], NOON)
    assert log.cursor("file") == "1"
    assert log.sequence() == 1
    assert log.post(PostKey("file", "n0")) is None
    log._rows("PRAGMA max_page_count = 1000000")
    assert log.write([many], NOON).sequence == 501
    assert log.cursor("file") == "2"


def test_a_repeated_post_changes_nothing(log: LogWriter) -> None:
    first = log.write([batch(post("1"))], NOON)
    again = log.write([batch(post("1"))], NOON)
    assert first.counts["file", Effect.NEW] == 1
    assert again.counts["file", Effect.REPEATED] == 1
    assert (again.changes, again.sequence) == ((), 1)


def test_a_post_told_again_with_a_higher_revision_makes_an_edit_between_them_late(
    log: LogWriter,
) -> None:
    log.write([batch(post("1", revision=1))], NOON)
    log.write([batch(post("1", revision=9))], NOON)
    done = log.write([batch(post("1", "an edit between", revision=5))], NOON)
    assert done.counts["file", Effect.LATE] == 1
    assert log.sequence() == 1


def test_late_edits_are_ignored_and_counted(log: LogWriter) -> None:
    log.write([batch(post("1", "second", revision=2, edited=5))], NOON)
    log.write([batch(post("1", "first", revision=1))], NOON)
    found = log.post(PostKey("file", "1"))
    assert found
    assert found.text == "second"
    assert log.statuses()[0].incidents == {"late": 1}


def test_what_cannot_be_stored_is_counted_and_the_rest_of_its_batch_is_kept(
    log: LogWriter,
) -> None:
    done = log.write([batch(post("1", "half \ud800"), post("2", revision=2**70), post("3"))], NOON)
    assert done.counts["file", Effect.MALFORMED] == 2
    assert [key.id for key in log.oldest(10)] == ["3"]
    assert log.statuses()[0].incidents == {"malformed": 2}


def test_an_edit_keeps_what_it_does_not_tell(log: LogWriter) -> None:
    log.write([batch(post("1", seconds=0, author="ada"))], NOON)
    log.write([batch(post("1", "new", seconds=60, author="", edited=60, revision=1))], NOON)
    found = log.post(PostKey("file", "1"))
    assert found
    assert (found.author, found.created_at, found.text) == ("ada", NOON, "new")


def test_a_deletion_that_comes_before_its_post_wins(log: LogWriter) -> None:
    log.write([batch(deletion("1", revision=3))], NOON)
    log.write([batch(post("1", revision=2))], NOON)
    assert log.post(PostKey("file", "1")) is None
    log.write([batch(post("1", "written again", revision=4))], NOON)
    assert log.post(PostKey("file", "1")) == post("1", "written again", revision=4)


def test_places_rise_and_a_key_stands_under_its_latest(log: LogWriter) -> None:
    log.write([batch(post("1"), post("2"), post("3"))], NOON)
    log.write([batch(post("1", "edited", revision=1), deletion("2", revision=1))], NOON)
    told = log.changes_after(0, 10)
    assert [(place, change.id) for place, change in told] == [(3, "3"), (4, "1"), (5, "2")]
    assert isinstance(told[-1][1], Deletion)
    assert log.changes_after(4, 10) == told[-1:]


CHANGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["post", "edit", "gone"])),
    min_size=1,
    max_size=8,
)


@given(told=CHANGES, seed=st.integers(0, 1000))
def test_any_order_of_the_same_changes_leaves_the_same_posts(
    told: list[tuple[str, str]], seed: int
) -> None:
    changes: list[Change] = [
        deletion(one, revision=n)
        if kind == "gone"
        else post(one, f"text {n}", revision=n, edited=n if kind == "edit" else None)
        for n, (one, kind) in enumerate(told)
    ]
    mixed = random.Random(seed).sample(changes, len(changes))  # noqa: S311
    assert _left(changes, 1) == _left(mixed, 3) == _left([*mixed, *changes], 2)


def _left(changes: list[Change], size: int) -> list[tuple[str, int, str | None]]:
    with tempfile.TemporaryDirectory() as folder:
        log = LogWriter(Path(folder) / "posts.sqlite")
        for begin in range(0, len(changes), size):
            log.write([batch(*changes[begin : begin + size])], NOON)
        told = [change for _, change in log.changes_after(0, 100)]
        log.close()
    return sorted(
        (one.id, one.revision, one.text if isinstance(one, Post) else None) for one in told
    )


def test_the_number_of_posts_of_a_source_is_always_what_stands(log: LogWriter) -> None:
    chance = random.Random(4)  # noqa: S311
    for revision in range(60):
        one, source = str(chance.randrange(12)), chance.choice("xy")
        change: Change = post(one, revision=revision, source=source)
        if chance.random() < 0.4:
            change = deletion(one, revision=revision, source=source)
        log.write([batch(change, source=source)], NOON)
        counted = {status.source: status.posts for status in log.statuses()}
        assert counted == {source: len(log.kept(source)) for source in counted}


def test_no_file_holds_the_words_of_deleted_and_edited_posts(tmp_path: Path) -> None:
    """A marker in every text: those of posts that stand are found, those of others nowhere."""
    log = LogWriter(tmp_path / "posts.sqlite")
    posts = [
        post(f"{n}", f"marker-{n}-only {made.text} {'pad ' * (n % 400)}", revision=1)
        for n, made in enumerate(zipf_posts(1200, 3))
    ]
    for begin in range(0, 1200, 100):
        log.write([batch(*posts[begin : begin + 100])], NOON)
    chance = random.Random(8)  # noqa: S311
    gone = chance.sample(range(1200), 500)
    for begin in range(0, 500, 50):
        changes: list[Change] = [
            deletion(f"{n}", revision=2) if n % 2 else post(f"{n}", "calm", revision=2)
            for n in gone[begin : begin + 50]
        ]
        log.write([batch(*changes)], NOON)
    assert log.checkpoint()
    held = words_in(tmp_path)
    assert [n for n in gone if f"marker-{n}-only".encode() in held] == []
    kept = [n for n in range(1200) if n not in set(gone)]
    assert [n for n in kept if f"marker-{n}-only".encode() not in held] == []


def test_erased_words_leave_the_wal_while_a_reader_has_the_log_open(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "posts.sqlite")
    log.write([batch(post("1", "unspeakable"))], NOON)
    reader = Log(log.path)
    assert reader.post(PostKey("file", "1"))
    log.write([batch(deletion("1", revision=1))], NOON)
    assert log.checkpoint()
    assert b"unspeakable" not in words_in(tmp_path)
    assert reader.post(PostKey("file", "1")) is None


def test_expired_posts_may_come_again_but_deleted_ones_may_not(log: LogWriter) -> None:
    log.write([batch(post("1"), post("2"), deletion("2"))], NOON)
    log.expire([PostKey("file", "1")], NOON)
    assert log.post(PostKey("file", "1")) is None
    log.write([batch(post("1"), post("2"))], NOON)
    assert [key.id for key in log.oldest(9)] == ["1"]


def test_tombstones_are_forgotten_when_old_and_followed(log: LogWriter) -> None:
    log.write([batch(post("1"), deletion("2"), deletion("3"))], NOON)
    assert log.forget(NOON + timedelta(days=1), up_to=2) == 1
    assert [one.id for _, one in log.changes_after(0, 9)] == ["1", "3"]
    log.write([batch(post("4"))], NOON)
    assert log.sequence() == 4, "a place is never given twice"


def test_kept_posts_are_told_by_prefix_the_newest_first(log: LogWriter) -> None:
    log.write([batch(*(post(one, revision=5) for one in ("ann/1", "ann/2", "bo/1")))], NOON)
    assert log.kept("file", "ann/") == [("ann/2", 5), ("ann/1", 5)]
    assert len(log.kept("file")) == 3
    assert log.kept("x") == []


def test_states_and_incidents_outlive_the_process(log: LogWriter) -> None:
    standings = Standings(lambda: at(3))
    for _ in range(5):
        standings.tell(Incident(source="x", kind="rate_limited", detail="429", at=at(3)))
    states, incidents = standings.taken()
    log.write([], at(3), standings=states, incidents=incidents)
    log.close()
    (found,) = Log(log.path).statuses()
    assert (found.state, found.detail, found.since) == ("down", "429", at(3))
    assert found.incidents == {"rate_limited": 5}


def test_a_file_that_is_no_log_and_one_of_another_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database at all, but long enough to look at" * 30)
    with pytest.raises(CatalogError, match="notes: cannot be read as a log"):
        LogWriter(tmp_path / "notes")
    with pytest.raises(CatalogError, match="notes: cannot be read as a log"):
        Log(tmp_path / "notes")
    log = LogWriter(tmp_path / "later")
    log._rows("PRAGMA user_version = 99")
    with pytest.raises(CatalogError, match="schema must be 1, got 99"):
        Log(log.path)
