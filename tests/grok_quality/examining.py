"""An examination held: its questions put to an answering, each as of when it was asked.

Called by the test that holds the figures to their floors, and by the benchmark that sets a model's
beside them.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.catalog.files import write_whole
from gigafactory.spec.answer import Turn
from gigafactory.spec.post import Query
from tests.grok_quality.question_set import FIRST, SECOND, Question
from tests.grok_quality.scorer import Given

if TYPE_CHECKING:
    from gigafactory.grok.answering import Answering
    from gigafactory.spec.answer import Answer

EXAMINATIONS: Final = {"first": FIRST, "second": SECOND}
LATER: Final = datetime(2026, 11, 25, tzinfo=UTC)  # no question is asked after it
PAGES: Final = Path(__file__).parents[2] / "docs" / "explanation"


def answered(answering: Answering, one: Question) -> Answer:
    """Return what is answered when and after what the question is asked."""
    turns = [Turn(role=turn.role, text=turn.text) for turn in one.turns]
    return answering.answer(one.question, turns, Query(as_of=one.now))


def given(answer: Answer) -> Given:
    """Return what of an answer is scored."""
    cited = dict.fromkeys(citation.post.id for citation in answer.citations)
    return Given(text=answer.text, cited=tuple(cited), abstained=answer.abstained)


def show(page: str, told: str) -> None:
    """Write a table to docs/explanation, if the pages are to be written anew."""
    if "GIGAFACTORY_REGENERATE" in os.environ:
        write_whole(PAGES / page, f"```text\n{told}\n```\n")
