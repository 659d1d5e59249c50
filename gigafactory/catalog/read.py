"""Reading files that people wrote: guarded, so that no file can stall or crash the program."""

from __future__ import annotations

import json
import stat
import tomllib
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES: Final = 1_000_000  # the largest entry of the catalog is a hundredth of this


def toml_table(path: Path) -> dict[str, Any]:
    """Return the top table of a TOML file.

    Raises:
        CatalogError: The file cannot be read, or is no TOML.
    """
    return parsed_toml(text_of(path), str(path))


def json_table(path: Path) -> dict[str, Any]:
    """Return the top object of a JSON file.

    Raises:
        CatalogError: The file cannot be read, or holds no JSON object.
    """
    table = _parse(text_of(path), json.loads, "JSON", str(path))
    if not isinstance(table, dict):
        raise CatalogError(f"{path}: must hold a JSON object, got {type(table).__name__}")
    return table


def parsed_toml(text: str, where: str) -> dict[str, Any]:
    """Return the top table of TOML text; `where` names it in the error.

    Raises:
        CatalogError: The text is no TOML.
    """
    table = _parse(text, tomllib.loads, "TOML", where)
    assert isinstance(table, dict)
    return table


def text_of(path: Path) -> str:
    """Return the text of a small UTF-8 file.

    Raises:
        CatalogError: It is missing, no regular file, above 1 MB, empty, or not UTF-8.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CatalogError(f"{path}: must be a regular file, not a folder or device")
        if status.st_size > MAX_BYTES:
            raise CatalogError(f"{path}: must be at most {MAX_BYTES} bytes, has {status.st_size}")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data[:MAX_BYTES].decode()
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: must be UTF-8 text, byte {error.start} is not") from None
    except (OSError, ValueError) as error:
        if isinstance(error, CatalogError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise CatalogError(f"{path}: cannot be read: {reason}") from None
    if not text.strip():
        raise CatalogError(f"{path}: is empty")
    return text


def _parse(text: str, parse: Callable[[str], Any], language: str, where: str) -> Any:
    try:
        return parse(text)
    except RecursionError:
        raise CatalogError(f"{where}: {language} is nested too deeply") from None
    except ValueError as error:
        raise CatalogError(f"{where}: is no {language}: {' '.join(str(error).split())}") from None
