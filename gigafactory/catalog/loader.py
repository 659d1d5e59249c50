"""The catalog by name: each noun is one TOML file below `data/`, or a file of one's own."""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from gigafactory.catalog import check, huggingface, read, wiring
from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec
from gigafactory.spec.cluster import Cluster, ClusterRecord
from gigafactory.spec.faults import FaultProfile
from gigafactory.spec.fitout import Rack, Switch
from gigafactory.spec.hardware import Accelerator, Fabric, Node
from gigafactory.spec.kernels import KernelFit
from gigafactory.spec.model import Model
from gigafactory.spec.project import Project
from gigafactory.spec.site import PriceBook, Site
from gigafactory.spec.software import Software

SpecT = TypeVar("SpecT")

DATA: Final = Path(__file__).parent / "data"
SCHEMA: Final = 1
KINDS: Final[dict[str, type]] = {
    "models": Model,
    "accelerators": Accelerator,
    "nodes": Node,
    "fabrics": Fabric,
    "clusters": Cluster,
    "records": ClusterRecord,
    "software": Software,
    "calibration": KernelFit,
    "faults": FaultProfile,
    "sites": Site,
    "prices": PriceBook,
    "projects": Project,
    "switches": Switch,
    "racks": Rack,
}
_REFERENCES: Final = {"accelerator": "accelerators", "node": "nodes", "fabric": "fabrics"}


@cache
def names(kind: str) -> list[str]:
    """Return the names of one kind in order of the alphabet.

    Raises:
        SpecError: There is no such kind; names the nearest.
    """
    if kind not in KINDS:
        raise SpecError(
            f"catalog: unknown kind {kind!r}, must be one of {', '.join(KINDS)}", field="kind"
        )
    found = sorted(path.stem for path in (DATA / kind).glob("*.toml"))
    return [name for name in found if (kind, name) != ("calibration", "step")]


def canonical(kind: str, name: str) -> str:
    """Return the catalog's own spelling of a name or alias, whatever its case.

    Raises:
        SpecError: There is no such entry; names the nearest ones.
    """
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    known = names(kind)
    if wanted in known:
        return wanted
    aliases = _aliases(kind)
    if wanted in aliases:
        return aliases[wanted]
    what = {"calibration": "kernel fit", "switches": "switch"}.get(kind, kind.removesuffix("s"))
    close = check.nearest(wanted.rsplit("/", 1)[-1], sorted({*known, *aliases}))
    shown = check.shortened(repr(name))
    raise SpecError(f"{what}: unknown name {shown}, {close}", field=what)


def path_of(kind: str, name_or_path: str) -> Path:
    """Return the file of an entry: the catalog's, or the one that is named.

    Raises:
        SpecError: It is no file, and there is no such entry; names the nearest ones.
    """
    if _is_file(name_or_path, kind):
        return Path(name_or_path)
    return DATA / kind / f"{canonical(kind, name_or_path)}.toml"


def load(cls: type[SpecT], path: Path | str) -> SpecT:
    """Return the spec in a TOML file of `schema = 1`; every number in it must have a source.

    The key `aliases` (other names of a catalog entry) is allowed and not part of the spec.

    Raises:
        CatalogError: The file cannot be read or breaks rules; one line that names them all.
    """
    path = Path(path)
    return from_table(cls, read.toml_table(path), str(path), sourced=True)


