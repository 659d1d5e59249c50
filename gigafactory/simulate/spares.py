"""Servers under repair and servers that stand in for them, of many seeds at once.

A failed server is out until its repair is done; a spare takes its place. Where more are out than
there are spares the job waits until enough are back: the (out - spares)-th earliest return.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Bools = NDArray[np.bool_]

SLOTS: Final = 64


class Depot:
    """Returns of every seed: day and number of servers, in slots that are used again.

    Memory follows how many are out at once, not how long is simulated.
    """

    def __init__(self, seeds: int, spares: int) -> None:
        self.spares = spares
        self.most = np.zeros(seeds)
        self._due: Floats = np.full((seeds, SLOTS), -np.inf)
        self._number: NDArray[np.float32] = np.zeros((seeds, SLOTS), dtype=np.float32)

    def take(self, rows: Index, now_s: Floats, until_s: Floats, number: Index) -> Floats:
        """Take servers out of service; return the seconds until the job is whole again.

        Args:
            rows: Seeds in which servers failed.
            now_s: When, `[row]`.
            until_s: When they are back, `[row]`.
            number: How many, `[row]`.
        """
        if not len(rows):
            return np.zeros(0)
        due = self._due[rows]
        back = due <= now_s[:, None]
        slot = back.argmax(axis=1)
        if not back[np.arange(len(rows)), slot].all():
            self._grow()
            return self.take(rows, now_s, until_s, number)
        held = self._number[rows]
        held[back] = 0.0
        at = np.arange(len(rows))
        held[at, slot] = number
        due[at, slot] = until_s
        self._due[rows, slot] = until_s
        self._number[rows] = held
        out = held.sum(axis=1)
        self.most[rows] = np.maximum(self.most[rows], out)
        return self._wait(due, held, out - self.spares, now_s)

    def _grow(self) -> None:
        seeds, slots = self._due.shape
        self._due = np.hstack([self._due, np.full((seeds, slots), -np.inf)])
        self._number = np.hstack([self._number, np.zeros((seeds, slots), dtype=np.float32)])

    @staticmethod
    def _wait(
        due: Floats, held: NDArray[np.float32], missing: NDArray[np.float32], now_s: Floats
    ) -> Floats:
        wait = np.zeros(len(now_s))
        short = np.flatnonzero(missing > 0)
        if not len(short):
            return wait
        back = np.where(held[short] > 0, due[short], np.inf)
        until = back.min(axis=1)
        # More than one is rare: a group of servers fell out at once, or there is no spare at all.
        for at in np.flatnonzero(missing[short] > held[short, back.argmin(axis=1)]):
            order = np.argsort(back[at])
            returned = np.cumsum(held[short[at]][order])
            until[at] = back[at][order][np.searchsorted(returned, missing[short[at]])]
        wait[short] = until - now_s[short]
        return np.maximum(wait, 0.0)
