"""The data of a run: prepared once from text, read by every rank in an order without state."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gigafactory.errors import SpecError
from gigafactory.run.trainer import corpus, packing, shards, tokenizer
from gigafactory.run.trainer.building import built_whole
from gigafactory.run.trainer.order import sequences_at
from gigafactory.run.trainer.shards import SHARD_BYTES, Manifest, Tokens
from gigafactory.run.trainer.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from gigafactory.run.trainer.tokenizer import Tokenizer

log = logging.getLogger(__name__)


def prepare(
    source: str,
    *,
    vocab_size: int,
    seed: int,
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Turn text into shards of tokens in `folder`, whole or not at all; return what they hold.

    A folder that was prepared for the same question is verified and kept, even if the source has
    changed or gone since: a run that goes on sees the tokens it began with. A source that is
    itself a prepared folder is taken over without reading its text again.

    Args:
        source: Text or JSONL file, a folder of them, a prepared folder, or "" for the standard
            library's own source; see `corpus`.
        vocab_size: Of the model; the tokenizer gets exactly as many tokens.
        seed: Draws the part of a large text that teaches the tokenizer.
        folder: The place of the shards; must not be there, or be empty, or be prepared.
        shard_bytes: Most bytes of one shard.
        progress: Called with the number of characters that are tokens by now.

    Raises:
        SpecError: No text, text at fault, a folder prepared for something else, a corrupt shard,
            or no room on the disk.
    """
    try:
        with built_whole(folder) as part:
            if part is None:
                return _kept(folder, source, vocab_size, seed)
            found = _build(
                part, source, vocab_size, seed, shard_bytes=shard_bytes, progress=progress
            )
    except OSError as error:
        raise SpecError(
            f"data: {folder} cannot be prepared: {error.strerror or error}; nothing is left "
            "behind; free some space (a byte of text takes about a byte), or run elsewhere",
            field="data",
        ) from None
    for note in found.notes:
        log.warning("data: %s", note)
    return found


def _kept(folder: Path, source: str, vocab_size: int, seed: int) -> Manifest:
    """Return the manifest of a prepared folder, if it answers the same question."""
    manifest = shards.read_manifest(folder)
    asked = {"source": source, "vocab_size": vocab_size, "seed": seed}
    other = {name: getattr(manifest, name) for name in asked}
    if other != asked:
        words = [f"{n} {other[n]!r}, not {asked[n]!r}" for n in asked if asked[n] != other[n]]
        raise SpecError(
            f"data: {folder} was prepared for {', '.join(words)}; remove it, or run elsewhere",
            field="data",
        )
    shards.verify(folder, manifest)
    if _fingerprint(source) not in {manifest.sources_sha256, ""}:
        log.warning("data: the text of %s has changed since %s was prepared; kept",
                    source or "the standard library", folder)  # fmt: skip
    return manifest


def _fingerprint(source: str) -> str:
    """Return the SHA-256 of a source's list of files, "" if it cannot be read."""
    try:
        text = packing.sources_text(corpus.find(source))
    except SpecError:
        return ""
    return hashlib.sha256(text.encode()).hexdigest()


def _build(
    part: Path,
    source: str,
    vocab_size: int,
    seed: int,
    *,
    shard_bytes: int,
    progress: Callable[[int], None],
) -> Manifest:
    """Fill an empty folder."""
    found = corpus.find(source)
    seen = survey(found, vocab_size, seed)
    learnt = tokenizer.train(seen.sample, vocab_size)
    train, held_out = packing.pack(
        found, learnt, seen.held_out_below, part, shard_bytes=shard_bytes, progress=progress
    )
    if corpus.find(source) != found:
        raise corpus.fault(source, "was changed while it was read; nothing is left behind")
    listed, written = packing.sources_text(found), learnt.to_json()
    packing.write_synced(part / shards.SOURCES, listed)
    packing.write_synced(part / shards.TOKENIZER, written)
    manifest = Manifest(
        source=source,
        seed=seed,
        vocab_size=vocab_size,
        dtype=shards.dtype_of(vocab_size),
        end_of_document=learnt.end_of_document,
        documents=seen.tally.documents,
        characters=seen.tally.characters,
        tokenizer_sha256=hashlib.sha256(written.encode()).hexdigest(),
        sources_sha256=hashlib.sha256(listed.encode()).hexdigest(),
        train=train,
        held_out=held_out,
        notes=(*seen.tally.notes(), *_padding_note(learnt)),
    )
    shards.write_manifest(part, manifest)
    return manifest


