"""Servers under repair and servers that stand in for them, of many seeds at once.

A failed server is out until its repair is done; a spare takes its place. Where more are out than
there are spares the job waits until enough are back. Returns stand on two rings of bins, a fine one
and for long repairs a coarse one, so neither memory nor time follows how long is simulated or how
many are out. A return counts from the end of its bin: half a fine bin late in the mean.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

FINE_BINS: Final = 2048
COARSE_BINS: Final = 1024
SHORTEST_BIN_S: Final = 30.0
LONGEST_BIN_S: Final = 4 * 3600.0
LOOK: Final = 64  # bins looked ahead at a time


class Ring:
    """Servers by the bin in which they are back, `[bin, seed]`.

    Clocks of all seeds lie close together, and so do the bins that a turn touches.
    """

    def __init__(self, seeds: int, bins: int, width_s: float) -> None:
        self.bins, self.width_s = bins, width_s
        self._number: NDArray[np.int32] = np.zeros((bins, seeds), dtype=np.int32)
        self._last: Index = np.zeros(seeds, dtype=np.int64)  # bins up to this one are emptied

    @property
    def span_s(self) -> float:
        """Longest time ahead that the ring holds."""
        return (self.bins - 2) * self.width_s

    def add(self, rows: Index, at_s: Floats, number: Index) -> None:
        """Put servers into the bin that ends at or after a time."""
        ends = np.ceil(at_s / self.width_s).astype(np.int64)
        ends = np.maximum(ends, self._last[rows] + 1)
        self._number[ends % self.bins, rows] += number.astype(np.int32)

    def returned(self, rows: Index, now_s: Floats) -> Index:
        """Return how many are back since this was asked last, and forget them, `[row]`."""
        now = (now_s // self.width_s).astype(np.int64)
        passed = now - self._last[rows]
        back = np.zeros(len(rows), dtype=np.int64)
        some = np.flatnonzero(passed > 0)
        if not len(some):
            return back
        self._last[rows[some]] = np.maximum(now[some], self._last[rows[some]])
        first = now[some] - passed[some]
        for step in range(1, min(int(passed.max()), self.bins) + 1):
            kept = passed[some] >= step
            some, first = some[kept], first[kept]
            at = (first + step) % self.bins
            back[some] += self._number[at, rows[some]]
            self._number[at, rows[some]] = 0
        return back

    def wait_s(self, row: int, now_s: float, missing: int) -> float:
        """Return the seconds until so many more are back; infinite if never."""
        begin, found = int(self._last[row]) + 1, 0
        for first in range(begin, begin + self.bins, LOOK):
            numbers = self._number[np.arange(first, first + LOOK) % self.bins, row]
            summed = found + np.cumsum(numbers)
            if summed[-1] >= missing:
                bin_end = first + int(np.searchsorted(summed, missing))
                return max(bin_end * self.width_s - now_s, 0.0)
            found = int(summed[-1])
        return np.inf


class Depot:
    """Servers that are out, and the most that ever were."""

    def __init__(self, seeds: int, spares: int, gap_s: float, longest_s: float) -> None:
        """Make a depot with nothing in it.

        Args:
            seeds: Number of seeds.
            spares: Servers beside the job's own.
            gap_s: Mean time between failures: as wide as a fine bin.
            longest_s: Longest repair.
        """
        self.spares = spares
        self.most = np.zeros(seeds)
        self.out: Index = np.zeros(seeds, dtype=np.int64)
        width = min(max(gap_s, SHORTEST_BIN_S), LONGEST_BIN_S)
        coarse = max(longest_s / (COARSE_BINS - 3), width)
        self._rings = (Ring(seeds, FINE_BINS, width), Ring(seeds, COARSE_BINS, coarse))

    def take(self, rows: Index, now_s: Floats, repair_s: Floats, number: Index) -> Floats:
        """Take servers out of service; return the seconds until the job is whole again.

        Args:
            rows: Seeds in which servers failed, each once.
            now_s: When, `[row]`.
            repair_s: After how long they are back, `[row]`.
            number: How many, `[row]`.
        """
        fine, coarse = self._rings
        back = fine.returned(rows, now_s) + coarse.returned(rows, now_s)
        short = repair_s < fine.span_s
        until = now_s + repair_s
        fine.add(rows[short], until[short], number[short])
        if not short.all():
            coarse.add(rows[~short], until[~short], number[~short])
        out = self.out[rows] + number - back
        self.out[rows] = out
        self.most[rows] = np.maximum(self.most[rows], out)
        wait = np.zeros(len(rows))
        for at in np.flatnonzero(out > self.spares).tolist():
            wait[at] = self._wait(int(rows[at]), float(now_s[at]), int(out[at]) - self.spares)
        return wait

    def _wait(self, row: int, now_s: float, missing: int) -> float:
        """Return the seconds until enough are back, by the earliest bins of both rings."""
        fine, coarse = self._rings
        first = fine.wait_s(row, now_s, missing)
        second = coarse.wait_s(row, now_s, 1)
        if first <= second or missing == 1:
            return min(first, second)
        found = min(fine.wait_s(row, now_s, missing - 1), coarse.wait_s(row, now_s, missing))
        return max(found, second)
