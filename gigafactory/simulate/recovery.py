"""From a failure to the first new step: stage by stage, each with its law.

    detect | diagnose, evict, swap, launch, load, communicator | recompute

Detection is down time in which nothing else fails; its law is a beta between the published ends
with the published mean. The stages of the restart may be struck themselves and then begin again;
launch is what the published restart leaves after loading and communicators. Recomputing is what
the checkpoint geometry leaves. A wait for a server lies between detection and restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from gigafactory.cost.goodput import restart_time_s

if TYPE_CHECKING:
    from gigafactory.spec.faults import FaultProfile
    from gigafactory.spec.interval import Interval

Floats = NDArray[np.float64]

PERT_CONCENTRATION: Final = 6.0  # of a beta as wide as beta-PERT: a + b


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Mean seconds of each stage of a restart of one size.

    Attributes:
        launch: Processes, devices, compilation: what the published restart leaves for them.
        load: The checkpoint comes back from storage.
        communicator: Grows with the number of ranks.
    """

    diagnose: float
    evict: float
    swap: float
    launch: float
    load: float
    communicator: float

    @property
    def total(self) -> float:
        """Seconds from the decision to the first new step."""
        early = self.diagnose + self.evict + self.swap
        return early + self.launch + self.load + self.communicator

    def named(self) -> dict[str, float]:
        """Return the stages that take time, in their order."""
        names = ("diagnose", "evict", "swap", "launch", "load", "communicator")
        return {name: getattr(self, name) for name in names if getattr(self, name) > 0}


def stages(profile: FaultProfile, num_gpus: int, load_s: float, *, warm: bool = False) -> Stages:
    """Return the stages of a restart of `num_gpus`.

    The published restart holds launch, load and communicators; where a load by itself takes
    longer than it leaves room for, the restart is longer by that.

    Args:
        profile: What was published.
        num_gpus: Size of the job.
        load_s: Seconds to read the checkpoint.
        warm: Spares already run: the warm restart where it was timed.
    """
    table = profile.warm_restart_s if warm and profile.warm_restart_s else profile.restart_s
    total = float(restart_time_s(num_gpus, profile.restart_gpus, table))
    communicator = 0.0
    if profile.communicator_s:
        built = restart_time_s(num_gpus, profile.restart_gpus, profile.communicator_s)
        communicator = min(float(built), total)
    early = {name: found.expected for name, found in profile.early_stages_s.items()}
    return Stages(
        diagnose=early.get("diagnose", 0.0),
        evict=early.get("evict", 0.0),
        swap=early.get("swap", 0.0),
        launch=max(total - communicator - load_s, 0.0),
        load=load_s,
        communicator=communicator,
    )


def drawn_within(span: Interval, rng: np.random.Generator, number: int) -> Floats:
    """Return draws between the ends of an interval with its expected value as mean, `[number]`.

    A beta of concentration a + b = 6, as beta-PERT has; a point where the interval is one.
    """
    width = span.high - span.low
    if width <= 0 or span.expected in (span.low, span.high):
        return np.full(number, span.expected)
    mean = (span.expected - span.low) / width
    drawn = rng.beta(PERT_CONCENTRATION * mean, PERT_CONCENTRATION * (1.0 - mean), number)
    return span.low + width * drawn


def drawn_restart_s(mean_s: Floats, variation: float, rng: np.random.Generator) -> Floats:
    """Return draws of restart times: gamma about their means; the means where none is known."""
    if variation <= 0:
        return mean_s
    shape = 1.0 / variation**2
    return mean_s * rng.gamma(shape, 1.0 / shape, len(mean_s))
