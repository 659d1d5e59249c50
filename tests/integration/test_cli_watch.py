"""`giga watch`: once, for cron, and on a real terminal that a real run is drawn on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyte
import pytest

from gigafactory.run.record import RunFolder
from gigafactory.spec.run import StepRecord
from tests.integration.test_cli_command import answered, giga, refused
from tests.made_run import Made, begun

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS, LINES = 80, 24


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.chdir(tmp_path)
    run = begun(Path("run"))
    run.steps(100, 1.75)
    run.finish()
    return run


def test_one_frame_for_people(made: Made) -> None:
    shown = answered("watch", made.folder.path, "--once").out
    assert "llama-3.1-8b on 64 GPUs" in shown
    assert "finished" in shown
    assert "step 100 of 200" in shown


def test_one_line_for_programs(made: Made) -> None:
    told: dict[str, Any] = answered("watch", made.folder.path, "--json").json
    assert (told["schema"], told["state"], told["step"], told["steps"]) == (1, "finished", 100, 200)
    step = told["numbers"]["step_time_s"]
    assert step["measured"] == 1.75
    assert step["predicted"]["low"] < step["predicted"]["high"]
    assert sum(told["goodput"]["seconds"].values()) == pytest.approx(told["goodput"]["wall_s"])
    assert told["troubles"] == []


def test_without_a_terminal_it_looks_once(made: Made) -> None:
    assert (
        answered("watch", made.folder.path).out == answered("watch", made.folder.path, "--once").out
    )


def test_trouble_is_exit_1_and_a_line_for_cron(made: Made) -> None:
    (made.folder.path / "result.json").unlink()
    os.close(made.folder.lock())  # a process had it, and is gone
    ran = giga("watch", made.folder.path, "--json")
    assert ran.code == 1
    assert ran.err == "giga: run: no process has the run, and it left no result\n"
    assert ran.json["troubles"] == ["no process has the run, and it left no result"]


@pytest.mark.usefixtures("made")
def test_a_folder_without_a_run_is_refused() -> None:
    Path("empty").mkdir()
    assert "run folder" in refused("watch", "none")
    assert "has no plan.toml" in refused("watch", "empty")
    assert "--every must be between" in refused("watch", "run", "--every", "0")


def test_a_line_that_is_no_step_is_named(made: Made) -> None:
    with (made.folder.path / "steps.jsonl").open("a") as file:
        file.write('{"step": "x"}\n')
    assert "steps.jsonl: line 101: is no StepRecord" in refused("watch", "run", "--once")


class Terminal:
    """A terminal of 80 x 24: what a program writes to it, as it stands on the screen."""

    def __init__(self, *command: str) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self._end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color"}
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=environment,
            start_new_session=True,
        )  # fmt: skip
        os.close(inner)
        self.written = b""

    def wait_for(self, words: str, limit_s: float = 300.0) -> str:
        """Return the screen once it holds the words."""
        until = time.monotonic() + limit_s
        while words not in self.text:
            assert time.monotonic() < until, f"no {words!r} on the screen:\n{self.text}"
            self._read(0.1)
        return self.text

    def press(self, key: str) -> int:
        """Press a key; return the exit code of the program, which it must end."""
        os.write(self._end, key.encode())
        until = time.monotonic() + 300
        while self.process.poll() is None:
            assert time.monotonic() < until, "still there"
            self._read(0.1)
        self._read(0.1)
        return self.process.returncode

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def _read(self, wait_s: float) -> None:
        with contextlib.suppress(OSError):  # the program is gone
            if select.select([self._end], [], [], wait_s)[0]:
                told = os.read(self._end, 65536)
                self.written += told
                self._stream.feed(told)


@pytest.fixture
def terminal(made: Made) -> Iterator[Terminal]:
    (made.folder.path / "result.json").unlink()
    shown = Terminal(
        sys.executable, "-c", "from gigafactory.cli import main; main()", "watch",
        str(made.folder.path), "--every", "0.2",
    )  # fmt: skip
    yield shown
    if shown.process.poll() is None:
        shown.process.kill()
    shown.process.wait(300)


def test_a_terminal_shows_steps_as_they_come_until_q_is_pressed(
    made: Made, terminal: Terminal
) -> None:
    first = terminal.wait_for("step 100 of 200")
    assert first.startswith("llama-3.1-8b on 64 GPUs")
    assert "predicted" in first
    for number in (101, 102):
        made.folder.add_step(
            StepRecord(step=number, loss=2.0, tokens=1, step_time_s=1.75,
                       time="2026-01-01T12:10:00Z")
        )  # fmt: skip
        terminal.wait_for(f"step {number} of 200")
    assert terminal.press("q") == 0
    assert b"\x1b[?1049h" in terminal.written  # the other screen, so that nothing scrolls
    assert terminal.written.endswith(b"\x1b[?25h\x1b[?1049l")  # cursor and screen are back
    assert b"\x1b[2J" not in terminal.written  # it is never blank between two frames


def test_a_terminal_gives_the_keys_back(terminal: Terminal) -> None:
    terminal.wait_for("step 100 of 200")
    assert terminal.press("x q") == 0


def test_json_stays_one_line_on_a_terminal(made: Made) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from gigafactory.cli import main; main()", "watch",
         str(made.folder.path), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout)["state"] == "finished"
    assert RunFolder(made.folder.path).is_live() is None
