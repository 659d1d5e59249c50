"""`giga chat` as a program: one question, lines of a pipe, a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from threading import Event
from typing import TYPE_CHECKING, Final

import pyte
import pytest

from gigafactory.spec.answer import NOTHING_FOUND
from tests.held_model import HeldModel, listening
from tests.integration.test_cli_command import PROGRAM, Ran, refused
from tests.served_feed import HAPPENED, LIBRARY, NOTHING, PAGE, PLANNED, HomeFeed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST: Final = "The Harwick library reopens on Monday at nine."
SECOND: Final = "The Harwick library reopens on Monday, the cafe stays shut."
PATIENCE_S: Final = 60.0
AGAIN_S = 5.0


@pytest.fixture
def feed(tmp_path: Path) -> HomeFeed:
    return HomeFeed(tmp_path).fill()


def chat(feed: HomeFeed, *options: str, lines: str = "") -> Ran:
    done = subprocess.run(
        [*PROGRAM, "chat", *options], input=lines, capture_output=True, text=True,
        env=feed.environ, check=False,
    )  # fmt: skip
    return Ran(done.returncode, done.stdout, done.stderr)


def test_an_answer_is_printed_with_its_numbered_sources_their_age_and_the_feeds(
    feed: HomeFeed,
) -> None:
    told = chat(feed, "--once", LIBRARY, "--no-reader")
    assert told.code == 0
    assert told.err == ""
    answer, empty, first, second, standing = told.out.splitlines()
    assert answer == f"{FIRST} [1] {SECOND} [2]"
    assert empty == ""
    assert first == f"[1] @harwickcouncil, 2 h ago, {PAGE}/1"
    assert second == f"[2] @maybooks, 3 d ago, {PAGE}/2"
    assert standing.startswith("(as of ")
    assert "newest post 1 h old" in standing


def test_one_line_of_json_has_what_programs_rely_on(feed: HomeFeed) -> None:
    told = chat(feed, "--once", LIBRARY, "--no-reader", "--json").json
    assert list(told)[:5] == ["schema", "answer", "citations", "abstained", "model"]
    assert [
        (one["id"], one["url"], told["answer"][one["start"] : one["end"]], one["number"])
        for one in told["citations"]
    ] == [("1", f"{PAGE}/1", f"{FIRST} [1]", 1), ("2", f"{PAGE}/2", f"{SECOND} [2]", 2)]
    assert told["abstained"] is False
    assert told["model"] == "extractive"
    assert told["newest_age_s"] >= 3600


def test_nothing_found_is_an_answer(feed: HomeFeed, tmp_path: Path) -> None:
    told = chat(feed, "--once", NOTHING, "--json")
    assert told.code == 0
    assert told.json["answer"] == NOTHING_FOUND
    assert told.json["abstained"] is True
    assert told.json["citations"] == []
    empty = chat(HomeFeed(tmp_path / "empty"), "--once", LIBRARY)
    assert empty.code == 0
    assert empty.out.startswith(NOTHING_FOUND)
    assert "giga feed start" in empty.err


def test_questions_of_a_pipe_are_turns_of_one_conversation(feed: HomeFeed) -> None:
    lines = f"{LIBRARY}\n\nand the museum?\n/new\nand the museum?\n/quit\nnever asked?\n"
    told = [json.loads(line) for line in chat(feed, "--json", lines=lines).out.splitlines()]
    assert len(told) == 3
    assert told[1]["notes"] == ["understood as: When does the museum reopen?"]
    assert told[2]["notes"] == []


def test_the_feed_is_seen_as_it_stood(feed: HomeFeed) -> None:
    told = chat(feed, "--once", LIBRARY, "--as-of", "2d", "--json").json
    assert [one["id"] for one in told["citations"]] == ["2"]


def test_nothing_a_post_says_reaches_the_terminal_as_a_command(feed: HomeFeed) -> None:
    told = chat(feed, "--once", "Why was the Tollmere ferry cancelled?")
    assert "ferry was cancelled" in told.out
    assert all(sign.isprintable() or sign == "\n" for sign in told.out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--once", " "), "empty"),
        (("--once", "x" * 5000), "at most 4096"),
        (("--once", "x", "--model", "gpt"), "extractive, embedded"),
        (("--once", "x", "--as-of", "soon"), "as_of"),
        (("--once", "x", "--endpoint", "ftp://host"), "endpoint"),
        (("--once", "x", "--endpoint-model", "m"), "--endpoint"),
        (("--once", "x", "--model", "embedded", "--endpoint", "http://h"), "exclude"),
        (("--once", "x", "--token-env", "NO_SUCH"), "NO_SUCH"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(
    options: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused("chat", *options)


def test_posts_are_read_with_the_question_unless_that_is_refused(feed: HomeFeed) -> None:
    pytest.importorskip("onnxruntime", reason="the reader needs gigafactory[reader]")
    feed.write(feed.post(*PLANNED))
    for options, ids in (((), []), (("--reader",), []), (("--no-reader",), ["5"])):
        told = chat(feed, "--once", HAPPENED, "--json", *options).json
        assert [one["id"] for one in told["citations"]] == ids
    assert chat(feed, "--once", LIBRARY).out.startswith(f"{FIRST} [1]\n")


def test_without_the_readers_packages_answers_come_all_the_same(
    feed: HomeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "onnxruntime.py").write_text("raise ModuleNotFoundError(name='onnxruntime')\n")
    monkeypatch.setenv("PYTHONPATH", str(gone))
    assert chat(feed, "--once", LIBRARY).out.startswith(f"{FIRST} [1]")
    told = chat(feed, "--once", LIBRARY, "--reader")
    assert (told.code, told.out) == (2, "")
    assert told.err == ("giga: onnxruntime is not installed: pip install 'gigafactory[reader]'\n")


def test_a_model_that_is_not_there_is_said_and_posts_are_quoted(feed: HomeFeed) -> None:
    told = chat(feed, "--once", LIBRARY, "--endpoint", "http://127.0.0.1:9/v1")
    assert told.code == 0
    assert told.out.startswith(f"{FIRST} [1]")
    assert told.out.splitlines()[-1].startswith("! the model is unavailable")
    assert told.err == ""


class Terminal:
    """A program on a terminal of its own; what it shows is a screen."""

    def __init__(self, feed: HomeFeed, *options: str, columns: int = 60) -> None:
        self.screen = pyte.Screen(columns, 40)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.pid, self._handle = pty.fork()
        if self.pid == 0:
            environ = feed.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
            os.execvpe(PROGRAM[0], [*PROGRAM, "chat", *options], environ)  # noqa: S606

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def until(self, is_there: Callable[[str], bool]) -> str:
        """Read until the screen shows something; return the screen."""
        end = time.monotonic() + PATIENCE_S
        while not is_there(shown := "\n".join(line.rstrip() for line in self.screen.display)):
            assert time.monotonic() < end, shown
            if select.select([self._handle], [], [], 1)[0]:
                self._read()
        return shown

    def interrupt(self, answer: str) -> None:
        """Press Ctrl-C until the program says so.

        Python drops an interrupt that comes while it destroys an object: a person presses again.
        """
        end = time.monotonic() + PATIENCE_S
        while True:
            self.type("\x03")
            pressed = time.monotonic()
            while time.monotonic() < pressed + AGAIN_S:
                if select.select([self._handle], [], [], 0.2)[0]:
                    self._read()
                if answer in "\n".join(self.screen.display):
                    return
            assert time.monotonic() < end, self.screen.display

    def _read(self) -> None:
        try:
            read = os.read(self._handle, 65536)
        except OSError:  # it has ended
            return
        self.raw += read
        self._stream.feed(read)

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        code = os.waitpid(self.pid, 0)[1]
        os.close(self._handle)
        return os.waitstatus_to_exitcode(code)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals whose programs are ended by their ids if a test leaves them."""
    begun: list[Terminal] = []
    yield begun
    for one in begun:
        try:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def prompts(number: int) -> Callable[[str], bool]:
    """Return whether a screen ends with the prompt for so many-th question."""
    return lambda shown: sum(line.startswith(">") for line in shown.splitlines()) >= number


