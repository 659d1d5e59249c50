"""What Mastodon does not stream again: statuses and deletions while nobody listened."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gigafactory.grok.sources import mastodon_statuses
from gigafactory.grok.sources.payload import rows, table, words
from gigafactory.grok.sources.reconnect import Answered
from gigafactory.grok.sources.streaming import fetched

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import httpx

    from gigafactory.grok.sources.stored import Kept
    from gigafactory.grok.sources.telling import Teller
    from gigafactory.spec.post import Change

PAGE: Final = 40
PAGES: Final = 500
LOOKUP: Final = "/api/v1/statuses"
LOOKUP_IDS: Final = 20


async def missed(
    http: httpx.AsyncClient,
    timeline: tuple[str, Mapping[str, str]],
    after: int,
    tell: Teller,
) -> AsyncGenerator[list[mastodon_statuses.Status], None]:
    """Yield the statuses of a timeline whose identifiers are above `after`, oldest first.

    More than 20,000 of them are told as a "gap".

    Raises:
        Interrupted: The server does not answer, or not now.
    """
    path, params = timeline
    for _ in range(PAGES):
        asked = {**params, "min_id": str(after), "limit": str(PAGE)}
        told = rows(await fetched(http, "GET", path, tell, params=asked))
        statuses = [mastodon_statuses.shown(one, tell) for one in told]
        yield statuses
        newest = max((one.number for one in statuses), default=0)
        if newest <= after:
            return
        after = newest
    tell("gap", f"more than {PAGES * PAGE} statuses were missed; those after {after} may be lost")


async def changed(
    http: httpx.AsyncClient, kept: Sequence[Kept], tell: Teller
) -> tuple[Change, ...]:
    """Return what became of up to 20 statuses that are kept: gone, or edited since.

    Raises:
        Interrupted: The server does not answer, or not now.
    """
    asked = {"id[]": [one.id for one in kept]}
    told = await fetched(http, "GET", LOOKUP, tell, params=asked)
    if not isinstance(told, list):  # no answer to what was asked: nothing is gone
        return ()
    there = {words(one.get("id")): one for one in rows(told)}
    found = [mastodon_statuses.shown(one, tell).change for one in there.values()]
    gone = [mastodon_statuses.deletion(one.id, tell) for one in kept if one.id not in there]
    return (*gone, *(one for one in found if one is not None))


async def streaming_url(http: httpx.AsyncClient, base_url: str, tell: Teller) -> str:
    """Return where a server streams: some do so at another address, which they tell.

    Raises:
        Interrupted: The server does not answer, or not now.
    """
    with suppress(Answered):
        told = table(await fetched(http, "GET", "/api/v2/instance", tell))
        url = words(table(table(told.get("configuration")).get("urls")).get("streaming"))
        if url.startswith(("wss://", "https://")):
            return "https://" + url.partition("://")[2].rstrip("/")
        if url.startswith(("ws://", "http://")) and base_url.startswith("http://"):
            return "http://" + url.partition("://")[2].rstrip("/")
    return base_url
