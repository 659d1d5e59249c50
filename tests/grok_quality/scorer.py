"""Scores of answers against the gold posts of the examination; pure, of no program's own judgement.

The figures the issue names, and what each counts:

* citation precision: of all citations shown, the share that gold names. A citation under a question
  that cannot be answered is wrong: a user sees it just the same. `precision_when_answerable` leaves
  those out, and tells retrieval and support apart from the decision to abstain.
* citation recall: over answerable questions, the mean share of facets that a cited post covers; an
  abstention covers none.
* abstention precision and recall: of the abstentions, those that were right; of the questions that
  cannot be answered, those where it abstained.
* exact: the share of answerable questions with every facet, every string and no wrong citation.

In the printed table cit.P* is `precision_when_answerable`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.grok_quality.question_set import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was answered to one question: a post cited twice counts once."""

    text: str
    cited: tuple[str, ...]
    abstained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How one answer fared."""

    answerable: bool
    abstained: bool
    right_citations: int
    wrong_citations: int
    facets: int
    covered: int
    holds_strings: bool

    @property
    def exact(self) -> bool:
        """Everything asked for, and nothing that no post supports."""
        whole = self.covered == self.facets and self.holds_strings
        return self.answerable and not self.abstained and whole and not self.wrong_citations


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Figures over some questions; None where nothing was there to be counted."""

    questions: int
    citation_precision: float | None
    precision_when_answerable: float | None
    citation_recall: float | None
    abstention_precision: float | None
    abstention_recall: float | None
    exact: float | None


def marks_of(question: Question, given: Given) -> Marks:
    """Return how an answer fared; an abstention's citations, if it shows any, count as well."""
    cited = frozenset(given.cited)
    right = cited & question.supporting
    covered = sum(1 for facet in question.gold if not right.isdisjoint(facet))
    return Marks(
        answerable=question.answerable,
        abstained=given.abstained,
        right_citations=len(right),
        wrong_citations=len(cited - right),
        facets=len(question.gold),
        covered=0 if given.abstained else covered,
        holds_strings=all(holds(given.text, string) for string in question.answer_contains),
    )


def holds(text: str, string: str) -> bool:
    """Return whether a text holds a string where a word or a number begins.

    >>> holds("It was 5.1 in the end.", "5.1"), holds("Goodput was 95.1%.", "5.1")
    (True, False)
    """
    sought = rf"(?<!\w)(?<!\d[.,]){re.escape(_folded(string))}(?!\d)"
    return re.search(sought, _folded(text)) is not None


def score(marks: Iterable[Marks]) -> Score:
    """Return the figures over some answers."""
    every = tuple(marks)
    asked = [one for one in every if one.answerable]
    abstained = [one for one in every if one.abstained]
    right = sum(1 for one in abstained if not one.answerable)
    return Score(
        questions=len(every),
        citation_precision=_precision(every),
        precision_when_answerable=_precision(asked),
        citation_recall=_share(sum(one.covered / one.facets for one in asked), len(asked)),
        abstention_precision=_share(right, len(abstained)),
        abstention_recall=_share(right, len(every) - len(asked)),
        exact=_share(sum(1 for one in asked if one.exact), len(asked)),
    )


def score_by(
    name: Callable[[Question], str], questions: Iterable[Question], given: Mapping[str, Given]
) -> dict[str, Score]:
    """Return the figures of each group of questions, say by kind: `lambda one: one.kind`.

    Raises:
        KeyError: A question has no answer: leaving one out must not raise a figure.
    """
    groups: defaultdict[str, list[Marks]] = defaultdict(list)
    for question in questions:
        groups[name(question)].append(marks_of(question, given[question.id]))
    return {group: score(groups[group]) for group in sorted(groups)}


def table(scores: Mapping[str, Score]) -> str:
    """Return figures as lines of text, a group a line."""
    head = (
        f"{'':<16}{'n':>4}{'cit.P':>8}{'cit.P*':>8}{'cit.R':>8}{'abs.P':>8}{'abs.R':>8}{'exact':>8}"
    )
    return "\n".join([head, *(_row(name, one) for name, one in scores.items())])


def _folded(text: str) -> str:
    """Return a text without what is only typography: case, kinds of dashes and of spaces."""
    one_dash = re.sub(r"[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", text))
    return " ".join(one_dash.casefold().split())


def _precision(marks: Iterable[Marks]) -> float | None:
    """Return the share of citations that are right."""
    counted = [(one.right_citations, one.wrong_citations) for one in marks]
    right = sum(pair[0] for pair in counted)
    return _share(right, right + sum(pair[1] for pair in counted))


def _share(part: float, whole: int) -> float | None:
    """Return part of whole; None of nothing."""
    return part / whole if whole else None


def _row(name: str, one: Score) -> str:
    """Return one line of the table."""
    figures = (
        one.citation_precision,
        one.precision_when_answerable,
        one.citation_recall,
        one.abstention_precision,
        one.abstention_recall,
        one.exact,
    )
    shown = "".join(f"{'-' if value is None else f'{value:.3f}':>8}" for value in figures)
    return f"{name:<16}{one.questions:>4}{shown}"
