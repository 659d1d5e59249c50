"""The machine over time: sizes it grows through, planned stops, the first days of new servers.

An era is a time of one size. Its begin is drawn once for a seed: one probability u for all phases,
for those of one project are late together, and the day at u of each from its P10, P50, P90:

    day(u) = P50 + (P50 - P10) z / z10  below P50,  P50 + (P90 - P50) z / z10  above,
    z the normal quantile of u, z10 = 1.2816

Growth and planned stops save a checkpoint, lose nothing, and take a restart each.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.errors import SpecError
from gigafactory.spec.growth import Growth, Phase
from gigafactory.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gigafactory.simulate.failures import Failures
    from gigafactory.simulate.policy import Policy
    from gigafactory.simulate.recovery import Stages

Floats = NDArray[np.float64]

Z10: Final = 1.2815515655446004  # normal quantile of 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """A time in which the machine has one size.

    Attributes:
        num_gpus: GPUs of the job.
        gap_s: Mean seconds between events that strike it.
        stages: Of a restart.
        speed: Training per second over that of the last era.
    """

    num_gpus: int
    gap_s: float
    stages: Stages
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A run made ready to be simulated, in numbers alone.

    Attributes:
        eras: Sizes in order of time.
        starts: P10, P50, P90 of the begin of each era in seconds, `[era, 3]`; the first at 0 or
            later.
        work_s: Training of the whole run, in seconds of the last era's speed.
        horizon_s: Ends the simulation; infinite where the run ends it.
        step_s: One step of the last era.
        planned_every_s: Between planned stops; infinite for none.
        planned_s: How long each lasts before the restart.
    """

    failures: Failures
    policy: Policy
    eras: tuple[Era, ...]
    starts: Floats
    work_s: float
    horizon_s: float = np.inf
    step_s: float = 1.0
    planned_every_s: float = np.inf
    planned_s: float = 0.0

    @property
    def last(self) -> Era:
        """The era of the whole machine."""
        return self.eras[-1]


def begins(scenario: Scenario, rng: np.random.Generator, number: int) -> Floats:
    """Return the begin of every era in seconds, never before the one in front, `[seed, era]`."""
    uniform = rng.random(number)
    z = np.array([_inverse(one) for one in uniform.tolist()]) / Z10
    low, middle, high = scenario.starts.T
    spread = np.where(z[:, None] < 0, middle - low, high - middle)
    days = np.maximum(middle + spread * z[:, None], 0.0)
    return np.maximum.accumulate(days, axis=1)


def _inverse(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(min(max(probability, 1e-9), 1.0 - 1e-9))


def phase_starts(growth: Growth, start: dt.date) -> Floats:
    """Return P10, P50, P90 of each phase in seconds after `start`, `[phase, 3]`; 0 at the least."""
    days = [[(day - start).days for day in (p.p10, p.p50, p.p90)] for p in growth.phases]
    return np.maximum(np.array(days, dtype=np.float64), 0.0) * SECONDS_PER_DAY


def read_phases(rows: Sequence[dict[str, str]], where: str) -> Growth:
    """Return the phases of a table with columns num_gpus, date or p10, p50, p90.

    Args:
        rows: Cells by column.
        where: The table's name, for errors.

    Raises:
        SpecError: A cell is at fault, or the phases are not in order; all faults at once.
    """
    faults: list[str] = []
    phases = [_phase(index + 2, row, faults) for index, row in enumerate(rows)]
    if faults:
        raise SpecError(f"{where}: {'; '.join(faults)}", field="growth")
    try:
        return Growth(phases=tuple(p for p in phases if p), source=where)
    except SpecError as error:
        raise SpecError(f"{where}: {error}", field="growth") from None


def _phase(line: int, row: dict[str, str], faults: list[str]) -> Phase | None:
    cells = {key: (row.get(key) or row.get("date") or "").strip() for key in ("p10", "p50", "p90")}
    try:
        days = {key: dt.date.fromisoformat(text) for key, text in cells.items()}
        return Phase(num_gpus=int((row.get("num_gpus") or "").strip()), **days)
    except SpecError as error:
        faults.append(f"line {line}: {error}")
    except ValueError:
        got = ", ".join([row.get("num_gpus") or "", *cells.values()])[:60]
        faults.append(f"line {line}: must be num_gpus and a date, or num_gpus, p10, p50, p90; "
                      f"got {got!r}")  # fmt: skip
    return None
