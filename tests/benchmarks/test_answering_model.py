"""The figures of the embedded model in the examinations, beside those of quoted posts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from gigafactory.grok.answering import Answering
from gigafactory.grok.embedded import NAME, Embedded
from gigafactory.grok.modelled import Modelled
from gigafactory.grok.reader import Reader
from tests.grok_quality.examining import EXAMINATIONS, LATER, answered, given, show
from tests.grok_quality.question_set import questions
from tests.grok_quality.scorer import score_by, table
from tests.grok_quality.worlds import feed_of

if TYPE_CHECKING:
    from gigafactory.grok.doors import Answerer
    from gigafactory.grok.feed import Feed
    from gigafactory.spec.answer import Answer
    from tests.grok_quality.question_set import Question
    from tests.grok_quality.scorer import Score

pytestmark = pytest.mark.skipif(
    "not config.getoption('--benchmark-enable')", reason="minutes long; make bench runs it"
)


@pytest.mark.parametrize("name", EXAMINATIONS)
def test_what_the_model_writes_beside_what_is_quoted(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether anything is answered depends on the posts, never on the model."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("xllamacpp")
    asked = questions(folder=EXAMINATIONS[name])
    with feed_of(EXAMINATIONS[name]) as feed:
        quoted = answers_of(asked, feed, None)
        drafted = answers_of(asked, feed, Modelled(Embedded()))
    told = f"{table(scores(asked, quoted, 'quoted') | scores(asked, drafted, 'model'))}\n\n"
    told += authors(list(drafted.values()))
    with capsys.disabled():
        sys.stdout.write(f"\n{name}\n{told}\n")
    show(f"answering-{name}-embedded-table.md", told)
    silent = [{key for key, one in some.items() if one.abstained} for some in (quoted, drafted)]
    assert silent[0] == silent[1]


def answers_of(
    asked: tuple[Question, ...], feed: Feed, answerer: Answerer | None
) -> dict[str, Answer]:
    """Return the answer to each question by its id."""
    answering = Answering(feed, lambda: LATER, answerer, reader=Reader())
    return {one.id: answered(answering, one) for one in asked}


def scores(
    asked: tuple[Question, ...], answers: dict[str, Answer], author: str
) -> dict[str, Score]:
    """Return the figures of each half."""
    shown = {key: given(one) for key, one in answers.items()}
    return score_by(lambda one: f"{one.split}, {author}", asked, shown)


def authors(answers: list[Answer]) -> str:
    """Return how many of the answers the model wrote."""
    told = [one for one in answers if not one.abstained]
    own = sum(one.model == NAME for one in told)
    dropped = sum(one.dropped for one in told)
    return (
        f"{own} of {len(told)} answers in the model's words, the others quoted; "
        f"{dropped} of its sentences dropped"
    )
