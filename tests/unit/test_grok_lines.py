"""Posts in files of JSON lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gigafactory.errors import SpecError
from gigafactory.grok.sources.line_blocks import BLOCK_BYTES
from gigafactory.grok.sources.lines import LinesSource
from gigafactory.spec.post import Post
from tests.grok_platforms.reading import Reading, read

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def line(id: str, text: str, **more: Any) -> str:
    told = {"id": id, "author": "ann", "created_at": "2026-01-02T03:04:05Z", "text": text} | more
    return json.dumps(told) + "\n"


def written(path: Path, *lines: str | bytes) -> LinesSource:
    path.write_bytes(b"".join(one.encode() if isinstance(one, str) else one for one in lines))
    return LinesSource(path, now=lambda: NOW)


def to_end(source: LinesSource, cursor: str | None = None) -> Reading:
    return read(source, lambda _: False, cursor)


def test_a_line_is_a_post_with_all_it_tells(tmp_path: Path) -> None:
    source = written(tmp_path / "a", line("1", "hi", url="https://a.example/1", lang="de"))
    [post] = to_end(source).changes
    assert isinstance(post, Post)
    assert (post.id, post.source, post.author, post.text) == ("1", "file", "ann", "hi")
    assert (post.url, post.lang) == ("https://a.example/1", "de")
    assert post.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_lines_take_effect_in_their_order(tmp_path: Path) -> None:
    source = written(
        tmp_path / "a",
        line("1", "first"), line("2", "gone"), '{"id": "1", "text": "edited"}\n',
        '{"id": "2", "deleted": true}\n', line("3", "again"), '{"id": "3", "deleted": true}\n',
        line("3", "revived"),
    )  # fmt: skip
    reading = to_end(source)
    assert reading.standing() == {"1": "edited", "3": "revived"}
    edit = next(one for one in reading.changes if isinstance(one, Post) and one.text == "edited")
    assert (edit.author, edit.edited_at) == ("ann", NOW)
    revisions = [one.revision for one in reading.changes]
    assert revisions == sorted(set(revisions))


def test_a_line_may_edit_a_post_of_the_log(tmp_path: Path) -> None:
    held = Post(id="1", source="file", author="bob", created_at=NOW, text="old", lang="fr")
    path = tmp_path / "a"
    path.write_text('{"id": "1", "text": "new"}\n{"id": "2", "text": "of whom?"}\n')
    source = LinesSource(path, find=lambda key: held if key == held.key else None)
    reading = to_end(source)
    [post] = reading.changes
    assert isinstance(post, Post)
    assert (post.author, post.created_at, post.text, post.lang) == ("bob", NOW, "new", "fr")
    assert reading.incidents[0].detail.startswith(f"{path}: line 2: author must be a handle")


def test_a_line_that_says_the_same_again_changes_nothing(tmp_path: Path) -> None:
    source = written(tmp_path / "a", line("1", "hi"), line("1", "hi"))
    assert len(to_end(source).changes) == 1


FAULTY = [
    ("nonsense", "is no JSON"),
    ("[1]", "must be a JSON object"),
    ("{}", "id must be"),
    ('{"id": "a b"}', "id must be"),
    ('{"id": "1", "author": "a", "created_at": "2026-01-01", "text": "x"}', "created_at must be"),
    ('{"id": "1", "author": 3, "created_at": "x", "text": ""}', "author must be"),
    ('{"id": "1", "author": 3, "created_at": "x", "text": ""}', "text must be"),
    ("[" * 100_000, "nested too deeply"),
    ('{"id": ' + "9" * 5000 + "}", "is no JSON"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTY)
def test_a_faulty_line_is_told_with_its_number_and_passed_over(
    tmp_path: Path, fault: str, words: str
) -> None:
    path = tmp_path / "a"
    reading = to_end(written(path, line("1", "a"), "\n", fault + "\n", line("2", "b")))
    assert set(reading.standing()) == {"1", "2"}
    [told] = reading.incidents
    assert told.kind == "malformed"
    assert told.detail.startswith(f"{path}: line 3: ")
    assert words in told.detail


def test_text_of_strangers_is_cleaned_cut_and_dated(tmp_path: Path) -> None:
    source = written(
        tmp_path / "a",
        line("1", "a\u202egpj.exe\u0000\u200b\ud800"),
        line("2", "x" * 1_000_000),
        line("3", "soon", created_at="2031-01-01T00:00:00Z"),
        line("4", "page", url="javascript:alert(1)", lang="<b>", author="@a\u202eb\nc"),
        b'{"id":"5","author":"ann","created_at":"2026-01-02T03:04:05Z","text":"caf\xe9"}\n',
    )
    reading = to_end(source)
    posts = {one.id: one for one in reading.changes if isinstance(one, Post)}
    assert posts["1"].text == "agpj.exe\ufffd"
    assert len(posts["2"].text) == 100_000
    assert posts["3"].created_at == NOW
    assert (posts["4"].url, posts["4"].lang, posts["4"].author) == ("", "", "ab c")
    assert posts["5"].text == "caf\ufffd"
    assert reading.kinds == ["oversized", "clock_skew", "malformed"]


def test_a_line_of_many_megabytes_is_passed_over_not_kept(tmp_path: Path) -> None:
    huge = '{"id": "2", "text": "' + "x" * 9_000_000 + '"}\n'
    reading = to_end(written(tmp_path / "a", line("1", "a"), huge, line("3", "c")))
    assert set(reading.standing()) == {"1", "3"}
    assert [one.detail.split(": ")[1] for one in reading.incidents] == ["line 2"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    text = (line("1", "a") + line("2", "b")).replace("\n", "\r\n")
    reading = to_end(written(tmp_path / "a", b"\xef\xbb\xbf" + text.encode()))
    assert reading.standing() == {"1": "a", "2": "b"}
    assert reading.incidents == []


def test_from_every_cursor_the_rest_of_the_file_follows(tmp_path: Path) -> None:
    count = 5 * BLOCK_BYTES // 200
    source = written(tmp_path / "a", *(line(str(n), "x" * 100) for n in range(count)))
    whole = to_end(source)
    assert len(whole.batches) >= 4
    assert len(whole.changes) == count
    for number, batch in enumerate(whole.batches, start=1):
        before = [one.id for kept in whole.batches[:number] for one in kept.changes]
        rest = [one.id for one in to_end(source, batch.cursor).changes]
        assert before + rest == [str(n) for n in range(count)]


def test_a_file_that_grew_is_read_on_and_one_that_was_written_anew_is_read_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    cursor = to_end(written(path, line("1", "a"), line("2", "b"))).cursor
    with path.open("a") as file:
        file.write(line("3", "c"))
    assert list(to_end(LinesSource(path), cursor).standing()) == ["3"]
    anew = written(path, line("7", "other"), line("8", "words"), line("9", "here"))
    assert list(to_end(anew, cursor).standing()) == ["7", "8", "9"]
    other = written(tmp_path / "b", line("1", "a"), line("2", "b"))
    assert list(to_end(other, cursor).standing()) == ["1", "2"]


@pytest.mark.parametrize("cursor", ["", "x", "{}", "[]", '{"offset": -1}', '{"file": 1}', "null"])
def test_a_cursor_of_something_else_reads_from_the_start(tmp_path: Path, cursor: str) -> None:
    assert to_end(written(tmp_path / "a", line("1", "a")), cursor).standing() == {"1": "a"}


def test_a_last_line_that_is_torn_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first = to_end(written(path, line("1", "a"), line("2", "b")[:-8]))
    assert first.standing() == {"1": "a"}
    assert first.kinds == ["malformed"]
    written(path, line("1", "a"), line("2", "b"))
    assert to_end(LinesSource(path), first.cursor).standing() == {"2": "b"}


def test_a_last_line_without_its_end_counts(tmp_path: Path) -> None:
    assert to_end(written(tmp_path / "a", line("1", "a").rstrip())).standing() == {"1": "a"}


def test_a_file_that_is_not_there_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere: cannot be read: No such file"):
        to_end(LinesSource(tmp_path / "nowhere"))


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert to_end(written(tmp_path / "a")).batches == []
