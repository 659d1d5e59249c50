"""`giga simulate`: the run as it will really go, on one timeline over many seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gigafactory.cli.simulated import Simulated

Text = str | None
Where = Path | None
STORY = "Write one seed as events (JSON Lines, as events.jsonl of a run)."


def simulate(
    plan: Annotated[Path, typer.Argument(help="Plan file of `giga plan -o`.")],
    days: Annotated[float | None, typer.Option(help="Days; default: until the end.")] = None,
    faults: Annotated[Text, typer.Option(help="Profile, TOML file, or trace.json.")] = None,
    trace_nodes: Annotated[int | None, typer.Option(help="Nodes of the trace's fleet.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs to simulate.")] = 200,
    seed: Annotated[int, typer.Option(help="Same seed, same answer.")] = 0,
    policy: Annotated[str, typer.Option(help="restart, warm or elastic.")] = "restart",
    interval: Annotated[
        str, typer.Option(help="Seconds between checkpoints, plan, young, daly, best or search.")
    ] = "plan",
    memory_every: Annotated[int, typer.Option(help="Copies in memory per checkpoint.")] = 1,
    spares: Annotated[int | None, typer.Option(help="Spare servers. [endless]")] = None,
    evict_after: Annotated[int, typer.Option(help="Failures until a lemon is out; 0: never.")] = 0,
    arrivals: Annotated[str, typer.Option(help="profile (bursts) or exponential.")] = "profile",
    site: Annotated[Text, typer.Option(help="Place, or building project to grow with.")] = None,
    growth: Annotated[Where, typer.Option(help="CSV: num_gpus, date (or p10, p50, p90).")] = None,
    maintenance_every: Annotated[float | None, typer.Option(help="Days between stops.")] = None,
    maintenance: Annotated[Text, typer.Option(help="How long a stop lasts, such as 3600s.")] = None,
    ramp: Annotated[Text, typer.Option(help="Fastest change at the grid, W per second.")] = None,
    battery: Annotated[str, typer.Option(help="Power of the battery, such as 150MW.")] = "0",
    battery_energy: Annotated[str, typer.Option(help="Its energy, such as 300MWh.")] = "0",
    filler: Annotated[float, typer.Option(help="Share of power kept up while waiting.")] = 0.0,
    story: Annotated[Where, typer.Option(help=STORY)] = None,
    power: Annotated[Where, typer.Option(help="Write that seed's power as CSV.")] = None,
    tornado: Annotated[bool, typer.Option("--tornado", help="What moves the end.")] = False,
    html: Annotated[Where, typer.Option(help="Write a page with plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Simulate a plan under failures: stops, goodput, spares, finish, megawatts over time."""
    import time

    from gigafactory.catalog.files import require_folder
    from gigafactory.cli.simulated import Options, simulated

    for path in (story, power, html):
        require_folder(path)
    begun = time.perf_counter()
    found = simulated(Options(
        plan=plan, days=days, faults=faults, trace_nodes=trace_nodes, seeds=seeds, seed=seed,
        policy=policy, interval=interval, memory_every=memory_every, spares=spares,
        evict_after=evict_after, arrivals=arrivals, site=site, growth=growth,
        maintenance_every=maintenance_every, maintenance=maintenance, ramp=ramp, battery=battery,
        battery_energy=battery_energy, filler=filler, tornado=tornado or html is not None,
        story=any(path is not None for path in (story, power, html)) or ramp is not None,
    ))  # fmt: skip
    _write(found, story, power, html)
    _tell(found, time.perf_counter() - begun, as_json=as_json)


def _write(found: Simulated, story: Path | None, power: Path | None, html: Path | None) -> None:
    from gigafactory.catalog.files import write_whole

    if story is not None and found.told is not None:
        from gigafactory.simulate.teller import event_lines

        write_whole(story, event_lines(found.told))
    if power is not None:
        from gigafactory.errors import SpecError
        from gigafactory.report.simulate_power import power_table

        if found.trace is None or found.told is None:
            raise SpecError("--power: nobody published the power of these servers", field="power")
        write_whole(power, power_table(found.told, found.trace))
    if html is not None:
        from gigafactory.report.simulate_page import page

        write_whole(html, page(found.outcome, found.told, found.trace, found.smoothed))


def _tell(found: Simulated, wall_s: float, *, as_json: bool) -> None:
    if as_json:
        from gigafactory.report import as_json as machine
        from gigafactory.report.simulate_json import simulate_json

        typer.echo(machine.one_line(simulate_json(found.outcome, wall_s, found.smoothed)))
        return
    from gigafactory.report.sheet import console
    from gigafactory.report.simulate import print_outcome

    print_outcome(found.outcome, console(), wall_s, found.smoothed)
