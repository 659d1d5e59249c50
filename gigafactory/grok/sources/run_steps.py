"""Steps of a run as posts, some steps each: a post for every step would drown all others.

A run that goes back to a checkpoint writes its steps anew. What is then told of a step is told
again; a post about steps that are lost, and not trained again yet, is deleted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.grok.sources import moments, run_words
from gigafactory.grok.sources.line_blocks import Line, Tail, kept_place
from gigafactory.grok.sources.payload import table
from gigafactory.grok.sources.run_posts import digest_of, run_post, url_of
from gigafactory.grok.sources.run_records import record
from gigafactory.spec.post import Deletion
from gigafactory.spec.run import StepRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from gigafactory.grok.sources.telling import Teller
    from gigafactory.spec.post import Change, Post

HOLD: Final = timedelta(seconds=10)  # the last steps wait that long for those that fill their post


class _Step(NamedTuple):
    line: Line
    record: StepRecord


class StepPosts:
    """Makes posts of the steps in a file, `size` steps each.

    Attributes:
        told: A digest of what each post said, by the first step it may hold.
    """

    def __init__(self, path: Path, run: str, size: int, tell: Teller) -> None:
        self.tail = Tail(path)
        self.run, self.size, self.tell = run, size, tell
        self.told: dict[int, str] = {}
        self._group: list[_Step] = []
        self._grown_at: datetime | None = None
        self._revision = 0

    def kept(self) -> dict[str, Any]:
        """Return what a later reading must know: where the last steps begin, and what was said."""
        place = self.tail.place_at(self._group[0].line) if self._group else self.tail.place
        last = max(self.told, default=None)
        told = {} if last is None else {str(last): self.told[last]}
        return {"place": place._asdict(), "told": told}

    def go_to(self, kept: dict[str, Any]) -> None:
        """Go on from what `kept` returned.

        Raises:
            TypeError: It returned something else.
            ValueError: Likewise.
        """
        self.tail.place = kept_place(table(kept.get("place")))
        self.told = {int(first): str(said) for first, said in table(kept.get("told")).items()}

    def changes(self, *, is_over: bool) -> Iterator[Change]:
        """Yield posts about the steps that are new; about the last few of them when they stay so.

        Args:
            is_over: Nothing follows, or nobody waits for it.
        """
        anew = self.tail.is_anew()
        if anew:
            self._group = []
        for line in self.tail.lines():
            where = f"{self.tail.path}: line {line.number}"
            step = record(line.data, StepRecord, self.tell, where)
            if step is None:
                continue
            if self._group and self._first(step) != self._first(self._group[0].record):
                yield from self._post()
                self._group = []
            self._group.append(_Step(line, step))
            self._grown_at = self.tell.now()
        if self._group and (is_over or self._is_full() or self._is_settled()):
            yield from self._post()
        if anew:
            yield from self._lost()

    def _first(self, step: StepRecord) -> int:
        """Return the first step of the post that a step belongs to."""
        return (step.step - 1) // self.size * self.size + 1

    def _is_full(self) -> bool:
        step = self._group[-1].record
        return step.step == self._first(step) + self.size - 1

    def _is_settled(self) -> bool:
        return self._grown_at is not None and self.tell.now() - self._grown_at >= HOLD

    def _post(self) -> Iterator[Post]:
        """Yield the post of the group, unless it says what it said before."""
        first, last = self._first(self._group[0].record), self._group[-1].record
        text = run_words.steps_text(self.run, [one.record for one in self._group])
        said = digest_of(text.encode())
        if self.told.get(first) == said:
            return
        edited_at = moments.parsed(last.time) if first in self.told else None
        self.told[first] = said
        made = run_post(
            self.tell,
            f"steps/{first}",
            self._group[0].record.time,
            text,
            url_of(self.tail.path, self._group[0].line),
            revision=self._next_revision(),
            edited_at=edited_at,
        )
        yield from (made,) if made else ()

    def _lost(self) -> Iterator[Deletion]:
        """Yield the deletion of posts about steps that are no longer in the file."""
        reached = self._first(self._group[-1].record) if self._group else 1 - self.size
        for first in range(reached + self.size, max(self.told, default=0) + 1, self.size):
            self.told.pop(first, None)
            yield Deletion(
                id=f"steps/{first}", source=self.tell.source, revision=self._next_revision()
            )

    def _next_revision(self) -> int:
        """Return a revision above all before: what is told now is how it is."""
        self._revision = max(self._revision + 1, moments.microseconds(self.tell.now()))
        return self._revision
