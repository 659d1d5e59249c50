"""The rules of a filtered stream: what the token's rules are becomes what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.errors import SpecError
from gigafactory.grok.sources.payload import rows, table, words
from gigafactory.grok.sources.streaming import fetched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx

    from gigafactory.grok.sources.telling import Teller

PATH: Final = "/2/tweets/search/stream/rules"
AT_ONCE: Final = 100


class Rule(NamedTuple):
    """A query whose posts the stream delivers, such as "artemis lang:en", and a name for it."""

    value: str
    tag: str = ""


async def match(http: httpx.AsyncClient, asked: Sequence[Rule], tell: Teller) -> None:
    """Make the rules of this token those that are asked for: others are removed, then ours added.

    Raises:
        SpecError: X refuses a rule; the message names it.
        Interrupted: X does not answer, or not now.
    """
    told = table(await fetched(http, "GET", PATH, tell))
    there = {Rule(words(one.get("value")), words(one.get("tag"))): words(one.get("id"))
             for one in rows(told.get("data"))}  # fmt: skip
    surplus = [id for rule, id in there.items() if rule not in asked]
    missing = [rule for rule in asked if rule not in there]
    for ids in _parts(surplus):
        await fetched(http, "POST", PATH, tell, json={"delete": {"ids": ids}})
    for rules in _parts(missing):
        added = [{"value": rule.value} | ({"tag": rule.tag} if rule.tag else {}) for rule in rules]
        _require_added(table(await fetched(http, "POST", PATH, tell, json={"add": added})), tell)


def _require_added(told: dict[str, Any], tell: Teller) -> None:
    """Refuse rules that X does not understand; one that was there already does no harm."""
    for problem in rows(told.get("errors")):
        if problem.get("title") != "DuplicateRule":
            details = problem.get("details")
            why = details[0] if isinstance(details, list) and details else problem.get("title")
            message = f"x: rule {problem.get('value')!r} is refused by X: {why}"
            raise SpecError(tell.blackened(message), field="rules")


def _parts(items: Iterable[Any]) -> list[list[Any]]:
    whole = list(items)
    return [whole[start : start + AT_ONCE] for start in range(0, len(whole), AT_ONCE)]
