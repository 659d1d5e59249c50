"""A source read for a while by a test: what it yields, and what it tells."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gigafactory.spec.post import Deletion, Post

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.spec.post import Batch, Change, Incident

TOO_LONG_S = 20.0  # then a test that waits for something has failed


@dataclass
class Reading:
    """All that came, as a log would take it."""

    batches: list[Batch] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)

    @property
    def changes(self) -> list[Change]:
        """Return all changes in their order."""
        return [one for batch in self.batches for one in batch.changes]

    @property
    def cursor(self) -> str | None:
        """Return the last cursor."""
        return self.batches[-1].cursor if self.batches else None

    @property
    def kinds(self) -> list[str]:
        """Return what kinds of incidents were told, in their order."""
        return [one.kind for one in self.incidents]

    def standing(self) -> dict[str, str]:
        """Return the text of each post that stands, as a log that knows revisions holds them."""
        held: dict[str, Change] = {}
        for one in self.changes:
            before = held.get(one.id)
            if before is None or one.revision > before.revision:
                held[one.id] = one
        return {id: one.text for id, one in held.items() if isinstance(one, Post)}

    def deleted(self) -> set[str]:
        """Return what was deleted."""
        return {one.id for one in self.changes if isinstance(one, Deletion)}


def read(
    source: Any,
    until: Callable[[Reading], bool],
    cursor: str | None = None,
    into: Reading | None = None,
) -> Reading:
    """Read a source until enough has come, or until its end."""
    reading = Reading() if into is None else into

    async def main() -> None:
        async with asyncio.timeout(TOO_LONG_S), aclosing(
            source.batches(cursor, reading.incidents.append)
        ) as batches:  # fmt: skip
            async for batch in batches:
                reading.batches.append(batch)
                if until(reading):
                    return

    asyncio.run(main())
    return reading


async def at_once(_wait_s: float) -> None:
    """Wait no time at all, yet let others run."""
    await asyncio.sleep(0.001)


class Waits:
    """A sleep that notes what it was asked to wait, and does not."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    async def __call__(self, wait_s: float) -> None:
        """Wait."""
        self.asked_s.append(wait_s)
        await asyncio.sleep(0.001)
