"""What is shown beside an answer: the age of each cited post, their list, the lag of the feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.spec.answer import Answer, Citation
    from gigafactory.spec.post import Freshness

_STEPS: Final = ((60, "s"), (60, "min"), (24, "h"), (365.25, "d"), (float("inf"), "y"))


def age(written_at: datetime, now: datetime) -> str:
    """Return how old a post is, in its largest unit; a clock that runs ahead makes none younger.

    >>> from datetime import UTC, datetime, timedelta
    >>> now = datetime(2026, 3, 1, tzinfo=UTC)
    >>> age(now - timedelta(hours=5), now), age(now + timedelta(seconds=9), now)
    ('5 h', '0 s')
    """
    amount = max((now - written_at).total_seconds(), 0.0)
    for size, unit in _STEPS:
        if amount < size:
            return f"{int(amount)} {unit}"
        amount /= size
    raise AssertionError("the last step has no end")


def cited(answer: Answer) -> list[Citation]:
    """Return each cited post once, by number."""
    return sorted(
        {one.number: one for one in answer.citations}.values(), key=lambda one: one.number
    )


def listed(answer: Answer) -> list[str]:
    """Return the list of an answer's sources, a line each: number, author, age, page, state."""
    lines = []
    for one in cited(answer):
        state = "" if one.state == "current" else f" ({one.state} since)"
        place = one.post.url or f"{one.post.source} {one.post.id}"
        old = age(one.post.created_at, answer.freshness.as_of)
        lines.append(f"[{one.number}] @{one.post.author}, {old} ago, {place}{state}")
    return lines


def standing(freshness: Freshness) -> str:
    """Return one line on how the feed stood: as of when, how old its newest post, its lag."""
    as_of = f"as of {freshness.as_of:%Y-%m-%d %H:%M:%S} UTC"
    if freshness.newest_at is None:
        return f"{as_of}, the feed is empty"
    line = f"{as_of}, newest post {age(freshness.newest_at, freshness.as_of)} old"
    lags = [one.lag_s for one in freshness.sources if one.state == "live" and one.lag_s is not None]
    return f"{line}, feed {max(lags):.1f} s behind" if lags else line


def down(freshness: Freshness) -> list[str]:
    """Return one line for each source that does not deliver."""
    return [
        f"{one.source} is down since {one.since:%Y-%m-%d %H:%M} UTC"
        + f": {one.detail}" * bool(one.detail)
        for one in freshness.sources
        if one.state == "down"
    ]
