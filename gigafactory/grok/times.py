"""Times that a text speaks of: clock times, days, months, years, "yesterday", "in 3 days".

Each is resolved to the intervals it can mean for someone who writes at a given moment: "Tuesday"
is the last one or the next. Zones other than the writer's are not told; all is in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Interval = tuple[datetime, datetime]
DAY: Final = timedelta(days=1)
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS: Final = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
_UNITS: Final = {"minute": 60, "min": 60, "hour": 3600, "hr": 3600, "day": 86400, "week": 604800}
_UNITS_ALL: Final = {**_UNITS, "fortnight": 1209600, "month": 2629800, "year": 31557600}
_SMALL: Final = {
    word: number
    for number, word in enumerate(
        (
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        )
    )
} | {"a": 1, "an": 1, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3}
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY: Final = (
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?-i:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun))"
)
_AMOUNT: Final = (
    r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|(?:a )?few|(?:a )?couple of)"
)
_UNIT: Final = r"(?:minute|min|hour|hr|day|week|fortnight|month|year)s?"
_SEASON: Final = r"spring|summer|autumn|winter"
_DATE_YEAR: Final = r"(?:,? (?P<y>(?:19|20)\d\d))?"
_NTH: Final = r"(?P<d>[0-3]?\d)(?:st|nd|rd|th)?"
_BEFORE_YEAR: Final = "".join(
    f"(?<={word} )|" for word in ("in", "since", "by", "until", "from", "of", "during")
)[:-1]
_PATTERNS: Final = tuple(
    (grain, re.compile(rf"(?<![\w.]){pattern}(?!\w)", re.IGNORECASE))
    for grain, pattern in (
        ("iso", r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?:T(?P<h>\d{2}):(?P<n>\d{2})\S*)?"),
        ("clock", r"(?P<h>[01]?\d|2[0-3]):(?P<n>[0-5]\d)(?::[0-5]\d)?"
                  r"(?:\s?(?P<half>[ap]\.?m\b\.?))?"),
        ("clock", r"(?P<h>1[0-2]|0?[1-9])(?:\.(?P<n>[0-5]\d))?\s?(?P<half>[ap]\.?m\b\.?|o'clock)"),
        ("clock", r"(?P<named>noon|midday|midnight)"),
        ("date", rf"{_NTH}(?: of)? (?P<mon>{_MONTH})\.?{_DATE_YEAR}"),
        ("date", rf"(?P<mon>{_MONTH})\.? {_NTH}(?!:|\d|\s?[ap]m){_DATE_YEAR}"),
        ("month", rf"(?<!\d )(?:(?P<mod>last|next|this|early|late|mid)[ -])?(?P<mon>{_MONTH})"
                  r"(?: (?P<y>(?:19|20)\d\d))?"),
        ("ordinal", r"the (?P<d>[0-3]?\d)(?:st|nd|rd|th)"),
        ("weekday", rf"(?:(?P<mod>last|next|this|coming|every)\s)?(?P<w>{_WEEKDAY})"),
        ("named", r"(?:the )?day (?P<day>after tomorrow|before yesterday)"),
        ("named", r"(?P<day>today|tonight|tomorrow|yesterday|last night"
                  r"|this (?:morning|afternoon|evening))"),
        ("period", rf"(?P<mod>this|next|last|past) (?P<p>week|weekend|month|year|{_SEASON})"),
        ("ago", rf"(?P<k>{_AMOUNT}) (?P<u>{_UNIT}) (?:ago|earlier)"),
        ("ahead", rf"in (?P<k>{_AMOUNT}) (?P<u>{_UNIT})"
                  rf"|(?P<k2>{_AMOUNT}) (?P<u2>{_UNIT}) (?:from now|later)"),
        ("past", r"(?:in|over|during|within|for) the (?:last|past) "
                 rf"(?:(?P<k>{_AMOUNT}) )?(?P<u>{_UNIT})"),
        ("season", r"(?:in|this|next|last|by|early|late|for|from|until|since) (?:the )?"
                   rf"(?P<s>{_SEASON})(?: (?P<y>20\d\d))?"),
        ("year", rf"(?:{_BEFORE_YEAR})(?P<y>(?:19|20)\d\d)"),
        ("part", r"(?:in the |at |late |early )?"
                 r"(?P<part>morning|afternoon|evening|night|lunchtime|dawn|dusk|sunrise|sunset)"),
        ("vague", r"(?:right now|shortly|soon|immediately|until further notice)"),
    )
)  # fmt: skip


class When(NamedTuple):
    """A time that a text names.

    Attributes:
        start: First character in the text.
        end: One behind its last.
        grain: "clock", "day", "period", "part" (of a day, which day untold) or "vague".
        spans: The intervals it can mean; none if it cannot be told.
        minute: Of a clock time: minutes since midnight.
        kind: Which form it has: "weekday", "month", "year" ...
    """

    start: int
    end: int
    grain: str
    spans: tuple[Interval, ...] = ()
    minute: int | None = None
    kind: str = ""

    def covers(self, moment: datetime) -> bool:
        """Return whether `moment` may be meant."""
        return any(low <= moment < high for low, high in self.spans)

    def meets(self, other: When) -> bool:
        """Return whether both may mean the same time."""
        return any(
            low < end and start < high for low, high in self.spans for start, end in other.spans
        )


def times(text: str, written_at: datetime) -> list[When]:
    """Return the times `text` names, in order, for one who wrote it at `written_at`."""
    found: list[When] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if any(match.start() < one.end and one.start < match.end() for one in found):
                continue
            when = _resolved(kind, match, written_at.astimezone(UTC))
            if when is not None:
                found.append(when)
    return sorted(found)


def _resolved(kind: str, match: re.Match[str], now: datetime) -> When | None:
    try:
        return _READERS[kind](match, now)
    except (ValueError, OverflowError):  # 31 February, year 0
        return None


def midnight(moment: datetime) -> datetime:
    """Return the beginning of a day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _day(moment: datetime) -> Interval:
    return midnight(moment), midnight(moment) + DAY


