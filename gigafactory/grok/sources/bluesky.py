"""Bluesky through Jetstream: every post of the network over one WebSocket, without a key.

v2 first: its events are numbered, and it refuses a place that is out of its reach (36 hours)
instead of leaving a gap in silence. v1 where v2 is not to be had, with times in place of numbers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.grok.sources import backoff, moments
from gigafactory.grok.sources.bluesky_events import Event, Gone, event_of
from gigafactory.grok.sources.bluesky_handles import Handles
from gigafactory.grok.sources.bluesky_place import Endpoint, Place, place_of
from gigafactory.grok.sources.reconnect import Answered, Dropped, for_ever
from gigafactory.grok.sources.stored import Kept, nothing_kept
from gigafactory.grok.sources.streaming import client
from gigafactory.grok.sources.telling import Teller, utc_now
from gigafactory.grok.sources.watch import gathered
from gigafactory.grok.sources.websocket import messages
from gigafactory.spec.post import Batch, Change, Deletion, Incident, Post

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from gigafactory.grok.sources.stored import KeptPosts

NAME: Final = "bluesky"
V2: Final = "/xrpc/network.bsky.jetstream.subscribeEvents"
ENDPOINTS: Final = (
    f"wss://jetstream.us-east.bsky.network{V2}",
    f"wss://jetstream.us-west.bsky.network{V2}",
    "wss://jetstream1.us-east.bsky.network/subscribe",
    "wss://jetstream2.us-west.bsky.network/subscribe",
)
APPVIEW: Final = "https://public.api.bsky.app"
REACH: Final = timedelta(hours=36)
LOOKBACK_S: Final = 3600.0
SILENCE_S: Final = 30.0  # the network writes tens of posts a second
FEW_SILENCE_S: Final = 600.0  # some authors may well be silent; the socket's own pings go on
IN_FLIGHT: Final = 20_000  # posts that the log may not have yet


@dataclass(frozen=True, kw_only=True)
class BlueskySource:
    """Posts on Bluesky.

    Attributes:
        endpoints: Addresses of Jetstream servers, the next one whenever one does not let us in;
            one whose path is `/subscribe` is asked for v1.
        dids: Only the posts of these authors; of all if empty.
        appview: Where handles are looked up; empty for nowhere.
        lookback_s: How far back the first reading begins.
        kept: Tells which posts of an author the log holds, when the author is gone.
        silence_s: Silence after which the stream is dead.
        now: The clock.
        sleep: Waits.
    """

    endpoints: tuple[str, ...] = ENDPOINTS
    dids: tuple[str, ...] = ()
    appview: str = APPVIEW
    lookback_s: float = LOOKBACK_S
    kept: KeptPosts = nothing_kept
    silence_s: float | None = None
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        for url in self.endpoints or ("",):
            if not url.startswith(("ws://", "wss://")):
                raise SpecError(f"bluesky: endpoint must begin with wss://, got {url!r}")
        for did in self.dids:
            if not did.startswith("did:"):
                raise SpecError(f"bluesky: author must be a DID, got {did!r}", field="dids")

    @property
    def name(self) -> str:
        """Return "bluesky"."""
        return NAME

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncGenerator[Batch, None]:
        """Yield posts, edits and deletions; see `doors.Source`."""
        teller = Teller(NAME, tell, self.now)
        async with client(self.appview or "http://localhost") as http:
            handles = Handles(http if self.appview else None, teller)
            listening = _Listening(self, teller, handles, place_of(cursor, teller))
            stream = for_ever(listening.attempt, backoff.OPEN, teller, self.sleep)
            async with aclosing(stream):
                async for batch in stream:
                    yield batch


class _Listening:
    """One reading of the source: where it stands, and how it goes on."""

    def __init__(
        self, source: BlueskySource, tell: Teller, handles: Handles, place: Place | None
    ) -> None:
        self.source, self.tell, self.handles, self.place = source, tell, handles, place
        self.turn = 0
        self.gap_told = False
        self.in_flight: deque[Kept] = deque(maxlen=IN_FLIGHT)

    async def attempt(self) -> AsyncGenerator[Batch, None]:
        """Yield what one connection brings.

        Raises:
            Interrupted: It failed or ended.
        """
        endpoint = Endpoint(self.source.endpoints[self.turn % len(self.source.endpoints)])
        opened = False
        try:
            async with aclosing(self._heard(endpoint)) as heard:
                async for events in heard:
                    opened = True
                    yield await self._batch(endpoint, events)
        except Answered as answer:
            self._understand(answer)
            raise
        finally:
            self.turn += not opened

    async def _heard(self, endpoint: Endpoint) -> AsyncGenerator[list[Event], None]:
        """Yield the events that follow the place, each once.

        Raises:
            Interrupted: The stream failed or ended.
        """
        first = self.tell.now() - timedelta(seconds=self.source.lookback_s)
        self._out_of_reach(endpoint)
        url = endpoint.asked(self.source.dids, endpoint.cursor(self.place, first))
        silence_s = self.source.silence_s or (FEW_SILENCE_S if self.source.dids else SILENCE_S)
        socket = messages(url, self.tell, v1=endpoint.is_v1)
        async with aclosing(gathered(socket, silence_s)) as together:
            async for raw in together:
                events = [event_of(data, self.tell) for data in raw]
                last = next((n for n, one in enumerate(events) if one.notice), len(events))
                if events[:last]:
                    yield [one for one in events[:last] if self._is_new(endpoint, one)]
                for one in events[last:]:
                    self._heed(one)
                if rest := events[last + 1 :]:
                    yield [one for one in rest if self._is_new(endpoint, one)]

    def _is_new(self, endpoint: Endpoint, event: Event) -> bool:
        """Return whether an event follows the place; a cursor's own event is delivered again."""
        place = self.place
        return not (place and event.seq and place.host == endpoint.host and event.seq <= place.seq)

    def _out_of_reach(self, endpoint: Endpoint) -> None:
        """Tell a gap that v1 would keep to itself."""
        if endpoint.is_v1 and self.place is not None:
            seen = moments.from_microseconds(self.place.time_us)
            if seen is None or self.tell.now() - seen > REACH:
                self.tell("gap", "the cursor is older than 36 hours; Jetstream v1 begins later")

    def _heed(self, event: Event) -> None:
        """Do what a notice asks for.

        Raises:
            Dropped: The stream ends with it, or must be asked for anew.
        """
        if not event.notice:
            return
        if not self.gap_told or event.notice != "OutdatedCursor":
            self.tell("gap", f"Jetstream says {event.notice}")
        self.gap_told = False
        if event.notice == "FutureCursor":
            self._go_by_time()
        if event.is_last or event.notice == "FutureCursor":
            raise Dropped(f"Jetstream says {event.notice}")

    def _understand(self, answer: Answered) -> None:
        """Tell a place that is out of reach, and go on from where the server's reach begins.

        Raises:
            Dropped: The next attempt may follow at once.
        """
        if answer.status == 400 and "CursorTooOld" in str(answer):
            self.tell("gap", f"the cursor is out of Jetstream's reach: {answer}")
            self._go_by_time()
            self.gap_told = True
            self.turn -= 1  # the server is well: it is asked again
            raise Dropped("reading on from as far back as Jetstream tells") from None

    def _go_by_time(self) -> None:
        if self.place is not None:
            self.place = replace(self.place, seq=0)

    async def _batch(self, endpoint: Endpoint, events: list[Event]) -> Batch:
        """Return what events change, and make the last of them the place."""
        for one in events:
            if one.named is not None:
                self.handles.learn(*one.named)
        written = [one.change.author for one in events if isinstance(one.change, Post)]
        await self.handles.look_up(written)
        changes: list[Change] = []
        for one in events:
            if one.change is not None:
                changes.append(self._kept_in_mind(one.change))
            if one.gone is not None:
                changes += await self._forgotten(one.gone)
        newest = max((one for one in events if one.time_us), key=_order, default=None)
        if newest is not None:
            self.place = Place(endpoint.host, newest.seq, newest.time_us)
        return Batch(
            source=NAME,
            changes=tuple(changes),
            cursor=self.place.cursor() if self.place else "",
            last_event_at=moments.from_microseconds(newest.time_us) if newest else None,
        )

    def _kept_in_mind(self, change: Change) -> Change:
        if isinstance(change, Deletion):
            return change
        self.in_flight.append(Kept(change.id, change.revision))
        return replace(change, author=self.handles.of(change.author))

    async def _forgotten(self, gone: Gone) -> list[Deletion]:
        """Return the deletion of all that is known of an author, or of what a new state replaces.

        One revision above what is held: whatever the log makes of equal ones, the post is gone,
        and a record that is written again later has a higher one.
        """
        prefix = f"{gone.did}/"
        kept = await asyncio.to_thread(lambda: list(self.source.kept(NAME, prefix)))
        held: dict[str, int] = {}
        for one in (*kept, *self.in_flight):
            if one.id.startswith(prefix):
                held[one.id] = max(one.revision, held.get(one.id, 0))
        return [
            Deletion(id=id, source=NAME, revision=revision + 1)
            for id, revision in held.items()
            if gone.revision is None or revision + 1 < gone.revision
        ]


def _order(event: Event) -> tuple[int, int]:
    return event.seq, event.time_us
