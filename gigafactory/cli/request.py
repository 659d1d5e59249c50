"""What the options of `giga plan` mean: text in, nouns out, every fault of them at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from gigafactory.catalog import loader, machines, projects
from gigafactory.cli.growth import growth_of_site
from gigafactory.errors import SpecError
from gigafactory.plan.limits import Limits
from gigafactory.plan.promise import Surroundings
from gigafactory.plan.space import Question
from gigafactory.spec.cluster import Cluster
from gigafactory.spec.growth import Growth
from gigafactory.spec.hardware import PRECISIONS
from gigafactory.spec.job import Job
from gigafactory.spec.machine import Machine
from gigafactory.units import parse

T = TypeVar("T")
DEFAULT_BATCH_TOKENS: Final = 16_777_216  # Llama 3's largest batch, arXiv 2407.21783 section 3.4.1
LONGEST_DEFAULT_SEQUENCE: Final = 8_192
LONGEST_SEQUENCE: Final = 100_000_000
MOST_GPUS: Final = 1_000_000  # offered where the size is what is asked for
ANY_PRECISION: Final = "any"
MOST_TOKENS: Final = 1e18
DEFAULT_SOFTWARE: Final = "megatron-core"
OWN_SOFTWARE: Final = "gigafactory"  # what `giga run` trains with, on a machine measured for it
MEASURED_BY: Final = "giga calibrate"
DEFAULT_PRECISION: Final = "bf16"
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
    precision: str | None = None
    site: str | None = None
    software: str | None = None
    faults: str = DEFAULT_FAULTS
    rank_by: str = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options understood.

    Attributes:
        warnings: What the user should know before the answer.
        any_precision: Whether the precision is left free; the question then holds a stand-in.
        growth: The phases of the site, where that is a building project.
        not_before: The start that was asked for.
    """

    question: Question
    job: Job
    around: Surroundings
    limits: Limits
    warnings: tuple[str, ...]
    any_precision: bool = False
    growth: Growth | None = None
    not_before: dt.date | None = None


def understand(options: Options, today: dt.date) -> Request:
    """Return what the options ask.

    Raises:
        SpecError: Options at fault, all of them in one message.
    """
    faults: list[str] = []
    tokens = _quantity("tokens", options.tokens, faults, most=MOST_TOKENS)
    power_cap = _quantity("power-cap", options.power_cap, faults)
    budget = _quantity("budget", options.budget, faults)
    _choices(options, faults)
    cluster = _cluster(options, faults)
    growth, place = _site(options, cluster, faults)
    available = growth.phases[-1].p50 if growth else (cluster and cluster.available) or today
    earliest = growth.phases[0].p10 if growth else available
    start, by = _dates(options, available, earliest, faults)
    model = _attempt(faults, lambda: loader.model(options.model))
    context = model.context_length if model else LONGEST_DEFAULT_SEQUENCE
    seq_len = _sequence(options.seq_len, context, faults)
    batch, warnings = _batch(options.global_batch_tokens, seq_len, faults)
    machine = _machine(options, cluster, faults)
    around = _surroundings(options, cluster, place, faults)
    if faults or model is None or tokens is None or machine is None or around is None:
        raise _told(faults)
    free = options.precision == ANY_PRECISION
    precision = _precision(options, machine)
    job = Job(tokens=tokens, seq_len=seq_len, global_batch_size=batch, start=start, by=by,
              precision=precision)  # fmt: skip
    question = Question(model=model, machine=machine, seq_len=seq_len, global_batch_size=batch,
                        num_gpus=machine.cluster.num_gpus, precision=precision)  # fmt: skip
    return Request(
        question=question,
        job=job,
        around=around,
        limits=_limits(options, by, power_cap, budget),
        warnings=warnings,
        any_precision=free,
        growth=growth,
        not_before=start if options.start else None,
    )


def _told(faults: list[str]) -> SpecError:
    """Return all faults as one error; its field is the first option at fault."""
    option = faults[0].split()[0].strip("-:").replace("-", "_")
    return SpecError("; ".join(faults), field=option if option.isidentifier() else "")


def _choices(options: Options, faults: list[str]) -> None:
    if options.precision not in (None, *PRECISIONS, ANY_PRECISION):
        faults.append(
            f"--precision must be {', '.join(PRECISIONS)} or {ANY_PRECISION}, "
            f"got {options.precision!r}"
        )
    if options.rank_by not in ("step", "finish"):
        faults.append(f"--rank-by must be step or finish, got {options.rank_by!r}")


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
        rank_by="finish" if options.rank_by == "finish" else "step",
        sized=(lambda n: loader.cluster_of(gpu or "", n)) if free else None,
    )


