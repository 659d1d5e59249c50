"""What the options of `giga simulate` ask, and its answer."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.catalog import files, loader, machines, projects, read
from gigafactory.cli.growth import growth_of_site
from gigafactory.cli.progress import share_shown
from gigafactory.errors import CatalogError, SpecError
from gigafactory.plan.cases import Case
from gigafactory.plan.predict import predict
from gigafactory.simulate.check import check
from gigafactory.simulate.growth import phase_starts, read_phases
from gigafactory.simulate.outcome import outcome, settled, swings
from gigafactory.simulate.policy import KINDS, RULES
from gigafactory.simulate.power import GridTrace, Smoothing, levels
from gigafactory.simulate.scenario import Asked, Phase, scenario
from gigafactory.simulate.smoothing import Smoothed, smoothed
from gigafactory.simulate.story import story
from gigafactory.simulate.teller import Told
from gigafactory.simulate.trace import fitted, is_trace, read_trace
from gigafactory.units import parse

if TYPE_CHECKING:
    from gigafactory.spec.faults import FaultProfile
    from gigafactory.spec.growth import Growth
    from gigafactory.spec.machine import Machine
    from gigafactory.spec.outcome import Outcome
    from gigafactory.spec.plan import Plan
    from gigafactory.spec.site import Site

MOST_ROWS: Final = 1000  # phases of a table


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as they were typed; None where one was not given."""

    plan: Path
    days: float | None = None
    faults: str | None = None
    trace_nodes: int | None = None
    seeds: int = 200
    seed: int = 0
    policy: str = "restart"
    interval: str = "plan"
    memory_every: int = 1
    spares: int | None = None
    evict_after: int = 0
    arrivals: str = "profile"
    site: str | None = None
    growth: Path | None = None
    maintenance_every: float | None = None
    maintenance: str | None = None
    ramp: str | None = None
    battery: str = "0"
    battery_energy: str = "0"
    filler: float = 0.0
    tornado: bool = False
    story: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """The answer: all seeds, and one of them told where that was asked for."""

    outcome: Outcome
    told: Told | None = None
    trace: GridTrace | None = None
    smoothed: Smoothed | None = None


def simulated(options: Options) -> Simulated:
    """Return what the options ask.

    Raises:
        SpecError: A file or an option is at fault.
        DoesNotFit: The job never progresses.
    """
    asked, site, smoothing = understood(options)
    rule = asked.interval
    asked = settled(asked, options.seed)
    with share_shown("simulated") as progress:
        found = outcome(asked, site, options.seeds, options.seed, progress)
    if rule == "search":
        found = replace(found, checkpoint=replace(found.checkpoint, rule=rule))
    if options.tornado:
        with share_shown("of what moves the end") as progress:
            found = replace(found, swings=swings(asked, options.seed, progress))
    if not options.story:
        return Simulated(outcome=found)
    told = story(scenario(asked), np.random.default_rng(options.seed), asked.plan.job.start)
    known = levels(asked, site)
    if known is None:
        return Simulated(outcome=found, told=told)
    told_grid, trace = smoothed(told, known, smoothing)
    return Simulated(outcome=found, told=told, trace=trace, smoothed=told_grid)


def understood(options: Options) -> tuple[Asked, Site, Smoothing]:
    """Return the plan with all that is asked of it, its place, and what smooths its power.

    Raises:
        SpecError: Options or files at fault.
    """
    plan = files.read_plan(options.plan)
    faults = _choices(options)
    maintenance = _quantity("maintenance", options.maintenance, faults)
    smoothing = _smoothing(options, faults)
    if faults:
        raise SpecError("; ".join(faults), field=faults[0].split()[0].strip("-:").replace("-", "_"))
    machine = machines.machine(plan.cluster, plan.software)
    growth, place = _growth(options, plan)
    profile = _profile(options, plan)
    site = loader.site(place)
    asked = Asked(
        plan=plan,
        prediction=predict(Case(model=plan.model, layout=plan.layout), machine),
        profile=profile,
        days=options.days,
        policy=options.policy,
        interval=_interval(options.interval),
        spares=options.spares,
        arrivals=options.arrivals,
        memory_every=options.memory_every,
        evict_after=options.evict_after,
        planned_every_days=options.maintenance_every,
        planned_s=maintenance,
    )
    check(asked, options.seeds)
    if growth is not None:
        asked = replace(asked, growth=grown(plan, machine, profile, site, growth))
    return asked, site, smoothing


