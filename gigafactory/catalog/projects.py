"""Building projects by name or file, and the switches and racks of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gigafactory.catalog import loader, read
from gigafactory.errors import CatalogError
from gigafactory.spec.fitout import Rack, Switch
from gigafactory.spec.project import Project, raw_faults

if TYPE_CHECKING:
    import datetime as dt

    from gigafactory.spec.cluster import Cluster


def project(name_or_path: str, by: dt.date | None = None) -> Project:
    """Return a project of the catalog, or of a TOML file.

    Args:
        name_or_path: Name in the catalog, or a file.
        by: A deadline that replaces the project's own.

    Raises:
        SpecError: Unknown name, or a file at fault; one line that names all faults at once.
    """
    path = loader.path_of("projects", name_or_path)
    table = read.toml_table(path)
    if by is not None:
        table["by"] = by
        sources = table.get("source")
        if isinstance(sources, dict):
            sources["by"] = "asked for"
    try:
        return loader.from_table(Project, table, str(path), sourced=True)
    except CatalogError as error:
        more = [fault for fault in raw_faults(table) if fault not in str(error)]
        raise CatalogError("; ".join([str(error), *more])) from None


def is_project(name_or_path: str) -> bool:
    """Return whether a project is meant: a name in the catalog, or a file that has tasks."""
    if name_or_path.strip().lower() in loader.names("projects"):
        return True
    if not name_or_path.endswith(".toml"):
        return False
    try:
        return "tasks" in read.toml_table(loader.path_of("projects", name_or_path))
    except CatalogError:
        return False


def switch_of(cluster: Cluster) -> Switch | None:
    """Return the switch that the cluster's fabric is built of; None where none is known."""
    known = (loader.entry("switches", name) for name in loader.names("switches"))
    found = (one for one in known if isinstance(one, Switch))
    return next((one for one in found if cluster.fabric.name in one.fabrics), None)


def rack_of(cluster: Cluster) -> Rack | None:
    """Return how the cluster's servers are racked; None where nobody published it."""
    if cluster.node.name not in loader.names("racks"):
        return None
    found = loader.entry("racks", cluster.node.name)
    assert isinstance(found, Rack)
    return found
