"""What `giga plan` and `giga explain` print of an answer made by hand, on a screen of 100 columns.

GIGAFACTORY_REGENERATE=1 writes the .txt files anew; read their difference before committing it.
"""

from __future__ import annotations

import difflib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from gigafactory.report.explain import print_explanation
from gigafactory.report.operators import operators_sheet
from gigafactory.report.plan import print_answer
from tests.made_answer import ANSWER, UNPRICED
from tests.made_explanation import RUN

if TYPE_CHECKING:
    from gigafactory.plan.answer import Answer
    from gigafactory.report.explained import Explained

HERE = Path(__file__).parent
REGENERATE = "GIGAFACTORY_REGENERATE"
WIDTH = 100


def plain_console(width: int = WIDTH) -> tuple[Console, io.StringIO]:
    """Return a console without colour, and what it writes into."""
    screen = io.StringIO()
    return Console(file=screen, width=width, color_system=None, force_terminal=False), screen


def printed(answer: Answer, width: int = WIDTH) -> str:
    """Return the plan as a reader sees it; blanks that end a line cannot be seen."""
    console, screen = plain_console(width)
    print_answer(answer, console, 0.5)
    return "".join(f"{line.rstrip()}\n" for line in screen.getvalue().splitlines())


def explained(told: Explained, width: int = WIDTH) -> str:
    """Return the explanation as a reader sees it."""
    console, screen = plain_console(width)
    print_explanation(told, console)
    return "".join(f"{line.rstrip()}\n" for line in screen.getvalue().splitlines())


def assert_golden(name: str, text: str) -> None:
    """Compare text with its golden file; the difference is the message."""
    golden = HERE / name
    if os.environ.get(REGENERATE):
        golden.write_text(text, encoding="utf-8")
    expected = golden.read_text(encoding="utf-8")
    difference = difflib.unified_diff(
        expected.splitlines(), text.splitlines(), name, "printed", lineterm=""
    )
    assert text == expected, "\n".join(difference)


def test_a_plan_is_printed_as_its_golden_file_shows() -> None:
    assert_golden("plan.txt", printed(ANSWER))


def test_a_plan_without_prices_or_power_says_so() -> None:
    text = printed(UNPRICED)
    assert "no price is published" in text
    assert "no figure is published" in text


def test_a_published_run_is_explained_as_its_golden_file_shows() -> None:
    assert_golden("explain.txt", explained(RUN))


def test_a_plan_that_nobody_measured_claims_no_error() -> None:
    text = explained(replace(RUN, measured_s=None))
    assert "Published" not in text
    assert "made-2" not in text


def test_the_rows_left_out_are_one_row_of_a_thousandth_of_the_step_at_most() -> None:
    sheet, whole = (operators_sheet(RUN.operators, whole=all_) for all_ in (False, True))
    assert len(whole.rows) == len(RUN.operators)
    (left,) = [row for row in sheet.rows if "smaller" in row[0]]
    assert left[0] == "2 smaller"
    assert float(left[3]) <= 1e-3 * 10_000.0  # ms of a step of 10 s
    assert sum(float(row[3].replace(",", "")) for row in sheet.rows) == pytest.approx(10_000.0)


def test_a_transfer_hidden_well_is_shown_however_little_of_it_is_exposed() -> None:
    hidden = replace(RUN.operators[7], exposed_s=0.0, operator="parameter gathering")
    sheet = operators_sheet([*RUN.operators, hidden])
    assert "parameter gathering" in {row[0] for row in sheet.rows}


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_of_an_explanation_is_wider_than_the_screen(width: int) -> None:
    assert max(len(line) for line in explained(RUN, width).splitlines()) <= width


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_screen_or_than_the_report(width: int) -> None:
    widest = max(len(line) for line in printed(ANSWER, width).splitlines())
    assert widest <= min(width, WIDTH)
