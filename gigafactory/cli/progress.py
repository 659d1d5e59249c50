"""Progress on stderr, for people only, and only once something has taken a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0
REDRAW_S = 0.2
BAR = 30


class _Line:
    """A line on a terminal that is drawn again and again, and wiped at the end."""

    def __init__(self) -> None:
        self.begun = self._last = time.monotonic()
        self._drawn = False

    def draw(self, text: Callable[[float], str]) -> None:
        """Draw what `text` makes of the seconds so far, where it is time to."""
        now = time.monotonic()
        patient = now - self.begun > PATIENCE_S and now - self._last > REDRAW_S
        if patient and sys.stderr.isatty():
            self._write(f"\r{text(now - self.begun)}\x1b[K")
            self._last, self._drawn = now, True

    def wipe(self) -> None:
        """Leave nothing behind."""
        if self._drawn:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


@contextmanager
def counted(what: str) -> Iterator[Callable[[int], None]]:
    """Give a function that shows a count on a terminal, and wipe the line at the end."""
    line = _Line()
    try:
        yield lambda count: line.draw(lambda _: f"{count:,} {what}")
    finally:
        line.wipe()


@contextmanager
def share_shown(what: str) -> Iterator[Callable[[float], None]]:
    """Give a function that draws a bar of a share that is done, and wipe it at the end."""
    line = _Line()
    try:
        yield lambda share: line.draw(lambda spent_s: _bar(share, what, spent_s))
    finally:
        line.wipe()


def _bar(share: float, what: str, spent_s: float) -> str:
    full = round(share * BAR)
    left_s = spent_s * (1.0 - share) / max(share, 1e-3)
    return f"[{'#' * full}{'-' * (BAR - full)}] {share:4.0%} {what}, {left_s:.0f} s left"
