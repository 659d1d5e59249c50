"""How each source stands, from what it tells and what it yields; and what was met, counted."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.grok.writing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gigafactory.spec.post import Batch, Incident

BEHIND: Final = timedelta(seconds=60)  # a source this far behind its platform is catching up
QUIET: Final = timedelta(seconds=10)  # between two lines of the log about the same trouble
STATES: Final = {
    "connected": "catching_up",
    "caught_up": "live",
    "disconnected": "down",
    "stalled": "down",
    "rate_limited": "down",
    "refused": "down",
}
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Met:
    """One kind of trouble of one source, since it was last written and since it was last said."""

    last: Incident
    unwritten: int = 0
    unsaid: int = 0
    said_at: datetime | None = None


@dataclass(slots=True)
class Standings:
    """The states of all sources; what is new of them since `taken`."""

    now: Callable[[], datetime]
    _states: dict[str, Standing] = field(default_factory=dict)
    _altered: set[str] = field(default_factory=set)
    _met: dict[tuple[str, str], _Met] = field(default_factory=dict)

    def tell(self, incident: Incident) -> None:
        """Count something a source met, say it, and move the source to the state it means."""
        met = self._met.setdefault((incident.source, incident.kind), _Met(incident))
        met.last = incident
        met.unwritten += 1
        met.unsaid += 1
        self._say(met)
        if state := STATES.get(incident.kind):
            self.stand(incident.source, state, incident.detail if state == "down" else "")

    def arrived(self, batch: Batch) -> None:
        """Note that a source yields: it is live, or catching up if what it yields is old."""
        event = batch.last_event_at
        old = event is not None and self.now() - event > BEHIND
        self.stand(batch.source, "catching_up" if old else "live")

    def stand(self, source: str, state: str, detail: str = "") -> None:
        """Move a source to a state, from now on unless it is in it already."""
        before = self._states.get(source)
        if before and before.state == state and (state != "down" or before.detail == detail):
            return
        since = before.since if before and before.state == state else self.now()
        self._states[source] = Standing(state, since, detail)
        self._altered.add(source)

    def taken(self) -> tuple[dict[str, Standing], list[tuple[Incident, int]]]:
        """Return what is new, for the log; it is new no more."""
        states = {name: self._states[name] for name in self._altered}
        incidents = [(met.last, met.unwritten) for met in self._met.values() if met.unwritten]
        self._altered.clear()
        for met in self._met.values():
            met.unwritten = 0
        return states, incidents

    @property
    def anything_new(self) -> bool:
        """Whether there is something for the log."""
        return bool(self._altered) or any(met.unwritten for met in self._met.values())

    def _say(self, met: _Met) -> None:
        """Log it, unless the same was said just now; then it is counted into the next line."""
        now, one = self.now(), met.last
        if met.said_at is not None and now - met.said_at < QUIET:
            return
        level = logging.INFO if STATES.get(one.kind) in {"catching_up", "live"} else logging.WARNING
        times = f" ({met.unsaid} times)" if met.unsaid > 1 else ""
        _log.log(level, "%s: %s: %s%s", one.source, one.kind, one.detail, times)
        met.said_at, met.unsaid = now, 0
