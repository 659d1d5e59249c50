"""Which text is trained on: files found, documents read, mistakes told."""

import gzip
import json
from pathlib import Path

import pytest

from gigafactory.errors import SpecError
from gigafactory.run.trainer import corpus, documents


def texts(source: Path | str) -> tuple[list[str], documents.Tally]:
    """Return the documents of a source, their pieces joined."""
    tally = documents.Tally()
    found, parts = [], []
    for piece in documents.pieces(corpus.find(str(source)), tally):
        parts.append(piece.text)
        if piece.ends:
            found.append("".join(parts))
            parts = []
    assert not parts
    return found, tally


def refusal(source: Path | str) -> str:
    with pytest.raises(SpecError) as told:
        texts(source)
    assert told.value.field == "data"
    return str(told.value)


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_folder_is_read_to_its_bottom_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/b/c.TXT", "c.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"text": "c.jsonl"}' if "json" in name else name)
    assert texts(tmp_path)[0] == ["a/b/c.TXT", "a/z.md", "b.txt", "c.jsonl"]


def test_other_suffixes_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("kept.txt", "photo.png", ".hidden.txt", ".git/config.txt", "noname"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert texts(tmp_path)[0] == ["kept.txt"]


def test_a_named_file_may_have_any_suffix(tmp_path: Path) -> None:
    (tmp_path / "noname").write_text("words")
    assert texts(tmp_path / "noname")[0] == ["words"]


def test_linked_folders_are_followed_and_a_circle_of_them_ends(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("linked")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "circle").symlink_to(tmp_path / "root")
    assert texts(tmp_path / "root")[0] == ["linked"]


def test_a_field_other_than_text_is_named_behind_a_hash(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"text": "no", "body": "yes"})
    assert texts(f"{path}#body")[0] == ["yes"]
    assert texts(f"{tmp_path}#body")[0] == ["yes"]
    assert texts(path)[0] == ["no"]


def test_a_file_whose_name_has_a_hash_is_taken_whole(tmp_path: Path) -> None:
    assert texts(lines(tmp_path / "c#.jsonl", {"text": "sharp"}))[0] == ["sharp"]


def test_gzipped_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "lines"}'))
    assert texts(tmp_path)[0] == ["packed", "lines"]


def test_bytes_that_are_no_utf_8_are_replaced_counted_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 \xff\xfe ok \xef\xbf\xbd")
    found, tally = texts(tmp_path)
    assert found == ["caf\ufffd \ufffd\ufffd ok \ufffd"]
    assert tally.replaced == 3  # the U+FFFD that was there is none of them
    assert tally.notes() == ("3 bytes that are no valid text became U+FFFD (first in a.txt)",)


def test_half_a_surrogate_in_json_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud800b \\ud83d\\ude00"}')
    found, tally = texts(tmp_path)
    assert found == ["a\ufffdb \U0001f600"]
    assert tally.replaced == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("Übung".encode(encoding))
    assert texts(tmp_path)[0] == ["Übung"]


def test_empty_documents_are_dropped_and_told(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", {"text": ""}, {"text": " \n"}, {"text": None}, {"text": "x"})
    (tmp_path / "b.txt").write_text("\n\n")
    found, tally = texts(tmp_path)
    assert found == ["x"]
    assert tally.empty == 4
    assert "4 empty documents were dropped" in tally.notes()[0]


def test_binary_files_in_a_folder_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "b.txt").write_text("words")
    found, tally = texts(tmp_path)
    assert found == ["words"]
    assert tally.notes() == ("1 files of binary data were left out (first a.txt)",)


def test_a_long_document_is_cut_at_line_ends_and_loses_nothing(tmp_path: Path) -> None:
    text = "".join(f"line {i}\r\n" for i in range(50_000)) + "the end"
    (tmp_path / "a.txt").write_bytes(text.encode())
    pieces = list(documents.pieces(corpus.find(str(tmp_path)), documents.Tally()))
    assert len(pieces) > 50
    assert all(piece.text.endswith("\n") for piece in pieces[:-1])
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert "".join(piece.text for piece in pieces) == text


def test_the_standard_library_is_found_without_its_tests() -> None:
    found = corpus.find("")
    names = [file.name for file in found.files]
    assert "argparse.py" in names
    assert names == sorted(names)
    assert not [name for name in names if "/test/" in f"/{name}" or "site-packages" in name]
    assert found.text_bytes > 5e6


def test_faulty_lines_are_named_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ok"}\n{"text": \n\n[1]\n{"body": "x"}\n{"text": 5}\n' + "{\n" * 9)
    told = refusal(path)
    assert f"{path} line 2: is no JSON" in told
    assert f"{path} line 4: must be a JSON object, is list" in told
    assert f"{path} line 5: has no field 'text', only body" in told
    assert f"{path} line 6: field 'text' must be text, is int" in told
    assert "and 8 more" in told


def test_what_is_no_text_is_refused_by_its_name(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    binary = tmp_path / "model.bin"
    binary.write_bytes(bytes(1_000))
    torn = tmp_path / "torn.txt.gz"
    torn.write_bytes(gzip.compress(b"words" * 999)[:-20])
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "missing.txt cannot be read: No such file" in refusal(tmp_path / "missing.txt")
    assert "empty.txt is empty" in refusal(empty)
    assert "model.bin holds binary data" in refusal(binary)
    assert "torn.txt.gz cannot be read" in refusal(torn)
    assert "folder holds no file of text" in refusal(folder)
    assert "/dev/zero must be a regular file" in refusal("/dev/zero")
    assert "behind its '#'" in refusal(f"{folder}/a.jsonl#")
    assert "null byte" in refusal("a\0b")
