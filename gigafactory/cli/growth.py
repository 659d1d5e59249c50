"""The phases of a site under construction, for the commands that train on it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gigafactory.plan.answer import Answer
    from gigafactory.plan.promise import Surroundings
    from gigafactory.plan.space import Question
    from gigafactory.spec.growth import Growth
    from gigafactory.spec.job import Job

SAMPLES: Final = 20_000  # courses: dates of phases to a day or two
SEED: Final = 0


def growth_of_site(name: str) -> tuple[Growth, str]:
    """Return the phases of a building project with their odds, and the name of its place.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    import numpy as np

    from gigafactory.build.delivery import growth_of
    from gigafactory.build.montecarlo import courses
    from gigafactory.catalog import projects

    project = projects.project(name)
    found = courses(project, SAMPLES, np.random.default_rng(SEED))
    return growth_of(project, found), project.site


def grown(
    answer: Answer, question: Question, job: Job, around: Surroundings, growth: Growth,
    not_before: dt.date | None,
) -> Answer:  # fmt: skip
    """Return the answer with its run over the phases of growth."""
    from gigafactory.plan.answer import scaling
    from gigafactory.plan.growth import grown_run

    precision = answer.promise.plan.layout.precision
    asked, wanted = replace(question, precision=precision), replace(job, precision=precision)
    sizes = [phase.num_gpus for phase in growth.phases]
    points = scaling(asked, wanted, around, sizes)
    return replace(answer, growth=grown_run(points, growth, wanted, not_before))
