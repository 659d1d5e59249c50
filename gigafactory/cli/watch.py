"""`giga watch`: a run beside its prediction, live, once, or as one line for cron."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gigafactory.report.watch import View
    from gigafactory.report.watched import Watched

IDLE = 4.0  # seconds between frames over seconds that one takes: a long run costs a fifth of a core


def watch(
    run: Annotated[Path, typer.Argument(help="Run folder of `giga run --out`.")],
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, once.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between frames.")] = 1.0,
) -> None:
    """Show a run beside its prediction until q is pressed; with --once or --json exit 1 on trouble.

    Trouble: failed, hung, dead without a result, slower or hungrier than the plan's interval,
    goodput below it.
    """
    from gigafactory.errors import SpecError
    from gigafactory.report import as_json as machine
    from gigafactory.report.watch import watch_json
    from gigafactory.report.watched import Watched

    if not 0.1 <= every <= 3600:
        raise SpecError(f"--every must be between 0.1 and 3600, got {every:g}", field="every")
    watched = Watched(run)
    if sys.stdout.isatty() and not once and not as_json:
        _live(watched, every)
        return
    view = watched.look(time.time())
    if as_json:
        typer.echo(machine.one_line(watch_json(view)))
    else:
        _print(view)
    if view.status.troubles:
        typer.echo(f"giga: {run}: {'; '.join(view.status.troubles)}", err=True)
        raise SystemExit(1)


def _print(view: View) -> None:
    from gigafactory.report.sheet import console
    from gigafactory.report.watch import frame

    out = console()
    tall = out.height if sys.stdout.isatty() else 1000
    for line in frame(view, out.width, max(tall, 24)):
        out.print(line)


def _live(watched: Watched, every: float) -> None:
    """Draw frames on the terminal's other screen until q is pressed."""
    from rich.console import Group
    from rich.live import Live

    from gigafactory.report.sheet import console
    from gigafactory.report.watch import frame

    out = console()
    with _keys(), Live(console=out, screen=True, auto_refresh=False, transient=True) as live:
        while True:
            begun = time.monotonic()
            view = watched.look(time.time())
            live.update(Group(*frame(view, out.width, out.height)), refresh=True)
            if _pressed_q(max(every, IDLE * (time.monotonic() - begun))):
                return


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Take keys one by one, without showing them, for the length of a block."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _pressed_q(wait_s: float) -> bool:
    """Wait, and return whether q was pressed."""
    until = time.monotonic() + wait_s
    while (rest := until - time.monotonic()) > 0:
        if not sys.stdin.isatty():
            time.sleep(rest)
            return False
        if select.select([sys.stdin], [], [], rest)[0]:
            pressed = os.read(sys.stdin.fileno(), 64)
            if not pressed or b"q" in pressed.lower():  # the terminal is gone, or q
                return True
    return False