def _iso(match: re.Match[str], _now: datetime) -> When:
    day = datetime(int(match["y"]), int(match["m"]), int(match["d"]), tzinfo=UTC)
    minute = int(match["h"]) * 60 + int(match["n"]) if match["h"] else None
    return When(match.start(), match.end(), "day", (_day(day),), minute, "date")


def _clock(match: re.Match[str], _now: datetime) -> When:
    if match.groupdict().get("named"):
        minute = 0 if match["named"].lower() == "midnight" else 720
    else:
        hour, half = int(match["h"]), (match["half"] or "").lower()
        hour = hour % 12 + 12 if half.startswith("p") else hour % 12 if half[:1] == "a" else hour
        minute = hour * 60 + int(match["n"] or 0)
    return When(match.start(), match.end(), "clock", (), minute, "clock")


def _date(match: re.Match[str], now: datetime) -> When:
    month = MONTHS.index(match["mon"][:3].lower()) + 1
    years = [int(match["y"])] if match["y"] else [now.year - 1, now.year, now.year + 1]
    days = [datetime(year, month, int(match["d"]), tzinfo=UTC) for year in years]
    near = days if match["y"] else sorted(days, key=lambda day: abs(day - now))[:2]
    return When(match.start(), match.end(), "day", tuple(map(_day, near)), None, "date")


def _month(match: re.Match[str], now: datetime) -> When | None:
    name = match["mon"]
    if name.lower() in {"may", "march", "mar", "sun"} and not (match["mod"] or match["y"]):
        before = match.string[: match.start()].rstrip().rpartition(" ")[2].lower()
        led = before in {"in", "by", "of", "until", "till", "since", "from", "during", "for", "on"}
        if not (led and name[0].isupper()):
            return None
    month = MONTHS.index(name[:3].lower()) + 1
    years = [int(match["y"])] if match["y"] else [now.year - 1, now.year, now.year + 1]
    spans = [_months(year, month, 1) for year in years]
    near = sorted(spans, key=lambda span: abs(span[0] - now))[:2]
    return When(match.start(), match.end(), "period", tuple(near), None, "month")


