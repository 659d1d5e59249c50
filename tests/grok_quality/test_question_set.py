"""The examination itself: is it what it says, is it fair, and is it still the frozen one?"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from tests.grok_quality.question_set import FOLDER, FROZEN, Question, feed, questions
from tests.grok_quality.scorer import Given, holds, marks_of, score
from tests.grok_quality.words import content_words

SPLITS = ("dev", "test")
ALL = questions()
ANSWERABLE = [one for one in ALL if one.answerable]
UNANSWERABLE = [one for one in ALL if not one.answerable]


def changed_at(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line.get("edited_at", line["created_at"]))


def final_posts() -> dict[str, tuple[str, datetime]]:
    """Return text and time of the last change of each post that is not deleted, by its id."""
    posts: dict[str, tuple[str, datetime]] = {}
    for line in feed():
        if line.get("deleted"):
            del posts[line["id"]]
        else:
            posts[line["id"]] = (line["text"], changed_at(line))
    return posts


POSTS = final_posts()


def shared(question: Question, post: str) -> int:
    return len(content_words(question.asked) & content_words(POSTS[post][0]))


def test_the_examination_is_the_one_that_was_frozen() -> None:
    dated, *sums = FROZEN.read_text().splitlines()
    assert datetime.fromisoformat(dated.split()[0])
    assert sorted(line.split()[1] for line in sums) == ["feed.jsonl", "questions.jsonl"]
    for line in sums:
        frozen, name = line.split()
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == frozen


def test_the_feed_is_as_the_contract_of_feed_add_says() -> None:
    needed, allowed = {"id", "author", "created_at", "text"}, {"url", "lang", "edited_at"}
    for line in feed():
        if set(line) == {"id", "deleted"}:
            assert line["deleted"] is True
        else:
            assert needed <= set(line) <= needed | allowed
            assert datetime.fromisoformat(line["created_at"]).tzinfo is not None


def test_the_feed_has_posts_authors_weeks_zones_languages_edits_and_deletions() -> None:
    lines = feed()
    written = Counter(line["id"] for line in lines if "text" in line)
    times = [when for _, when in POSTS.values()]
    assert len(written) >= 600
    assert len({line["author"] for line in lines if "author" in line}) >= 36
    assert timedelta(weeks=4.5) < max(times) - min(times) < timedelta(weeks=5.5)
    assert len({when.utcoffset() for when in times}) >= 3
    assert len({line["lang"] for line in lines if "lang" in line}) >= 5
    assert sum(count > 1 for count in written.values()) >= 5
    assert sum("deleted" in line for line in lines) >= 5


def test_lines_stand_in_the_order_of_their_time_and_only_edits_have_a_second_one() -> None:
    lines = [line for line in feed() if "text" in line]
    times = [changed_at(line).replace(second=0) for line in lines]
    assert times == sorted(times)
    first_lines = {line["id"]: line for line in reversed(lines)}
    for line in lines:
        assert ("edited_at" in line) == (line is not first_lines[line["id"]]), line["id"]


def test_half_is_dev_half_of_each_is_answerable_and_most_of_the_rest_near_misses() -> None:
    assert len(ALL) >= 160
    for split in SPLITS:
        half = questions(split)
        answerable = sum(one.answerable for one in half)
        assert len(half) * len(SPLITS) == len(ALL)
        assert answerable * 2 == len(half)
        assert sum(one.near_miss for one in half) * 2 >= len(half) - answerable


def test_both_halves_hold_every_kind_of_question_that_has_two() -> None:
    kinds = Counter(one.kind for one in ALL)
    for split in SPLITS:
        here = {one.kind for one in questions(split)}
        assert {kind for kind, count in kinds.items() if count > 1} <= here


def test_questions_and_their_names_are_unique() -> None:
    assert len({one.id for one in ALL}) == len(ALL)
    assert len({content_words(one.asked) for one in ALL}) == len(ALL)


def test_a_conversation_ends_with_the_question_of_the_user() -> None:
    for one in ALL:
        assert [turn.role for turn in one.turns] == ["user", "assistant"] * (len(one.turns) // 2)
        assert bool(one.turns) == (one.kind == "followup"), one.id
        assert one.now.tzinfo is not None, one.id


def test_gold_was_written_before_it_was_asked_for_and_never_deleted() -> None:
    gone = {line["id"] for line in feed() if line.get("deleted")}
    for one in ANSWERABLE:
        assert one.gold, one.id
        assert all(one.gold), one.id
        for post in one.supporting:
            assert post not in gone, one.id
            assert POSTS[post][1] < one.now, one.id


def test_each_facet_holds_a_string_of_the_answer_and_each_string_is_in_gold() -> None:
    for one in ANSWERABLE:
        assert one.answer_contains, one.id
        for facet in one.gold:
            assert any(
                holds(POSTS[post][0], text) for post in facet for text in one.answer_contains
            ), one.id
        for text in one.answer_contains:
            assert any(holds(POSTS[post][0], text) for post in one.supporting), (one.id, text)


def test_the_posts_of_gold_said_back_word_by_word_are_a_perfect_answer() -> None:
    given = {
        one.id: Given(
            text=" ".join(POSTS[post][0] for post in sorted(one.supporting)),
            cited=tuple(sorted(one.supporting)),
            abstained=not one.answerable,
        )
        for one in ALL
    }
    figures = score(marks_of(one, given[one.id]) for one in ALL)
    assert figures.exact == figures.citation_recall == figures.citation_precision == 1.0
    assert figures.abstention_recall == figures.abstention_precision == 1.0


def test_about_seven_in_ten_answerable_questions_share_two_content_words_with_gold() -> None:
    fewest = [
        min(max(shared(one, post) for post in facet) for facet in one.gold) for one in ANSWERABLE
    ]
    assert min(fewest) >= 1
    assert 0.65 <= sum(count >= 2 for count in fewest) / len(fewest) <= 0.75


def test_a_near_miss_shares_two_content_words_with_each_post_that_tempts() -> None:
    for one in UNANSWERABLE:
        assert not one.gold, one.id
        assert not one.answer_contains, one.id
        assert one.near_miss == bool(one.tempting), one.id
        for post in one.tempting:
            assert POSTS[post][1] < one.now, one.id
            assert shared(one, post) >= 2, one.id
    assert not any(one.near_miss or one.tempting for one in ANSWERABLE)


def test_no_question_is_worded_as_its_post() -> None:
    for one in ANSWERABLE:
        for post in one.supporting:
            assert one.question.casefold().rstrip("?") not in POSTS[post][0].casefold(), one.id
