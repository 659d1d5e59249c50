"""The text that is trained on: which files hold it, and the documents in them, always in one order.

A source is a file, a folder, or empty for the source of Python's own standard library. `#name`
behind a JSONL file or a folder names the field that holds the text; otherwise it is `text`.
"""

from __future__ import annotations

import os
import stat
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT_FIELD: Final = "text"
JSONL_SUFFIXES: Final = frozenset({".jsonl", ".ndjson"})
TEXT_SUFFIXES: Final = frozenset(
    {
        ".txt", ".text", ".md", ".rst", ".tex", ".org", ".adoc", ".html", ".xml", ".csv", ".tsv",
        ".json", ".yaml", ".yml", ".toml", ".py", ".pyi", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu",
        ".rs", ".go", ".java", ".kt", ".scala", ".js", ".ts", ".jsx", ".tsx", ".rb", ".pl", ".php",
        ".lua", ".r", ".jl", ".hs", ".ml", ".swift", ".cs", ".sh", ".sql", ".css",
    }
)  # fmt: skip
PACKED_SUFFIX: Final = ".gz"
PACKED_RATIO: Final = 4  # text shrinks to about a quarter under gzip
LIBRARY_SUFFIXES: Final = frozenset({".py"})
LIBRARY_LEFT_OUT: Final = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages"}
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of text as it was found.

    Attributes:
        name: Its path from the source's folder, with "/".
        suffix: In lower case, `.gz` left out.
    """

    path: Path
    name: str
    suffix: str
    size_bytes: int
    mtime_ns: int

    @property
    def is_packed(self) -> bool:
        """Whether gzip has to be undone."""
        return self.path.suffix.lower() == PACKED_SUFFIX

    @property
    def text_bytes(self) -> int:
        """Bytes of its text, estimated where it is packed."""
        return self.size_bytes * (PACKED_RATIO if self.is_packed else 1)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files of text in the order they are read.

    Attributes:
        field: Of a JSONL line, holds the text.
        is_folder: The files were searched for, not named: binary ones are left out.
    """

    source: str
    field: str
    files: tuple[SourceFile, ...]
    is_folder: bool

    @property
    def text_bytes(self) -> int:
        """Bytes of text, about."""
        return sum(file.text_bytes for file in self.files)


def find(source: str) -> Corpus:
    """Return the files of a source, sorted by their path.

    A folder is searched to its bottom for `TEXT_SUFFIXES` and `JSONL_SUFFIXES`, each also with
    `.gz`; hidden files and folders are left out.

    Raises:
        SpecError: Nothing there, no such files, or all of them empty.
    """
    if not source:
        return _library()
    root, field = _parts(source)
    try:
        is_folder = root.is_dir()
        files = _in_folder(root, TEXT_SUFFIXES | JSONL_SUFFIXES) if is_folder else [_named(root)]
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise unreadable(root, error) from None
    if not files:
        known = " ".join(sorted(TEXT_SUFFIXES | JSONL_SUFFIXES))
        raise fault(root, f"holds no file of text; files are taken by their suffix: {known}")
    if not any(file.size_bytes for file in files):
        raise fault(root, "is empty" if not is_folder else f"holds {len(files)} files, all empty")
    return Corpus(source, field, tuple(files), is_folder)


def fault(path: Path | str, rule: str) -> SpecError:
    """Return the error that says what is wrong with a file of data."""
    return SpecError(f"data: {path} {rule}", field="data")


def unreadable(path: Path, error: Exception) -> SpecError:
    """Return the error that says why a file, or one below a folder, cannot be read."""
    at = getattr(error, "filename", None) or path
    return fault(at, f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _library() -> Corpus:
    """Return the standard library's own source, its tests left out."""
    root = Path(sysconfig.get_path("stdlib"))
    files = _in_folder(root, LIBRARY_SUFFIXES, LIBRARY_LEFT_OUT) if root.is_dir() else []
    if not files:
        raise fault(root, "holds no source of the standard library; name a file or folder of text")
    return Corpus("", TEXT_FIELD, tuple(files), is_folder=True)


def _parts(source: str) -> tuple[Path, str]:
    """Return path and field of a source; a path that exists is taken whole."""
    path, mark, field = source.rpartition("#")
    if not mark or Path(source).exists():
        return Path(source), TEXT_FIELD
    if not field:
        raise fault(source, "must name a field behind its '#'")
    return Path(path), field


def _named(path: Path) -> SourceFile:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise fault(path, "must be a regular file or a folder, not a device")
    return _source_file(path, path.name, status)


def _in_folder(
    root: Path, suffixes: frozenset[str], left_out: frozenset[str] = frozenset()
) -> list[SourceFile]:
    """Return the files below a folder that have one of the suffixes, sorted by name."""
    found = []
    for path in _walk(root, left_out):
        if _suffix(path) in suffixes:
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found.append(_source_file(path, path.relative_to(root).as_posix(), status))
    return sorted(found, key=lambda file: file.name)


def _walk(root: Path, left_out: frozenset[str]) -> Iterator[Path]:
    """Yield the files below a folder; links are followed, each folder is entered once."""
    seen: set[tuple[int, int]] = set()
    for at, folders, names in os.walk(root, followlinks=True, onerror=_raise):
        status = os.stat(at)  # noqa: PTH116 (os.walk gives texts)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in left_out)
        yield from (Path(at, name) for name in names if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise fault(error.filename, f"cannot be read: {error.strerror}") from None


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return path.with_suffix("").suffix.lower() if suffix == PACKED_SUFFIX else suffix


def _source_file(path: Path, name: str, status: os.stat_result) -> SourceFile:
    return SourceFile(path, name, _suffix(path), status.st_size, status.st_mtime_ns)