def _months(year: int, month: int, count: int) -> Interval:
    last = month - 1 + count
    end = datetime(year + last // 12, last % 12 + 1, 1, tzinfo=UTC)
    return datetime(year, month, 1, tzinfo=UTC), end


def _ordinal(match: re.Match[str], now: datetime) -> When:
    day = int(match["d"])
    spans = []
    for shift in (-1, 0, 1):
        month = now.month - 1 + shift
        start = datetime(now.year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if (start + (day - 1) * DAY).month == start.month:
            spans.append(_day(start + (day - 1) * DAY))
    return When(match.start(), match.end(), "day", tuple(spans), None, "ordinal")


def _weekday(match: re.Match[str], now: datetime) -> When:
    ahead = (WEEKDAYS.index(match["w"][:3].lower()) - now.weekday()) % 7
    following, mod = midnight(now) + ahead * DAY, (match["mod"] or "").lower()
    days = {
        "last": [following - 7 * DAY],
        "next": [following if ahead else following + 7 * DAY, following + 7 * DAY],
        "this": [following, following - 7 * DAY],
        "coming": [following],
    }.get(mod, [following, following - 7 * DAY])
    return When(match.start(), match.end(), "day", tuple(map(_day, days)), None, "weekday")


def _named(match: re.Match[str], now: datetime) -> When:
    name, start = match["day"].lower(), midnight(now)
    shifts = {"tomorrow": 1, "yesterday": -1, "after tomorrow": 2, "before yesterday": -2}
    low, high = _day(start + shifts.get(name, 0) * DAY)
    hour = timedelta(hours=1)
    if name == "last night":
        low, high = start - 7 * hour, start + 7 * hour
    elif name == "tonight":
        low, high = start + 17 * hour, start + 30 * hour
    elif name.startswith("this "):
        first = {"morning": 0, "afternoon": 12, "evening": 17}[name[5:]]
        low, high = start + first * hour, start + (first + 12 if first < 12 else 24) * hour
    return When(match.start(), match.end(), "day", ((low, high),), None, "named")


def _period(match: re.Match[str], now: datetime) -> When:
    name, mod = match["p"].lower(), match["mod"].lower()
    shift = {"this": 0, "next": 1}.get(mod, -1)
    if name in _SEASONS:
        spans = [_season(name, now.year + shift)]
    elif name == "year":
        spans = [_months(now.year + shift, 1, 12)]
    elif name == "month":
        month = now.month - 1 + shift
        spans = [_months(now.year + month // 12, month % 12 + 1, 1)]
    else:
        monday = midnight(now) - now.weekday() * DAY + 7 * shift * DAY
        first = 4.7 if name == "weekend" else 0  # from Friday evening on
        spans = [(monday + first * DAY, monday + 7 * DAY)]
    return When(match.start(), match.end(), "period", tuple(spans), None, name)


def _season(name: str, year: int) -> Interval:
    return _months(year, _SEASONS[name], 3)


def _length(amount: str | None, unit: str) -> timedelta:
    count = 1 if not amount else int(amount) if amount.isdigit() else _SMALL[amount.lower()]
    return timedelta(seconds=count * _UNITS_ALL[unit.lower().removesuffix("s")])


def _shifted(match: re.Match[str], now: datetime, sign: int) -> When:
    groups = match.groupdict()
    amount, unit = groups["k"] or groups.get("k2"), groups["u"] or groups.get("u2")
    length = _length(amount, str(unit))
    if length >= DAY:
        spans = (_day(now + sign * length),)
    else:
        about = max(length / 4, timedelta(minutes=1))
        spans = ((now + sign * length - about, now + sign * length + about),)
    return When(match.start(), match.end(), "day", spans, None, "ahead" if sign > 0 else "ago")


def _past(match: re.Match[str], now: datetime) -> When:
    span = (now - _length(match["k"], match["u"]), now + timedelta(seconds=1))
    return When(match.start(), match.end(), "period", (span,), None, "past")


def _seasonal(match: re.Match[str], now: datetime) -> When:
    years = [int(match["y"])] if match["y"] else [now.year - 1, now.year, now.year + 1]
    spans = [_season(match["s"].lower(), year) for year in years]
    near = sorted(spans, key=lambda span: abs(span[0] - now))[:2]
    return When(match.start(), match.end(), "period", tuple(near), None, "season")


def _year(match: re.Match[str], _now: datetime) -> When:
    span = _months(int(match["y"]), 1, 12)
    return When(match.start(), match.end(), "period", (span,), None, "year")


def _bare(grain: str) -> Callable[[re.Match[str], datetime], When]:
    return lambda match, _now: When(match.start(), match.end(), grain, (), None, grain)


_READERS: Final[dict[str, Callable[[re.Match[str], datetime], When | None]]] = {
    "iso": _iso,
    "clock": _clock,
    "date": _date,
    "month": _month,
    "ordinal": _ordinal,
    "weekday": _weekday,
    "named": _named,
    "period": _period,
    "ago": lambda match, now: _shifted(match, now, -1),
    "ahead": lambda match, now: _shifted(match, now, 1),
    "past": _past,
    "season": _seasonal,
    "year": _year,
    "part": _bare("part"),
    "vague": _bare("vague"),
}
