"""Names of authors: Jetstream tells decentralised identifiers, people know handles.

A handle comes from an identity event, or from Bluesky's public AppView, which needs no key. It is
a courtesy: where it fails or is in no hurry, the identifier stands in its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.grok.sources.payload import rows, table, words
from gigafactory.grok.sources.reconnect import Answered, Interrupted
from gigafactory.grok.sources.streaming import fetched

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from gigafactory.grok.sources.telling import Teller

PATH: Final = "/xrpc/app.bsky.actor.getProfiles"
PROFILES: Final = 25  # that one question may ask for
QUESTIONS: Final = 4  # at once; the rest keep their identifiers
PATIENCE_S: Final = 2.0
PAUSE_S: Final = 30.0
MOST_KNOWN: Final = 200_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Handles:
    """The handles that are known.

    Attributes:
        http: The AppView; None to ask nobody.
        tell: The source, whose clock it goes by.
    """

    http: httpx.AsyncClient | None
    tell: Teller
    _known: OrderedDict[str, str] = field(default_factory=OrderedDict)
    _quiet_until: datetime | None = None

    def learn(self, did: str, handle: str) -> None:
        """Keep a handle; the oldest is forgotten when there are too many."""
        self._known[did] = handle
        self._known.move_to_end(did)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def of(self, did: str) -> str:
        """Return the handle of an author, or the identifier itself."""
        return self._known.get(did, did)

    async def look_up(self, dids: Iterable[str]) -> None:
        """Ask for the handles that are not known, as long as that is quick."""
        unknown = [did for did in dict.fromkeys(dids) if did not in self._known]
        quiet = self._quiet_until is not None and self.tell.now() < self._quiet_until
        if self.http is None or quiet or not unknown:
            return
        unknown = unknown[: PROFILES * QUESTIONS]
        parts = [unknown[start : start + PROFILES] for start in range(0, len(unknown), PROFILES)]
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*(self._ask(self.http, part) for part in parts))
        except (Interrupted, TimeoutError) as error:
            asked = error.wait_s if isinstance(error, Answered) else None
            pause_s = max(asked or 0.0, PAUSE_S)
            self._quiet_until = self.tell.now() + timedelta(seconds=pause_s)
            why = str(error) or f"no answer within {PATIENCE_S:g} s"
            _log.info("bluesky: no handles for %g s, identifiers instead: %s", pause_s, why)

    async def _ask(self, http: httpx.AsyncClient, dids: list[str]) -> None:
        told = await fetched(http, "GET", PATH, self.tell, params={"actors": dids})
        handles = {
            words(one.get("did")): words(one.get("handle"))
            for one in rows(table(told).get("profiles"))
        }
        for did in dids:  # one without an answer is not asked for again and again
            handle = handles.get(did, "")
            self.learn(did, handle if handle not in ("", "handle.invalid") else did)
