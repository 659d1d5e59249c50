"""The command as a program: instant help, a reader that leaves, mistakes in its usage.

Holds the two ways to run it that the other tests of the command use.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pytest

from gigafactory.cli import main

PROGRAM: Final = (sys.executable, "-c", "from gigafactory.cli import main; main()")
HEAVY: Final = ("numpy", "pydantic", "matplotlib", "rich.table", "gigafactory.catalog.loader")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Return the one line of machine output."""
        assert self.out.endswith("\n"), self
        assert self.out.count("\n") == 1, self
        found: dict[str, Any] = json.loads(self.out, parse_constant=_no_json)
        assert found["schema"] == 1
        return found


def _no_json(text: str) -> float:
    raise AssertionError(f"{text} is no JSON")


def giga(*arguments: str | Path) -> Ran:
    """Return what the command leaves, run here: an exception that escapes fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["giga", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        main()
    code = left.value.code
    return Ran(
        code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue()
    )


def process(*arguments: str | Path) -> Ran:
    """Return what the command leaves, run as a process of its own."""
    ran = subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def answered(*arguments: str | Path) -> Ran:
    """Return a run that must answer."""
    ran = giga(*arguments)
    assert ran.code == 0, ran
    return ran


def told(*arguments: str | Path) -> dict[str, Any]:
    """Return the machine output of a run that must answer."""
    return answered(*arguments, "--json").json


def refused(*arguments: str | Path) -> str:
    """Return the one line that tells a user's mistake; nothing may be written or left behind.

    Asked twice: for people, and for machines, who get the same words as an error object.
    """
    before = sorted(Path.cwd().rglob("*"))
    ran, machine = giga(*arguments), giga(arguments[0], "--json", *arguments[1:])
    assert (ran.code, machine.code) == (2, 2), ran
    assert ran.out == ""
    assert is_one_line(ran.err), ran.err
    assert machine.err == ran.err
    error = machine.json["error"]
    assert set(error) == {"kind", "message", "field"}
    assert f"giga: {' '.join(error['message'].split())}\n" == ran.err
    assert sorted(Path.cwd().rglob("*")) == before
    return ran.err


def is_one_line(text: str) -> bool:
    """Return whether this is one line of the command's, and no traceback."""
    return text.startswith("giga: ") and text.endswith("\n") and text.count("\n") == 1


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, gigafactory.cli as cli\n"
        "sys.argv = ['giga', '--help']\n"
        "try:\n    cli.main()\n"
        "finally:\n    print('LOADED', *sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    shown, _, loaded = ran.stdout.partition("LOADED")
    assert all(verb in shown for verb in ("plan", "predict", "explain", "catalog"))
    assert "typer" in loaded.split()
    assert not set(HEAVY) & set(loaded.split())


@pytest.mark.parametrize("verb", ["plan", "predict", "explain", "catalog"])
def test_every_verb_has_help(verb: str) -> None:
    assert "--json" in answered(verb, "--help").out


def test_alone_the_command_shows_its_verbs() -> None:
    ran = giga()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plam",), "plan"),
        (("plan",), "model"),
        (("plan", "grok-1"), "--tokens"),
        (("plan", "grok-1", "--tokens"), "--tokens"),
        (("plan", "grok-1", "--token", "1e12"), "--tokens"),
        (("plan", "grok-1", "--tokens", "1e12", "--gpus", "many"), "--gpus"),
        (("plan", "grok-1", "--tokens", "1e12", "--gpus", "1.5"), "--gpus"),
        (("predict", "cases.csv"), "--out"),
        (("catalog", "models", "grok-1", "more"), "more"),
    ],
)
def test_a_mistake_of_usage_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments)


def test_a_process_of_its_own_leaves_what_the_tests_here_see() -> None:
    arguments = ("plan", "grok-9", "--cluster", "gigafactry", "--tokens", "nan", "--json")
    assert process(*arguments) == giga(*arguments)


@pytest.mark.parametrize("form", [("--json",), ()])
def test_a_reader_that_leaves_is_no_mistake(form: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [*PROGRAM, "catalog", "models", *form], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        complaint = running.stderr.read()
        assert running.wait(timeout=60) == 0
    assert complaint == b""
