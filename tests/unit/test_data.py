"""Prepared data: the split, the shards, the sequences of a step, what is kept and refused."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from gigafactory.errors import SpecError
from gigafactory.run.trainer import corpus, shards
from gigafactory.run.trainer.data import Dataset, prepare
from gigafactory.run.trainer.survey import SAMPLE_BYTES, survey

WORDS = ("rack", "coolant", "fabric", "switch", "token", "layer", "expert", "power")


def made_text(folder: Path, documents: int = 400, words: int = 120) -> Path:
    """Write documents that differ, each with a name of its own in every line."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(documents):
        drawn = rng.choice(WORDS, size=words)
        text = "\n".join(f"d{i} " + " ".join(drawn[j : j + 8]) for j in range(0, words, 8))
        rows.append(json.dumps({"text": text}))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder / "made.jsonl"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of many small shards."""
    root = tmp_path_factory.mktemp("made")
    prepare(str(made_text(root)), vocab_size=400, seed=1, folder=root / "data", shard_bytes=10_000)
    return root / "data"


def opened(folder: Path, seq_len: int = 64, seed: int = 3) -> Dataset:
    return Dataset.open(folder, seq_len=seq_len, seed=seed)


def all_tokens(folder: Path, split: str) -> np.ndarray:
    files = sorted(folder.glob(f"{split}-*.bin"))
    return np.concatenate([np.fromfile(file, dtype="<u2") for file in files])


def test_the_manifest_tells_tokens_checksums_and_sources(made: Path) -> None:
    manifest = shards.read_manifest(made)
    assert len(manifest.train) > 3
    for shard in manifest.train + manifest.held_out:
        data = (made / shard.file).read_bytes()
        assert len(data) == 2 * shard.tokens <= 10_000
        assert hashlib.sha256(data).hexdigest() == shard.sha256
    listed = (made / shards.SOURCES).read_text().splitlines()
    assert json.loads(listed[1]).keys() == {"file", "bytes", "mtime_ns"}
    tokenizer = (made / shards.TOKENIZER).read_bytes()
    assert hashlib.sha256(tokenizer).hexdigest() == manifest.tokenizer_sha256
    assert manifest.documents == 400


def test_every_document_is_whole_on_one_side_and_ends_with_its_token(made: Path) -> None:
    data = opened(made)
    end = data.tokenizer.end_of_document
    sides = []
    for split in shards.SPLITS:
        tokens = all_tokens(made, split)
        assert tokens[-1] == end
        ends = np.flatnonzero(tokens == end)
        parts = np.split(tokens, ends + 1)[:-1]
        sides.append({data.tokenizer.decode(part[:-1].tolist()) for part in parts})
    train, held_out = sides
    assert not train & held_out
    assert len(train) + len(held_out) == 400
    source = Path(data.manifest.source).read_text(encoding="utf-8").splitlines()
    assert train | held_out == {json.loads(line)["text"] for line in source}
    assert 0.05 < len(held_out) / 400 < 0.15  # a small text gives a tenth


def test_copies_of_a_text_stay_on_one_side_and_other_text_moves_none(tmp_path: Path) -> None:
    first = made_text(tmp_path / "a")
    (tmp_path / "a" / "copy.jsonl").write_bytes(first.read_bytes())
    (tmp_path / "a" / "z.txt").write_text("another text altogether\n" * 9)
    prepare(str(tmp_path / "a"), vocab_size=300, seed=0, folder=tmp_path / "both")
    data = opened(tmp_path / "both")
    held_out = data.tokenizer.decode(all_tokens(tmp_path / "both", "held-out").tolist())
    train = data.tokenizer.decode(all_tokens(tmp_path / "both", "train").tolist())
    named = {word for word in held_out.split() if word.startswith("d") and word[1:].isdigit()}
    assert len(named) > 5
    assert not [name for name in named if f"{name} " in train]


def test_a_large_text_gives_one_hundredth_and_teaches_by_a_part_that_a_seed_draws(
    tmp_path: Path,
) -> None:
    rows = (f'{{"text": "{i} {"words " * 600}"}}\n' for i in range(9_000))
    (tmp_path / "a.jsonl").write_text("".join(rows))
    found = corpus.find(str(tmp_path))
    assert found.text_bytes > 30e6
    one, other = (survey(found, vocab_size=300, seed=seed) for seed in (0, 1))
    assert one.held_out_below == other.held_out_below == int(0.01 * 2**64)
    least = min(SAMPLE_BYTES)
    for seen in (one, other):
        assert 0.8 * least < sum(map(len, seen.sample)) < 1.2 * least
    assert not set(one.sample) <= set(other.sample)


def test_one_long_document_is_split_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = (" ".join(rng.choice(WORDS, size=9)) + f" {i}\n" for i in range(5_000))
    (tmp_path / "book.txt").write_text("".join(lines))
    manifest = prepare(str(tmp_path / "book.txt"), vocab_size=300, seed=0, folder=tmp_path / "data")
    assert manifest.documents == 1
    assert manifest.num_held_out_tokens > 0.08 * manifest.num_tokens
    opened(tmp_path / "data", seq_len=1_024)


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_a_step_has_the_same_sequences_for_any_number_of_ranks(made: Path, ranks: int) -> None:
    data = opened(made)
    alone = data.sequences(17, 16, rank=0, ranks=1)
    shared = [data.sequences(17, 16, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert shared[0].shape == (16 // ranks, 65)
    assert shared[0].dtype == np.int64
    assert np.array_equal(np.concatenate(shared), alone)


def test_an_epoch_trains_on_every_sequence_once(made: Path) -> None:
    data = opened(made)
    steps = data.num_sequences // 4
    rows = np.concatenate([data.sequences(step, 4) for step in range(steps + 1)])
    row = all_tokens(made, "train")
    wanted = [row[i * 64 : i * 64 + 65] for i in range(data.num_sequences)]
    seen = sorted(map(bytes, rows[: data.num_sequences].astype("<u2")))
    assert seen == sorted(map(bytes, wanted))


def test_a_restart_anywhere_reads_what_an_undisturbed_run_reads(made: Path) -> None:
    undisturbed = opened(made)
    steps = [undisturbed.sequences(step, 8) for step in range(300)]
    assert undisturbed.num_sequences < 300 * 8  # into a second epoch
    for step in (0, 1, 150, 299):
        assert np.array_equal(opened(made).sequences(step, 8), steps[step])


def test_another_seed_is_another_order_of_the_same_sequences(made: Path) -> None:
    one, other = opened(made, seed=1), opened(made, seed=2)
    assert not np.array_equal(one.sequences(0, 16), other.sequences(0, 16))


def test_evaluation_is_the_same_every_time_and_repeats_only_at_its_end(made: Path) -> None:
    data = opened(made)
    count = data.num_held_out_sequences
    whole = data.evaluation(0, count)
    assert len(np.unique(whole, axis=0)) == count
    assert np.array_equal(data.evaluation(1, 2), whole[2:4])
    assert np.array_equal(data.evaluation(1, count), whole)


def test_a_batch_that_ranks_cannot_share_is_refused(made: Path) -> None:
    for step, batch, rank, ranks in ((0, 6, 0, 4), (-1, 4, 0, 1), (0, 4, 2, 2)):
        with pytest.raises(ValueError, match="rank"):
            opened(made).sequences(step, batch, rank=rank, ranks=ranks)


def test_a_vocabulary_above_65536_is_stored_in_four_bytes(tmp_path: Path) -> None:
    source = made_text(tmp_path)
    manifest = prepare(str(source), vocab_size=70_000, seed=0, folder=tmp_path / "data")
    assert manifest.dtype == "<u4"
    assert any("reserved" in note for note in manifest.notes)
    data = opened(tmp_path / "data")
    assert data.tokenizer.vocab_size == 70_000
    assert "coolant" in data.tokenizer.decode(data.sequences(0, 4)[0].tolist())


def test_the_same_source_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    source = shards.read_manifest(made).source
    again = prepare(source, vocab_size=400, seed=1, folder=tmp_path / "data", shard_bytes=10_000)
    assert again == shards.read_manifest(made)


def test_prepared_data_is_not_prepared_again(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    prepare(shards.read_manifest(made).source, vocab_size=400, seed=1, folder=made)
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


def test_a_source_that_has_changed_or_gone_does_not_change_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = made_text(tmp_path)
    first = prepare(str(source), vocab_size=300, seed=0, folder=tmp_path / "data")
    with source.open("a") as file:
        file.write('\n{"text": "more"}')
    with caplog.at_level(logging.WARNING):
        assert prepare(str(source), vocab_size=300, seed=0, folder=tmp_path / "data") == first
    assert "has changed since" in caplog.text
    source.unlink()
    assert prepare(str(source), vocab_size=300, seed=0, folder=tmp_path / "data") == first


def test_a_prepared_folder_is_taken_over_by_another_run(made: Path, tmp_path: Path) -> None:
    taken = prepare(str(made), vocab_size=400, seed=8, folder=tmp_path / "data")
    assert taken.train == shards.read_manifest(made).train
    assert np.array_equal(opened(tmp_path / "data").sequences(5, 8), opened(made).sequences(5, 8))
    prepare(str(made), vocab_size=400, seed=8, folder=tmp_path / "data")
    with pytest.raises(SpecError, match="vocab_size 400, not 500"):
        prepare(str(made), vocab_size=500, seed=8, folder=tmp_path / "other")


def test_a_folder_prepared_for_something_else_is_refused_with_the_difference(made: Path) -> None:
    with pytest.raises(SpecError, match=r"for .* vocab_size 400, not 512, seed 1, not 2"):
        prepare("", vocab_size=512, seed=2, folder=made)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(SpecError, match="in the way"):
        prepare(str(made_text(tmp_path / "text")), vocab_size=300, seed=0, folder=tmp_path)
    assert (tmp_path / "thesis.doc").read_text() == "years of work"


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("name", ["train-00001.bin", "held-out-00000.bin", "tokenizer.json"])
def test_a_corrupt_file_is_named_with_what_to_do(
    made: Path, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(made, folder)
    data = bytearray((folder / name).read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data[:-2] if damage == "cut" else data)
    if damage == "remove":
        (folder / name).unlink()
    source = shards.read_manifest(folder).source
    for use in (
        lambda: opened(folder),
        lambda: prepare(source, vocab_size=400, seed=1, folder=folder),
    ):
        with pytest.raises(SpecError) as told:
            use()
        assert str(folder / name) in str(told.value)
        assert "remove the folder" in str(told.value)


def test_sizes_are_compared_even_where_checksums_are_not(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "data")
    (tmp_path / "data" / "train-00001.bin").write_bytes(b"1234")
    data = Dataset.open(tmp_path / "data", seq_len=64, seed=0, verify=False)
    with pytest.raises(SpecError, match=r"train-00001.bin .*has 4 bytes, written were 10000"):
        data.sequences(0, 64)


def test_a_torn_manifest_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "data")
    text = (made / shards.MANIFEST).read_text()
    (tmp_path / "data" / shards.MANIFEST).write_text(text[:100])
    with pytest.raises(SpecError, match=r"manifest.json: is no JSON"):
        opened(tmp_path / "data")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a few words only", "too short"),
        ("over and over\n" * 10_000, "over and over"),
        (" \n" * 100, "holds no text"),
    ],
)
def test_text_that_cannot_be_split_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(SpecError, match=words):
        prepare(str(tmp_path / "a.txt"), vocab_size=300, seed=0, folder=tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_text_too_short_for_a_sequence_is_told_with_both_lengths(made: Path) -> None:
    with pytest.raises(SpecError, match="tokens to evaluate on, one sequence of seq_len 30,000"):
        opened(made, seq_len=30_000)


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = made_text(tmp_path / "text")

    def meddle(_: int) -> None:
        with source.open("a") as file:
            file.write('\n{"text": "more"}')

    with pytest.raises(SpecError, match="was changed while it was read"):
        prepare(str(source), vocab_size=300, seed=0, folder=tmp_path / "data", progress=meddle)
    assert not (tmp_path / "data").exists()