def from_table(cls: type[SpecT], table: dict[str, Any], where: str, *, sourced: bool) -> SpecT:
    """Return the spec of a parsed file, whose place `where` its errors name.

    Raises:
        CatalogError: The table breaks rules; one line that names them all.
    """
    faults = []
    table = dict(table)
    aliases = table.pop("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(one, str) for one in aliases):
        faults.append(f"aliases: must be a list of texts, got {check.shortened(repr(aliases))}")
    if type(table.get("schema")) is not int or table["schema"] != SCHEMA:
        faults.append(f"schema: must be {SCHEMA}, got {check.shortened(repr(table.get('schema')))}")
    if "schema" not in getattr(cls, "__dataclass_fields__", {}):
        table.pop("schema", None)
    if cls is Cluster and sourced:
        table, unknown = _resolved(table)
        faults += unknown
    return check.build(cls, table, where, sourced=sourced, extra=tuple(faults))


def model(name_or_path: str) -> Model:
    """Return a model of the catalog, of a TOML file, or of a Hugging Face `config.json`.

    Args:
        name_or_path: Name or alias; else a file, or a folder that holds a `config.json`.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    if not _is_file(name_or_path, "models"):
        return _entry(Model, "models", canonical("models", name_or_path))
    path = Path(name_or_path)
    if path.is_dir():
        path /= "config.json"
    return huggingface.model_of(path) if path.suffix == ".json" else load(Model, path)


def cluster(name_or_path: str) -> Cluster:
    """Return a cluster of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, a cluster that is on record only, or a file at fault.
    """
    if _is_file(name_or_path, "clusters"):
        return load(Cluster, name_or_path)
    if name_or_path.strip().lower() in names("records"):
        raise SpecError(
            f"cluster: {name_or_path} is on record only (mixed, planned or of unknown parts), "
            f"nothing can be planned on it; known: {', '.join(names('clusters'))}",
            field="cluster",
        )
    return _entry(Cluster, "clusters", canonical("clusters", name_or_path))


def cluster_of(accelerator_name: str, num_gpus: int) -> Cluster:
    """Return an undated cluster of any size: the catalog's server, a network it would have.

    Args:
        accelerator_name: Name in the catalog, or a TOML file.
        num_gpus: Number of accelerators.

    Raises:
        SpecError: Unknown accelerator, a count out of range, or a count for which the
            accelerator needs a scale-out network whose rate was not published.
    """
    found = accelerator(accelerator_name)
    servers = (node(name) for name in names("nodes"))
    known = next((one for one in servers if one.accelerator == found.name), None)
    return wiring.wired(found, known or wiring.assumed_node(found), num_gpus)


def cluster_record(name: str) -> ClusterRecord:
    """Return one line of the history of clusters; every cluster of the catalog is also one.

    Raises:
        SpecError: There is no such cluster.
    """
    if name.strip().lower() in names("records"):
        return _entry(ClusterRecord, "records", canonical("records", name))
    known = cluster(name)
    return ClusterRecord(
        name=known.name,
        title=known.title,
        owner=known.owner,
        accelerators={known.accelerator.name: known.num_gpus},
        available=known.available,
        reported_power_w=known.reported_power_w,
        power_basis=known.source.get("reported_power_w", ""),
        reported_cost_usd=known.reported_cost_usd,
        cost_basis=known.source.get("reported_cost_usd", ""),
        network=known.fabric.title,
        note=known.note,
        source=known.source,
    )


def cluster_records() -> list[ClusterRecord]:
    """Return all known clusters by the day they were in use, planned ones last."""
    records = [cluster_record(name) for name in sorted({*names("clusters"), *names("records")})]
    return sorted(records, key=lambda one: (one.available or dt.date.max, one.name))


def entry(kind: str, name: str) -> Spec:
    """Return an entry of any kind by name.

    Raises:
        SpecError: No such kind, or no such entry.
    """
    names(kind)
    if kind == "models":
        return model(name)
    if kind == "clusters":
        recorded = name.strip().lower() in names("records")
        return cluster_record(name) if recorded else cluster(name)
    found: object = _named(KINDS[kind], kind, name)
    assert isinstance(found, Spec)
    return found


def accelerator(name: str) -> Accelerator:
    """Return an accelerator of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(Accelerator, "accelerators", name)


def node(name: str) -> Node:
    """Return a server of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(Node, "nodes", name)


def fabric(name: str) -> Fabric:
    """Return a scale-out network of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(Fabric, "fabrics", name)


def software(name: str) -> Software:
    """Return a software profile of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(Software, "software", name)


def faults(name: str) -> FaultProfile:
    """Return a failure profile of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(FaultProfile, "faults", name)


def site(name: str) -> Site:
    """Return a site of the catalog, or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(Site, "sites", name)


def prices(name: str) -> PriceBook:
    """Return the prices of one accelerator, of the catalog or of a TOML file.

    Raises:
        SpecError: Unknown name, or a file at fault.
    """
    return _named(PriceBook, "prices", name)


def kernel_fit(accelerator_name: str) -> KernelFit:
    """Return the kernels fitted for an accelerator, or for the relative it names, unscaled.

    Raises:
        SpecError: Unknown accelerator, or one whose kernels were never measured.
    """
    found = accelerator(accelerator_name)
    if not found.kernels:
        known = ", ".join(names("calibration"))
        raise SpecError(
            f"kernel fit: none for accelerator {found.name!r}, known: {known}", field="kernels"
        )
    return _entry(KernelFit, "calibration", canonical("calibration", found.kernels))


def _named(cls: type[SpecT], kind: str, name: str) -> SpecT:
    return load(cls, name) if _is_file(name, kind) else _entry(cls, kind, canonical(kind, name))


def _entry(cls: type[SpecT], kind: str, name: str) -> SpecT:
    found = _cached(kind, name)
    assert isinstance(found, cls)
    return found


@cache
def _cached(kind: str, name: str) -> object:
    where = f"catalog {kind}/{name}.toml"
    return from_table(
        KINDS[kind], read.toml_table(DATA / kind / f"{name}.toml"), where, sourced=True
    )


@cache
def _aliases(kind: str) -> dict[str, str]:
    """Return the catalog's name by alias; an alias stands in the file it is an alias of."""
    return {
        str(alias).lower(): name
        for name in names(kind)
        for alias in read.toml_table(DATA / kind / f"{name}.toml").get("aliases", [])
    }


def _is_file(name: str, kind: str) -> bool:
    """Return whether a file is meant; a name of the catalog goes before a file called so."""
    if name.strip().lower() in names(kind):
        return False
    if "\0" in name or "\n" in name:  # no name of a file, for all that systems allow
        return False
    if name.endswith((".toml", ".json")):
        return True
    path = Path(name)
    try:
        found = path.is_file() or (path / "config.json").is_file()
        return found or ("/" in name and path.exists())
    except OSError:  # such as a name that is too long for a file
        return False


def _resolved(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a cluster's table with its parts looked up, and the faults met on the way."""
    table, unknown = dict(table), []
    for key, kind in _REFERENCES.items():
        if isinstance(table.get(key), str):
            try:
                table[key] = _part(kind, canonical(kind, table[key]))
            except SpecError as error:
                unknown.append(f"{key}: {error}")
    return table, unknown


def _part(kind: str, name: str) -> dict[str, Any]:
    """Return the table of a cluster's part, without what is no key of a spec."""
    table = read.toml_table(DATA / kind / f"{name}.toml")
    return {key: value for key, value in table.items() if key not in ("schema", "aliases")}
