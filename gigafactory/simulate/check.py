"""What may be asked of a simulation: every option within its range, all faults told at once."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.simulate.policy import RULES
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from gigafactory.simulate.scenario import Asked

MOST_SEEDS: Final = 100_000
MOST_DAYS: Final = 36_525.0
MOST_EVICT_AFTER: Final = 255  # failures of a lemon are counted in a byte


def check(asked: Asked, seeds: int) -> None:
    """Refuse what makes no sense, all faults at once.

    Raises:
        SpecError: Names each option, its value and the rule.
    """
    days, lasts = asked.days, asked.planned_s
    ranges: list[tuple[str, float | None, float, float]] = [
        ("--seeds", seeds, 1, MOST_SEEDS),
        ("--spares", asked.given_spares, 0, 1e9),
        ("--memory-every", asked.memory_every, 1, 100_000),
        ("--evict-after", asked.evict_after, 0, MOST_EVICT_AFTER),
        ("--maintenance-every", asked.planned_every_days, 0, MOST_DAYS),
        ("--maintenance", lasts, 0, MOST_DAYS * SECONDS_PER_DAY),
    ]
    faults = [
        f"{name} must be between {low:g} and {high:g}, got {value:g}"
        for name, value, low, high in ranges
        if value is not None and not low <= value <= high
    ]
    if days is not None and not 0 < days <= MOST_DAYS:
        faults.append(f"--days must be above 0 and at most {MOST_DAYS:g}, got {days:g}")
    faults += _interval_faults(asked)
    if faults:
        raise SpecError("; ".join(faults), field=faults[0].split()[0].strip("-").replace("-", "_"))


def _interval_faults(asked: Asked) -> list[str]:
    interval = asked.interval
    if isinstance(interval, str):
        if interval in RULES:
            return []
        return [f"--interval must be seconds or one of {', '.join(RULES)}, got {interval[:40]!r}"]
    if isfinite(interval) and interval > asked.blocking_s:
        return []
    return [f"--interval must be longer than the checkpoint, which stops training for "
            f"{asked.blocking_s:.3g} s, got {interval:g}"]  # fmt: skip
