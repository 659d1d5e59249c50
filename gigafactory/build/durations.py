"""Samples of durations: exact where numpy is fast, a finely tabulated inverse where it is not."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.spec.duration import PERT_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.spec.duration import Duration

Floats = NDArray[np.float64]

QUANTILES: Final = 4096  # cells of an inverse table; straight within a cell, 1e-5 off in the mean
GRID: Final = 8193  # points at which a beta density is summed


def sampled(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    """Return independent draws of a duration in days, `[samples]`."""
    return SAMPLERS[duration.kind](duration, rng, samples)


def _fixed(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    del rng
    return np.full(samples, duration.days or 0.0)


def _bounded(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    low, high = duration.low_days or 0.0, duration.high_days or 0.0
    if low == high:
        return np.full(samples, low)
    mode = ((duration.mode_days or 0.0) - low) / (high - low)
    unit = _triangular if duration.kind == "triangular" else _pert
    draws = unit(mode, rng.random(samples))
    draws *= high - low
    draws += low
    return draws


def _lognormal(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    center, spread = duration.log_parameters
    found: Floats = np.exp(center + spread * rng.standard_normal(samples))
    return found


def _normal(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    return np.maximum(duration.mean + duration.sd * rng.standard_normal(samples), 0.0)


def _exponential(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    return duration.mean * rng.standard_exponential(samples)


def _empirical(duration: Duration, rng: np.random.Generator, samples: int) -> Floats:
    return rng.choice(np.asarray(duration.observed_days, dtype=np.float64), samples)


def _triangular(mode: float, uniform: Floats) -> Floats:
    """Return the inverse of the triangular distribution on 0 to 1."""
    rising = np.sqrt(mode * uniform)
    falling = 1.0 - np.sqrt((1.0 - mode) * (1.0 - uniform))
    return np.where(uniform < mode, rising, falling)


def _pert(mode: float, uniform: Floats) -> Floats:
    """Return the inverse of the beta-PERT distribution on 0 to 1, from its table."""
    table, steps = _pert_table(mode)
    uniform *= QUANTILES
    cells = uniform.astype(np.int32)
    uniform -= cells
    uniform *= steps[cells]
    uniform += table[cells]
    return uniform


@cache
def _pert_table(mode: float) -> tuple[Floats, Floats]:
    """Return quantiles at even steps of probability, and the differences between them.

    Beta with a = 1 + 4 m and b = 1 + 4 (1 - m): both at least 1, so the density is bounded.
    Source: Malcolm, Roseboom, Clark, Fazar, Operations Research 7 (1959) 646-669.
    """
    x = np.linspace(0.0, 1.0, GRID)
    density = x ** (PERT_WEIGHT * mode) * (1.0 - x) ** (PERT_WEIGHT * (1.0 - mode))
    summed = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    table = np.interp(np.linspace(0.0, 1.0, QUANTILES + 1), summed / summed[-1], x)
    return table[:-1], np.diff(table)


SAMPLERS: Final[dict[str, Callable[[Duration, np.random.Generator, int], Floats]]] = {
    "fixed": _fixed,
    "triangular": _bounded,
    "pert": _bounded,
    "lognormal": _lognormal,
    "normal": _normal,
    "exponential": _exponential,
    "empirical": _empirical,
}
