"""Each example prints what stands beside it in its .out file.

GIGAFACTORY_REGENERATE=1 writes the .out files anew; read their difference before committing it.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
REGENERATE = "GIGAFACTORY_REGENERATE"


def printed_by(example: Path, folder: Path) -> str:
    """Return what `example` prints in an empty folder, on a plain 100-column screen."""
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    outside = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=folder,
        env=outside | plain | {"PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{example.name} exits {done.returncode}:\n{done.stderr}"
    return done.stdout


def test_every_example_has_its_output_and_every_output_its_example() -> None:
    scripts = {path.stem for path in EXAMPLES.glob("*.py")}
    assert scripts, f"no examples in {EXAMPLES}"
    if not os.environ.get(REGENERATE):
        assert {path.stem for path in EXAMPLES.glob("*.out")} == scripts


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_prints_what_its_out_file_holds(example: Path, tmp_path: Path) -> None:
    golden = example.with_suffix(".out")
    printed = printed_by(example, tmp_path)
    if os.environ.get(REGENERATE):
        golden.write_text(printed, encoding="utf-8")
    expected = golden.read_text(encoding="utf-8")
    difference = difflib.unified_diff(
        expected.splitlines(), printed.splitlines(), golden.name, "printed", lineterm=""
    )
    assert printed == expected, "\n".join(difference)
