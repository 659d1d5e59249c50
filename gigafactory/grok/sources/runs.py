"""The factory's own runs as posts: every event, every few steps, and how it ended.

A run folder is read as it grows. A run that goes back to a checkpoint writes its steps anew; the
posts about steps that are trained again follow, those about steps that are lost are deleted.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.grok.sources import moments, run_words
from gigafactory.grok.sources.line_blocks import Tail, kept_place
from gigafactory.grok.sources.payload import json_object, table, words
from gigafactory.grok.sources.run_posts import digest_of, run_post, url_of
from gigafactory.grok.sources.run_records import record
from gigafactory.grok.sources.run_steps import StepPosts
from gigafactory.grok.sources.telling import Teller, utc_now
from gigafactory.spec.post import Batch, Post
from gigafactory.spec.run import Event, RunResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from gigafactory.spec.post import Change, Incident

EVENTS: Final = "events.jsonl"
STEPS: Final = "steps.jsonl"
RESULT: Final = "result.json"
STEPS_A_POST: Final = 10
POLL_S: Final = 1.0
AT_ONCE: Final = 500


@dataclass(frozen=True)
class RunSource:
    """The events and steps of a run folder.

    Attributes:
        path: The folder.
        follow: Go on as the run does; else end with what is there.
        steps_a_post: Steps that one post tells of.
        poll_s: Seconds between two looks.
        now: The clock.
        sleep: Waits.
    """

    path: Path
    follow: bool = True
    steps_a_post: int = STEPS_A_POST
    poll_s: float = POLL_S
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    @property
    def run(self) -> str:
        """Return the run's name: the folder's."""
        return self.path.resolve().name

    @property
    def name(self) -> str:
        """Return "run:NAME"."""
        return f"run:{self.run}"

    async def batches(
        self, cursor: str | None, tell: Callable[[Incident], None]
    ) -> AsyncGenerator[Batch, None]:
        """Yield what the run does; see `doors.Source`.

        Raises:
            SpecError: The folder holds no run.
        """
        if not any((self.path / name).exists() for name in (EVENTS, STEPS, RESULT, "plan.toml")):
            message = f"{self.path}: must be a run folder, has no {EVENTS}"
            raise SpecError(message, field="run")
        reading = _Reading(self, Teller(self.name, tell, self.now))
        reading.go_to(cursor)
        while True:
            for batch in await asyncio.to_thread(reading.look):
                yield batch
            if not self.follow:
                return
            await self.sleep(self.poll_s)


class _Reading:
    """One reading of a run folder: where it stands in each file, and what it has told."""

    def __init__(self, source: RunSource, tell: Teller) -> None:
        self.source, self.tell = source, tell
        self.events = Tail(source.path / EVENTS)
        self.steps = StepPosts(source.path / STEPS, source.run, source.steps_a_post, tell)
        self.result = ""

    def go_to(self, cursor: str | None) -> None:
        """Go on from a cursor; from the start if it is not readable."""
        if not cursor:
            return
        kept = json_object(cursor, self.tell, "cursor") or {}
        try:
            self.events.place = kept_place(table(kept.get("events")))
            self.steps.go_to(table(kept.get("steps")))
        except (TypeError, ValueError):
            self.tell("malformed", "the cursor is not readable; the run is read from its start")
            return
        self.result = words(kept.get("result"))

    def look(self) -> list[Batch]:
        """Return what is new in the folder; the cursor moves with the last part of it.

        Raises:
            SpecError: A file of it cannot be read.
        """
        try:
            before = self._cursor()
            changes = list(self._changes())
            after = self._cursor()
        except OSError as error:
            message = f"{error.filename}: cannot be read: {error.strerror}"
            raise SpecError(message, field="run") from None
        parts = [changes[start : start + AT_ONCE] for start in range(0, len(changes), AT_ONCE)]
        if not parts and after != before:
            parts = [[]]
        last = len(parts) - 1
        return [self._batch(part, after if n == last else before) for n, part in enumerate(parts)]

    def _changes(self) -> Iterator[Change]:
        """Yield what is new; the result is read first, so that all it ends is read after it."""
        result = list(self._new_result())
        yield from self._new_events()
        yield from self.steps.changes(is_over=bool(self.result) or not self.source.follow)
        yield from result

    def _batch(self, part: list[Change], cursor: str) -> Batch:
        times = [one.edited_at or one.created_at for one in part if isinstance(one, Post)]
        return Batch(
            source=self.tell.source,
            changes=tuple(part),
            cursor=cursor,
            last_event_at=max(times, default=None),
        )

    def _cursor(self) -> str:
        events = self.events.place._asdict()
        told = {"events": events, "steps": self.steps.kept(), "result": self.result}
        return json.dumps(told)

    def _new_events(self) -> Iterator[Post]:
        self.events.is_anew()
        for line in self.events.lines():
            event = record(line.data, Event, self.tell, f"{self.events.path}: line {line.number}")
            if event is None:
                continue
            text = run_words.event_text(self.source.run, event)
            made = run_post(
                self.tell, f"events/{line.offset}", event.time, text, url_of(self.events.path, line)
            )
            yield from (made,) if made else ()

    def _new_result(self) -> Iterator[Post]:
        """Yield how the run ended, each time it does: it may be resumed."""
        path = self.source.path / RESULT
        try:
            data, written = path.read_bytes(), path.stat().st_mtime_ns // 1000
        except FileNotFoundError:
            self.result = ""
            return
        if (digest := digest_of(data)) == self.result:
            return
        self.result = digest
        found = record(data, RunResult, self.tell, str(path))
        moment = moments.from_microseconds(written)
        if found is None or moment is None:
            return
        text = run_words.result_text(self.source.run, found)
        made = run_post(
            self.tell, "result", moment.isoformat(), text, path.resolve().as_uri(), revision=written
        )
        yield from (made,) if made else ()
