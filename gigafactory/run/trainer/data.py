"""The data of a run: prepared once from text, read by every rank in an order without state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gigafactory.errors import SpecError
from gigafactory.run.trainer import shards, tokenizer
from gigafactory.run.trainer.order import sequences_between
from gigafactory.run.trainer.prepare import prepare
from gigafactory.run.trainer.shards import Manifest, Tokens

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from gigafactory.run.trainer.tokenizer import Tokenizer

__all__ = ["Dataset", "prepare", "read_tokenizer"]


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
        which = sequences_between(first, first + rows, self.num_sequences, self.seed)
        return self._rows(self._train, which)

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
