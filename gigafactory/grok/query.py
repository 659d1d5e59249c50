"""What a user types, as a `Query`: free words, quoted phrases, and filters.

    artemis "second stage" from:@nasa -from:@spam source:mastodon since:2d until:2026-11-20 lang:en

Only a known filter is one: `12:30` and `https://…` are words. Recency counts only where it is asked
for in words: latest, newest, most recent, right now, today, breaking.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.spec.post import Query

if TYPE_CHECKING:
    from collections.abc import Callable

FILTERS: Final = ("from", "source", "since", "until", "lang", "as-of")
MOST_CHARS: Final = 4_096
MOST_HITS: Final = 1_000
UNITS: Final = {
    "s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1),
    "d": timedelta(days=1), "w": timedelta(weeks=1),
}  # fmt: skip
_TOKEN: Final = re.compile(r'"[^"]*"|\S+')
_FILTER: Final = re.compile(r"(-?)([A-Za-z]+(?:[-_][A-Za-z]+)?):(.*)", re.DOTALL)
_AGO: Final = re.compile(r"(\d{1,6})([smhdw])")
_HANDLE: Final = re.compile(r"[\w.:@-]{1,253}")
_SOURCE: Final = re.compile(r"[\w.:/@-]{1,253}")
_LANG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_RECENT: Final = re.compile(
    r"\b(?:the\s+)?(?:latest|newest|most\s+recent(?:ly)?|right\s+now|today|breaking)\b",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r'("[^"]*")')


@dataclass(slots=True)
class _Read:
    """What was read so far."""

    words: list[str] = field(default_factory=list)
    authors: list[str] = field(default_factory=list)
    excluded_authors: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    langs: list[str] = field(default_factory=list)
    times: dict[str, datetime] = field(default_factory=dict)


def parse(text: str, now: datetime, *, limit: int = 10, as_of: datetime | None = None) -> Query:
    """Return what is looked for.

    Args:
        text: As typed; `as-of:` in it wins over the argument.
        now: What `2h` and `3d` count back from.
        limit: Hits at most.
        as_of: The moment as of which the feed is seen; None for now.

    Raises:
        SpecError: A filter has no value or a bad one, or is a known one misspelt; the text or the
            limit is too long.
    """
    if len(text) > MOST_CHARS:
        raise SpecError(f"query: at most {MOST_CHARS} characters, got {len(text)}", field="query")
    if not 1 <= limit <= MOST_HITS:
        raise SpecError(f"limit must be between 1 and {MOST_HITS}, got {limit}", field="limit")
    read = _Read()
    for token in _TOKEN.findall(text):
        _take(read, token, now)
    words, newest_first = _without_recency(" ".join(read.words))
    since, until = read.times.get("since"), read.times.get("until")
    if since and until and since >= until:
        raise SpecError(f"since: must be before until:, got {since} and {until}", field="since")
    return Query(
        words=words, authors=tuple(read.authors), excluded_authors=tuple(read.excluded_authors),
        sources=tuple(read.sources), since=since, until=until, langs=tuple(read.langs),
        as_of=read.times.get("as-of", as_of), newest_first=newest_first, limit=limit,
    )  # fmt: skip


def split(text: str, now: datetime) -> tuple[str, Query, list[str]]:
    """Return a question without its filters, the filters, and notes on those that cannot be read.

    >>> text, given, _ = split("who won? from:@ada", datetime(2026, 11, 20, tzinfo=UTC))
    >>> text, given.authors
    ('who won?', ('ada',))
    """
    if not any(match and match[2].lower().replace("_", "-") in FILTERS
               for match in map(_FILTER.fullmatch, text.split())):  # fmt: skip
        return text, Query(), []
    read = _Read()
    notes: list[str] = []
    for token in _TOKEN.findall(text):
        try:
            _take(read, token, now)
        except SpecError as error:
            notes.append(f"a filter was left out: {error}")
    since, until = read.times.get("since"), read.times.get("until")
    return " ".join(read.words), Query(
        authors=tuple(read.authors), excluded_authors=tuple(read.excluded_authors),
        sources=tuple(read.sources), since=since, until=until, langs=tuple(read.langs),
        as_of=read.times.get("as-of"),
    ), notes  # fmt: skip


def narrowed(query: Query, given: Query) -> Query:
    """Return a query that keeps the filters of both: what a caller allows is never widened.

    Where they allow no author in common, nobody's posts are left; sources and languages that
    share none stay as the first has them.
    """
    authors, excluded = _shared(query.authors, given.authors), given.excluded_authors
    if query.authors and given.authors and not authors:
        excluded = (*excluded, *query.authors)
    return replace(
        query,
        authors=authors or query.authors,
        excluded_authors=(*query.excluded_authors, *excluded),
        sources=_shared(query.sources, given.sources) or query.sources,
        langs=_shared(query.langs, given.langs) or query.langs,
        since=max(filter(None, (query.since, given.since)), default=None),
        until=min(filter(None, (query.until, given.until)), default=None),
        as_of=min(filter(None, (query.as_of, given.as_of)), default=None),
    )


def _shared(allowed: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    lower = {one.lower() for one in allowed}
    return tuple(one for one in asked if not lower or one.lower() in lower)


def written(query: Query) -> str:
    """Return a query as one would type it; `parse` gives the same query again.

    >>> written(Query(words="artemis", authors=("nasa",), newest_first=True))
    'latest artemis from:@nasa'
    """
    parts = ["latest"] if query.newest_first else []
    parts += [query.words] if query.words else []
    parts += [f"from:@{one}" for one in query.authors]
    parts += [f"-from:@{one}" for one in query.excluded_authors]
    parts += [f"source:{one}" for one in query.sources]
    parts += [f"lang:{one}" for one in query.langs]
    times = (("since", query.since), ("until", query.until), ("as-of", query.as_of))
    parts += [f"{name}:{at.isoformat()}" for name, at in times if at]
    return " ".join(parts)


def moment(text: str, now: datetime, name: str = "time") -> datetime:
    """Return the time that a date, a date with time, or a time ago means; UTC unless it says.

    >>> moment("2h", datetime(2026, 11, 20, 12, tzinfo=UTC)).isoformat()
    '2026-11-20T10:00:00+00:00'
    >>> moment("2026-11-01", datetime(2026, 11, 20, tzinfo=UTC)).isoformat()
    '2026-11-01T00:00:00+00:00'

    Raises:
        SpecError: It is none of these.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return now - int(ago[1]) * UNITS[ago[2]]
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SpecError(
            f"{name}: must be a date, a date with time, or a time ago such as 2h or 3d,"
            f" got {text[:80]!r}",
            field=name,
        ) from None


