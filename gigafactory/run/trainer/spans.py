"""Where the time of a step goes on this rank.

Spans nest: what runs inside another span is taken off that one, so they sum to the step.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_spent_s: defaultdict[str, float] = defaultdict(float)
_inside_s: list[float] = []


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Count the block's time under a name of `spec.run.SPANS`."""
    begun = time.perf_counter()
    _inside_s.append(0.0)
    try:
        yield
    finally:
        took = time.perf_counter() - begun
        _spent_s[name] += took - _inside_s.pop()
        if _inside_s:
            _inside_s[-1] += took


def waited(name: str, seconds: float) -> None:
    """Count time of the open span under another name instead."""
    _spent_s[name] += seconds
    if _inside_s:
        _inside_s[-1] += seconds


def taken(step_time_s: float) -> dict[str, float]:
    """Return the seconds by span since the last call, the rest as "other", and begin anew."""
    told = dict(_spent_s)
    _spent_s.clear()
    told["other"] = max(step_time_s - sum(told.values()), 0.0)
    return told
