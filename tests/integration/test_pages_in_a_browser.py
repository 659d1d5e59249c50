"""Every page that `giga` writes, opened in Chromium: it draws, fits the screen, asks no one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_cli_command import answered
from tests.made_run import begun

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium")

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = {
    "plan": ("plan", "llama-3.1-8b", "--cluster", "selene", "--tokens", "1e12"),
    "explain": ("explain", "--case", "megatron-lm-0938"),
    "build": ("build", "gigafactory", "--by", "2025-09-30", "--samples", "2000"),
    "compare": ("compare", "run"),
}
SCREENS = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = begun(folder / "run")
        made.steps(60, 1.75, spans_s={"forward_backward": 1.5, "optimizer": 0.25})
        made.finish()
        for name, command in PAGES.items():
            answered(*command, "--html", f"{name}.html")
        yield folder


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_draws_fits_and_asks_no_one(
    name: str, screen: str, browser: Any, pages: Path
) -> None:
    width, height = SCREENS[screen]
    page = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((pages / f"{name}.html").as_uri(), wait_until="load")
    assert complaints == []
    assert asked == [(pages / f"{name}.html").as_uri()]
    assert page.title()
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    drawn = page.locator("svg").all()
    assert drawn
    for plot in drawn:
        box = plot.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 0
    assert len(page.inner_text("body").split()) > 100
    page.close()
