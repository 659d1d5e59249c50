"""The examination itself: is it what it says, is it fair, and is it still the frozen one?"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.grok_quality.question_set import FIRST, LEARNING, SECOND, Question, feed, questions
from tests.grok_quality.scorer import Given, holds, marks_of, score
from tests.grok_quality.words import content_words

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = dict.fromkeys((FIRST, SECOND), ("dev", "test")) | dict.fromkeys(LEARNING, ("learn",))
FEWEST_POSTS = {FIRST: 600, SECOND: 450} | dict.fromkeys(LEARNING, 450)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """One examination as it was read; `posts` holds text and time of the last change by id."""

    folder: Path
    lines: list[dict[str, Any]]
    posts: dict[str, tuple[str, datetime]]
    every: tuple[Question, ...]

    @property
    def answerable(self) -> list[Question]:
        return [one for one in self.every if one.answerable]

    @property
    def unanswerable(self) -> list[Question]:
        return [one for one in self.every if not one.answerable]

    def half(self, split: str) -> list[Question]:
        return [one for one in self.every if one.split == split]

    def shared(self, question: Question, post: str) -> int:
        return len(content_words(question.asked) & content_words(self.posts[post][0]))


@pytest.fixture(params=SPLITS, ids=lambda folder: folder.name, scope="module")
def examination(request: pytest.FixtureRequest) -> Examination:
    folder: Path = request.param
    lines = feed(folder)
    return Examination(
        folder=folder, lines=lines, posts=final_posts(lines), every=questions(folder=folder)
    )


def changed_at(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line.get("edited_at", line["created_at"]))


def final_posts(lines: list[dict[str, Any]]) -> dict[str, tuple[str, datetime]]:
    """Return text and time of the last change of each post that is not deleted, by its id."""
    posts: dict[str, tuple[str, datetime]] = {}
    for line in lines:
        if line.get("deleted"):
            del posts[line["id"]]
        else:
            posts[line["id"]] = (line["text"], changed_at(line))
    return posts


def test_the_examination_is_the_one_that_was_frozen(examination: Examination) -> None:
    dated, *sums = (examination.folder / "frozen.txt").read_text().splitlines()
    assert datetime.fromisoformat(dated.split()[0])
    assert sorted(line.split()[1] for line in sums) == ["feed.jsonl", "questions.jsonl"]
    for line in sums:
        frozen, name = line.split()
        assert hashlib.sha256((examination.folder / name).read_bytes()).hexdigest() == frozen


def test_the_feed_is_as_the_contract_of_feed_add_says(examination: Examination) -> None:
    needed, allowed = {"id", "author", "created_at", "text"}, {"url", "lang", "edited_at"}
    for line in examination.lines:
        if set(line) == {"id", "deleted"}:
            assert line["deleted"] is True
        else:
            assert needed <= set(line) <= needed | allowed
            assert datetime.fromisoformat(line["created_at"]).tzinfo is not None


def test_the_feed_has_posts_authors_weeks_zones_languages_edits_and_deletions(
    examination: Examination,
) -> None:
    lines = examination.lines
    written = Counter(line["id"] for line in lines if "text" in line)
    times = [when for _, when in examination.posts.values()]
    assert len(written) >= FEWEST_POSTS[examination.folder]
    assert len({line["author"] for line in lines if "author" in line}) >= 36
    assert timedelta(weeks=4.5) < max(times) - min(times) < timedelta(weeks=5.5)
    assert len({when.utcoffset() for when in times}) >= 3
    assert len({line["lang"] for line in lines if "lang" in line}) >= 5
    assert sum(count > 1 for count in written.values()) >= 5
    assert sum("deleted" in line for line in lines) >= 5


def test_lines_stand_in_the_order_of_their_time_and_only_edits_have_a_second_one(
    examination: Examination,
) -> None:
    lines = [line for line in examination.lines if "text" in line]
    times = [changed_at(line).replace(second=0) for line in lines]
    assert times == sorted(times)
    first_lines = {line["id"]: line for line in reversed(lines)}
    for line in lines:
        assert ("edited_at" in line) == (line is not first_lines[line["id"]]), line["id"]


def test_half_is_dev_half_of_each_is_answerable_and_most_of_the_rest_near_misses(
    examination: Examination,
) -> None:
    assert len(examination.every) >= 160
    splits = SPLITS[examination.folder]
    for split in splits:
        half = examination.half(split)
        answerable = sum(one.answerable for one in half)
        assert len(half) * len(splits) == len(examination.every)
        assert answerable * 2 == len(half)
        assert sum(one.near_miss for one in half) * 2 >= len(half) - answerable


def test_both_halves_hold_every_kind_of_question_that_has_two(examination: Examination) -> None:
    kinds = Counter(one.kind for one in examination.every)
    for split in SPLITS[examination.folder]:
        here = {one.kind for one in examination.half(split)}
        assert {kind for kind, count in kinds.items() if count > 1} <= here


def test_questions_and_their_names_are_unique(examination: Examination) -> None:
    assert len({one.id for one in examination.every}) == len(examination.every)
    assert len({content_words(one.asked) for one in examination.every}) == len(examination.every)


def test_a_conversation_ends_with_the_question_of_the_user(examination: Examination) -> None:
    for one in examination.every:
        assert [turn.role for turn in one.turns] == ["user", "assistant"] * (len(one.turns) // 2)
        assert bool(one.turns) == (one.kind == "followup"), one.id
        assert one.now.tzinfo is not None, one.id


def test_gold_was_written_before_it_was_asked_for_and_never_deleted(
    examination: Examination,
) -> None:
    gone = {line["id"] for line in examination.lines if line.get("deleted")}
    for one in examination.answerable:
        assert one.gold, one.id
        assert all(one.gold), one.id
        for post in one.supporting:
            assert post not in gone, one.id
            assert examination.posts[post][1] < one.now, one.id


def test_each_facet_holds_a_string_of_the_answer_and_each_string_is_in_gold(
    examination: Examination,
) -> None:
    for one in examination.answerable:
        assert one.answer_contains, one.id
        for facet in one.gold:
            assert any(
                holds(examination.posts[post][0], text)
                for post in facet
                for text in one.answer_contains
            ), one.id
        for text in one.answer_contains:
            assert any(holds(examination.posts[post][0], text) for post in one.supporting), (
                one.id,
                text,
            )


def test_the_posts_of_gold_said_back_word_by_word_are_a_perfect_answer(
    examination: Examination,
) -> None:
    given = {
        one.id: Given(
            text=" ".join(examination.posts[post][0] for post in sorted(one.supporting)),
            cited=tuple(sorted(one.supporting)),
            abstained=not one.answerable,
        )
        for one in examination.every
    }
    figures = score(marks_of(one, given[one.id]) for one in examination.every)
    assert figures.exact == figures.citation_recall == figures.citation_precision == 1.0
    assert figures.abstention_recall == figures.abstention_precision == 1.0


def test_about_seven_in_ten_answerable_questions_share_two_content_words_with_gold(
    examination: Examination,
) -> None:
    fewest = [
        min(max(examination.shared(one, post) for post in facet) for facet in one.gold)
        for one in examination.answerable
    ]
    assert min(fewest) >= 1
    assert 0.65 <= sum(count >= 2 for count in fewest) / len(fewest) <= 0.75


def test_a_near_miss_shares_two_content_words_with_each_post_that_tempts(
    examination: Examination,
) -> None:
    for one in examination.unanswerable:
        assert not one.gold, one.id
        assert not one.answer_contains, one.id
        assert one.near_miss == bool(one.tempting), one.id
        for post in one.tempting:
            assert examination.posts[post][1] < one.now, one.id
            assert examination.shared(one, post) >= 2, one.id
    assert not any(one.near_miss or one.tempting for one in examination.answerable)


def test_no_question_is_worded_as_its_post(examination: Examination) -> None:
    for one in examination.answerable:
        for post in one.supporting:
            assert (
                one.question.casefold().rstrip("?") not in examination.posts[post][0].casefold()
            ), one.id
