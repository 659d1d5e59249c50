"""What `giga plan` and `giga explain` print of an answer made by hand, on a screen of 100 columns.

GIGAFACTORY_REGENERATE=1 writes the .txt files anew; read their difference before committing it.
"""

from __future__ import annotations

import difflib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from gigafactory.catalog import loader, machines
from gigafactory.plan.cases import Case
from gigafactory.report.explain import print_explanation
from gigafactory.report.explained import Explained
from gigafactory.report.plan import print_answer
from tests.made_answer import ANSWER, LAYOUT, MODEL, PREDICTION, UNPRICED

if TYPE_CHECKING:
    from gigafactory.plan.answer import Answer

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


def explained(measured_s: float | None) -> str:
    """Return the explanation as a reader sees it."""
    console, screen = plain_console()
    told = Explained(
        title="made-moe on 1,024 GPUs of made-cluster",
        case=Case(MODEL, LAYOUT),
        machine=machines.machine(loader.cluster("gigafactory"), "megatron-core"),  # not printed
        prediction=PREDICTION,
        measured_s=measured_s,
        reference="a paper, table 1, 2025",
    )
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
    assert_golden("explain.txt", explained(8.0))


def test_a_plan_that_nobody_measured_claims_no_error() -> None:
    assert "Published" not in explained(None)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_line_is_wider_than_the_screen_or_than_the_report(width: int) -> None:
    widest = max(len(line) for line in printed(ANSWER, width).splitlines())
    assert widest <= min(width, WIDTH)
