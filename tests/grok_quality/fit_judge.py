"""Fits the weights of `gigafactory.grok.judge` on the learning set, and tells how well they do.

    python -m tests.grok_quality.fit_judge

Two models: of what can be counted, on six worlds; and of what a reader says besides, on the worlds
that the reader did not learn from. The figures it prints are of questions left out of the fit (ten
parts), thresholds as the judge has them; the examinations are never read.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.optimize import minimize

from gigafactory.catalog.files import write_whole
from gigafactory.grok import judge, reading
from gigafactory.grok.evidence import Evidence
from gigafactory.grok.reader import Reader
from gigafactory.grok.reading import Reading
from gigafactory.grok.signals import READ_SIGNALS, SIGNALS, signals
from tests.grok_quality.question_set import COUNTED, LEARNING, UNREAD, Question, questions
from tests.grok_quality.worlds import Found, found_in

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
    """Posts found for one question: their signals, and which of them answer."""

    question: Question
    signals: Array
    answers: Array


def examples(folder: Path, asked: Sequence[Question], reader: Reader | None = None) -> list[Shown]:
    """Return what is found for questions in the feed of a folder, added as users add theirs.

    With a reader, only the posts that are read, with its signals.
    """
    return [_shown(one, reader) for one in found_in(folder, asked)]


def _shown(found: Found, reader: Reader | None) -> Shown:
    question, text, parsed, posts = found
    if reader is None:
        table = signals(Evidence(parsed, posts), posts)
    else:
        posts, table = Reading(parsed, posts, partial(reader.margins, text, question.now)).read
    answers = np.array([float(post.id in question.supporting) for post in posts])
    return Shown(question, table, answers)


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


def _left_out(shown: Sequence[Shown], likely: float) -> str:
    """Return how often the likeliest post answers, of questions the fit had not seen."""
    right = shown_wrong = silent = 0
    for part in range(PARTS):
        learned = fitted([one for place, one in enumerate(shown) if place % PARTS != part])
        for one in shown[part::PARTS]:
            margin = one.signals @ learned.weights + learned.bias
            best = int(margin.argmax())
            if 1.0 / (1.0 + np.exp(-margin[best])) < likely:
                silent += not one.question.answerable
            elif one.answers[best]:
                right += 1
            else:
                shown_wrong += 1
    answerable = sum(one.question.answerable for one in shown)
    return (
        f"{PARTS} parts left out in turn: precision {right / (right + shown_wrong):.3f}, recall "
        f"{right / answerable:.3f}, abstention recall {silent / (len(shown) - answerable):.3f} "
        f"at {likely}"
    )


def main() -> None:
    """Fit both; the second one's posts are chosen by the first."""
    _write(judge.WEIGHTS, SIGNALS, _of(COUNTED), judge.LIKELY)
    _write(reading.WEIGHTS, READ_SIGNALS, _of(UNREAD, Reader()), reading.LIKELY)


def _of(names: frozenset[str], reader: Reader | None = None) -> list[Shown]:
    worlds = [world for world in LEARNING if world.name in names]
    return [one for world in worlds for one in examples(world, questions(folder=world), reader)]


def _write(path: Path, names: Sequence[str], shown: Sequence[Shown], likely: float) -> None:
    """Fit, tell how well the fit does, and write it."""
    learned = fitted(shown)
    order = f"{ahead(learned, shown):.3f} of pairs in order"
    sys.stdout.write(f"{path.name}: {_left_out(shown, likely)}; {order}\n")
    weights = zip(names, learned.weights, strict=True)
    lines = ["# Fitted by python -m tests.grok_quality.fit_judge on tests/grok_quality/learning.",
             f"bias = {learned.bias:.{DIGITS}f}", "", "[weights]",
             *(f"{name} = {weight:.{DIGITS}f}" for name, weight in weights)]  # fmt: skip
    write_whole(path, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
