"""Sites that were really built, or are being built: the reference class of every forecast."""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "data" / "published"
SEEN_ON: Final = dt.date(2026, 3, 6)  # the day of the copy of Epoch AI's data set
SOURCE: Final = (
    "Epoch AI, Frontier Data Centers (CC BY 4.0, copy of 2026-03-06): start of works to first "
    "capacity, dated from satellite pictures"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSite:
    """One site from start of works to first capacity, which is not the whole machine.

    Attributes:
        began: Start of works, as seen from above.
        operational: First capacity; a day after `SEEN_ON` is a plan and not an observation.
        first_capacity_w: Facility power of that first capacity.
    """

    name: str
    began: dt.date
    operational: dt.date
    first_capacity_w: float
    source: str

    @property
    def days(self) -> int:
        """Days from start of works to first capacity."""
        return (self.operational - self.began).days


@cache
def observed_sites() -> tuple[ObservedSite, ...]:
    """Return the sites of the catalog, by name."""
    with (DATA / "build_observed.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            ObservedSite(
                name=row["site"],
                began=dt.date.fromisoformat(row["start_of_works"]),
                operational=dt.date.fromisoformat(row["first_capacity_operational"]),
                first_capacity_w=float(row["first_capacity_mw"]) * 1e6,
                source=row["source"],
            )
            for row in csv.DictReader(file)
        )
