"""Where a reading of Jetstream stands: a number of one server, and a time that all understand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from gigafactory.grok.sources import moments
from gigafactory.grok.sources.bluesky_events import POSTS
from gigafactory.grok.sources.payload import MAX_EVENT_BYTES, json_object, words

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.grok.sources.telling import Teller

REWIND_US: Final = 5_000_000  # clocks of servers differ, and what arrives late is dated back
KINDS: Final = ("commit", "identity", "account", "sync")


@dataclass(frozen=True, slots=True)
class Place:
    """The last event that was read.

    Attributes:
        host: Of the server that numbered it.
        seq: Its number there; 0 if it has none.
        time_us: When that server saw it.
    """

    host: str
    seq: int
    time_us: int

    def cursor(self) -> str:
        """Return it as the log keeps it."""
        return json.dumps({"host": self.host, "seq": self.seq, "time_us": self.time_us})


def place_of(cursor: str | None, tell: Teller) -> Place | None:
    """Return the place in a cursor; None, told as a "gap", if it holds none."""
    if not cursor:
        return None
    told = json_object(cursor, tell, "cursor") or {}
    seq, time_us = told.get("seq"), told.get("time_us")
    if isinstance(seq, int) and isinstance(time_us, int) and seq >= 0 and time_us > 0:
        return Place(words(told.get("host")), seq, time_us)
    tell("gap", "the cursor is not readable; reading as if for the first time")
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Jetstream server, and the dialect it is asked for: v1 if its path is `/subscribe`."""

    url: str

    @property
    def is_v1(self) -> bool:
        """Return whether it is asked for v1."""
        return urlsplit(self.url).path.rstrip("/").endswith("/subscribe")

    @property
    def host(self) -> str:
        """Return its host and port, which its numbers belong to."""
        return urlsplit(self.url).netloc

    def asked(self, dids: tuple[str, ...], cursor: int | None) -> str:
        """Return the address that asks for posts from a cursor on."""
        if self.is_v1:
            params = [("wantedCollections", POSTS), *(("wantedDids", did) for did in dids)]
        else:
            params = [*(("kinds", kind) for kind in KINDS), *(("dids", did) for did in dids)]
            params.append(("collections", POSTS))
        params.append(("maxMessageSizeBytes", str(MAX_EVENT_BYTES)))
        if cursor is not None:
            params.append(("cursor", str(cursor)))
        return f"{self.url}?{urlencode(params)}"

    def cursor(self, place: Place | None, first: datetime | None) -> int | None:
        """Return the number to ask for: of the event itself, or of a time a little before it."""
        if place is None:
            return None if first is None else moments.microseconds(first)
        if not self.is_v1 and place.seq and place.host == self.host:
            return place.seq
        return max(place.time_us - REWIND_US, 1)
