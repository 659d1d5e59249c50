"""Which passages answer a question: near misses must not, however many words they share."""

from __future__ import annotations

import pytest

from gigafactory.grok.answering import Answering
from gigafactory.grok.evidence import Evidence
from gigafactory.grok.passages import sentence_spans
from gigafactory.grok.question import question
from tests.small_feed import NOW, made, post


def answers(asked: str, text: str, author: str = "citydesk", hours_ago: float = 2) -> bool:
    one = post("1", author, hours_ago, text)
    return Evidence(question(asked, NOW), [one]).best(one) is not None


RACE = "Lakeside 10k: Maria Ortega won in 34:12 on Sunday, ahead of 412 runners in Halden."


@pytest.mark.parametrize(
    "asked",
    [
        "Who won the Lakeside 10k?", "How many runners were at the Lakeside 10k?",
        "Where was the Lakeside 10k?", "When did Maria Ortega win?", "Did Maria Ortega win?",
    ],
)  # fmt: skip
def test_what_is_told_is_answered(asked: str) -> None:
    assert answers(asked, RACE)


@pytest.mark.parametrize(
    "asked",
    [
        "Who won the Lakeside marathon?", "Who won the Seaside 10k?",
        "How many medals were at the Lakeside 10k?",
        "When did Tom Baker win the Lakeside 10k?", "Why did Maria Ortega win the Lakeside 10k?",
        "How much did the Lakeside 10k cost?", "Who won the Lakeside 10k in 2019?",
        "Who won the Lakeside 10k yesterday?", "How old is Maria Ortega?",
        "Who lost the Lakeside 10k?",
    ],
)  # fmt: skip
def test_another_person_place_day_or_quantity_is_not(asked: str) -> None:
    assert not answers(asked, RACE)


@pytest.mark.parametrize(
    "text",
    [
        "Is the Tay bridge closed?", "I wish the Tay bridge was closed.",
        "The Tay bridge is closed, I guess.",
        "Rumour: the Tay bridge is closed.", "If the Tay bridge is closed, take the ferry.",
        "Imagine the Tay bridge closed.", "The Tay bridge may be closed.",
    ],
)  # fmt: skip
def test_a_question_wish_guess_rumour_or_doubt_is_no_fact(text: str) -> None:
    assert not answers("Is the Tay bridge closed?", text)


def test_what_someone_thinks_answers_who_asks_for_it() -> None:
    text = "I think the Tay bridge should be painted red."
    assert answers("What does @ana think about the Tay bridge?", text, author="ana")


def test_closed_answers_whether_it_is_open() -> None:
    assert answers("Is the Tay bridge open?", "The Tay bridge is closed due to ice.")


def test_what_is_denied_does_not_answer_when_it_happens() -> None:
    assert not answers("When did the Tay bridge open?", "The Tay bridge did not open on Monday.")
    assert answers("When will the Tay bridge open?", "The Tay bridge will not open until Monday.")


def test_a_deed_of_another_in_the_same_post_is_not_taken_for_the_asked_one() -> None:
    text = "Priya Raman is the new director. She succeeds Walt Jensen, who retires in June."
    assert not answers("When does Priya Raman retire?", text)
    assert answers("When does Walt Jensen retire?", text)


def test_an_author_who_speaks_of_himself_is_who_is_asked_about() -> None:
    text = "We're moving! From 1 April you'll find us at 12 Quay Street."
    assert answers("Where is Kestrel Bakery moving to?", text, author="kestrel_bakery")


def test_the_time_of_a_post_dates_what_it_tells() -> None:
    text = "Run tiny failed at step 1200: rank 3 died with signal 9."
    assert answers("Why did run tiny fail today?", text)
    assert not answers("Why did run tiny fail yesterday?", text)
    assert answers("Why did run tiny stop at 13:00?", text)
    assert not answers("Why did run tiny stop at 09:30?", text)


def test_yesterday_in_a_post_is_the_day_before_the_post() -> None:
    text = "Wind supplied 58 % of the electricity yesterday."
    asked = "What share of the electricity did wind supply yesterday?"
    assert answers(asked, text, hours_ago=2)
    assert not answers(asked, text, hours_ago=50)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It took 0.2 s. Then it stopped.", 2), ("Dr. Raman came at 10 a.m. today.", 1),
        ("One\nTwo.\nThree!", 3), ("J. Lund won. Hooray", 2), ("Wait... what?! No.", 3),
    ],
)  # fmt: skip
def test_sentences_end_at_full_stops_but_not_behind_abbreviations(text: str, count: int) -> None:
    assert len(sentence_spans(text)) == count


def test_in_some_minutes_tells_how_long_it_took_as_well_as_when() -> None:
    text = "Gloria Fenn, 81, swam across Mirror Lake in 58 minutes this morning."
    assert answers("How long did Gloria Fenn need to swim across Mirror Lake?", text)
    assert answers("How old is Gloria Fenn?", text)
    assert not answers("How deep is Mirror Lake?", text)


def test_who_proposed_a_plan_is_not_told_by_who_rejected_the_plan() -> None:
    text = "The council rejected the plan for a hotel on Pier 7."
    assert not answers("Who proposed the hotel on Pier 7?", text)
    assert answers("Who is the new head of Qubix?", "The new head of Qubix is Lena Park.")


RUN = (
    "Run tiny trained steps 31 to 40: loss from 4.5 to 4.1, 18,400 tokens per second.\n"
    "At step 40 of run tiny the loss was 4.1; the step took 0.21 s.\n"
    "At step 39 of run tiny the loss was 4.2; the step took 0.2 s."
)


def test_of_equal_sentences_the_one_whose_words_stand_closest_is_quoted() -> None:
    one = post("1", "factory", 1, RUN)
    found = Evidence(question("What was the loss at step 40?", NOW), [one]).best(one)
    assert found is not None
    assert found.passage.text.startswith("At step 40 of run tiny")


def test_another_run_is_another_thing() -> None:
    assert answers("What was the loss of run tiny?", RUN)
    assert not answers("What was the loss of run large?", RUN)


# A little below what is reached. The rules alone reached 0.97 and 1.0 of precision and silence on
# these sets, with which they were written; on sets nobody had seen the judge does better than they.
ONCE = ("small", "second", "third", "fourth", "fifth", "sixth")
FLOORS = [*((name, 0.8, 0.9, 0.78) for name in ONCE), ("seventh", 0.8, 0.82, 0.68)]


@pytest.mark.parametrize(("name", "precision", "recall", "silence"), FLOORS)
def test_development_questions_are_answered_from_the_right_posts(
    name: str, precision: float, recall: float, silence: float
) -> None:
    feed, questions = made(name)
    answering = Answering(feed, lambda: NOW)
    cited = right = found = kept_quiet = 0
    for one in questions:
        ids = {citation.post.id for citation in answering.answer(one.text).citations}
        cited += len(ids)
        right += len(ids & set(one.gold))
        found += bool(ids & set(one.gold))
        kept_quiet += not (ids or one.gold)
    answerable = sum(bool(one.gold) for one in questions)
    assert right >= precision * cited
    assert found >= recall * answerable
    assert kept_quiet >= silence * (len(questions) - answerable)
