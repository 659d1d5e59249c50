"""Which steps of a run tell how fast it is: warm-up and stalls left out by one stated rule.

The first `WARMUP` steps after every start are left out (compilation, caches, allocators); of the
rest, those further than `FAR` robust standard deviations from the median. A robust standard
deviation is 1.4826 times the median absolute deviation, and at least `LEAST_DEVIATION` of the
median, so that a run of equal steps does not lose those that differ in the last digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WARMUP: Final = 3
FAR: Final = 5.0
NORMAL: Final = 1.4826  # of a normal distribution: standard over median absolute deviation
LEAST_DEVIATION: Final = 0.01


class Steady(NamedTuple):
    """Which of a run's steps are used.

    Attributes:
        used: One truth value per step.
        warmup: Steps left out after starts.
        outliers: Steps left out as far from the median.
    """

    used: NDArray[np.bool_]
    warmup: int
    outliers: int


def steady(times_s: Floats, since_start: NDArray[np.int64]) -> Steady:
    """Return which steps are used.

    Args:
        times_s: Seconds of each step.
        since_start: Steps made since the last start, 1 for the first.
    """
    warm = since_start > WARMUP
    if not warm.any():
        return Steady(warm, len(warm), 0)
    middle = float(np.median(times_s[warm]))
    deviation = NORMAL * float(np.median(np.abs(times_s[warm] - middle)))
    far = np.abs(times_s - middle) > FAR * max(deviation, LEAST_DEVIATION * middle)
    return Steady(warm & ~far, int((~warm).sum()), int((warm & far).sum()))


def counted_from_starts(generation: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for every step, how many steps its generation had made with it.

    >>> counted_from_starts(np.array([1, 1, 1, 2, 2])).tolist()
    [1, 2, 3, 1, 2]
    """
    if not len(generation):
        return np.zeros(0, dtype=np.int64)
    firsts = np.flatnonzero(np.diff(generation, prepend=generation[0] - 1))
    position = np.arange(len(generation))
    since: NDArray[np.int64] = position - np.repeat(
        firsts, np.diff(np.append(firsts, len(generation)))
    )
    return since + 1
