"""The scorer, on answers whose figures are worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.grok_quality.question_set import Question
from tests.grok_quality.scorer import Given, Score, holds, marks_of, score, score_by, table

ABSTENTION = Given(text="I found nothing on this in the feed.", cited=(), abstained=True)


def asked(name: str, *gold: tuple[str, ...], holds: tuple[str, ...] = ()) -> Question:
    """Return a question with the given facets; none: it cannot be answered."""
    return Question(
        id=name,
        split="dev",
        kind="who" if gold else "absent",
        now=datetime(2026, 11, 1, tzinfo=UTC),
        turns=(),
        question=f"{name}?",
        answerable=bool(gold),
        gold=gold,
        answer_contains=holds,
        near_miss=False,
        tempting=(),
    )


def answered(text: str, *cited: str) -> Given:
    return Given(text=text, cited=cited, abstained=False)


def test_a_right_answer_has_every_figure_at_one() -> None:
    figures = score([marks_of(asked("a", ("p1",), holds=("Ann",)), answered("It was Ann.", "p1"))])
    assert figures == Score(
        questions=1,
        citation_precision=1.0,
        precision_when_answerable=1.0,
        citation_recall=1.0,
        abstention_precision=None,
        abstention_recall=None,
        exact=1.0,
    )


def test_any_one_alternative_covers_its_facet_and_two_of_them_are_both_right() -> None:
    question = asked("a", ("p1", "p2"), ("p3",))
    assert marks_of(question, answered("", "p2")).covered == 1
    both = marks_of(question, answered("", "p1", "p2"))
    assert (both.covered, both.right_citations, both.wrong_citations) == (1, 2, 0)
    assert marks_of(question, answered("", "p2", "p3")).covered == 2


def test_recall_is_a_mean_over_questions_not_over_facets() -> None:
    half = marks_of(asked("a", ("p1",), ("p2",), ("p3",), ("p4",)), answered("", "p1", "p2"))
    whole = marks_of(asked("b", ("p5",)), answered("", "p5"))
    assert score([half, whole]).citation_recall == pytest.approx(0.75)


def test_a_citation_under_an_unanswerable_question_is_wrong_for_the_user() -> None:
    good = marks_of(asked("a", ("p1",)), answered("", "p1"))
    made_up = marks_of(asked("b"), answered("", "p8", "p9"))
    figures = score([good, made_up])
    assert figures.citation_precision == pytest.approx(1 / 3)
    assert figures.precision_when_answerable == 1.0
    assert figures.abstention_recall == 0.0
    assert figures.abstention_precision is None


def test_abstaining_from_everything_is_perfect_only_in_abstention_recall() -> None:
    figures = score([marks_of(asked("a", ("p1",)), ABSTENTION), marks_of(asked("b"), ABSTENTION)])
    assert figures.abstention_recall == 1.0
    assert figures.abstention_precision == 0.5
    assert figures.citation_recall == 0.0
    assert figures.exact == 0.0
    assert figures.citation_precision is None


def test_an_abstention_that_cites_covers_nothing() -> None:
    marks = marks_of(asked("a", ("p1",)), Given(text="", cited=("p1",), abstained=True))
    assert marks.covered == 0
    assert not marks.exact


def test_a_post_cited_twice_counts_once() -> None:
    marks = marks_of(asked("a", ("p1",)), answered("", "p1", "p1", "p7", "p7"))
    assert (marks.right_citations, marks.wrong_citations) == (1, 1)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("They won 3\u20131.", True),
        ("They won 3-1.", True),
        ("THEY  WON 3-1", True),
        ("They won.", False),
        ("They won 1-3", False),
    ],
)
def test_strings_are_sought_whatever_the_case_dashes_and_spaces(text: str, *, holds: bool) -> None:
    question = asked("a", ("p1",), holds=("They won 3\u20131",))
    assert marks_of(question, answered(text, "p1")).holds_strings is holds


def test_a_number_is_not_found_within_another_one() -> None:
    assert holds("the quake had 5.1", "5.1")
    assert not any(holds(text, "5.1") for text in ("95.1%", "5.12", "3.5.1", "5.15 m"))
    assert not holds("4.1 million", "1 million")
    assert holds("We rolled back.", "roll")


def test_a_wrong_citation_or_a_missing_string_is_not_exact() -> None:
    question = asked("a", ("p1",), holds=("Ann",))
    assert marks_of(question, answered("Ann", "p1")).exact
    assert not marks_of(question, answered("Ann", "p1", "p2")).exact
    assert not marks_of(question, answered("Bob", "p1")).exact


def test_groups_are_scored_apart_and_a_missing_answer_is_no_figure() -> None:
    questions = [asked("a", ("p1",)), asked("b")]
    given = {"a": answered("", "p1"), "b": ABSTENTION}
    by_kind = score_by(lambda one: one.kind, questions, given)
    assert list(by_kind) == ["absent", "who"]
    assert by_kind["absent"].abstention_recall == 1.0
    assert by_kind["who"].citation_recall == 1.0
    with pytest.raises(KeyError, match="b"):
        score_by(lambda one: one.kind, questions, {"a": given["a"]})


def test_the_table_shows_a_group_a_line_and_a_dash_for_nothing_counted() -> None:
    lines = table({"dev": score([marks_of(asked("b"), ABSTENTION)])}).splitlines()
    assert len(lines) == 2
    assert lines[1].split() == ["dev", "1", "-", "-", "-", "1.000", "1.000", "-"]
