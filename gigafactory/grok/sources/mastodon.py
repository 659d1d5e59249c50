"""A Mastodon server's timeline, by server-sent events.

The stream has no memory: coming back, it is opened first, then what was missed is asked for over
REST (with an overlap, since posts of other servers arrive late and are dated back), then kept
posts are looked up for deletions and edits, then the stream goes on. Nothing falls between.

Source: Mastodon documentation, methods/streaming, methods/timelines, methods/statuses.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gigafactory.errors import SpecError
from gigafactory.grok.sources import backoff, mastodon_rest, mastodon_statuses, sse
from gigafactory.grok.sources.byte_lines import lines_of
from gigafactory.grok.sources.mastodon_statuses import Status
from gigafactory.grok.sources.payload import json_object
from gigafactory.grok.sources.reconnect import Answered, Dropped, for_ever
from gigafactory.grok.sources.stored import nothing_kept
from gigafactory.grok.sources.streaming import client, pieces
from gigafactory.grok.sources.telling import Teller, utc_now
from gigafactory.grok.sources.watch import gathered
from gigafactory.spec.post import Batch, Incident, Post

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

    import httpx

    from gigafactory.grok.sources.stored import KeptPosts

STREAM: Final = "/api/v1/streaming"
TIMELINES: Final = "/api/v1/timelines"
SILENCE_S: Final = 45.0  # a heartbeat comes every 15 s
OVERLAP: Final = timedelta(minutes=10)
REACH: Final = timedelta(hours=24)
LOOKBACK_S: Final = 3600.0
# Newest kept posts that are looked up on coming back, at the start and after a drop: 20 a question,
# of which a server answers 300 in five minutes.
RECHECKED_FIRST: Final = 4000
RECHECKED: Final = 400
USERS_FAULT: Final = (401, 403)


@dataclass(frozen=True, kw_only=True)
class MastodonSource:
    """The public posts that a Mastodon server sees.

    Attributes:
        host: The server, such as "mastodon.social".
        token: Of an application or user there; most servers ask for one.
        local: Only posts written on this server.
        hashtag: Only posts with it, without the #; all if empty.
        base_url: Its address; `https://HOST` if empty.
        lookback_s: How far back the first reading begins.
        kept: Tells which posts of it the log holds, the newest first.
        silence_s: Silence after which the stream is dead.
        now: The clock.
        sleep: Waits.
    """

    host: str
    token: str = field(default="", repr=False)
    local: bool = False
    hashtag: str = ""
    base_url: str = ""
    lookback_s: float = LOOKBACK_S
    kept: KeptPosts = nothing_kept
    silence_s: float = SILENCE_S
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        if not self.host or any(mark in self.host for mark in "/@ \t\n?#"):
            message = f"mastodon: host must be a name such as mastodon.social, got {self.host!r}"
            raise SpecError(message, field="host")

    @property
    def name(self) -> str:
        """Return "mastodon:HOST"."""
        return f"mastodon:{self.host}"

    def address(self) -> str:
        """Return where the server is."""
        return self.base_url or f"https://{self.host}"

    def timeline(self) -> tuple[str, Mapping[str, str]]:
        """Return path and parameters of the timeline over REST."""
        local = {"local": "true"} if self.local else {}
        return f"{TIMELINES}/{f'tag/{quote(self.hashtag)}' if self.hashtag else 'public'}", local

    def streamed(self) -> tuple[str, dict[str, str]]:
        """Return path and parameters of the timeline as a stream."""
        if self.hashtag:
            return f"{STREAM}/hashtag{'/local' * self.local}", {"tag": self.hashtag}
        return f"{STREAM}/public{'/local' * self.local}", {}

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncGenerator[Batch, None]:
        """Yield posts, edits and deletions; see `doors.Source`.

        Raises:
            SpecError: The server refuses the token.
        """
        teller = Teller(self.name, tell, self.now, (self.token,))
        async with client(self.address(), self.token) as http:
            listening = _Listening(self, http, teller, _number(cursor, teller))
            stream = for_ever(listening.attempt, backoff.OPEN, teller, self.sleep)
            async with aclosing(stream):
                async for batch in stream:
                    yield batch


class _Listening:
    """One reading of the source: where it stands, and how it goes on."""

    def __init__(
        self, source: MastodonSource, http: httpx.AsyncClient, tell: Teller, number: int
    ) -> None:
        self.source, self.http, self.tell = source, http, tell
        self.number = number
        self.rechecked = RECHECKED_FIRST

    async def attempt(self) -> AsyncGenerator[Batch, None]:
        """Yield what was missed, then what one connection brings.

        Raises:
            SpecError: The server refuses the token.
            Interrupted: The connection failed or ended.
        """
        try:
            async with aclosing(self._connected()) as batches:
                async for batch in batches:
                    yield batch
        except Answered as answer:
            if answer.status not in USERS_FAULT:
                raise
            message = f"{self.source.name}: the server refuses the request: {answer}"
            raise SpecError(self.tell.blackened(message), field="token") from None

    async def _connected(self) -> AsyncGenerator[Batch, None]:
        base = await mastodon_rest.streaming_url(self.http, self.source.address(), self.tell)
        path, params = self.source.streamed()
        stream = pieces(self.http, base + path, params, self.tell)
        parser = sse.Parser()
        async with aclosing(gathered(lines_of(stream, self.tell), self.source.silence_s)) as lines:
            try:
                first = await anext(lines)
            except StopAsyncIteration:
                raise Dropped("the server closed the stream before its first line") from None
            async with aclosing(self._missed()) as batches:
                async for batch in batches:
                    yield batch
            yield self._live(parser, first)
            async for together in lines:
                yield self._live(parser, together)

    async def _missed(self) -> AsyncGenerator[Batch, None]:
        """Yield what happened while nobody listened; the place moves when all of it is told."""
        after, newest = self._first(), self.number
        pages = mastodon_rest.missed(self.http, self.source.timeline(), after, self.tell)
        async with aclosing(pages):
            async for page in pages:
                newest = max(newest, *(one.number for one in page), 0)
                yield self._batch(page)
        async with aclosing(self._rechecked()) as batches:
            async for batch in batches:
                yield batch
        self.number = newest
        self.tell("caught_up", f"up to status {newest}")
        yield self._batch(())

    def _first(self) -> int:
        """Return the identifier after which to begin, no further back than is reasonable."""
        if not self.number:
            back = timedelta(seconds=self.source.lookback_s)
            return mastodon_statuses.id_of(self.tell.now() - back)
        reach = mastodon_statuses.id_of(self.tell.now() - REACH)
        after = mastodon_statuses.earlier(self.number, OVERLAP)
        if after < reach:
            self.tell("gap", "more than 24 hours were missed; only the last 24 are read")
        return max(after, reach)

    async def _rechecked(self) -> AsyncGenerator[Batch, None]:
        """Yield what became of the newest posts that are kept; a server too old to say is told."""
        kept = await asyncio.to_thread(lambda: list(self.source.kept(self.source.name, "")))
        kept, self.rechecked = kept[: self.rechecked], RECHECKED
        for start in range(0, len(kept), mastodon_rest.LOOKUP_IDS):
            part = kept[start : start + mastodon_rest.LOOKUP_IDS]
            try:
                found = await mastodon_rest.changed(self.http, part, self.tell)
            except Answered as answer:
                if answer.status not in (404, 405, 422, 429):
                    raise
                self.tell("gap", f"deletions that were missed cannot be asked for: {answer}")
                return
            yield self._batch([Status(change=one) for one in found])

    def _live(self, parser: sse.Parser, lines: Iterable[bytes]) -> Batch:
        events = [event for line in lines if (event := parser.feed(line)) is not None]
        found = [mastodon_statuses.status_of(event, self.tell) for event in events]
        self.number = max(self.number, *(one.number for one in found), 0)
        return self._batch(found)

    def _batch(self, found: Iterable[Status]) -> Batch:
        changes = tuple(one.change for one in found if one.change is not None)
        times = [one.edited_at or one.created_at for one in changes if isinstance(one, Post)]
        return Batch(
            source=self.source.name,
            changes=changes,
            cursor=json.dumps({"id": str(self.number)}) if self.number else "",
            last_event_at=max(times, default=None),
        )


def _number(cursor: str | None, tell: Teller) -> int:
    """Return the identifier in a cursor; 0, told as a "gap", if it holds none."""
    if not cursor:
        return 0
    text = (json_object(cursor, tell, "cursor") or {}).get("id")
    if isinstance(text, str) and text.isdecimal() and text.isascii() and len(text) < 20:
        return int(text)
    tell("gap", "the cursor is not readable; reading as if for the first time")
    return 0
