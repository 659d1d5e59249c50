"""Write README.md from docs/README.in.md, so that the README shows what the commands print.

A template line `<!-- output: giga … -->` becomes the command and its output, a line
`<!-- table: FILE -->` the text of a generated file. `--check` writes nothing and exits 1 when
README.md is not what would be written.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
TEMPLATE: Final = ROOT / "docs" / "README.in.md"
README: Final = ROOT / "README.md"

_MARK: Final = re.compile(r"^<!-- (output|table): (.+?) -->$", re.MULTILINE)
# How long this machine took is the one number that differs each time: "wall 0.42 s", "wall_s":0.42.
_WALL: Final = re.compile(
    r'(\bwall(?:_s)?\b"?\s*[:=]?\s*)'
    r"\d+(?:[.,]\d+)*(?:e[-+]?\d+)?(?:\s?(?:µs|ms|s)\b)?"
)
_PROGRAM: Final = "import sys; from gigafactory.cli import main; sys.argv[0] = 'giga'; main()"


def masked(text: str) -> str:
    """Return `text` with wall times replaced by an ellipsis and no blanks at the ends of lines.

    >>> masked('priced 10,000 layouts, wall 0.42 s'), masked('{"fits":9,"wall_s":4.2e-1}')
    ('priced 10,000 layouts, wall …', '{"fits":9,"wall_s":…}')
    """
    lines = _WALL.sub(r"\1…", text).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def output_of(command: str) -> str:
    """Return what a `giga` command prints on a plain 100-column screen.

    Raises:
        SystemExit: The command is not `giga`, or it fails.
    """
    program, *arguments = shlex.split(command)
    if program != "giga":
        raise SystemExit(f"{TEMPLATE.name}: only giga commands can be shown, got {command!r}")
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    outside = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        cwd=ROOT,
        env=outside | plain,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{command!r} exits {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def filled(mark: re.Match[str]) -> str:
    """Return the Markdown that a template line stands for.

    Raises:
        SystemExit: A command fails, or a table has not been generated.
    """
    kind, argument = mark[1], mark[2]
    if kind == "output":
        return f"```console\n$ {argument}\n{masked(output_of(argument))}\n```"
    table = ROOT / argument
    if not table.is_file():
        raise SystemExit(f"{TEMPLATE.name}: {argument} is not there; `make bench` writes it")
    return table.read_text(encoding="utf-8").strip("\n")


def readme(template: str) -> str:
    """Return the README that the text of a template stands for."""
    return _MARK.sub(filled, template)


def main() -> int:
    """Write the README, or with `--check` compare it; return the exit code."""
    text = readme(TEMPLATE.read_text(encoding="utf-8"))
    if "--check" not in sys.argv[1:]:
        README.write_text(text, encoding="utf-8")
        return 0
    if README.is_file() and README.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("README.md is not what the commands print now: run `make readme`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
