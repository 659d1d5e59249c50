"""`giga feed` and `giga search` as programs and people use them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_cli_command import Ran, answered, giga, is_one_line, refused
from tests.made_run import begun

LINES: list[dict[str, Any]] = [
    {"id": "1", "author": "nasa", "created_at": "2026-11-20T10:00:00Z",
     "text": "Artemis launches at dawn", "url": "https://example.org/1", "lang": "en"},
    {"id": "2", "author": "ada", "created_at": "2026-11-20T11:00:00+01:00",
     "text": "The launch was scrubbed \u001b[31m\u202e for weather"},
    {"id": "3", "author": "bob", "created_at": "2026-11-20T12:00:00Z", "text": "Artemis sandwich"},
    {"id": "3", "deleted": True},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIGA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


def told(*arguments: str | Path) -> dict[str, Any]:
    ran: Ran = giga(*arguments, "--json")
    assert ran.code == 0, ran
    return ran.json


def lines(path: Path, *more: str) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in LINES) + "".join(more))
    return path


def test_posts_of_a_file_are_added_found_and_told_of(tmp_path: Path) -> None:
    added = told("feed", "add", lines(tmp_path / "posts.jsonl"))
    assert (added["new"], added["deleted"]) == (3, 1)
    found = told("search", "launch")
    assert [hit["id"] for hit in found["hits"]] == ["2", "1"], "the very form of a word first"
    assert found["wall_s"] > 0
    assert found["hits"][1] == {
        "id": "1", "source": "file", "url": "https://example.org/1", "author": "nasa",
        "created_at": "2026-11-20T10:00:00+00:00", "text": "Artemis launches at dawn",
        "score": found["hits"][1]["score"],
    }  # fmt: skip
    assert told("search", "sandwich")["hits"] == []
    status = told("feed", "status")
    assert (status["posts"], status["writer_pid"]) == (2, None)
    assert status["sequence"] == status["indexed"]
    assert [one["state"] for one in status["sources"]] == ["stopped"]


def test_people_read_who_when_and_what_and_nothing_steers_their_terminal(tmp_path: Path) -> None:
    answered("feed", "add", lines(tmp_path / "posts.jsonl"))
    shown = answered("search", "launch").out
    assert "@nasa" in shown
    assert " ago" in shown
    assert "https://example.org/1" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "file" in answered("feed", "status").out


def test_the_same_file_again_adds_nothing_and_a_longer_one_its_rest(tmp_path: Path) -> None:
    path = lines(tmp_path / "posts.jsonl")
    told("feed", "add", path)
    again = told("feed", "add", path)
    assert (again["new"], again["edited"], again["deleted"]) == (0, 0, 0)
    more = '{"id":"9","author":"x","created_at":"2026-11-20T10:00:00Z","text":"more"}\n'
    assert told("feed", "add", lines(path, more))["new"] == 1


def test_a_run_is_added_as_posts_of_the_factory(tmp_path: Path) -> None:
    made = begun(tmp_path / "grok")
    made.event("failure", 100, rank=3, detail="killed by the kernel")
    added = told("feed", "add", made.folder.path)
    assert added["new"] >= 1
    hits = told("search", "killed source:run")["hits"]
    assert "killed" in hits[0]["text"]
    assert hits[0]["source"] == "run:grok"


def test_faulty_lines_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    added = told("feed", "add", lines(tmp_path / "posts.jsonl", "garbage\n", '{"id":"7"}\n'))
    assert added["new"] == 3
    assert added["incidents"] == {"malformed": 2}


def test_many_queries_are_answered_in_their_order_each_as_of_its_time(tmp_path: Path) -> None:
    answered("feed", "add", lines(tmp_path / "posts.jsonl"))
    queries = tmp_path / "queries.jsonl"
    queries.write_text(
        '{"id":"b","query":"launch"}\n{"id":7,"query":"launch","as_of":"2026-11-20T09:59:00Z"}\n'
        '{"id":"a","query":"nothing like it"}\n'
        '{"id":"c","query":"launch","as_of":"2026-11-20T10:00:01Z"}\n'
    )
    answered("search", "--batch", queries, "--out", "hits.jsonl")
    got = [json.loads(line) for line in (tmp_path / "hits.jsonl").read_text().splitlines()]
    assert [(one["id"], [hit["id"] for hit in one["hits"]]) for one in got] == [
        ("b", ["2", "1"]), (7, []), ("a", []), ("c", ["2", "1"]),
    ]  # fmt: skip


def test_all_faults_of_a_file_of_queries_are_told_and_no_file_is_left(tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    queries.write_text('{"id":"a","query":"since:never"}\nno\n{"id":"b","qurey":"x"}\n{"id":1}\n')
    message = refused("search", "--batch", queries, "--out", "hits.jsonl")
    for part in ("line 1: since:", "line 2: must be one JSON", "line 3: unknown key 'qurey'",
                 "line 4: query must be"):  # fmt: skip
        assert part in message
    assert not (tmp_path / "hits.jsonl").exists()


def test_a_feed_that_is_not_there_has_no_hits_and_says_so() -> None:
    left = answered("search", "anything")
    assert left.out == ""
    assert "no feed at" in left.err
    assert told("search", "anything")["hits"] == []
    assert told("feed", "status")["posts"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search",), "give a query, or --batch"),
        (("search", "x", "--batch", "q.jsonl", "--out", "o"), "not both"),
        (("search", "--batch", "q.jsonl"), "--out"),
        (("search", "x", "--limit", "0"), "limit must be between"),
        (("search", "x", "--as-of", "soon"), "--as-of: must be a date"),
        (("search", "from:"), "from: must be followed by a handle"),
        (("search", "--batch", "none.jsonl", "--out", "o"), "none.jsonl: cannot be read"),
        (("feed", "add", "none.jsonl"), "none.jsonl: no such file or folder"),
        (("feed", "start", "twitter"), "'twitter' is no source"),
        (("feed", "start", "bluesky", "bluesky"), "given twice"),
        (("feed", "start", "x"), "X_BEARER_TOKEN must hold a bearer token"),
        (("feed", "start", "--keep", "often"), "--keep: must be a time such as"),
        (("feed", "start", "--keep-bytes", "7 apples"), "is no quantity"),
        (("feed", "start", "--keep-bytes", "7"), "keep_bytes must be at least 1MB"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("X_BEARER_TOKEN", raising=False)
    ran, machine = giga(*arguments), giga(*arguments, "--json")
    assert (ran.code, machine.code) == (2, 2), ran
    assert said in ran.err
    assert is_one_line(ran.err)
    assert machine.json["error"]["message"] in ran.err
    assert not Path("home").exists(), "nothing is made of a mistake"
