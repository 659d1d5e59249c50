"""What X does not stream: posts missed while nobody listened, deletions, edits of older posts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gigafactory.grok.sources import posts, x_posts
from gigafactory.grok.sources.payload import rows, table, words
from gigafactory.grok.sources.reconnect import Answered
from gigafactory.grok.sources.streaming import fetched
from gigafactory.spec.post import Deletion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    import httpx

    from gigafactory.grok.sources.stored import Kept
    from gigafactory.grok.sources.telling import Teller
    from gigafactory.grok.sources.x_rules import Rule
    from gigafactory.spec.post import Change, Post

LOOKUP: Final = "/2/tweets"
LOOKUP_IDS: Final = 100
SEARCH: Final = "/2/tweets/search/recent"
SEARCH_REACH: Final = timedelta(days=7)
SEARCH_PAGES: Final = 50
GONE: Final = ("/resource-not-found", "/not-authorized-for-resource")  # deleted; hidden from us


async def missed(
    http: httpx.AsyncClient, rules: Sequence[Rule], since: datetime, tell: Teller
) -> AsyncGenerator[list[Post], None]:
    """Yield the posts that match and were written from `since` on, by recent search, newest first.

    What cannot be recovered is told as a "gap": a rule that search does not know, more than 5,000
    posts of a rule, more than seven days.

    Raises:
        Interrupted: X does not answer, or not now.
    """
    reach = tell.now() - SEARCH_REACH + timedelta(minutes=1)
    if since < reach:
        tell("gap", f"posts before {reach:%Y-%m-%d %H:%M} UTC are out of reach of X's search")
    start = max(since, reach)
    for rule in rules:
        async for found in _pages(http, rule, f"{start:%Y-%m-%dT%H:%M:%SZ}", tell):
            yield found


async def _pages(
    http: httpx.AsyncClient, rule: Rule, start: str, tell: Teller
) -> AsyncGenerator[list[Post], None]:
    params = {"query": rule.value, "start_time": start, "max_results": "100", **x_posts.FIELDS}
    for _ in range(SEARCH_PAGES):
        try:
            told = table(await fetched(http, "GET", SEARCH, tell, params=params))
        except Answered as refusal:
            if refusal.status not in (400, 403):
                raise
            tell("gap", f"rule {rule.value!r} cannot be searched for what was missed: {refusal}")
            return
        yield _posts(told, tell)
        if not (token := words(table(told.get("meta")).get("next_token"))):
            return
        params["next_token"] = token
    tell("gap", f"rule {rule.value!r}: only the newest {SEARCH_PAGES * 100} posts were recovered")


async def changed(
    http: httpx.AsyncClient, kept: Sequence[Kept], tell: Teller
) -> tuple[Change, ...]:
    """Return what became of up to 100 posts that are kept: gone, or edited since.

    A post that X neither shows nor calls missing stays.

    Raises:
        Interrupted: X does not answer, or not now.
    """
    told = await _looked_up(http, [one.id for one in kept], tell)
    gone = [
        Deletion(id=id, source=tell.source, revision=posts.FINAL_REVISION)
        for problem in rows(told.get("errors"))
        if words(problem.get("type")).endswith(GONE)
        and (id := words(problem.get("resource_id"))) in {one.id for one in kept}
    ]
    held = {one.id: one.revision for one in kept}
    newest = [max(x_posts.history(one), default=0) for one in rows(told.get("data"))]
    first = [str(x_posts.first_id(one)) for one in rows(told.get("data"))]
    edited = [str(new) for id, new in zip(first, newest, strict=True) if new > held.get(id, new)]
    again = await _looked_up(http, edited, tell) if edited else {}
    return (*gone, *_posts(again, tell))


async def _looked_up(http: httpx.AsyncClient, ids: list[str], tell: Teller) -> dict[str, Any]:
    params = {"ids": ",".join(ids), **x_posts.FIELDS}
    return table(await fetched(http, "GET", LOOKUP, tell, params=params))


def _posts(told: dict[str, Any], tell: Teller) -> list[Post]:
    handles = x_posts.users(told)
    found = (x_posts.post_of(one, handles, tell) for one in rows(told.get("data")))
    return [one for one in found if one is not None]