def duration(text: str, name: str = "duration") -> timedelta:
    """Return a length of time such as 90s, 12h, 30d.

    Raises:
        SpecError: It is none.
    """
    ago = _AGO.fullmatch(text)
    if not ago or not int(ago[1]):
        raise SpecError(f"{name}: must be a time such as 12h or 30d, got {text[:80]!r}", field=name)
    return int(ago[1]) * UNITS[ago[2]]


def _take(read: _Read, token: str, now: datetime) -> None:
    """Add one token to what was read: a filter, or a word."""
    match = None if token.startswith('"') else _FILTER.fullmatch(token)
    name = match[2].lower().replace("_", "-") if match else ""
    if match is None or not _is_filter(name, match[3]):
        read.words.append(token)
        return
    minus, value = match[1], match[3].strip('"')
    if minus and name != "from":
        raise SpecError(f"-{name}: only from: can be excluded", field=name)
    if name in {"since", "until", "as-of"}:
        if name in read.times:
            raise SpecError(f"{name}: must be given once", field=name)
        read.times[name] = moment(value, now, name)
    elif name == "from":
        (read.excluded_authors if minus else read.authors).append(_handle(value))
    else:
        pattern, into = (_LANG, read.langs) if name == "lang" else (_SOURCE, read.sources)
        into.append(_checked(name, value, pattern.fullmatch))


def _is_filter(name: str, value: str) -> bool:
    """Return whether a name is a filter's.

    Raises:
        SpecError: It is nearly one, and followed by what a filter would be.
    """
    if name in FILTERS:
        return True
    near = difflib.get_close_matches(name, FILTERS, 1, 0.75)
    if near and value and not value.startswith("/"):
        raise SpecError(
            f"{name}: is no filter, {near[0]}: is one; all are {', '.join(FILTERS)}", field=name
        )
    return False


def _handle(value: str) -> str:
    return _checked("from", value.removeprefix("@"), _HANDLE.fullmatch)


def _checked(name: str, value: str, rule: Callable[[str], object]) -> str:
    if not rule(value):
        what = {"from": "a handle", "lang": "a language such as en", "source": "a source"}[name]
        raise SpecError(f"{name}: must be followed by {what}, got {value[:80]!r}", field=name)
    return value


def _without_recency(words: str) -> tuple[str, bool]:
    """Return the words without those that ask for what is recent, and whether any did.

    What stands in quotes is looked for as it is, and a text of nothing else stays one.
    """
    parts = _QUOTED.split(words)
    stripped = [part if part.startswith('"') else _RECENT.sub(" ", part) for part in parts]
    return " ".join("".join(stripped).split()), stripped != parts
