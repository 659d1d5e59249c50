"""The judge: rules first, then how likely a post answers by what was learned."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the fit needs scipy")

from gigafactory.grok.evidence import Evidence
from gigafactory.grok.judge import LIKELY, SCORE, Judge, likelihoods
from gigafactory.grok.question import question
from gigafactory.grok.signals import SIGNALS, signals
from tests.grok_quality.fit_judge import Shown, ahead, fitted
from tests.grok_quality.question_set import Question
from tests.small_feed import NOW, post

TEXTS = (
    "Blackout in Harwick: about 900 households are offline since the storm.",
    "The Harwick library reopens on Monday after repairs.",
    "Tickets for the Harwick choir are 12 crowns.",
    "Fog again. The ferry is late.",
)


def judged(asked: str, *texts: str) -> Judge:
    posts = [post(str(n), "harwick_news", 2 + n, text) for n, text in enumerate(texts)]
    return Judge(question(asked, NOW), posts)


def signal(name: str, asked: str, *texts: str) -> list[float]:
    posts = [post(str(n), "harwick_news", 2 + n, text) for n, text in enumerate(texts)]
    found = signals(Evidence(question(asked, NOW), posts), posts)
    assert found.shape == (len(texts), len(SIGNALS))
    return [float(value) for value in found[:, SIGNALS.index(name)]]


def test_signals_tell_rank_words_kind_and_distance_to_the_next() -> None:
    asked = "When does the Harwick library reopen?"
    assert signal("rank", asked, *TEXTS) == pytest.approx(np.log1p([0, 1, 2, 3]))
    told = signal("told", asked, *TEXTS)
    assert told[1] == max(told) == 1.0
    assert signal("told_ahead_of_next", asked, *TEXTS)[1] == pytest.approx(1.0 - sorted(told)[-2])
    assert signal("told_behind_best", asked, *TEXTS)[1] == 0.0
    assert signal("bears", asked, *TEXTS)[1] == 1.0
    assert signal("missing_names", "Is Bergheim flooded?", *TEXTS) == [1.0] * 4
    assert signal("asks_reason", "Why is the ferry late?", *TEXTS) == [1.0] * 4
    assert signal("told_ahead_of_next", asked, TEXTS[1]) == pytest.approx([1.0])


def test_what_the_rules_find_is_kept_where_it_is_likely() -> None:
    judge = judged("When does the Harwick library reopen?", *TEXTS)
    posts = list(judge.likelihoods)
    found = judge.best(posts[1])
    assert found is not None
    assert judge.score(found.passage) == found.score > SCORE
    assert judge.best(posts[0]) is None
    assert max(judge.likelihoods, key=lambda one: judge.likelihoods[one]) is posts[1]


def test_a_post_in_other_words_is_let_through_if_it_is_likelier_than_not() -> None:
    text = "Harwick tunnel: one lane for blasting, waits up to 25 minutes."
    judge = judged("How long is the queue for the pass at the Harwick tunnel?", text, *TEXTS[1:])
    posts = list(judge.likelihoods)
    assert judge.best(posts[0]) is None, "the rules miss it: it says waits for a queue"
    found = judge.likeliest
    assert found is not None
    assert found.passage.post is posts[0]
    assert judge.likelihoods[posts[0]] >= LIKELY
    assert judge.score(found.passage) == SCORE


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("Why is the 23 bus diverted?", "The 22 bus is diverted because of a burst main."),
        ("When does the Tay museum reopen?", "The Tay library reopens on Monday."),
        ("Who won the Seaside 10k?", "Lakeside 10k: Maria Ortega won in 34:12."),
        ("Who leads the harbour works?", "I wish someone led the harbour works."),
    ],
)
def test_however_likely_what_tells_of_another_thing_is_not_let_through(
    asked: str, text: str
) -> None:
    assert judged(asked, text, *TEXTS).likeliest is None


def test_no_posts_no_answer() -> None:
    judge = judged("Who won?")
    assert judge.likelihoods == {}
    assert judge.likeliest is None


def test_learned_weights_are_those_of_the_named_signals_and_give_probabilities() -> None:
    none, full = np.zeros((1, len(SIGNALS))), np.ones((1, len(SIGNALS)))
    assert 0.0 < float(likelihoods(none)[0]) < float(likelihoods(full)[0]) < 1.0


def shown(table: Any, answers: Any) -> Shown:
    asked = Question(
        id="q", split="learn", kind="made", now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), turns=(),
        question="", answerable=True, gold=(), answer_contains=(), near_miss=False, tempting=(),
    )  # fmt: skip
    return Shown(asked, table, answers)


def test_the_fit_finds_the_weights_that_made_the_answers() -> None:
    drawn = np.random.default_rng(0)
    table = drawn.normal(size=(20_000, len(SIGNALS)))
    truth = np.linspace(-1.0, 1.0, len(SIGNALS))
    answers = (drawn.random(20_000) < 1.0 / (1.0 + np.exp(-(table @ truth - 1.0)))).astype(float)
    learned = fitted([shown(table, answers)])
    assert learned.weights == pytest.approx(truth, abs=0.08)
    assert learned.bias == pytest.approx(-1.0, abs=0.08)
    assert 0.8 < ahead(learned, [shown(table, answers)]) < 1.0
