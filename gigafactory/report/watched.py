"""A run folder that is looked at again and again: only what is new is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.compare.promised import promised
from gigafactory.compare.status import Seen, status
from gigafactory.report.watch import View
from gigafactory.run.lines import Tail
from gigafactory.run.record import EVENTS, LOST, STEPS, RunFolder, kept_apart
from gigafactory.spec.run import Event, StepRecord

if TYPE_CHECKING:
    from pathlib import Path


class Watched:
    """A run and its prediction, which is priced once.

    Raises:
        SpecError: The folder holds no run, or its plan cannot be priced.
    """

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path)
        self.folder.require()
        self._training = self.folder.training()
        self._promised = promised(self.folder.plan(), self._training)
        self._steps = Tail(path / STEPS, StepRecord)
        self._events = Tail(path / EVENTS, Event)
        self._lost = Tail(path / LOST, StepRecord)

    def look(self, now: float) -> View:
        """Return the run as it stands at a moment, seconds since 1970.

        Raises:
            CatalogError: A file of the run is at fault.
        """
        live = self.folder.is_live()  # before the result: a run that ends in between is not dead
        for tail in (self._steps, self._lost, self._events):
            tail.poll()
        steps, events = self._steps.records, self._events.records
        seen = Seen(
            steps=steps,
            events=events,
            lost=kept_apart(self._lost.records, steps),
            result=self.folder.result(),
            now=now,
            live=live,
            hang_s=self._training.hang_s,
        )
        return View(
            plan=self._promised.plan,
            status=status(self._promised, seen),
            losses=[(float(s.step), s.loss) for s in steps],
            evaluations=[
                (float(e.step or 0), e.values["loss"])
                for e in events
                if e.kind == "evaluate" and "loss" in e.values
            ],
            events=events[-10:],
        )
