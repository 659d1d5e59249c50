"""`giga build`: will a site be there on time, what decides it, what does it take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import datetime as dt

    from gigafactory.build.delivery import Delivery
    from gigafactory.spec.project import Project

Text = str | None


def build(
    site: Annotated[str, typer.Argument(help="A building project: catalog name or TOML file.")],
    by: Annotated[Text, typer.Option(help="Deadline; default: the one promised.")] = None,
    samples: Annotated[int, typer.Option(help="Courses to draw.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Same seed, same answer.")] = 0,
    inside_weight: Annotated[
        float, typer.Option(help="Share of the inside view in the reconciled forecast.")
    ] = 0.5,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if P50 is late.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Say how likely a site is on time, what decides it, what it draws, what it costs."""
    import time

    from gigafactory.catalog.files import require_folder
    from gigafactory.errors import DoesNotFit

    require_folder(html)
    begun = time.perf_counter()
    found = _found(site, by, samples, seed, inside_weight)
    wall_s = time.perf_counter() - begun
    if html is not None:
        from gigafactory.report.build_page import write_page

        write_page(found, html)
    _tell(found, wall_s, as_json=as_json)
    if check and found.finish[1] > found.by:
        raise DoesNotFit(f"late: P50 is {found.finish[1]}, the deadline {found.by}")


def _found(site: str, by: str | None, samples: int, seed: int, inside_weight: float) -> Delivery:
    import numpy as np

    from gigafactory.build.delivery import delivery
    from gigafactory.errors import SpecError

    faults: list[str] = []
    project = _project(site, by, faults)
    if seed < 0:
        faults.append(f"--seed must not be negative, got {seed}")
    if not 0 <= inside_weight <= 1:
        faults.append(f"--inside-weight must be between 0 and 1, got {inside_weight}")
    if project is None or faults:
        raise SpecError("; ".join(faults), field="seed" if seed < 0 else "site")
    return delivery(project, samples, np.random.default_rng(seed), inside_weight)


def _project(site: str, by: str | None, faults: list[str]) -> Project | None:
    from gigafactory.catalog import projects
    from gigafactory.errors import SpecError

    deadline = _deadline(by, faults)
    try:
        return projects.project(site, deadline)
    except SpecError as error:
        faults.append(str(error))
        return None


def _deadline(by: str | None, faults: list[str]) -> dt.date | None:
    import datetime as dt

    try:
        return None if by is None else dt.date.fromisoformat(by)
    except ValueError:
        faults.append(f"--by must be a date such as 2025-12-31, got {by[:40] if by else by!r}")
        return None


def _tell(found: Delivery, wall_s: float, *, as_json: bool) -> None:
    if as_json:
        from gigafactory.report import as_json as machine
        from gigafactory.report.build_json import build_json

        typer.echo(machine.one_line(build_json(found, wall_s)))
        return
    from gigafactory.report.build import print_delivery
    from gigafactory.report.sheet import console

    print_delivery(found, console(), wall_s)
