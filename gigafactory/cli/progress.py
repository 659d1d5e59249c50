"""Progress on stderr, for people only, and only once something has taken a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 1.0
REDRAW_S = 0.2
BAR = 30


@contextmanager
def counted(what: str) -> Iterator[Callable[[int], None]]:
    """Give a function that shows a count on a terminal, and wipe the line at the end."""
    begun = last = time.monotonic()
    shown = False

    def show(count: int) -> None:
        nonlocal last, shown
        now = time.monotonic()
        if sys.stderr.isatty() and now - begun > PATIENCE_S and now - last > REDRAW_S:
            sys.stderr.write(f"\r{count:,} {what}\x1b[K")
            sys.stderr.flush()
            last, shown = now, True

    try:
        yield show
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextmanager
def share_shown(what: str) -> Iterator[Callable[[float], None]]:
    """Give a function that draws a bar of a share that is done, and wipe it at the end."""
    begun = last = time.monotonic()
    shown = False

    def show(share: float) -> None:
        nonlocal last, shown
        now = time.monotonic()
        if sys.stderr.isatty() and now - begun > PATIENCE_S and now - last > REDRAW_S:
            full = round(share * BAR)
            left_s = (now - begun) * (1.0 - share) / max(share, 1e-3)
            bar = "#" * full + "-" * (BAR - full)
            sys.stderr.write(f"\r[{bar}] {share:4.0%} {what}, {left_s:.0f} s left\x1b[K")
            sys.stderr.flush()
            last, shown = now, True

    try:
        yield show
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
