"""The run over the phases of a site that is still being built, as a sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.report.sheet import Sheet
from gigafactory.report.words import count, layout_words

if TYPE_CHECKING:
    from gigafactory.plan.growth import GrownRun


def growth_sheet(growth: GrownRun) -> Sheet:
    """Return when each phase is there, what it trains, and the end as a distribution."""
    rows: list[tuple[str, ...]] = [
        (
            f"{one.phase.num_gpus:,} GPUs: {layout_words(one.layout)}",
            str(one.phase.p10), str(one.phase.p50), str(one.phase.p90), count(one.tokens),
        )
        for one in growth.steps
    ]  # fmt: skip
    rows.append(("trained", *map(str, growth.finish), count(sum(o.tokens for o in growth.steps))))
    saved = (growth.whole_machine - growth.finish[1]).days
    return Sheet(
        title="Growth: train on what is there, grow into what comes",
        align="lrrrr",
        head=("", "P10", "P50", "P90", "tokens at P50"),
        rows=tuple(rows),
        note=f"With slower or faster steps {growth.earliest} to {growth.latest}. Waiting for the "
        f"whole machine would end {saved:,} days later ({growth.whole_machine}). {growth.source}.",
    )
