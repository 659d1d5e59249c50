"""Records as JSON lines: a crash costs at most the line being written, a reader only the new ones.

A line is JSON that every reader takes: a number that is not finite stands as null, and which one
it was under `not_finite`, by the key's path: `{"loss": null, "not_finite": {"loss": "nan"}}`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import gc
import json
import os
from dataclasses import asdict, fields
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gigafactory.errors import CatalogError, SpecError
from gigafactory.spec.run import Event, StepRecord

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter

RecordT = TypeVar("RecordT", StepRecord, Event)
NOT_FINITE: Final = "not_finite"
BLOCK_BYTES: Final = 1 << 20  # read at once; much longer than a line


def append(path: Path, record: StepRecord | Event) -> None:
    """Append one record, whole or not at all; a torn line left by a crash is closed first.

    Writers of one file wait for each other where the file system knows locks.

    Raises:
        OSError: The file cannot be written (a full disk); it is as it was before.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: appending is atomic yet
            fcntl.flock(handle, fcntl.LOCK_EX)
        _append_whole(handle, encode(record), path)
    finally:
        os.close(handle)


def _append_whole(handle: int, line: str, path: Path) -> None:
    """Append to a file that is locked; a disk that fills up takes back what it took of the line."""
    size = os.fstat(handle).st_size
    torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
    rest = (("\n" if torn else "") + line).encode()
    try:
        while rest:
            rest = rest[os.write(handle, rest) :]
    except OSError as error:
        os.ftruncate(handle, size)
        error.filename = str(path)
        raise


def encode(record: StepRecord | Event) -> str:
    """Return a record as its line: what is set of it; a step's `redo` only where it is true.

    >>> line = encode(Event(time="2026-01-01T00:00:00Z", kind="spike", values={"x": 1e999}))
    >>> json.loads(line)["values"], json.loads(line)["not_finite"]
    ({'x': None}, {'values.x': 'inf'})
    """
    kept = {k: v for k, v in asdict(record).items() if v is not None and v is not False}
    kept = {k: v for k, v in kept.items() if v not in ({}, "")}
    strange: dict[str, str] = {}
    told = {key: _finite(key, value, strange) for key, value in kept.items()}
    if strange:
        told[NOT_FINITE] = strange
    return json.dumps(told, allow_nan=False) + "\n"


def _finite(key: str, value: Any, strange: dict[str, str]) -> Any:
    """Return a value as JSON can hold it, and note under `strange` what it cannot."""
    if isinstance(value, dict):
        return {name: _finite(f"{key}.{name}", one, strange) for name, one in value.items()}
    if isinstance(value, float) and not isfinite(value):
        strange[key] = repr(value)
        return None
    return value


def decode(told: dict[str, Any], cls: type[RecordT], where: str) -> RecordT:
    """Return the record of a line's object; keys of later releases are passed over.

    Raises:
        CatalogError: The line is whole, yet no record; names its place and the rule.
    """
    strange = told.pop(NOT_FINITE, None)
    if strange:
        _restore(told, strange)
    known = _KEYS[cls]
    if not told.keys() <= known.keys():
        told = {key: value for key, value in told.items() if key in known}
    try:
        for key, value in told.items():
            if not isinstance(value, known[key]):
                raise SpecError(f"{key} must be {_WORDS[known[key][0]]}, got {value!r}")
        dt.datetime.fromisoformat(told["time"])
        return cls(**told)
    except (KeyError, TypeError, ValueError) as error:
        raise CatalogError(f"{where}: is no {cls.__name__}: {error}") from None


def _restore(told: dict[str, Any], strange: dict[str, str]) -> None:
    """Put numbers back that are not finite."""
    for path, value in strange.items():
        outer, _, inner = path.partition(".")
        if inner:
            told[outer][inner] = float(value)
        else:
            told[outer] = float(value)


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (float, int),
    "dict[str, float]": (dict,),
}


_WORDS: Final = {
    str: "a text", int: "a whole number", bool: "true or false", float: "a number", dict: "numbers",
}  # fmt: skip


def _key_types(cls: type[StepRecord] | type[Event]) -> dict[str, tuple[type, ...]]:
    """Return what each key of a record may hold."""
    return {one.name: _TYPES[str(one.type).removesuffix(" | None")] for one in fields(cls)}


_KEYS: Final = {cls: _key_types(cls) for cls in (StepRecord, Event)}


class Tail(Generic[RecordT]):
    """The records of a file that grows: each `poll` reads what was appended since the last one.

    A torn line is left out: no part of a JSON object is one. A line without its end waits for it.
    A file that was written anew (a run went back to a checkpoint) is read again from its start.

    Attributes:
        records: All records so far.
    """

    def __init__(self, path: Path, cls: type[RecordT]) -> None:
        self.path = path
        self.records: list[RecordT] = []
        self._cls: type[RecordT] = cls
        self._handle: int | None = None
        self._offset = 0
        self._lines = 0

    def poll(self) -> bool:
        """Read what is new; return whether anything was.

        Raises:
            CatalogError: The file cannot be read, or a whole line is no record.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        if self._handle is None or not os.path.samestat(found, os.fstat(self._handle)):
            self._reopen()
        elif found.st_size < self._offset:
            self._rewind()
        assert self._handle is not None
        before = self._offset
        while self._read_block(self._handle):
            pass
        return self._offset > before

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _reopen(self) -> None:
        self.close()
        try:
            self._handle = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise CatalogError(f"{self.path}: cannot be read: {error.strerror}") from None
        self._rewind()

    def _rewind(self) -> None:
        self.records, self._offset, self._lines = [], 0, 0

    def _read_block(self, handle: int) -> bool:
        """Take the whole lines of the next block; return whether more may follow."""
        size = BLOCK_BYTES
        while b"\n" not in (block := os.pread(handle, size, self._offset)) and len(block) == size:
            size *= 2
        whole = block.rfind(b"\n") + 1
        if not whole:
            return False
        lines = block[: whole - 1].split(b"\n")
        self.records += _records(lines, self._cls, self.path, self._lines)
        self._offset += whole
        self._lines += len(lines)
        return len(block) == size


def _records(lines: list[bytes], cls: type[RecordT], path: Path, before: int) -> list[RecordT]:
    """Return the records of whole lines; `before` lines precede them in the file."""
    found = _at_once(lines, cls)
    if found is not None:
        return found
    objects = (_object(line) for line in lines)
    return [
        decode(told, cls, f"{path}: line {before + number}")
        for number, told in enumerate(objects, start=1)
        if isinstance(told, dict)
    ]


def _at_once(lines: list[bytes], cls: type[RecordT]) -> list[RecordT] | None:
    """Return the records of lines that are all plain, four times as fast as one by one; else None.

    Not plain: torn, with a number that is not finite, or with a key of a later release.
    """
    collecting = gc.isenabled()
    gc.disable()  # nothing here is garbage, and looking for it doubles the time
    try:
        found: list[RecordT] = _adapter(cls.__name__).validate_json(b"[" + b",".join(lines) + b"]")
        for record in found:
            dt.datetime.fromisoformat(record.time)
    except ValueError:
        return None
    finally:
        if collecting:
            gc.enable()
    return found if len(found) == len(lines) else None


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(list[StepRecord] if name == StepRecord.__name__ else list[Event])


def _object(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def read(path: Path, cls: type[RecordT]) -> list[RecordT]:
    """Return the records of a file, a torn line left out; none where there is no file.

    Raises:
        CatalogError: The file cannot be read, or a whole line is no record.
    """
    tail = Tail(path, cls)
    try:
        tail.poll()
        return tail.records
    finally:
        tail.close()
