"""The catalog for people and machines: its kinds, their entries, one entry with its sources."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from gigafactory import units
from gigafactory.catalog import loader
from gigafactory.spec.cluster import Cluster, ClusterRecord
from gigafactory.spec.hardware import Accelerator, Fabric, Node
from gigafactory.spec.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gigafactory.spec.base import Spec

_TITLES = {
    "models": "shapes of what is trained",
    "accelerators": "data sheets",
    "nodes": "servers",
    "fabrics": "scale-out networks",
    "clusters": "machines to plan on",
    "records": "clusters on record only: mixed, planned, or of unpublished parts",
    "software": "training engines",
    "calibration": "kernels fitted to measurements",
    "faults": "failures and recovery of published fleets",
    "sites": "power, climate and price of places",
    "prices": "rent and purchase of accelerators by date",
    "projects": "sites as building projects: tasks, lead times, risks, phases",
    "switches": "switches of scale-out networks",
    "racks": "how servers are set in racks",
}
_UNITS = {"bytes_per_s": "B/s", "flops_per_s": "FLOP/s", "bytes": "B", "w": "W", "s": "s"}
_SUFFIX = re.compile(r"_(bytes_per_s|flops_per_s|bytes|(?<!per_)w|(?<!per_)s)$")


def kinds_table() -> Table:
    """Return the kinds of the catalog with the number of their entries."""
    table = Table("kind", "entries", "what", title="The catalog")
    for kind, title in _TITLES.items():
        table.add_row(kind, str(len(loader.names(kind))), title)
    return table


def list_table(kind: str) -> Table:
    """Return the entries of one kind, a line each.

    Raises:
        SpecError: There is no such kind.
    """
    table = Table(Column("name", no_wrap=True), "what", title=kind)
    for name in loader.names(kind):
        table.add_row(name, summary(loader.entry(kind, name)))
    return table


def entry_table(kind: str, name: str) -> Table:
    """Return one entry: each key, its value, and where that comes from.

    Raises:
        SpecError: There is no such kind or entry.
    """
    spec = loader.entry(kind, name)
    table = Table(
        Column("key", overflow="fold"),
        "value",
        "source",
        title=f"{kind} / {getattr(spec, 'name', name)}",
    )
    for key, value, source in lines(spec):
        table.add_row(key, value, source)
    return table


def kinds_json() -> dict[str, Any]:
    """Return the names of all entries by kind, as machine output prints them."""
    return {"schema": 1, "kinds": {kind: loader.names(kind) for kind in loader.KINDS}}


def list_json(kind: str) -> dict[str, Any]:
    """Return the names of one kind as machine output prints them.

    Raises:
        SpecError: There is no such kind.
    """
    return {"schema": 1, "kind": kind, "names": loader.names(kind)}


def entry_json(kind: str, name: str) -> dict[str, Any]:
    """Return one entry as machine output prints it; keys, units and sources as in its file.

    Raises:
        SpecError: There is no such kind or entry.
    """
    spec = loader.entry(kind, name)
    found: dict[str, Any] = {"schema": 1, "kind": kind, "entry": _plain(spec)}
    if isinstance(spec, Model):
        found["num_parameters"] = spec.num_parameters
        found["num_active_parameters"] = spec.num_active_parameters
    return found


def summary(spec: Spec) -> str:
    """Return what an entry is, in a few words."""
    title = str(getattr(spec, "title", "") or getattr(spec, "accelerator", ""))
    detail = ""
    if isinstance(spec, Model):
        title, detail = f"{_count(spec.num_parameters)} parameters", f"{spec.num_layers} layers"
        if spec.experts:
            detail = f"{_count(spec.num_active_parameters)} active, {detail}"
    elif isinstance(spec, Accelerator):
        peak = max(spec.peak_flops_per_s.get(key, 0.0) for key in ("bf16", "fp16"))
        detail = f"{units.show(peak, 'FLOP/s')} of 16 bit, {units.show(spec.memory_bytes, 'B')}"
    elif isinstance(spec, Cluster):
        detail = f"{spec.num_gpus:,} {spec.accelerator.name}, {spec.fabric.name}"
    elif isinstance(spec, ClusterRecord) and spec.num_gpus:
        detail = f"{spec.num_gpus:,} accelerators"
    elif isinstance(spec, Fabric):
        detail = f"tiers of {', '.join(f'{tier.num_gpus:,}' for tier in spec.tiers)}"
    elif isinstance(spec, Node):
        detail = f"{spec.num_accelerators} {spec.accelerator}"
    return f"{title}: {detail}" if detail else title


def _count(parameters: int) -> str:
    billions = parameters / 1e9
    return f"{billions:,.4g}B" if billions >= 1 else f"{billions * 1e3:.4g}M"


def lines(spec: object, prefix: str = "", above: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield key, value and source of every fact of a spec; parts with a name appear as it.

    Args:
        spec: An entry.
        prefix: What stands before the keys.
        above: Source of the part that `spec` is, where it has none of its own.
    """
    source = getattr(spec, "source", {})
    if isinstance(source, str):  # a part with one source for all its numbers, or an assumption
        source = {"default": source or "assumption"}
    for item in fields(spec) if is_dataclass(spec) else ():
        value = getattr(spec, item.name)
        if item.name == "source" or value is None or value in ("", {}, ()):
            continue
        where = source.get(item.name, source.get("default", above))
        yield from _facts(f"{prefix}{item.name}", value, where)


def _facts(key: str, value: Any, source: str) -> Iterator[tuple[str, str, str]]:
    if is_dataclass(value) and isinstance(getattr(value, "source", None), dict):
        yield key, str(getattr(value, "name", "")), ""
    elif is_dataclass(value):
        yield from lines(value, f"{key}.", source)
    elif isinstance(value, dict):
        for inner, one in value.items():
            yield from _facts(f"{key}.{inner}", one, source)
    elif isinstance(value, tuple):
        for index, one in enumerate(value):
            yield from _facts(f"{key}[{index}]", one, source)
    else:
        is_fact = isinstance(value, int | float | dt.date) or bool(key.count("."))
        yield key, _shown(key, value), source if is_fact else ""


def _shown(key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    suffix = _SUFFIX.search(key) or _SUFFIX.search(re.split(r"[.\[]", key)[0])
    if suffix:
        return units.show(float(value), _UNITS[suffix[1]], 4)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.12g}"


def _plain(value: Any) -> Any:
    """Return a spec as JSON can hold it; fields without a value are left out."""
    if is_dataclass(value):
        pairs = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: _plain(one) for name, one in pairs if one is not None}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, dt.date) else value