def _choices(options: Options) -> list[str]:
    faults = []
    if options.policy not in KINDS:
        faults.append(f"--policy must be one of {', '.join(KINDS)}, got {options.policy[:40]!r}")
    if options.arrivals not in ("profile", "exponential"):
        faults.append(f"--arrivals must be profile or exponential, got {options.arrivals[:40]!r}")
    if options.seed < 0:
        faults.append(f"--seed must not be negative, got {options.seed}")
    if (
        options.site is not None
        and options.growth is not None
        and (projects.is_project(options.site))
    ):
        faults.append("--growth stands alone, without a building project as --site")
    return faults


def _interval(text: str) -> str | float:
    if text in RULES:
        return text
    try:
        return parse(text)
    except SpecError:
        return text


def _quantity(name: str, text: str | None, faults: list[str]) -> float | None:
    if text is None:
        return None
    try:
        value = parse(text)
    except SpecError as error:
        faults.append(f"--{name}: {error}")
        return None
    if value < 0:
        faults.append(f"--{name} must not be negative, got {text}")
    return value


def _smoothing(options: Options, faults: list[str]) -> Smoothing:
    ramp = _quantity("ramp", options.ramp, faults)
    battery = _quantity("battery", options.battery, faults)
    energy = _quantity("battery-energy", options.battery_energy, faults)
    if ramp == 0:
        faults.append("--ramp must be above 0, got 0")
    if not 0 <= options.filler <= 1:
        faults.append(f"--filler must be between 0 and 1, got {options.filler:g}")
    if faults:
        return Smoothing()
    return Smoothing(
        ramp_w_per_s=ramp, battery_w=battery or 0.0, battery_j=energy or 0.0,
        filler_share=options.filler,
    )  # fmt: skip


def _profile(options: Options, plan: Plan) -> FaultProfile:
    name = options.faults or plan.faults
    if is_trace(name):
        path = Path(name)
        return fitted(read_trace(path, options.trace_nodes), path.stem, f"fitted from {path.name}")
    if options.trace_nodes is not None:
        raise SpecError("--trace-nodes goes with --faults trace.json", field="trace_nodes")
    return loader.faults(name)


def _growth(options: Options, plan: Plan) -> tuple[Growth | None, str]:
    """Return the phases where the machine grows, and its place."""
    if options.growth is not None:
        return _table(options.growth), options.site or plan.cluster.site
    if options.site is not None and projects.is_project(options.site):
        return growth_of_site(options.site)
    return None, options.site or plan.cluster.site


def _table(path: Path) -> Growth:
    rows = list(csv.DictReader(io.StringIO(read.text_of(path))))
    if not 0 < len(rows) <= MOST_ROWS or "num_gpus" not in rows[0]:
        raise CatalogError(
            f"{path}: must hold columns num_gpus and date (or p10, p50, p90) and 1 to {MOST_ROWS} "
            "rows"
        )
    return read_phases(rows, str(path))


def grown(
    plan: Plan, machine: Machine, profile: FaultProfile, site: Site, growth: Growth
) -> tuple[Phase, ...]:
    """Return the phases with the best layout on each; the last one trains the plan's own.

    Raises:
        SpecError: The phases do not hold the plan's layout, or hold more than the cluster.
    """
    from gigafactory.plan.answer import scaling
    from gigafactory.plan.promise import Surroundings
    from gigafactory.plan.space import Question

    largest = growth.phases[-1].num_gpus
    if not plan.layout.num_gpus <= largest <= plan.cluster.num_gpus:
        raise SpecError(
            f"growth: the last phase must hold between the {plan.layout.num_gpus:,} GPUs of the "
            f"layout and the {plan.cluster.num_gpus:,} of the cluster, got {largest:,}",
            field="growth",
        )
    question = Question(
        model=plan.model, machine=machine, seq_len=plan.job.seq_len,
        global_batch_size=plan.job.global_batch_size, num_gpus=largest,
        precision=plan.layout.precision, capacity_factor=plan.job.capacity_factor,
    )  # fmt: skip
    around = Surroundings(faults=profile, site=site, prices=None)
    points = scaling(question, plan.job, around, [p.num_gpus for p in growth.phases[:-1]] or [1])
    found = {one.gpus_offered: one.promise for one in points}
    own = predict(Case(model=plan.model, layout=plan.layout), machine).tokens_per_s
    starts = phase_starts(growth, plan.job.start).tolist()
    phases = []
    for phase, (low, middle, high) in zip(growth.phases, starts, strict=True):
        best = found.get(phase.num_gpus)
        if phase is growth.phases[-1]:
            phases.append(Phase(num_gpus=plan.layout.num_gpus, speed=1.0,
                                starts_s=(low, middle, high)))  # fmt: skip
        elif best is not None and best.plan.layout.num_gpus <= plan.layout.num_gpus:
            phases.append(Phase(num_gpus=best.plan.layout.num_gpus,
                                speed=best.prediction.tokens_per_s / own,
                                starts_s=(low, middle, high)))  # fmt: skip
    return tuple(phases)
