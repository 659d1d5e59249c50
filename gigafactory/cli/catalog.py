"""`giga catalog`: what is known, and where each number comes from."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gigafactory.errors import SpecError


def command(
    kind: Annotated[str | None, typer.Argument(help="models, accelerators, clusters, ...")] = None,
    name: Annotated[str | None, typer.Argument(help="The entry to show with its sources.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Line up the known clusters over time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """List models, accelerators, clusters, sites; one entry with the source of each number."""
    catalog(kind, name, compare=compare, as_json=as_json)


def catalog(
    kind: str | None = None,
    name: str | None = None,
    *,
    compare: bool = False,
    as_json: bool = False,
) -> None:
    """List models, accelerators, clusters, sites; or one entry with the source of each number.

    Args:
        kind: What to list, such as "models"; without it, the kinds.
        name: The entry to show.
        compare: Line up the known clusters over time.
        as_json: Print one line of JSON instead of tables.

    Raises:
        SpecError: There is no such kind or entry, or `compare` of something else than clusters.
    """
    if compare and (kind not in (None, "clusters", "cluster") or name):
        raise SpecError(
            f"catalog: --compare lines up clusters and nothing else, got {name or kind!r}",
            field="compare",
        )
    if as_json:
        typer.echo(json.dumps(_json(kind, name, compare=compare), allow_nan=False))
        return
    from rich.console import Console

    Console().print(_table(kind, name, compare=compare))


def _json(kind: str | None, name: str | None, *, compare: bool) -> dict[str, Any]:
    from gigafactory.report import calibration, clusters
    from gigafactory.report import catalog as report

    if compare:
        return clusters.as_json()
    if kind is None:
        return report.kinds_json()
    kind = _plural(kind)
    if kind == "calibration" and name is None:
        return calibration.as_json()
    return report.entry_json(kind, name) if name else report.list_json(kind)


def _table(kind: str | None, name: str | None, *, compare: bool) -> Any:
    from gigafactory.report import calibration, clusters
    from gigafactory.report import catalog as report

    if compare:
        return clusters.table()
    if kind is None:
        return report.kinds_table()
    kind = _plural(kind)
    if kind == "calibration" and name is None:
        return calibration.table()
    return report.entry_table(kind, name) if name else report.list_table(kind)


def _plural(kind: str) -> str:
    """Return the kind as the catalog spells it: `model` is taken for `models`."""
    from gigafactory.catalog import loader

    kind = kind.strip().lower()
    return f"{kind}s" if f"{kind}s" in loader.KINDS else kind
