"""Tokens on disk: one long row of little-endian integers, cut into files of bounded size.

    FOLDER/manifest.json  tokenizer.json  sources.jsonl  train-00000.bin ...  held-out-00000.bin ...

The manifest holds the SHA-256 of every other file. Ranks map the files into memory, so those of
one machine share one copy, and only what is read is loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
from bisect import bisect_right
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.catalog import loader, read
from gigafactory.catalog.files import write_whole
from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, require_count, require_one_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, Self

    import numpy.typing as npt

MANIFEST: Final = "manifest.json"
TOKENIZER: Final = "tokenizer.json"
SOURCES: Final = "sources.jsonl"
SHARD_BYTES: Final = 1 << 28
DTYPES: Final = ("<u2", "<u4")
SPLITS: Final = ("train", "held-out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard(Spec):
    """One file of tokens."""

    file: str
    tokens: int
    sha256: str

    def __post_init__(self) -> None:
        require_count(self, "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(Spec):
    """What a prepared folder holds, and what it was made of.

    Attributes:
        source: As it was asked for; empty for the standard library.
        seed: Chose the part of a large text that taught the tokenizer.
        dtype: Of the tokens on disk, in numpy's words.
        sources_sha256: Of the list of source files with their sizes and times: its fingerprint.
        notes: What was mended or left out, one sentence each.
    """

    source: str
    seed: int
    vocab_size: int
    dtype: str
    end_of_document: int
    documents: int
    characters: int
    tokenizer_sha256: str
    sources_sha256: str
    train: tuple[Shard, ...]
    held_out: tuple[Shard, ...]
    notes: tuple[str, ...] = ()
    schema: int = 1

    def __post_init__(self) -> None:
        require_count(self, "vocab_size", "documents", "characters")
        require_one_of(self, "dtype", DTYPES)

    @property
    def num_tokens(self) -> int:
        """Number of tokens to train on."""
        return sum(shard.tokens for shard in self.train)

    @property
    def num_held_out_tokens(self) -> int:
        """Number of tokens to evaluate on."""
        return sum(shard.tokens for shard in self.held_out)


def dtype_of(vocab_size: int) -> str:
    """Return the smallest type that holds every token.

    >>> dtype_of(65_536), dtype_of(65_537)
    ('<u2', '<u4')
    """
    return DTYPES[vocab_size > 1 << 16]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a prepared folder.

    Raises:
        CatalogError: There is none, or it breaks rules.
    """
    path = folder / MANIFEST
    return loader.from_table(Manifest, read.json_table(path), str(path), sourced=False)


def is_prepared(folder: Path) -> bool:
    """Return whether a folder says that it holds prepared data."""
    return (folder / MANIFEST).is_file()


def checksums(manifest: Manifest) -> dict[str, str]:
    """Return the SHA-256 of every file of a prepared folder, by its name."""
    names = {TOKENIZER: manifest.tokenizer_sha256, SOURCES: manifest.sources_sha256}
    return names | {shard.file: shard.sha256 for shard in manifest.train + manifest.held_out}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a prepared folder, whole or not at all."""
    write_whole(folder / MANIFEST, json.dumps(asdict(manifest), indent=1) + "\n")


def verify(folder: Path, manifest: Manifest) -> None:
    """Read every file of a prepared folder, and refuse one that is not as it was written.

    Raises:
        SpecError: Names each file that is missing, cut short or changed, and what to do.
    """
    _verify(folder, checksums(manifest))


def verify_file(folder: Path, name: str, sha256: str) -> None:
    """Refuse one file of a prepared folder that is not as it was written.

    Raises:
        SpecError: It is missing, cut short or changed.
    """
    _verify(folder, {name: sha256})


def _verify(folder: Path, wanted: dict[str, str]) -> None:
    faults = [words for name, sha in wanted.items() if (words := _fault(folder / name, sha))]
    if faults:
        raise _corrupt(folder, faults)


def _fault(path: Path, sha256: str) -> str:
    """Return what is wrong with a file, empty if nothing is."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return "" if found == sha256 else f"{path} is corrupt: SHA-256 {found}, written was {sha256}"


def _corrupt(folder: Path, faults: list[str]) -> SpecError:
    return SpecError(
        f"data: {'; '.join(faults)}; remove the folder {folder} to prepare it again from its "
        "source, or bring the file back from a copy",
        field="data",
    )


class ShardWriter:
    """Writes one split: a new file whenever one is full; each is on the disk when it is closed."""

    def __init__(self, folder: Path, split: str, dtype: str, shard_bytes: int) -> None:
        self._folder, self._split, self._dtype = folder, split, np.dtype(dtype)
        self._room = self._most = max(1, shard_bytes // self._dtype.itemsize)
        self._shards: list[Shard] = []
        self._file: BinaryIO | None = None
        self._sha256 = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:  # what went wrong is on its way up already
            with contextlib.suppress(OSError):
                self._file.close()

    def add(self, tokens: npt.NDArray[np.int64]) -> None:
        """Append tokens."""
        while len(tokens):
            part, tokens = tokens[: self._room], tokens[self._room :]
            if self._file is None:
                self._file = (self._folder / self._name()).open("xb", buffering=1 << 20)
            data = part.astype(self._dtype).tobytes()
            self._file.write(data)
            self._sha256.update(data)
            self._room -= len(part)
            if not self._room:
                self._end_shard()

    def close(self) -> tuple[Shard, ...]:
        """Finish, and return what was written."""
        if self._file is not None:
            self._end_shard()
        return tuple(self._shards)

    def _name(self) -> str:
        return f"{self._split}-{len(self._shards):05d}.bin"

    def _end_shard(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        written = self._most - self._room
        self._shards.append(
            Shard(file=self._name(), tokens=written, sha256=self._sha256.hexdigest())
        )
        self._room, self._sha256 = self._most, hashlib.sha256()


@dataclass(frozen=True)
class Tokens:
    """The tokens of one split as one long row, mapped into memory."""

    folder: Path
    shards: tuple[Shard, ...]
    dtype: str

    def __len__(self) -> int:
        return self._ends[-1] if self.shards else 0

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(shard.tokens for shard in self.shards))

    @cached_property
    def _maps(self) -> list[npt.NDArray[np.unsignedinteger]]:
        """Map every shard.

        Raises:
            SpecError: One is missing or has another length than was written.
        """
        faults, maps = [], []
        for shard in self.shards:
            try:
                maps.append(self._mapped(shard))
            except (OSError, ValueError) as error:
                faults.append(f"{self.folder / shard.file} cannot be read ({error})")
        if faults:
            raise _corrupt(self.folder, faults)
        return maps

    def _mapped(self, shard: Shard) -> npt.NDArray[np.unsignedinteger]:
        with (self.folder / shard.file).open("rb") as file:
            size, wanted = os.fstat(file.fileno()).st_size, shard.tokens * int(self.dtype[-1])
            if size != wanted:
                raise ValueError(f"has {size} bytes, written were {wanted}")
            found: npt.NDArray[np.unsignedinteger] = np.frombuffer(
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=self.dtype
            )
        return found

    def read_into(self, out: npt.NDArray[np.int64], start: int) -> None:
        """Fill `out` with the tokens from `start` on, across files."""
        at = bisect_right(self._ends, start)
        done = 0
        while done < len(out):
            offset = start + done - (self._ends[at] - self.shards[at].tokens)
            part = self._maps[at][offset : offset + len(out) - done]
            out[done : done + len(part)] = part
            done, at = done + len(part), at + 1
