"""From text to a folder of shards: whole or not at all, and never twice."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.run.trainer import corpus, packing, shards, tokenizer
from gigafactory.run.trainer.building import built_whole
from gigafactory.run.trainer.shards import SHARD_BYTES, Manifest
from gigafactory.run.trainer.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable

    from gigafactory.run.trainer.tokenizer import Tokenizer

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

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
        raise _unprepared(folder, error) from None
    for note in found.notes:
        log.warning("data: %s", note)
    return found


def _unprepared(folder: Path, error: OSError) -> SpecError:
    cure = "; free some space, or run elsewhere" if error.errno in FULL else ""
    reason = error.strerror or error
    return corpus.fault(folder, f"cannot be prepared: {reason}; nothing is left behind{cure}")


def _kept(folder: Path, source: str, vocab_size: int, seed: int) -> Manifest:
    """Return the manifest of a prepared folder, if it answers the same question."""
    if not shards.is_prepared(folder):
        raise corpus.fault(folder, "is in the way: no prepared data; remove it, or run elsewhere")
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
        if _is_prepared(source):
            return shards.read_manifest(Path(source)).sources_sha256
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
    if _is_prepared(source):
        return _taken_over(part, source, vocab_size, seed)
    found = corpus.find(source)
    seen = survey(found, vocab_size, seed)
    learnt = tokenizer.train(seen.sample, vocab_size)
    train, held_out = packing.pack(
        found, learnt, seen.held_out_below, part, shard_bytes=shard_bytes, progress=progress
    )
    _check(found, train, held_out)
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


def _is_prepared(source: str) -> bool:
    return bool(source) and shards.is_prepared(Path(source))


def _taken_over(part: Path, source: str, vocab_size: int, seed: int) -> Manifest:
    """Fill an empty folder with the files of a prepared one: linked, or copied to another disk."""
    manifest = shards.read_manifest(Path(source))
    if manifest.vocab_size != vocab_size:
        raise corpus.fault(
            source, f"was prepared for vocab_size {manifest.vocab_size}, not {vocab_size}"
        )
    shards.verify(Path(source), manifest)
    for name in shards.checksums(manifest):
        _link(Path(source) / name, part / name)
    manifest = replace(manifest, source=source, seed=seed)
    shards.write_manifest(part, manifest)
    return manifest


def _link(old: Path, new: Path) -> None:
    with contextlib.suppress(OSError):
        new.hardlink_to(old)
        return
    with old.open("rb") as source, new.open("xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def _check(
    found: corpus.Corpus, train: tuple[shards.Shard, ...], held_out: tuple[shards.Shard, ...]
) -> None:
    """Refuse text that was split badly, or that changed under the two readings."""
    if _total(train) < _total(held_out):
        words = f"leaves {_total(train):,} tokens to train on, {_total(held_out):,} to evaluate on"
        rule = f"{words}: it is one text over and over, or too few documents"
        raise corpus.fault(found.source, rule)
    if corpus.find(found.source) != found:
        raise corpus.fault(found.source, "was changed while it was read; nothing is left behind")


def _total(written: tuple[shards.Shard, ...]) -> int:
    return sum(shard.tokens for shard in written)


def _padding_note(learnt: Tokenizer) -> tuple[str, ...]:
    if not learnt.num_reserved:
        return ()
    return (
        f"the text teaches {learnt.vocab_size - learnt.num_reserved:,} of {learnt.vocab_size:,} "
        "tokens; the others are reserved and never occur",
    )
