"""Fits the weights of `gigafactory.grok.judge` on the learning set, and tells how well they do.

    python -m tests.grok_quality.fit_judge

The figures it prints are of questions left out of the fit (ten parts), rules and thresholds as the
judge has them; the examinations are never read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.optimize import minimize

from gigafactory.catalog.files import write_whole
from gigafactory.grok.conversation import standalone
from gigafactory.grok.evidence import Evidence
from gigafactory.grok.feed import Feed
from gigafactory.grok.home import feed_home
from gigafactory.grok.judge import LIKELY, UNLIKELY, WEIGHTS
from gigafactory.grok.question import question as read
from gigafactory.grok.retrieve import retrieve, searches
from gigafactory.grok.signals import SIGNALS, signals
from gigafactory.spec.answer import Turn
from gigafactory.spec.post import Query
from tests.grok_quality.question_set import LEARNING, Question, questions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PARTS: Final = 10
PRIOR: Final = 3.3  # variance that a weight of a signal of unit variance is expected to have
DIGITS: Final = 4


class Learned(NamedTuple):
    """A weight for each signal as it is counted, and the bias."""

    weights: Array
    bias: float


class Shown(NamedTuple):
    """The posts found for one question: their signals, and which of them answer."""

    question: Question
    signals: Array
    answers: Array


def examples(folder: Path, asked: Sequence[Question]) -> list[Shown]:
    """Return what is found for questions in the feed of a folder, added as users add theirs."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-c", "from gigafactory.cli import main; main()"]
        environment = {**os.environ, "GIGA_HOME": home}
        add = [*command, "feed", "add", str(folder / "feed.jsonl")]
        subprocess.run(add, env=environment, check=True, capture_output=True)
        feed = Feed(feed_home({"GIGA_HOME": home}))
        return [one for question in asked if (one := _shown(feed, question))]


def _shown(feed: Feed, one: Question) -> Shown | None:
    turns = [Turn(role=turn.role, text=turn.text) for turn in one.turns]
    asked = read(standalone(one.question, turns, one.now), one.now)
    found = retrieve(feed, [] if asked.is_empty else searches(asked, Query(as_of=one.now)))
    posts = [hit.post for hit in found]
    if not posts:
        return None
    answers = np.array([float(post.id in one.supporting) for post in posts])
    return Shown(one, signals(Evidence(asked, posts), posts), answers)


def fitted(shown: Sequence[Shown]) -> Learned:
    """Return the logistic model of greatest posterior probability; weights have a normal prior."""
    table = np.concatenate([one.signals for one in shown])
    wanted = np.concatenate([one.answers for one in shown])
    mean, spread = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
    scaled = np.column_stack([(table - mean) / spread, np.ones(len(table))])

    def loss(weights: Array) -> tuple[float, Array]:
        margin = scaled @ weights
        error = 1.0 / (1.0 + np.exp(-margin)) - wanted
        prior = np.append(weights[:-1], 0.0) / PRIOR
        value = np.logaddexp(0.0, margin).sum() - wanted @ margin + 0.5 * weights[:-1] @ prior[:-1]
        return float(value), scaled.T @ error + prior

    found = minimize(loss, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return Learned(weights, float(found[-1] - mean @ weights))


def ahead(learned: Learned, shown: Sequence[Shown]) -> float:
    """Return the share of pairs of an answering post and another in which it is the likelier."""
    wins = pairs = 0.0
    for one in shown:
        margin, is_answer = one.signals @ learned.weights, one.answers > 0
        better = margin[is_answer][:, None] - margin[~is_answer][None, :]
        wins, pairs = wins + float((better > 0).sum()), pairs + better.size
    return wins / pairs


def _left_out(shown: Sequence[Shown]) -> str:
    """Return how often the likeliest post answers, of questions the fit had not seen."""
    right = shown_wrong = silent = 0
    for part in range(PARTS):
        learned = fitted([one for place, one in enumerate(shown) if place % PARTS != part])
        for one in shown[part::PARTS]:
            margin = one.signals @ learned.weights + learned.bias
            best = int(margin.argmax())
            if 1.0 / (1.0 + np.exp(-margin[best])) < LIKELY:
                silent += not one.question.answerable
            elif one.answers[best]:
                right += 1
            else:
                shown_wrong += 1
    answerable = sum(one.question.answerable for one in shown)
    return (
        f"without rules, {PARTS} parts left out in turn: precision "
        f"{right / (right + shown_wrong):.3f}, recall {right / answerable:.3f}, abstention recall "
        f"{silent / (len(shown) - answerable):.3f} at {LIKELY} (rules are refused below {UNLIKELY})"
    )


def main() -> None:
    """Fit, tell, write."""
    shown = [one for world in LEARNING for one in examples(world, questions(folder=world))]
    learned = fitted(shown)
    lines = ["# Fitted by python -m tests.grok_quality.fit_judge on tests/grok_quality/learning.",
             f"bias = {learned.bias:.{DIGITS}f}", "", "[weights]"]  # fmt: skip
    lines += [
        f"{name} = {weight:.{DIGITS}f}"
        for name, weight in zip(SIGNALS, learned.weights, strict=True)
    ]
    write_whole(WEIGHTS, "\n".join(lines) + "\n")
    sys.stdout.write(f"{_left_out(shown)}\n{ahead(learned, shown):.3f} of pairs in order\n")


if __name__ == "__main__":
    main()
