"""The HTML page is one whole file: well formed, with its plots inside, asking for nothing else."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.dom import minidom

import pytest

from gigafactory.errors import CatalogError, MissingExtra
from gigafactory.report.explain_page import explanation_page
from gigafactory.report.page import page, write_page
from gigafactory.report.plots import picture
from tests.made_answer import ANSWER, UNPRICED, curves
from tests.made_explanation import RUN

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Outline(HTMLParser):
    """Notes every element, and that each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[str] = []
        self.labels: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        found = dict(attrs)
        if tag == "svg":
            self.labels.append(found.get("aria-label") or "")
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> out of turn"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(text: str) -> Outline:
    """Return what stands on a page."""
    parser = Outline()
    parser.feed(text)
    parser.close()
    return parser


@pytest.fixture(scope="module")
def whole() -> str:
    return page(ANSWER, curves())


def test_every_element_is_closed_in_its_turn(whole: str) -> None:
    assert outline(whole).open == []


def test_the_page_holds_every_plot_with_a_name(whole: str) -> None:
    assert outline(whole).labels == [
        "Exposed time of one step by cause",
        "Memory of every pipeline stage",
        "Tokens per second and days over GPUs offered",
        "Utilization and cost over GPUs offered",
    ]


def test_the_page_asks_for_nothing_from_elsewhere(whole: str) -> None:
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", whole)
    assert not re.search(r"https?:|//\w|@import|<script|<link|<img", without_names)


def test_no_two_plots_share_an_id(whole: str) -> None:
    ids = outline(whole).ids
    repeated = {one for one in ids if ids.count(one) > 1}
    # matplotlib numbers its groups anew in each figure; nothing refers to them.
    assert {one for one in repeated if f"#{one}" in whole} == set()


def test_plots_take_the_colour_of_the_page_so_that_both_themes_can_be_read(whole: str) -> None:
    assert "currentColor" in whole
    assert "prefers-color-scheme: dark" in whole


def test_the_page_says_what_the_answer_says(whole: str) -> None:
    text = " ".join(" ".join(outline(whole).text).split())
    assert "1,024 of 1,100 made-gpu of made-cluster" in text
    assert "10 s per step" in text
    assert "500 ms more tensor comm" in text
    assert "made up" in text


def test_labels_are_text_and_never_markup(whole: str) -> None:
    assert "free <batch>" not in whole
    assert "free &lt;batch&gt;" in whole


def test_a_plan_without_prices_or_curves_has_its_page(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    write_page(UNPRICED, {}, path)
    text = path.read_text(encoding="utf-8")
    assert len(outline(text).labels) == 2
    assert "no price is published" in text


def test_the_same_answer_makes_the_same_page() -> None:
    assert page(UNPRICED, {}) == page(UNPRICED, {})


def test_a_page_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be written"):
        write_page(UNPRICED, {}, tmp_path / "no-such-folder" / "plan.html")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gigafactory\[report\]'"):
        page(ANSWER, {})


def test_the_picture_is_xml_of_its_own_with_its_own_colours() -> None:
    svg = picture(ANSWER, curves())
    root = minidom.parseString(svg).documentElement  # noqa: S318  # we made it ourselves
    assert root is not None
    assert root.tagName == "svg"
    assert "currentColor" not in svg


@pytest.fixture(scope="module")
def explanation() -> str:
    return explanation_page(RUN)


def test_an_explanations_page_is_whole_and_asks_for_nothing_from_elsewhere(
    explanation: str,
) -> None:
    parsed = outline(explanation)
    assert parsed.open == []
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", explanation)
    assert not re.search(r"https?:|//\w|@import|<script|<link|<img", without_names)
    repeated = {one for one in parsed.ids if parsed.ids.count(one) > 1}
    assert {one for one in repeated if f"#{one}" in explanation} == set()


def test_an_explanations_page_shows_every_operator_and_how_busy_the_resources_are(
    explanation: str,
) -> None:
    parsed = outline(explanation)
    assert "Exposed and hidden time of every resource" in parsed.labels
    text = " ".join(" ".join(parsed.text).split())
    for row in RUN.operators:
        assert row.operator in text
    assert "smaller" not in text
    assert "hidden under other work" in text
    assert "made-2" in text


def test_a_plans_explanation_has_a_page_without_a_published_run() -> None:
    text = explanation_page(replace(RUN, measured_s=None))
    assert outline(text).open == []
    assert "Published" not in text
