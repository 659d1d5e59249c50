"""What the options of `giga plan` mean: text in, nouns out, every fault of them at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from gigafactory.catalog import loader, machines
from gigafactory.errors import SpecError
from gigafactory.plan.limits import Limits
from gigafactory.plan.promise import Surroundings
from gigafactory.plan.space import Question
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.hardware import PRECISIONS
from gigafactory.spec.job import Job
from gigafactory.units import parse

T = TypeVar("T")
DEFAULT_BATCH_TOKENS: Final = 16_777_216  # Llama 3's largest batch, arXiv 2407.21783 section 3.4.1
LONGEST_DEFAULT_SEQUENCE: Final = 8_192
MOST_GPUS: Final = 1_000_000  # offered where the size is what is asked for
MOST_TOKENS: Final = 1e18
DEFAULT_SOFTWARE: Final = "megatron-core"
DEFAULT_FAULTS: Final = "llama3-h100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were typed; None where one was not given."""

    model: str
    tokens: str
    cluster: str | None = None
    gpus: int | None = None
    gpu: str | None = None
    start: str | None = None
    by: str | None = None
    seq_len: int | None = None
    global_batch_tokens: str | None = None
    power_cap: str | None = None
    budget: str | None = None
    precision: str = "bf16"
    site: str | None = None
    software: str = DEFAULT_SOFTWARE
    faults: str = DEFAULT_FAULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options understood.

    Attributes:
        warnings: What the user should know before the answer.
    """

    question: Question
    job: Job
    around: Surroundings
    limits: Limits
    warnings: tuple[str, ...]


def understand(options: Options, today: dt.date) -> Request:
    """Return what the options ask.

    Raises:
        SpecError: Options at fault, all of them in one message.
    """
    faults: list[str] = []
    tokens = _quantity("tokens", options.tokens, faults, most=MOST_TOKENS)
    power_cap = _quantity("power-cap", options.power_cap, faults)
    budget = _quantity("budget", options.budget, faults)
    start, by = _date("start", options.start, faults), _date("by", options.by, faults)
    if options.precision not in PRECISIONS:
        faults.append(
            f"--precision must be one of {', '.join(PRECISIONS)}, got {options.precision!r}"
        )
    cluster = _cluster(options, faults, limited=bool(by or power_cap or budget))
    model = _attempt(faults, lambda: loader.model(options.model))
    if faults or cluster is None or model is None or tokens is None:
        raise SpecError("; ".join(faults))
    seq_len = _sequence(options.seq_len, model.context_length)
    batch, warnings = _batch(options.global_batch_tokens, seq_len)
    start = start or cluster.available or today
    if by is not None and by <= start:
        raise SpecError(f"--by must be after the start {start}, got {by}", field="by")
    return Request(
        question=Question(
            model=model,
            machine=machines.machine(cluster, options.software),
            seq_len=seq_len,
            global_batch_size=batch,
            num_gpus=cluster.num_gpus,
            precision=options.precision,
        ),
        job=Job(
            tokens=tokens,
            seq_len=seq_len,
            global_batch_size=batch,
            start=start,
            precision=options.precision,
            by=by,
        ),
        around=_surroundings(options, cluster),
        limits=_limits(options, by, power_cap, budget),
        warnings=warnings,
    )


def _limits(
    options: Options, by: dt.date | None, power_cap: float | None, budget: float | None
) -> Limits:
    gpu = options.gpu
    free = options.cluster is None and options.gpus is None and gpu is not None
    return Limits(
        # A machine of given size answers whether it is in time; only a free size must be.
        by=by if free else None,
        power_cap_w=power_cap,
        budget_usd=budget,
        sized=(lambda n: loader.cluster_of(gpu or "", n)) if free else None,
    )


def _surroundings(options: Options, cluster: Cluster) -> Surroundings:
    name = cluster.accelerator.name
    return Surroundings(
        faults=loader.faults(options.faults),
        site=loader.site(options.site or cluster.site),
        prices=loader.prices(name) if name in loader.names("prices") else None,
    )


def _cluster(options: Options, faults: list[str], *, limited: bool) -> Cluster | None:
    named, counted = options.cluster, options.gpus
    if named is not None:
        if counted is not None or options.gpu is not None:
            faults.append("--cluster stands alone, without --gpus and --gpu")
        return _attempt(faults, lambda: loader.cluster(named))
    gpu = options.gpu
    if gpu is None:
        faults.append("--cluster NAME, or --gpu TYPE with --gpus N, is needed")
        return None
    if counted is None and not limited:
        faults.append("--gpus N is needed where no --by, --power-cap or --budget bounds the size")
        return None
    size = MOST_GPUS if counted is None else counted
    if not 1 <= size <= 100_000_000:
        faults.append(f"--gpus must be between 1 and 100000000, got {size}")
        return None
    return _attempt(faults, lambda: loader.cluster_of(gpu, size))


def _sequence(asked: int | None, context: int) -> int:
    if asked is None:
        return min(context, LONGEST_DEFAULT_SEQUENCE)
    if not 1 <= asked <= 100_000_000:
        raise SpecError(f"--seq-len must be between 1 and 100000000, got {asked}", field="seq_len")
    return asked


def _batch(asked: str | None, seq_len: int) -> tuple[int, tuple[str, ...]]:
    """Return sequences per step, and a warning where they pass the default bound."""
    if asked is None:
        most = max(DEFAULT_BATCH_TOKENS // seq_len, 1)
        # A power of two has the most divisors for its size, and so the most layouts.
        return 1 << (most.bit_length() - 1), ()
    faults: list[str] = []
    tokens = _quantity("global-batch-tokens", asked, faults, most=MOST_TOKENS)
    if tokens is None:
        raise SpecError(faults[0], field="global_batch_tokens")
    if tokens % seq_len:
        raise SpecError(
            f"--global-batch-tokens must be a multiple of --seq-len {seq_len}, got {asked}; "
            f"nearest: {max(round(tokens / seq_len), 1) * seq_len}",
            field="global_batch_tokens",
        )
    if tokens <= DEFAULT_BATCH_TOKENS:
        return int(tokens) // seq_len, ()
    return int(tokens) // seq_len, (
        f"a batch of {int(tokens):,} tokens is above the default bound of "
        f"{DEFAULT_BATCH_TOKENS:,} (Llama 3's largest); that training converges as well per "
        "token is not part of the plan",
    )


def _quantity(name: str, text: str | None, faults: list[str], most: float = 1e30) -> float | None:
    if text is None:
        return None
    try:
        value = parse(text)
    except SpecError as error:
        faults.append(f"--{name}: {error}")
        return None
    if not 0 < value <= most:
        faults.append(f"--{name} must be above 0 and at most {most:g}, got {text}")
        return None
    return value


def _date(name: str, text: str | None, faults: list[str]) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        faults.append(f"--{name} must be a date such as 2025-12-31, got {text[:40]!r}")
        return None


def _attempt(faults: list[str], load: Callable[[], T]) -> T | None:
    try:
        return load()
    except SpecError as error:
        faults.append(str(error))
        return None
