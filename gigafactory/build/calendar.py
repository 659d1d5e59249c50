"""Working days: from days of work to days of the calendar, for whole arrays of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.errors import SpecError
from gigafactory.spec.project import WEEKDAYS

if TYPE_CHECKING:
    import datetime as dt

    from gigafactory.spec.project import Calendar

Floats = NDArray[np.float64]

HORIZON_DAYS: Final = 40_000  # more than a century after the start


class WorkingTime:
    """The working days of one calendar, counted from some days before a project's start."""

    def __init__(self, calendar: Calendar, start: dt.date, first: float = 0.0) -> None:
        """Count the working days.

        Args:
            calendar: Weekdays and holidays.
            start: Day 0.
            first: Days after `start`, perhaps negative, that nothing begins before.
        """
        self._shift = int(np.floor(min(first, 0.0)))
        days = np.arange(self._shift, HORIZON_DAYS)
        weekday = (start.weekday() + days) % len(WEEKDAYS)
        works = np.isin(weekday, [WEEKDAYS.index(one) for one in calendar.weekdays])
        offsets = np.array([(one - start).days for one in calendar.holidays], dtype=np.int64)
        works &= ~np.isin(days, offsets)
        self._worked = np.concatenate([[0], np.cumsum(works)]).astype(np.float64)
        self._open = np.flatnonzero(works) + self._shift

    def finish(self, start: Floats, work: Floats) -> Floats:
        """Return the day on which `work` days of work that begin on `start` end.

        Args:
            start: Days after the project's start.
            work: Working days; zero of them end at once.

        Raises:
            SpecError: The end is more than a century away.
        """
        done = self._before(start) + work
        whole = np.ceil(done).astype(np.int64) - 1
        if len(self._open) == 0 or int(whole.max(initial=0)) >= len(self._open):
            raise SpecError("calendar: holidays leave too few working days to end within a century")
        end = self._open[np.maximum(whole, 0)] + (done - whole)
        return np.where(work > 0, end, start)

    def _before(self, day: Floats) -> Floats:
        """Return the working days from the first one counted until a point in time."""
        shifted = day - self._shift
        whole = np.floor(shifted).astype(np.int64)
        if int(whole.max(initial=0)) >= len(self._worked) - 1:
            raise SpecError("calendar: the work begins more than a century after the start")
        rate = self._worked[whole + 1] - self._worked[whole]
        worked: Floats = self._worked[whole] + (shifted - whole) * rate
        return worked
