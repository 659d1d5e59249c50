"""What slows a recorded run down: for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gigafactory.report.as_json import SCHEMA, plain
from gigafactory.report.sheet import Sheet
from gigafactory.report.words import share
from gigafactory.units import show

if TYPE_CHECKING:
    from gigafactory.simulate.stragglers import Factor, Suspect, WhatIf

HEAD: Final = ("", "step without it", "explains", "alone")
FACTOR: Final[dict[Factor, str]] = {
    "stages": "stages differ",
    "workers": "workers of a stage differ",
    "passes": "passes of a worker differ",
}
DATA_CORRELATION: Final = 0.9  # of a microbatch's two passes: Lin et al. 2025 call it the data
WORTH_TELLING: Final = 1.01  # slowdown of a worker alone
RELATED: Final = (
    "step without it: that part at its typical time, the rest as recorded. explains: how much of "
    "the slowdown then goes; these do not add up to all of it. alone: slowdown with that part as "
    "recorded and the rest typical."
)


def straggler_json(found: WhatIf) -> dict[str, Any]:
    """Return the answer for programs; seconds are means over the steps."""
    made: dict[str, Any] = plain({
        "schema": SCHEMA,
        "trace": found.name,
        "steps": found.steps,
        "recorded_s": found.recorded_s,
        "replayed_s": found.replayed_s,
        "ideal_s": found.ideal_s,
        "slowdown": found.slowdown,
        "cause": found.cause,
        "clock_skew_s": found.clock_skew_s,
        "step_slowdowns": found.step_slowdowns,
        "uneven": found.uneven,
        "last_stage": found.last_stage,
        "worst_workers": {"count": found.worst_count, **plain(found.worst_workers)},
        "forward_backward_correlation": found.forward_backward_correlation,
        "operations": {
            name: {"typical_s": found.typical_s[name], **plain(one)}
            for name, one in found.operations.items()
        },
        "stages": found.stages,
        "replica_slowdowns": found.replica_slowdowns,
        "workers": [
            {"stage": stage, "replica": replica, **plain(one)}
            for (stage, replica), one in found.workers.items()
        ],
    })  # fmt: skip
    return made


def straggler_sheets(found: WhatIf) -> list[Sheet]:
    """Return the step, what slows it, and by operation, stage and worker how much."""
    stages = {f"stage {index}": one for index, one in enumerate(found.stages)}
    workers = {
        f"stage {s}, replica {r}": one
        for (s, r), one in found.workers.items()
        if one.slowdown >= WORTH_TELLING
    }
    return [
        _step(found),
        _suspects("Why", _reasons(found), RELATED),
        _suspects("By operation", found.operations),
        _suspects("By stage", stages if len(stages) > 1 else {}),
        _suspects("The slowest workers", workers),
    ]


def verdict(found: WhatIf) -> str:
    """Return in a sentence what slows the run down."""
    slow = f"Slowdown {found.slowdown:.2f}: "
    if found.cause == "none":
        return slow + "no straggling worth the name."
    if found.cause == "unexplained":
        return slow + "stages, workers and passes explain less than half; see the operations."
    part = f"({share(found.uneven[found.cause].share)} of it)."
    if found.cause == "stages":
        slowest = max(range(len(found.stages)), key=lambda s: found.stages[s].slowdown)
        return slow + f"stage {slowest} has more to do than the others {part}"
    if found.cause == "workers":
        stage, replica = next(iter(found.workers))
        return slow + f"workers differ, most of all stage {stage} of replica {replica} {part}"
    if found.forward_backward_correlation >= DATA_CORRELATION:
        return slow + f"microbatches hold unequal work, as sequences of unequal length do {part}"
    return slow + f"a worker's passes differ with no regard to the microbatch {part}"


def _step(found: WhatIf) -> Sheet:
    gaps_s = found.recorded_s - found.replayed_s
    rows = (
        ("recorded", show(found.recorded_s, "s"), f"{found.steps} steps"),
        ("replayed", show(found.replayed_s, "s"), f"{share(gaps_s / found.recorded_s)} between"),
        ("ideal", show(found.ideal_s, "s"), "every operation at its typical time"),
        ("slowdown", f"{found.slowdown:.3f}", f"{share(1.0 - 1.0 / found.slowdown)} of it lost"),
    )
    return Sheet(title="One step", align="lrl", rows=rows, note=verdict(found))


def _reasons(found: WhatIf) -> dict[str, Suspect]:
    rows = {words: found.uneven[factor] for factor, words in FACTOR.items()}
    rows[_worst_words(found.worst_count)] = found.worst_workers
    return rows | ({"the last stage": found.last_stage} if found.last_stage else {})


def _worst_words(count: int) -> str:
    return "the worst worker" if count == 1 else f"the worst {count} workers"


def _suspects(title: str, suspects: dict[str, Suspect], note: str = "") -> Sheet:
    longest = max((one.slowdown - 1.0 for one in suspects.values()), default=0.0)
    return Sheet(
        title=title,
        align="lrrr",
        head=HEAD,
        rows=tuple(
            (name, show(one.removed_s, "s"), share(one.share), f"{one.slowdown:.3f}")
            for name, one in suspects.items()
        ),
        note=note,
        bars=tuple(
            max(one.slowdown - 1.0, 0.0) / longest if longest > 0.0 else 0.0
            for one in suspects.values()
        ),
    )