def _machine(options: Options, cluster: Cluster | None, faults: list[str]) -> Machine | None:
    """Return the cluster with its software, which is looked at even where the cluster is none."""
    name = options.software or _default_software(cluster)
    software = _attempt(faults, lambda: loader.software(name))
    if cluster is None or software is None:
        return None
    return _attempt(faults, lambda: machines.machine(cluster, name))


def _default_software(cluster: Cluster | None) -> str:
    """Return our own trainer on a machine that was measured for it."""
    measured = cluster.measured if cluster else None
    own = measured is not None and measured.kernels.provenance.package == MEASURED_BY
    return OWN_SOFTWARE if own else DEFAULT_SOFTWARE


def _precision(options: Options, machine: Machine) -> str:
    """Return the precision asked for, else bf16, else the fastest one there is."""
    if options.precision and options.precision != ANY_PRECISION:
        return options.precision
    kernels = machine.kernels.gemm
    return DEFAULT_PRECISION if DEFAULT_PRECISION in kernels else next(iter(kernels))


def _site(
    options: Options, cluster: Cluster | None, faults: list[str]
) -> tuple[Growth | None, str | None]:
    """Return the phases where the site is a building project, and the place's name."""
    site = options.site
    if site is None or not projects.is_project(site):
        return None, site or (cluster.site if cluster else None)
    if options.cluster is None and options.gpus is None:
        faults.append("--site of a building project asks for a size: --cluster NAME or --gpus N")
    found = _attempt(faults, lambda: growth_of_site(site))
    if found is None:
        return None, None
    growth, place = found
    largest = growth.phases[-1].num_gpus
    if cluster is not None and largest > cluster.num_gpus:
        faults.append(f"--site {site} grows to {largest:,} GPUs, the cluster has only "
                      f"{cluster.num_gpus:,}")  # fmt: skip
    return growth, place


def _surroundings(
    options: Options, cluster: Cluster | None, place: str | None, faults: list[str]
) -> Surroundings | None:
    profile = _attempt(faults, lambda: loader.faults(options.faults))
    site = _attempt(faults, lambda: loader.site(place)) if place else None
    if cluster is None or profile is None or site is None:
        return None
    name = cluster.accelerator.name
    known = name in loader.names("prices")
    return Surroundings(faults=profile, site=site, prices=loader.prices(name) if known else None)


def _cluster(options: Options, faults: list[str]) -> Cluster | None:
    named, counted = options.cluster, options.gpus
    if named is not None:
        if counted is not None or options.gpu is not None:
            faults.append("--cluster stands alone, without --gpus and --gpu")
        return _attempt(faults, lambda: loader.cluster(named))
    gpu = options.gpu
    if gpu is None:
        faults.append("--cluster NAME, or --gpu TYPE with --gpus N, is needed")
        return None
    if counted is None and not (options.by or options.power_cap or options.budget):
        faults.append("--gpus N is needed where no --by, --power-cap or --budget bounds the size")
        return None
    size = MOST_GPUS if counted is None else counted
    if not 1 <= size <= 100_000_000:
        faults.append(f"--gpus must be between 1 and 100000000, got {size}")
        return None
    return _attempt(faults, lambda: loader.cluster_of(gpu, size))


def _sequence(asked: int | None, context: int, faults: list[str]) -> int:
    if asked is not None and not 1 <= asked <= LONGEST_SEQUENCE:
        faults.append(f"--seq-len must be between 1 and {LONGEST_SEQUENCE}, got {asked}")
        asked = None
    return min(context, LONGEST_DEFAULT_SEQUENCE) if asked is None else asked


def _batch(asked: str | None, seq_len: int, faults: list[str]) -> tuple[int, tuple[str, ...]]:
    """Return sequences per step, and a warning where they pass the default bound."""
    tokens = _quantity("global-batch-tokens", asked, faults, most=MOST_TOKENS)
    if tokens is None:
        most = max(DEFAULT_BATCH_TOKENS // seq_len, 1)
        # A power of two has the most divisors for its size, and so the most layouts.
        return 1 << (most.bit_length() - 1), ()
    if tokens % seq_len:
        faults.append(
            f"--global-batch-tokens must be a multiple of the {seq_len} tokens of a sequence, "
            f"got {asked}; nearest: {max(round(tokens / seq_len), 1) * seq_len}"
        )
    if tokens <= DEFAULT_BATCH_TOKENS:
        return max(int(tokens) // seq_len, 1), ()
    return max(int(tokens) // seq_len, 1), (
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


def _dates(
    options: Options, available: dt.date, earliest: dt.date, faults: list[str]
) -> tuple[dt.date, dt.date | None]:
    """Return the first day, and the one by which training must end."""
    asked = _date("start", options.start, faults)
    by, first = _date("by", options.by, faults), asked or earliest
    if by is not None and by <= first:
        faults.append(f"--by must be after the start {first}, got {by}")
    return asked or available, by


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
