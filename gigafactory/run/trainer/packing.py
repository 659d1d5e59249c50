"""The second reading of a corpus: text becomes tokens, packed without gaps into shards.

Each document is followed by one end-of-document token; sequences are cut out of the long row that
results, so none is padded. Where a piece of a document is held out, the document ends there for
either side.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.run.trainer import documents, shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gigafactory.run.trainer.corpus import Corpus
    from gigafactory.run.trainer.documents import Piece
    from gigafactory.run.trainer.tokenizer import Tokenizer

BATCH_CHARACTERS: Final = 1 << 22  # tokenized at once, on all cores; bounds memory


def pack(
    corpus: Corpus,
    tokenizer: Tokenizer,
    held_out_below: int,
    folder: Path,
    *,
    shard_bytes: int,
    progress: Callable[[int], None],
) -> tuple[tuple[shards.Shard, ...], tuple[shards.Shard, ...]]:
    """Write the shards to train on and those held out; return both lists."""
    dtype = shards.dtype_of(tokenizer.vocab_size)
    train, held_out = (
        shards.ShardWriter(folder, split, dtype, shard_bytes) for split in shards.SPLITS
    )
    with train, held_out:
        _write(corpus, tokenizer, held_out_below, (train, held_out), progress)
        return train.close(), held_out.close()


def _write(
    corpus: Corpus,
    tokenizer: Tokenizer,
    held_out_below: int,
    writers: tuple[shards.ShardWriter, shards.ShardWriter],
    progress: Callable[[int], None],
) -> None:
    """Write the tokens of a corpus, those of held-out pieces to the second writer."""
    end = np.array([tokenizer.end_of_document])
    was_held_out, inside = False, False
    done = 0
    for batch in _batches(documents.pieces(corpus, documents.Tally())):
        for piece, tokens in zip(batch, tokenizer.encode_all([p.text for p in batch]), strict=True):
            held_out = piece.digest < held_out_below
            if inside and held_out != was_held_out:
                writers[was_held_out].add(end)
            writers[held_out].add(tokens)
            if piece.ends:
                writers[held_out].add(end)
            was_held_out, inside = held_out, not piece.ends
        done += sum(len(piece.text) for piece in batch)
        progress(done)


def _batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    characters = 0
    for piece in pieces:
        batch.append(piece)
        characters += len(piece.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def sources_text(corpus: Corpus) -> str:
    """Return one JSON line for each file of a corpus: name, size, time of change.

    Its SHA-256 is the corpus's fingerprint.
    """
    lines = (
        json.dumps({"file": file.name, "bytes": file.size_bytes, "mtime_ns": file.mtime_ns})
        for file in corpus.files
    )
    return "\n".join((json.dumps({"field": corpus.field}), *lines, ""))


def write_synced(path: Path, text: str) -> None:
    """Write a new file, and wait until it is on the disk."""
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
