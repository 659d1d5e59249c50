"""The index: what is found, in which order, and that it is made anew from the log at need."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.errors import SpecError
from gigafactory.grok import generations, index_fields
from gigafactory.grok.feed import Feed
from gigafactory.grok.home import FeedHome
from gigafactory.grok.index import TantivyIndex, catch_up
from gigafactory.grok.keeper import Keeper
from gigafactory.grok.query import parse
from gigafactory.grok.upkeep import Retention
from gigafactory.spec.post import Change, Post, Query
from tests.made_posts import NOON, at, batch, deletion, post, zipf_posts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POSTS = (
    post("launch", "Artemis launches at dawn from Florida", author="NASA", seconds=-300),
    post("scrub", "The launch was scrubbed because of weather", author="ada", seconds=-200),
    post("stage", "Second stage test: the stage held", author="bob", seconds=-100, lang="en-GB"),
    post("held", "Stage two came second", author="cat", seconds=-90),
    post("oslo", "Café in Zürich serves launch breakfast", author="ada", seconds=-50, lang="de"),
    post("tokyo", "東京タワーで花火が上がった", author="kai", seconds=-40, lang="ja"),
    post("toot", "A toot of weather", source="mastodon:example.org", seconds=-30),
    post("other", "Weather on another host", source="mastodon:other.org", seconds=-20),
)


def kept(folder: Path, *changes: Change) -> Keeper:
    keeper = Keeper(FeedHome(folder), lambda: NOON)
    if changes:
        keeper.write([batch(*changes)])
        keeper.commit()
    return keeper


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    folder = tmp_path_factory.mktemp("feed")
    kept(folder, *POSTS).close()
    feed = Feed(FeedHome(folder))
    yield feed
    feed.close()


def found(feed: Feed, text: str, as_of: datetime | None = None) -> list[str]:
    return [hit.post.id for hit in feed.search(parse(text, NOON, as_of=as_of))]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("launched", ["scrub", "launch", "oslo"]),
        ("launches", ["launch", "oslo", "scrub"]),
        ("the weather of the launch", ["scrub", "toot", "other", "oslo", "launch"]),
        ('"second stage"', ["stage"]),
        ('launch "second stage"', ["stage"]),
        ("zurich CAFE", ["oslo"]),
        ("花火", ["tokyo"]),
        ("launch from:@nasa", ["launch"]),
        ("launch from:nasa from:ada -from:ada", ["launch"]),
        ("weather source:mastodon", ["toot", "other"]),
        ("weather source:mastodon:other.org", ["other"]),
        ("launch lang:de", ["oslo"]),
        ("stage lang:en-gb", ["stage"]),
        ("stage lang:en", ["stage", "held"]),
        ("since:45s", ["other", "toot", "tokyo"]),
        ("launch until:2026-11-20T11:55:30Z", ["launch"]),
        ("latest launch", ["oslo", "scrub", "launch"]),
        ("latest launch weather", ["scrub", "other", "toot", "oslo", "launch"]),
        ("-from:ada -from:NASA source:file", ["tokyo", "held", "stage"]),
        ("nowhere", []),
    ],
)
def test_posts_are_found_by_words_and_filters(feed: Feed, text: str, ids: list[str]) -> None:
    got = found(feed, text)
    if text in {"launched", "the weather of the launch"} or text.startswith("weather"):
        assert sorted(got) == sorted(ids), "equal scores may stand in either order"
    else:
        assert got == ids


def test_only_what_was_written_by_then_is_seen_as_of_a_time(feed: Feed) -> None:
    assert found(feed, "launch", at(-150)) == ["scrub", "launch"]
    assert found(feed, "", at(-200)) == ["scrub", "launch"]
    assert found(feed, "launch", at(-301)) == []


def test_every_post_is_found_where_nothing_is_asked_the_newest_first(feed: Feed) -> None:
    assert found(feed, "") == [one.id for one in reversed(POSTS)]


def test_a_filter_never_changes_a_score(feed: Feed) -> None:
    plain = {hit.post.id: hit.score for hit in feed.search(parse("launch", NOON))}
    (filtered,) = feed.search(parse("launch from:nasa since:1h", NOON))
    assert filtered.score == pytest.approx(plain["launch"])


@given(text=st.text(max_size=60))
def test_no_text_reaches_a_parser_of_queries(feed: Feed, text: str) -> None:
    try:
        query = parse(text, NOON)
    except SpecError:
        return
    feed.search(query)
    feed.search(Query(words=text))
    feed.search(Query(words=text, newest_first=True))


@pytest.mark.parametrize(
    "text", ["a AND (b", "stems:x", '"', "*", "[a TO b]", "\0", "^2 ~ \\", "日"]
)
def test_signs_of_a_query_language_are_only_signs(feed: Feed, text: str) -> None:
    feed.search(Query(words=text))
    feed.search(Query(words=f'"{text}"', authors=(text,), sources=(text,), newest_first=True))


def test_an_edit_replaces_and_a_deletion_removes(tmp_path: Path) -> None:
    keeper = kept(tmp_path, *POSTS)
    keeper.write([batch(post("launch", "Nothing flies", revision=1, edited=0), deletion("scrub"))])
    keeper.commit()
    feed = Feed(keeper._home)
    assert found(feed, "artemis") == []
    assert found(feed, "scrubbed") == []
    assert found(feed, "flies") == ["launch"]
    assert found(feed, "flies", at(-1)) == [], "what it said before its edit is erased"


def test_a_reader_sees_what_another_process_commits_and_no_deleted_post_before_that(
    tmp_path: Path,
) -> None:
    keeper = kept(tmp_path, *POSTS)
    feed = Feed(keeper._home)
    assert found(feed, "dawn") == ["launch"]
    keeper.write([batch(deletion("launch"))])  # in the log, not yet in the index
    assert found(feed, "dawn") == []
    keeper.write([batch(post("new", "Dawn again"))])
    keeper.commit()
    assert found(feed, "dawn") == ["new"]


def test_a_reader_that_was_there_before_the_feed_finds_it_later(tmp_path: Path) -> None:
    feed = Feed(FeedHome(tmp_path))
    assert found(feed, "dawn") == []
    assert feed.freshness(NOON).sources == ()
    kept(tmp_path, *POSTS)
    assert found(feed, "dawn") == ["launch"]


def test_an_index_resumes_at_exactly_the_place_it_had_committed(tmp_path: Path) -> None:
    keeper = kept(tmp_path, *POSTS)
    keeper.write([batch(post("late", "Dawn of another day"), deletion("stage"))])
    assert keeper._index
    again = generations.current(keeper._home.index, keeper.log.id())  # as after a crash
    assert again.sequence() == len(POSTS)
    keeper._index.close()
    assert catch_up(again, keeper.log)
    assert again.sequence() == keeper.log.sequence()
    assert {key.id for key, _ in again.search(Query(words="dawn"))} == {"launch", "late"}
    assert again._index.searcher().num_docs == len(POSTS) - 1 + 1 + 1, "posts and one mark"


@pytest.mark.parametrize(
    "damage", ["missing", "torn", "empty", "mixed up", "no positions", "another log", "pointer"]
)
def test_an_index_of_no_use_is_made_anew_from_the_log_and_that_is_told(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = kept(tmp_path, *POSTS)
    keeper.close()
    index = FeedHome(tmp_path).index
    generation = next(one for one in index.iterdir() if one.is_dir())
    if damage == "missing":
        shutil.rmtree(index)
    elif damage == "torn":
        for file in generation.glob("*.term"):
            file.write_bytes(file.read_bytes()[:-9])
    elif damage == "empty":
        (generation / "meta.json").write_text("")
    elif damage == "mixed up":  # shows only when hits are read
        for file in generation.glob("*.store"):
            file.write_bytes(bytes(255 - byte for byte in file.read_bytes()[:20])
                             + file.read_bytes()[20:])  # fmt: skip
    elif damage == "no positions":
        for file in generation.glob("*.pos"):
            file.unlink()
    elif damage == "another log":
        shutil.rmtree(generation)
        TantivyIndex(generation, "other", make=True).commit(3)
    else:
        (index / "current").write_text("../../etc")
    feed = Feed(FeedHome(tmp_path))
    assert found(feed, "dawn") == ["launch"]
    assert len(found(feed, "")) == len(POSTS)
    assert "made anew" in caplog.text


def test_an_index_that_knows_posts_the_log_lost_is_made_anew(tmp_path: Path) -> None:
    """As after a power cut, which may take the last seconds of the log but not of the index."""
    keeper = kept(tmp_path, *POSTS[:3])
    keeper.close()
    before = FeedHome(tmp_path).posts.read_bytes()
    kept(tmp_path, *POSTS[3:]).close()
    FeedHome(tmp_path).posts.write_bytes(before)
    feed = Feed(FeedHome(tmp_path))
    assert len(found(feed, "")) == 3


def test_a_new_generation_takes_over_without_a_word_of_what_was_erased(tmp_path: Path) -> None:
    clock = [NOON]
    home = FeedHome(tmp_path)
    keeper = Keeper(home, lambda: clock[0])
    keeper.write([batch(*zipf_posts(3000, 5), post("bad", "unspeakable thing"))])
    keeper.commit()
    keeper.write([batch(deletion("bad", revision=9))])
    keeper.commit()
    feed = Feed(home)
    assert _terms(keeper, "unspeakable") == 1, "the files of an index forget only when merged"
    keeper.tend()
    assert _terms(keeper, "unspeakable") == 1
    clock[0] += timedelta(hours=21)
    for _ in range(100):
        keeper.tend()
        keeper.write([batch(post(f"more{len(feed.search(Query(limit=500)))}"))])
        keeper.commit()
        if not _terms(keeper, "unspeakable"):
            break
    assert _terms(keeper, "unspeakable") == 0
    assert keeper.log.erased_since() is None
    assert len([one for one in home.index.iterdir() if one.is_dir()]) == 1
    assert found(feed, "rocket"), "a reader that was open follows to the new generation"
    keeper.close()


def _terms(keeper: Keeper, word: str) -> int:
    assert keeper._index
    index = tantivy.Index.open(str(keeper._index.folder))
    return index.searcher().doc_freq("words", word)


def test_old_posts_and_those_beyond_the_size_are_taken_out(tmp_path: Path) -> None:
    home = FeedHome(tmp_path)
    keeper = Keeper(home, lambda: NOON, Retention(keep=timedelta(hours=1)))
    keeper.write([batch(post("old", seconds=-3601), post("young", seconds=-3599))])
    keeper.tend()
    keeper.commit()
    assert found(Feed(home), "rocket") == ["young"]
    keeper.close()
    keeper = Keeper(home, lambda: NOON, Retention(keep_bytes=1e6))
    keeper.write([batch(*(post(f"n{n}", "x" * 900, seconds=n) for n in range(4000)))])
    while keeper.log.live_bytes() > 1e6:
        keeper.tend()
    keeper.commit()
    left = {post.id for post in _all(keeper)}
    assert "young" not in left
    assert "n3999" in left
    assert 100 < len(left) < 2000


def _all(keeper: Keeper) -> list[Post]:
    return [one for _, one in keeper.log.changes_after(0, 10_000) if isinstance(one, Post)]


def test_a_generation_that_was_not_finished_is_removed_at_the_next_start(tmp_path: Path) -> None:
    keeper = kept(tmp_path, *POSTS)
    begun = generations.begin(keeper._home.index, keeper.log.id())
    begun.commit(0)
    begun.close()
    keeper.close()
    kept(tmp_path).close()
    assert len([one for one in keeper._home.index.iterdir() if one.is_dir()]) == 1


def test_times_are_kept_to_the_microsecond(tmp_path: Path) -> None:
    made = post("1", "exactly", seconds=0.000001)
    keeper = kept(tmp_path, made)
    feed = Feed(keeper._home)
    assert found(feed, "exactly", NOON) == []
    assert found(feed, "exactly", at(0.000001)) == ["1"]
    assert index_fields.key_of(index_fields.key_term(made.key)) == made.key
