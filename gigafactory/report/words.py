"""Numbers and nouns as people read them: intervals, dates, dollars, layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, show

if TYPE_CHECKING:
    from gigafactory.spec.interval import Interval
    from gigafactory.spec.layout import Layout

SECONDS_PER_MINUTE: Final = 60.0
DAYS_PER_YEAR: Final = 365.25
VERY_FAR: Final = 10.0
SHORT_NAMES: Final = {
    "tensor_parallel": "tp",
    "sequence_parallel": "sp",
    "pipeline_parallel": "pp",
    "virtual_pipeline": "vpp",
    "data_parallel": "dp",
    "data_shard": "",
    "context_parallel": "cp",
    "expert_parallel": "ep",
    "expert_tensor_parallel": "etp",
    "micro_batch_size": "mbs",
    "global_batch_size": "gbs",
    "seq_len": "",
    "sharding": "",
    "recompute": "",
    "precision": "",
    "schedule": "",
}


def share(value: float) -> str:
    """Return a fraction in per cent.

    >>> share(0.4248), share(0.0042), share(1e-5), share(0.0)
    ('42%', '0.4%', '<0.1%', '0%')
    """
    percent = 100 * value
    if 0 < percent < 0.05:
        return "<0.1%"
    return f"{percent:.1f}%" if 0 < percent < 9.95 else f"{percent:z.0f}%"


def off_by(ratio: float) -> str:
    """Return how far a value is from another by their ratio; by factors where it is very far.

    >>> off_by(1.05), off_by(0.5), off_by(1.0), off_by(1234.0), off_by(0.001)
    ('+5.0%', '-50.0%', '+0.0%', '1,234 x', '1/1,000')
    """
    if ratio >= VERY_FAR:
        return f"{ratio:,.0f} x"
    return f"1/{1 / ratio:,.0f}" if ratio * VERY_FAR <= 1 else f"{ratio - 1:+z.1%}"


def count(value: float) -> str:
    """Return a large count as model makers write it.

    >>> count(15e12), count(314e9), count(9.6e6), count(84)
    ('15T', '314B', '9.6M', '84')
    """
    for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= scale * 0.9995:
            return f"{value / scale:.3g}{letter}"
    return f"{value:,.0f}"


def usd(value: float) -> str:
    """Return dollars.

    >>> usd(6.2e9), usd(21.4e6), usd(2.3), usd(51_300.0)
    ('$6.2 billion', '$21.4 million', '$2.30', '$51,300')
    """
    for scale, word in ((1e9, "billion"), (1e6, "million")):
        if value >= scale * 0.9995:
            return f"${value / scale:,.3g} {word}"
    return f"${value:,.0f}" if value >= 1000 else f"${value:.2f}"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(2.545), duration(1855.0), duration(90_000.0), duration(3.9 * 86_400)
    ('2.54 s', '31 min', '25 h', '3.9 days')
    """
    if seconds < 2 * SECONDS_PER_MINUTE:
        return show(seconds, "s")
    if seconds < 2 * SECONDS_PER_HOUR:
        return f"{seconds / SECONDS_PER_MINUTE:.0f} min"
    if seconds < 2 * SECONDS_PER_DAY:
        return f"{seconds / SECONDS_PER_HOUR:.0f} h"
    days = seconds / SECONDS_PER_DAY
    if days >= 2 * DAYS_PER_YEAR:
        return f"{days / DAYS_PER_YEAR:,.1f} years"
    return f"{days:.3g} days" if days < 100 else f"{days:.0f} days"


def span(values: Interval, unit: str) -> tuple[str, str, str]:
    """Return the lowest, expected and highest value with SI prefix and unit."""
    return show(values.low, unit), show(values.expected, unit), show(values.high, unit)


def layout_words(layout: Layout) -> str:
    """Return a layout in short names; degrees of one and defaults that change nothing are left out.

    >>> from gigafactory.spec.layout import Layout
    >>> layout_words(Layout(data_parallel=128, tensor_parallel=8, pipeline_parallel=16,
    ...                     global_batch_size=2048, seq_len=8192))
    'tp 8, pp 16, dp 128, mbs 1, zero1'
    """
    pipeline = f"pp {layout.pipeline_parallel}"
    if layout.virtual_pipeline > 1:
        pipeline += f" x {layout.virtual_pipeline}"
    split = {
        f"tp {layout.tensor_parallel}": layout.tensor_parallel,
        pipeline: layout.pipeline_parallel,
        f"dp {layout.data_parallel}": layout.data_parallel,
        f"cp {layout.context_parallel}": layout.context_parallel,
        f"ep {layout.expert_parallel}": layout.expert_parallel,
        f"etp {layout.expert_tensor_parallel}": layout.expert_tensor_parallel,
    }
    words = [word for word, degree in split.items() if degree > 1]
    words += [f"mbs {layout.micro_batch_size}", _sharding(layout)]
    if layout.recompute != "none":
        words.append(f"{layout.recompute} recompute")
    return ", ".join(words)


def _sharding(layout: Layout) -> str:
    shard = layout.data_shard
    if layout.sharding == "none" or shard in (None, layout.data_parallel):
        return "unsharded" if layout.sharding == "none" else layout.sharding
    return f"{layout.sharding} over {shard}"
