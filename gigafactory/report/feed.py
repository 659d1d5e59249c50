"""The feed in words and numbers: hits of a search, how the feed stands, what was added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gigafactory.report.as_json import SCHEMA
from gigafactory.units import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from rich.table import Table

    from gigafactory.grok.feed import Feed
    from gigafactory.grok.ingest import Totals
    from gigafactory.spec.post import Hit, SourceStatus

AGES: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def hit_json(hit: Hit) -> dict[str, Any]:
    """Return one hit for programs."""
    post = hit.post
    return {
        "id": post.id, "source": post.source, "url": post.url, "author": post.author,
        "created_at": post.created_at, "text": post.text, "score": hit.score,
    }  # fmt: skip


def hits_json(hits: Sequence[Hit], wall_s: float) -> dict[str, Any]:
    """Return the answer of a search for programs."""
    return {"schema": SCHEMA, "hits": [hit_json(hit) for hit in hits], "wall_s": wall_s}


def hits_lines(hits: Sequence[Hit], now: datetime) -> list[str]:
    """Return hits for people: who and when, the text, where it is; nothing steers the terminal."""
    lines = []
    for place, hit in enumerate(hits, 1):
        post = hit.post
        lines.append(
            _plain(f"{place:2d}  @{post.author}  {age(post.created_at, now)}  [{post.source}]")
        )
        lines += [f"    {_plain(line)}" for line in post.text.splitlines() if line.strip()]
        lines += [f"    {_plain(post.url)}"] if post.url else []
    return lines


def age(at: datetime, now: datetime) -> str:
    """Return how long ago a time was, in its largest unit.

    >>> from datetime import datetime, timedelta, UTC
    >>> age(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    '2 d ago'
    """
    seconds = (now - at).total_seconds()
    if seconds < 1:
        return "now"
    size, unit = next(one for one in AGES if seconds >= one[0])
    return f"{seconds // size:.0f} {unit} ago"


def status_json(feed: Feed, now: datetime, writer: int | None) -> dict[str, Any]:
    """Return how the feed stands for programs."""
    fresh = feed.freshness(now)
    log = feed.log
    met = log.incidents() if log else {}
    return {
        "schema": SCHEMA,
        "folder": str(feed.home.folder),
        "as_of": now,
        "writer_pid": writer,
        "newest_at": fresh.newest_at,
        "posts": sum(one.posts for one in fresh.sources),
        "sequence": log.sequence() if log else 0,
        "indexed": feed.indexed(),
        "log_bytes": log.live_bytes() if log else 0,
        "index_bytes": _size(feed.home.index),
        "sources": fresh.sources,
        "incidents": {name: met[name] for name in ("log", "index") if name in met},
    }


def status_table(found: Mapping[str, Any], now: datetime) -> Table:
    """Return how each source stands for people."""
    from rich.markup import escape
    from rich.table import Table

    behind = found["sequence"] - found["indexed"]
    made = Table(
        title=f"{found['posts']:,} posts in {show(found['log_bytes'], 'B')},"
        f" index {show(found['index_bytes'], 'B')}, {behind:,} changes behind"
        + "".join(
            f"; {name}: {kind} {number}"
            for name, kinds in found["incidents"].items()
            for kind, number in kinds.items()
        )
        + (f"; written by process {found['writer_pid']}" if found["writer_pid"] else ""),
        title_justify="left",
    )
    for name in ("source", "state", "since", "posts", "newest event", "lag", "incidents", "detail"):
        made.add_column(name, justify="right" if name in {"posts", "lag"} else "left")
    for one in found["sources"]:
        made.add_row(*(escape(_plain(cell)) for cell in _cells(one, now)))
    return made


def totals_json(totals: Totals) -> dict[str, Any]:
    """Return what became of all that was read, for programs."""
    effects = {one.word: number for one, number in totals.effects.items()}
    met = dict(sorted(totals.incidents.items()))
    return {"schema": SCHEMA, **effects, "incidents": met}


def totals_line(totals: Totals) -> str:
    """Return what became of all that was read, in one line."""
    parts = [f"{number:,} {one.word}" for one, number in totals.effects.items() if number]
    met = [f"{kind} {number:,}" for kind, number in sorted(totals.incidents.items())]
    return (", ".join(parts) or "nothing new") + (f"; met: {', '.join(met)}" if met else "")


def _cells(one: SourceStatus, now: datetime) -> tuple[str, ...]:
    reading = one.state != "stopped"
    met = ", ".join(f"{kind} {number}" for kind, number in sorted(one.incidents.items()))
    return (
        one.source, one.state, age(one.since, now), f"{one.posts:,}",
        age(one.last_event_at, now) if one.last_event_at else "",
        f"{one.lag_s:.1f} s" if one.lag_s is not None and reading else "", met, one.detail,
    )  # fmt: skip


def _plain(text: str) -> str:
    """Return text without characters that steer a terminal or turn its direction."""
    return "".join(one if one.isprintable() else " " for one in text)


def _size(folder: Path) -> int:
    if not folder.is_dir():
        return 0
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
