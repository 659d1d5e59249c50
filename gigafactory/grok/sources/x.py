"""The filtered stream of X, API v2: one long answer, a post per line.

The cursor is the time up to which the stream was heard. Coming back within five minutes asks the
stream itself for what was missed (where the access level has that), later the search of the last
seven days. Deletions are not streamed: kept posts are looked up again, each once a day. Terms of
X: posts are for retrieval, never for training, and one that is deleted there is deleted here.

Source: X developer documentation, filtered stream: "Handling disconnections", "Recovery and
redundancy".
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from gigafactory.errors import SpecError
from gigafactory.grok.sources import backoff, moments, x_lookup, x_posts, x_rules
from gigafactory.grok.sources.byte_lines import lines_of
from gigafactory.grok.sources.payload import json_object
from gigafactory.grok.sources.reconnect import Answered, Dropped, Interrupted, for_ever
from gigafactory.grok.sources.stored import nothing_kept
from gigafactory.grok.sources.streaming import client, pieces
from gigafactory.grok.sources.telling import Teller, utc_now
from gigafactory.grok.sources.watch import gathered, merged
from gigafactory.spec.post import Batch, Change, Incident, Post

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    import httpx

    from gigafactory.grok.sources.stored import Kept, KeptPosts
    from gigafactory.grok.sources.x_rules import Rule

NAME: Final = "x"
PATH: Final = "/2/tweets/search/stream"
KEEP_ALIVE_S: Final = 20.0
LATE_S: Final = 1.0  # a keep-alive may be that late and the stream well
BACKFILL: Final = timedelta(minutes=5)
OVERLAP: Final = timedelta(minutes=1)  # a post may reach the stream that long after it was written
RECHECK_S: Final = 86400.0
USERS_FAULT: Final = (400, 401, 402, 403, 404)  # another attempt would be answered alike


@dataclass(frozen=True, kw_only=True)
class XSource:
    """Posts on X that match rules.

    Attributes:
        token: Bearer token of an app.
        rules: What to listen for; the rules of the token are made these.
        base_url: The API.
        kept: Tells which posts of X the log holds, for looking them up again.
        recheck_every_s: Seconds between two looks at all that is kept; None for never (then
            somebody else must honour deletions).
        silence_s: Silence after which the stream is dead.
        now: The clock.
        sleep: Waits.
    """

    token: str = field(repr=False)
    rules: tuple[Rule, ...]
    base_url: str = "https://api.x.com"
    kept: KeptPosts = nothing_kept
    recheck_every_s: float | None = RECHECK_S
    silence_s: float = KEEP_ALIVE_S + LATE_S
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        if not self.token:
            raise SpecError("x: token must be given, as in X_BEARER_TOKEN", field="token")
        if not self.rules or not all(rule.value.strip() for rule in self.rules):
            raise SpecError(
                f"x: rules must say what to listen for, got {self.rules}", field="rules"
            )

    @property
    def name(self) -> str:
        """Return "x"."""
        return NAME

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncGenerator[Batch, None]:
        """Yield posts, edits and deletions; see `doors.Source`.

        Raises:
            SpecError: X refuses the token or a rule.
        """
        teller = Teller(NAME, tell, self.now, (self.token,))
        heard = _heard(cursor, teller)
        async with client(self.base_url, self.token) as http:
            listening = _Listening(self, http, teller, heard)
            streams = [for_ever(listening.attempt, backoff.X, teller, self.sleep)]
            if self.recheck_every_s is not None:
                streams.append(listening.rechecks(self.recheck_every_s))
            async with aclosing(merged(*streams)) as everything:
                async for found in everything:
                    heard = found.heard or heard
                    yield _batch(found, heard)


class _Found(NamedTuple):
    """What one look brought; `heard` is None where the cursor stays."""

    changes: tuple[Change, ...]
    heard: datetime | None = None


class _Listening:
    """One reading of the source: where it stands, and how it goes on."""

    def __init__(
        self, source: XSource, http: httpx.AsyncClient, tell: Teller, heard: datetime | None
    ) -> None:
        self.source, self.http, self.tell = source, http, tell
        self.heard = heard
        self.has_backfill = True

    async def attempt(self) -> AsyncGenerator[_Found, None]:
        """Yield what is streamed until the connection ends.

        Raises:
            SpecError: X refuses the token or a rule.
            Interrupted: The connection failed or ended.
        """
        try:
            await x_rules.match(self.http, self.source.rules, self.tell)
            async with aclosing(self._streamed()) as everything:
                async for found in everything:
                    yield found
        except Answered as answer:
            if answer.status not in USERS_FAULT:
                raise
            message = self.tell.blackened(f"x: X refuses the request: {answer}")
            raise SpecError(message, field="token") from None

    async def _streamed(self) -> AsyncGenerator[_Found, None]:
        since = None if self.heard is None else self.heard - OVERLAP
        params = x_posts.FIELDS | self._backfill(since)
        stream = pieces(self.http, PATH, params, self.tell)
        async with aclosing(gathered(lines_of(stream, self.tell), self.source.silence_s)) as lines:
            first = await self._opened(lines, params)
            if since is not None and "backfill_minutes" not in params:
                missed = x_lookup.missed(self.http, self.source.rules, since, self.tell)
                async with aclosing(missed) as pages:
                    async for page in pages:
                        yield _Found(tuple(page))
                self.tell("caught_up", f"what X's search tells since {since:%Y-%m-%d %H:%M} UTC")
            for found in self._read(first):
                yield found
            async for together in lines:
                for found in self._read(together):
                    yield found

    def _backfill(self, since: datetime | None) -> dict[str, str]:
        """Return how to ask the stream for what was missed, if that is within its reach."""
        if since is None or not self.has_backfill:
            return {}
        missed = max(self.tell.now() - since, OVERLAP)
        if missed > BACKFILL:
            return {}
        return {"backfill_minutes": str(ceil(missed / timedelta(minutes=1)))}

    async def _opened(
        self, lines: AsyncGenerator[list[bytes], None], params: dict[str, str]
    ) -> list[bytes]:
        """Return the first lines: only then is anything missed from now on known to come."""
        try:
            return await anext(lines)
        except StopAsyncIteration:
            raise Dropped("the server closed the stream before its first line") from None
        except Answered as answer:
            if "backfill_minutes" not in params or answer.status not in (400, 403):
                raise
            self.has_backfill = False
            raise Dropped(f"no backfill at this access level: {answer}") from None

    def _read(self, together: list[bytes]) -> Iterator[_Found]:
        """Yield what lines say.

        Raises:
            Interrupted: One of them ends the stream.
        """
        found: list[Change] = []
        end: Interrupted | None = None
        for data in together:
            line = x_posts.line_of(data, self.tell)
            if line.post is not None:
                found.append(line.post)
            if line.end:
                end = Answered(429, line.end) if line.crowded else Dropped(line.end)
                break
        if found or end is None:
            self.heard = self.tell.now()
            yield _Found(tuple(found), self.heard)
        if end is not None:
            raise end

    async def rechecks(self, every_s: float) -> AsyncGenerator[_Found, None]:
        """Yield what became of the posts that are kept, all of them every `every_s`."""
        while True:
            await self.source.sleep(every_s)
            kept = await asyncio.to_thread(lambda: list(self.source.kept(NAME, "")))
            for start in range(0, len(kept), x_lookup.LOOKUP_IDS):
                part = kept[start : start + x_lookup.LOOKUP_IDS]
                look = partial(self._changed, part)
                answers = for_ever(look, backoff.X, self.tell, self.source.sleep)
                async with aclosing(answers):
                    yield await anext(answers)

    async def _changed(self, part: list[Kept]) -> AsyncGenerator[_Found, None]:
        yield _Found(await x_lookup.changed(self.http, part, self.tell))


def _heard(cursor: str | None, tell: Teller) -> datetime | None:
    """Return the time in a cursor; None, told, if it holds none."""
    if not cursor:
        return None
    found = moments.parsed((json_object(cursor, tell, "cursor") or {}).get("heard"))
    if found is None:
        tell("gap", "the cursor is not readable; posts before now are not asked for")
    return found


def _batch(found: _Found, heard: datetime | None) -> Batch:
    cursor = "" if heard is None else json.dumps({"heard": heard.isoformat()})
    times = [one.edited_at or one.created_at for one in found.changes if isinstance(one, Post)]
    return Batch(
        source=NAME,
        changes=found.changes,
        cursor=cursor,
        last_event_at=max(times, default=None),
    )
