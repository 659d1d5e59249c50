"""A step that takes too long: its stack is written down and the process ends, to be restarted."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_HUNG: Final = 75
LOOKS: Final = 20  # in the time a step may take


class Watchdog:
    """Ends the process when nobody says `alive` for too long.

    Args:
        limit_s: Longest time between two words.
        hung: Told the main thread's stack before the end.
    """

    def __init__(self, limit_s: float, hung: Callable[[str], None]) -> None:
        self.limit_s, self.hung = limit_s, hung
        self._last = time.monotonic()
        self._main = threading.main_thread().ident
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def alive(self) -> None:
        """Say that something was done."""
        self._last = time.monotonic()

    def close(self) -> None:
        """Stop watching."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(self.limit_s / LOOKS):
            if time.monotonic() - self._last > self.limit_s:
                self.hung(self._stack())
                os._exit(EXIT_HUNG)

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._main or 0)
        return "".join(traceback.format_stack(frame)) if frame else ""
