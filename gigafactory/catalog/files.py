"""Plan files, and every other spec as TOML text: round trip without loss, written whole or not."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from gigafactory.catalog import loader, read
from gigafactory.errors import CatalogError
from gigafactory.spec.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

SpecT = TypeVar("SpecT")


def dumps(spec: object) -> str:
    """Return a spec as TOML text of `schema = 1`; fields that are None are left out.

    >>> from gigafactory.spec.interval import Interval
    >>> print(dumps(Interval.point(0.1)), end="")
    schema = 1
    low = 0.1
    expected = 0.1
    high = 0.1
    """
    import tomli_w

    return tomli_w.dumps({"schema": loader.SCHEMA, **_table(spec)})


def digest(spec: object) -> str:
    """Return the SHA-256 of a spec as `dumps` writes it, in hexadecimal digits."""
    return hashlib.sha256(dumps(spec).encode()).hexdigest()


def loads(cls: type[SpecT], text: str) -> SpecT:
    """Return the spec in TOML text that `dumps` wrote; numbers need no source here.

    Raises:
        CatalogError: No TOML, or rules broken; one line that names them all.
    """
    where = cls.__name__.lower()
    return loader.from_table(cls, read.parsed_toml(text, where), where, sourced=False)


def write_plan(plan: Plan, path: Path | str) -> None:
    """Write a plan to a file, whole or not at all.

    Raises:
        CatalogError: The file cannot be written.
    """
    write_whole(path, dumps(plan))


def read_plan(path: Path | str) -> Plan:
    """Return the plan in a file.

    Raises:
        CatalogError: The file cannot be read or breaks rules; one line that names them all.
    """
    path = Path(path)
    return loader.from_table(Plan, read.toml_table(path), str(path), sourced=False)


def write_whole(path: Path | str, text: str) -> None:
    """Write text to a file, whole or not at all.

    Raises:
        CatalogError: The file cannot be written; nothing is left behind.
    """
    with writing_whole(path) as file:
        file.write(text)


@contextlib.contextmanager
def writing_whole(path: Path | str) -> Iterator[TextIO]:
    """Yield a file to write text to; a reader of `path` finds the old file or the whole new one.

    An error inside the block leaves the old file as it was.

    Raises:
        CatalogError: The file cannot be written; nothing is left behind.
    """
    path = Path(path)
    if not path.name or "\0" in str(path):
        raise CatalogError(f"{str(path)!r}: cannot be written: no name of a file")
    part = path.with_name(f".{path.name[:80]}.{os.urandom(4).hex()}.part")
    try:
        with part.open("x", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatalogError(f"{path}: cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError, UnicodeError):
            part.unlink(missing_ok=True)


def require_folder(path: Path | str | None) -> None:
    """Refuse a file that cannot be made where it is meant to stand, before any work is done.

    Raises:
        CatalogError: Its folder does not exist, or it is itself a folder.
    """
    if path is None:
        return
    path = Path(path)
    if path.is_dir():
        raise CatalogError(f"{path}: cannot be written: Is a directory")
    if not path.parent.is_dir():
        raise CatalogError(f"{path}: cannot be written: no folder {path.parent}")


def _table(spec: object) -> dict[str, Any]:
    """Return the fields of a spec that are set, as TOML can hold them."""
    if not is_dataclass(spec):
        raise TypeError(f"{type(spec).__name__} is no spec")
    pairs = ((item.name, getattr(spec, item.name)) for item in fields(spec))
    return {name: _value(value) for name, value in pairs if value is not None}


def _value(value: Any) -> Any:
    if is_dataclass(value):
        return _table(value)
    if isinstance(value, dict):
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_value(item) for item in value]
    return value
