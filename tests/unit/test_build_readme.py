from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "docs" / "build_readme.py"


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_readme", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, file in (("ROOT", "."), ("TEMPLATE", "in.md"), ("README", "README.md")):
        monkeypatch.setattr(module, name, tmp_path / file)
    monkeypatch.setattr(module, "output_of", lambda command: f"{command} took wall 0.42 s  \n")
    monkeypatch.setattr("sys.argv", ["build_readme.py"])
    return module


def test_a_command_is_shown_with_its_output_and_without_its_wall_time(builder: ModuleType) -> None:
    text = builder.readme("before\n<!-- output: giga plan x -->\nafter\n")
    assert text == "before\n```console\n$ giga plan x\ngiga plan x took wall …\n```\nafter\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"wall_s":1.5e-3}', '"wall_s":…}'),
        ('"wall_s": 0.1, "fits": 12', '"wall_s": …, "fits": 12'),
        ("wall: 12 ms, 3 s", "wall: …, 3 s"),
        ("step 3.2 s, wall time unknown", "step 3.2 s, wall time unknown"),
        ("firewall 3 s", "firewall 3 s"),
    ],
)
def test_only_wall_times_are_masked(builder: ModuleType, text: str, shown: str) -> None:
    assert builder.masked(text) == shown


def test_a_table_is_copied_and_a_missing_one_is_named(builder: ModuleType) -> None:
    (builder.ROOT / "table.md").write_text("| a |\n|---|\n", encoding="utf-8")
    assert builder.readme("<!-- table: table.md -->\n") == "| a |\n|---|\n"
    with pytest.raises(SystemExit, match=r"lost\.md is not there"):
        builder.readme("<!-- table: lost.md -->")


def test_check_notices_a_readme_that_is_out_of_date(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.TEMPLATE.write_text("# New\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["build_readme.py", "--check"])
    assert builder.main() == 1
    assert not builder.README.exists()
    monkeypatch.setattr("sys.argv", ["build_readme.py"])
    assert builder.main() == 0
    monkeypatch.setattr("sys.argv", ["build_readme.py", "--check"])
    assert builder.main() == 0
