"""What the reader learns from: whole, dated rightly, no text twice, half without an answer."""

from __future__ import annotations

import random

import pytest

from tests.grok_quality.reading_set import ROUNDS, clusters, every, moment, some

PARTS = sorted(one.name for one in ROUNDS.iterdir())


@pytest.mark.parametrize("part", PARTS)
def test_every_answer_is_a_post_written_before_the_question(part: str) -> None:
    told = clusters(part)
    assert len(told) > 1000
    for one in told:
        assert 4 <= len(one.posts) <= 9
        assert len({post.text for post in one.posts}) == len(one.posts)
        assert all(post.created_at <= one.now for post in one.posts)
        for asked, answers in one.asks:
            assert asked.strip()
            assert answers <= set(range(len(one.posts)))
    asks = [answers for one in told for _, answers in one.asks]
    assert 0.4 < sum(map(bool, asks)) / len(asks) < 0.6
    texts = [post.text for one in told for post in one.posts if len(post.text) > 9]
    assert len(set(texts)) == len(texts)


def test_pairs_hold_every_answer_and_one_or_two_posts_that_do_not() -> None:
    one = clusters(PARTS[0])[0]
    assert len(every(one)) == len(one.asks) * len(one.posts)
    pairs = some(one, random.Random(3))  # noqa: S311
    for asked, answers in one.asks:
        of = [pair for pair in pairs if pair.question.startswith(f"{asked} (")]
        assert sum(pair.answers for pair in of) == len(answers)
        assert sum(not pair.answers for pair in of) == (1 if answers else 2)
    assert some(one, random.Random(3)) == pairs  # noqa: S311


def test_a_wrong_day_of_the_week_is_refused() -> None:
    assert moment("2031-03-04 18:00 Tue").hour == 18
    with pytest.raises(ValueError, match="the day is a Tuesday"):
        moment("2031-03-04 18:00 Mon")