def _padding_note(learnt: Tokenizer) -> tuple[str, ...]:
    if not learnt.num_reserved:
        return ()
    return (
        f"the text teaches {learnt.vocab_size - learnt.num_reserved:,} of {learnt.vocab_size:,} "
        "tokens; the others are reserved and never occur",
    )


@dataclass(frozen=True)
class Dataset:
    """The sequences of a prepared folder.

    Sequence i holds the tokens from i x seq_len on, one more than `seq_len`: the targets are the
    inputs moved by one, and every token but the first is a target once an epoch.
    """

    folder: Path
    manifest: Manifest
    seq_len: int
    seed: int

    @classmethod
    def open(cls, folder: Path, *, seq_len: int, seed: int, verify: bool = True) -> Dataset:
        """Return the data of a prepared folder.

        Args:
            folder: As `prepare` left it.
            seq_len: Tokens a sequence predicts.
            seed: Chooses the order.
            verify: Read every shard and compare its SHA-256; where many ranks open one folder,
                one of them is enough. Sizes are compared always.

        Raises:
            SpecError: A shard that is not as it was written, or text too short for a sequence.
        """
        found = cls(folder, shards.read_manifest(folder), seq_len, seed)
        if verify:
            shards.verify(folder, found.manifest)
        for tokens, what in ((found._train, "train on"), (found._held_out, "evaluate on")):
            if _num_sequences(tokens, seq_len) < 1:
                raise SpecError(
                    f"data: {folder} has {len(tokens):,} tokens to {what}, one sequence of "
                    f"seq_len {seq_len:,} needs {seq_len + 1:,}; give more text, or plan a "
                    "shorter --seq-len",
                    field="data",
                )
        return found

    @property
    def num_tokens(self) -> int:
        """Number of tokens to train on."""
        return len(self._train)

    @property
    def num_sequences(self) -> int:
        """Number of sequences of an epoch."""
        return _num_sequences(self._train, self.seq_len)

    @property
    def num_held_out_sequences(self) -> int:
        """Number of sequences to evaluate on before they repeat."""
        return _num_sequences(self._held_out, self.seq_len)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer the text was encoded with."""
        return read_tokenizer(self.folder)

    def sequences(
        self, step: int, global_batch_size: int, *, rank: int = 0, ranks: int = 1
    ) -> npt.NDArray[np.int64]:
        """Return a rank's sequences of a step, [global_batch_size // ranks, seq_len + 1].

        All ranks together train on the same sequences, however many they are; over an epoch each
        sequence comes once. Nothing is remembered: a restart asks for any step.

        Args:
            step: Counted from 0: the number of steps trained before it.
            global_batch_size: Sequences of the step, of all ranks together.
            rank: Among the ranks that hold different data.
            ranks: How many those are; divides the batch.
        """
        if step < 0 or global_batch_size % ranks or not 0 <= rank < ranks:
            raise ValueError(f"step {step}, batch {global_batch_size}, rank {rank} of {ranks}")
        rows = global_batch_size // ranks
        first = step * global_batch_size + rank * rows
        positions = np.arange(first, first + rows, dtype=np.int64)
        return self._rows(self._train, sequences_at(positions, self.num_sequences, self.seed))

    def evaluation(self, index: int, count: int) -> npt.NDArray[np.int64]:
        """Return a batch of held-out text, [count, seq_len + 1].

        Batch `index` is the same whenever it is asked for; past the last sequence they repeat.
        """
        held_out = np.arange(index * count, (index + 1) * count) % self.num_held_out_sequences
        return self._rows(self._held_out, held_out)

    def _rows(self, tokens: Tokens, which: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        rows = np.empty((len(which), self.seq_len + 1), dtype=np.int64)
        for row, sequence in zip(rows, which.tolist(), strict=True):
            tokens.read_into(row, sequence * self.seq_len)
        return rows

    @cached_property
    def _train(self) -> Tokens:
        return Tokens(self.folder, self.manifest.train, self.manifest.dtype)

    @cached_property
    def _held_out(self) -> Tokens:
        return Tokens(self.folder, self.manifest.held_out, self.manifest.dtype)


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer of a prepared folder.

    Raises:
        SpecError: It is missing or not as it was written.
    """
    manifest = shards.read_manifest(folder)
    path = folder / shards.TOKENIZER
    shards.verify_file(folder, shards.TOKENIZER, manifest.tokenizer_sha256)
    return tokenizer.from_json(path.read_text(encoding="utf-8"), path)


def _num_sequences(tokens: Tokens, seq_len: int) -> int:
    return max(0, len(tokens) - 1) // seq_len