def test_on_a_terminal_questions_follow_one_another_and_lines_break_between_words(
    feed: HomeFeed, terminals: list[Terminal]
) -> None:
    terminals.append(terminal := Terminal(feed, "--no-reader"))
    terminal.until(prompts(1))
    terminal.type(f"{LIBRARY}\n")
    shown = terminal.until(prompts(2))
    assert f"{FIRST} [1] The\nHarwick library reopens on Monday, the cafe stays shut. [2]" in shown
    feed.delete("1")
    terminal.type("and the museum?\n")
    shown = terminal.until(prompts(3))
    assert "the post behind [1] was deleted since the answer to" in shown
    assert "understood as: When does the museum reopen?" in shown
    terminal.type("\x04")
    assert terminal.end() == 0


def test_ctrl_c_stops_an_answer_and_not_the_conversation(
    feed: HomeFeed, terminals: list[Terminal]
) -> None:
    go_on = Event()
    with listening(HeldModel([f"{FIRST} The", go_on, " moon."])) as model:
        options = ("--endpoint", model.url, "--endpoint-model", "held")
        terminals.append(terminal := Terminal(feed, *options))
        terminal.until(prompts(1))
        terminal.type(f"{LIBRARY}\n")
        shown = terminal.until(lambda shown: f"{FIRST} [1]" in shown)
        assert "(as of" not in shown
        terminal.interrupt("(stopped)")
        go_on.set()
        terminal.until(prompts(2))
        terminal.type(f"{LIBRARY}\n")
        terminal.until(lambda shown: "(as of" in shown)
        terminal.type("/nope\n")
        terminal.until(lambda shown: "no command /nope" in shown)
        terminal.type("/quit\n")
        assert terminal.end() == 0
