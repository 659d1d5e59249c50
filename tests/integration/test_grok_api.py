"""The feed behind OpenAI's APIs, served by a process of its own, asked by the OpenAI client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gigafactory.spec.answer import NOTHING_FOUND
from tests.held_model import HeldModel, listening
from tests.integration.test_cli_command import refused
from tests.served_feed import HAPPENED, LIBRARY, NOTHING, PAGE, PLANNED, TOKEN, HomeFeed, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FERRY: Final = "Why was the Tollmere ferry cancelled?"
PATH: Final = "/v1/chat/completions"
FIRST: Final = "The Harwick library reopens on Monday at nine."
SECOND: Final = "The Harwick library reopens on Monday, the cafe stays shut."
BOTH: Final = f"{FIRST} [1] {SECOND} [2]"


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> HomeFeed:
    return HomeFeed(tmp_path_factory.mktemp("home")).fill()


@pytest.fixture(scope="module")
def url(feed: HomeFeed) -> Iterator[str]:
    with served(feed, "--max-rate", "0") as (url, _):
        yield url


def client_of(url: str, token: str = "none") -> openai.OpenAI:  # noqa: S107
    return openai.OpenAI(base_url=url, api_key=token, max_retries=0, timeout=60)


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with client_of(url) as client:
        yield client


def chatted(client: openai.OpenAI, *said: str, **fields: Any) -> Any:
    roles = ["user", "assistant"]
    messages: Any = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]
    return client.chat.completions.create(model="extractive", messages=messages, **fields)


def responded(client: openai.OpenAI, question: Any, **fields: Any) -> Any:
    return client.responses.create(model="extractive", input=question, **fields)


def test_a_chat_is_answered_with_spans_that_number_author_and_page_belong_to(
    client: openai.OpenAI,
) -> None:
    told = chatted(client, LIBRARY)
    message = told.choices[0].message
    assert message.content == BOTH
    spans = [one.url_citation for one in message.annotations]
    assert [message.content[one.start_index : one.end_index] for one in spans] == [
        f"{FIRST} [1]", f"{SECOND} [2]"
    ]  # fmt: skip
    assert [one.url for one in spans] == told.citations == [f"{PAGE}/1", f"{PAGE}/2"]
    assert [one.title for one in spans] == ["1", "2"]
    assert spans[0].post["quote"] == FIRST
    assert spans[0].post["author"] == "harwickcouncil"
    assert 7200 <= spans[0].post["age_s"] < 7200 + 600
    assert told.grok["abstained"] is False
    assert told.grok["newest_age_s"] >= 3600
    assert told.choices[0].finish_reason == "stop"
    assert told.usage.total_tokens == 0


def test_with_the_reader_a_post_that_only_seems_to_answer_is_not_cited(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the reader needs gigafactory[reader]")
    feed = HomeFeed(tmp_path).fill()
    feed.write(feed.post(*PLANNED))
    answers = []
    for option in ("--reader", "--no-reader"):
        with served(feed, option) as (url, _):
            client = client_of(url)
            answers.append([chatted(client, one).citations for one in (LIBRARY, HAPPENED)])
    assert [len(cited) for cited in answers[0]] == [1, 0]
    assert [len(cited) for cited in answers[1]] == [2, 1]


def test_a_streamed_chat_is_the_whole_one_sentence_by_sentence(client: openai.OpenAI) -> None:
    whole = chatted(client, LIBRARY)
    options = {"include_usage": True}
    chunks = list(chatted(client, LIBRARY, stream=True, stream_options=options))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    texts = [delta.content for delta in deltas if delta.content]
    assert texts == [f"{FIRST} [1]", f" {SECOND} [2]"]
    assert deltas[0].role == "assistant"
    cited = [one["url_citation"] for delta in deltas for one in getattr(delta, "annotations", [])]
    spans = [one.url_citation for one in whole.choices[0].message.annotations]
    assert [(one["start_index"], one["end_index"], one["url"]) for one in cited] == [
        (one.start_index, one.end_index, one.url) for one in spans
    ]
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-2].citations == whole.citations
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_a_streamed_response_has_openais_events_in_their_order(client: openai.OpenAI) -> None:
    events = list(responded(client, LIBRARY, stream=True))
    sentence = ["response.output_text.delta", "response.output_text.annotation.added"]
    assert [event.type for event in events] == [
        "response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", *sentence, *sentence, "response.output_text.done",
        "response.content_part.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    done = events[-1].response
    assert done.status == "completed"
    assert done.output_text == events[-4].text == BOTH
    added = [event for event in events if event.type == sentence[1]]
    assert [event.annotation_index for event in added] == [0, 1]
    assert [event.annotation.to_dict() for event in added] == [
        one.to_dict() for one in done.output[0].content[0].annotations
    ]
    span = added[1].annotation
    assert done.output_text[span.start_index : span.end_index] == f"{SECOND} [2]"


def test_the_clients_own_stream_helper_puts_a_response_together(client: openai.OpenAI) -> None:
    with client.responses.stream(model="extractive", input=LIBRARY) as stream:
        snapshots = [one.snapshot for one in stream if one.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == BOTH
    assert snapshots == [f"{FIRST} [1]", BOTH]


def test_without_evidence_it_says_so_whole_and_streamed(client: openai.OpenAI) -> None:
    told = chatted(client, NOTHING)
    assert told.choices[0].message.content == NOTHING_FOUND
    assert told.choices[0].message.annotations == []
    assert told.citations == []
    assert told.grok["abstained"] is True
    streamed = list(responded(client, NOTHING, stream=True))[-1].response
    assert streamed.output_text == NOTHING_FOUND
    assert streamed.grok["abstained"] is True


def test_x_search_narrows_what_is_read(feed: HomeFeed, client: openai.OpenAI) -> None:
    def answer(**tool: Any) -> str:
        return str(responded(client, LIBRARY, tools=[{"type": "x_search", **tool}]).output_text)

    assert answer() == BOTH
    assert answer(allowed_x_handles=["@MayBooks"]) == f"{SECOND} [1]"
    assert answer(excluded_x_handles=["maybooks"]) == f"{FIRST} [1]"
    assert answer(allowed_x_handles=["trams"]) == NOTHING_FOUND
    day = (feed.now - timedelta(hours=2)).date().isoformat()
    earlier = (feed.now - timedelta(hours=75)).date().isoformat()
    assert answer(from_date=day, to_date=day) == f"{FIRST} [1]"
    assert answer(to_date=earlier) == f"{SECOND} [1]"
    assert answer(from_date=(feed.now - timedelta(hours=3)).isoformat()) == f"{FIRST} [1]"
    assert answer(from_date=None, enable_image_understanding=False) == BOTH


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ({"allowed_x_handles": ["a"], "excluded_x_handles": ["b"]}, "excluded_x_handles"),
        ({"allowed_x_handles": ["a"] * 21}, "at most 20 handles"),
        ({"allowed_x_handles": ["a b"]}, "allowed_x_handles"),
        ({"allowed_x_handles": "nasa"}, "allowed_x_handles"),
        ({"from_date": "01.11.2026"}, "from_date must be a date"),
        ({"from_date": "2026-11-02", "to_date": "2026-11-01"}, "must not be after 2026-11-01"),
        ({"enable_video_understanding": True}, "enable_video_understanding is not supported"),
        ({"x_handles": ["nasa"]}, "x_handles"),
        ({"type": "web_search"}, "x_search"),
    ],
)
def test_a_tool_at_fault_is_refused_by_name(
    client: openai.OpenAI, tool: dict[str, Any], words: str
) -> None:
    for ask in (chatted, responded):
        with pytest.raises(openai.BadRequestError, match="tool") as told:
            ask(client, LIBRARY, extra_body={"tools": [{"type": "x_search"} | tool]})
        assert words in told.value.message


def test_search_parameters_are_gone_and_the_error_says_what_to_use(client: openai.OpenAI) -> None:
    for ask in (chatted, responded):
        with pytest.raises(openai.APIStatusError, match="x_search") as told:
            ask(client, LIBRARY, extra_body={"search_parameters": {"mode": "on"}})
        assert told.value.status_code == 410


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": ["x"]}, "stop"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"extra_body": {"modle": 1}}, "modle"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 4097}]}, "messages"),
    ],
)
def test_a_field_at_fault_is_refused_by_name(
    client: openai.OpenAI, fields: dict[str, Any], param: str
) -> None:
    asked = {"model": "extractive", "messages": [{"role": "user", "content": LIBRARY}]} | fields
    with pytest.raises(openai.BadRequestError) as told:
        client.chat.completions.create(**asked)
    assert told.value.type == "invalid_request_error"
    assert told.value.param == param
    assert param in told.value.message


def test_what_only_steers_sampling_is_taken_and_changes_nothing(client: openai.OpenAI) -> None:
    told = chatted(
        client, LIBRARY, temperature=0.7, top_p=0.9, max_tokens=5, seed=1, user="me", n=1,
        presence_penalty=0.1,
    )  # fmt: skip
    assert told.choices[0].message.content == BOTH


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "must be JSON"),
        (b"\xff\xfe{}", 400, "must be JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b'{"model": "extractive", "temperature": NaN}', 400, "NaN"),
        (b"[" * 100_000, 400, "JSON"),
        (b'{"model": "extractive", "metadata": ' + b'{"a":' * 900 + b"1" + b"}" * 901, 400, ""),
        (b'{"input": "x"}', 400, "model: is missing"),
        (b'{"model": "grok-9", "input": "x"}', 404, "grok-9"),
        (b'{"model": "extractive", "input": "x", "previous_response_id": "y"}', 404, "'y'"),
        (b'{"input": "' + b"x" * 2**20 + b'"}', 413, "at most 1048576 bytes"),
    ],
)
def test_a_body_at_fault_gets_an_error_object(
    url: str, body: bytes, status: int, words: str
) -> None:
    told = httpx.post(f"{url}/responses", content=body)
    assert told.status_code == status
    error = told.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert words in error["message"]


def test_half_a_surrogate_pair_and_a_question_of_hostile_signs_are_no_fault(url: str) -> None:
    for question in ('"\\ud800 library"', '"\\u202e\\u0000[31m \\" OR 1=1 -- from:@"', '"((((***"'):
        body = f'{{"model": "extractive", "input": {question}}}'
        told = httpx.post(f"{url}/responses", content=body)
        assert told.status_code == 200, told.text


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["extractive"]
    assert client.models.retrieve("extractive").owned_by == "gigafactory"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("grok-9")


def test_posts_are_searched_in_the_query_syntax(url: str) -> None:
    found = httpx.get(f"{url}/search", params={"q": "library from:@maybooks"}).json()
    assert found["schema"] == 1
    assert [hit["id"] for hit in found["hits"]] == ["2"]
    assert set(found["hits"][0]) == {
        "id", "source", "url", "author", "created_at", "text", "score"
    }  # fmt: skip
    asked = {"query": "Harwick library", "limit": 1}
    assert len(httpx.post(f"{url}/search", json=asked).json()["hits"]) == 1
    asked = {"query": "library", "as_of": "2d"}
    assert [hit["id"] for hit in httpx.post(f"{url}/search", json=asked).json()["hits"]] == ["2"]
    hostile = httpx.get(f"{url}/search", params={"q": "ferry"}).json()["hits"][0]
    assert hostile["url"] == ""


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"q": "library since:soon"}, "since"),
        ({"q": "library", "limit": "0"}, "limit"),
        ({"q": "library", "limit": "many"}, "limit"),
        ({"q": "library", "as_of": "soon"}, "as_of"),
        ({"q": "x" * 5000}, "query"),
        ({}, "query"),
        ({"q": "library", "size": "3"}, "size"),
    ],
)
def test_a_search_at_fault_is_refused_by_name(url: str, params: Any, param: str) -> None:
    told = httpx.get(f"{url}/search", params=params)
    assert told.status_code == 400
    assert told.json()["error"]["param"] == param


def test_a_follow_up_is_understood_from_the_turns_before_it(client: openai.OpenAI) -> None:
    told = chatted(client, LIBRARY, "On Monday.", "and the museum?")
    assert told.grok["notes"] == ["understood as: When does the museum reopen?"]
    assert told.grok["abstained"] is True


def test_a_response_is_gone_on_from_by_its_id_or_by_giving_it_back(client: openai.OpenAI) -> None:
    first = responded(client, "When does the Harwick library reopen?", instructions="Be brief.")
    second = responded(client, "and the cafe?", previous_response_id=first.id)
    assert second.grok["notes"] == ["understood as: When does the cafe reopen?"]
    said = [{"role": "user", "content": LIBRARY}, *first.output,
            {"role": "user", "content": "and the cafe?"}]  # fmt: skip
    assert responded(client, said).output_text == second.output_text
    third = responded(client, "What about the library?", previous_response_id=second.id)
    assert third.previous_response_id == second.id


def test_an_answer_is_marked_once_a_cited_post_is_edited_or_deleted(tmp_path: Path) -> None:
    feed = HomeFeed(tmp_path).fill()
    with served(feed) as (url, _), client_of(url) as client:
        told = responded(client, LIBRARY)
        unkept = responded(client, LIBRARY, store=False)
        feed.edit("2", "The Harwick library stays shut.")
        edited = client.responses.retrieve(told.id)
        assert edited.output_text == BOTH
        assert states(edited) == ["current", "edited"]
        feed.delete("1")
        gone = client.responses.retrieve(told.id)
        assert FIRST not in gone.to_json()
        assert gone.output_text == f"(This post was deleted.) [1] {SECOND} [2]"
        assert states(gone) == ["deleted", "edited"]
        content: Any = gone.output[0]
        span = content.content[0].annotations[1]
        assert gone.output_text[span.start_index : span.end_index] == f"{SECOND} [2]"
        assert responded(client, LIBRARY).output_text == NOTHING_FOUND
        client.responses.delete(told.id)
        for name in (told.id, unkept.id):
            with pytest.raises(openai.NotFoundError):
                client.responses.retrieve(name)


def states(response: Any) -> list[str]:
    return [one.post["state"] for one in response.output[0].content[0].annotations]


def test_what_a_hostile_post_says_breaks_out_of_nothing(client: openai.OpenAI) -> None:
    told = responded(client, FERRY)
    assert "ferry was cancelled" in told.output_text
    assert not set("<>\x1b\u202e") & set(told.output_text)
    assert told.citations == ["post:file/4"]
    assert "javascript" not in told.to_json()


def test_health_tells_how_the_feed_stands(feed: HomeFeed, url: str) -> None:
    told = httpx.get(f"{url.removesuffix('/v1')}/healthz").json()
    assert told["status"] == "ok"
    assert told["models"] == ["extractive"]
    newest = (feed.now - timedelta(hours=1)).isoformat()
    assert told["feed"]["newest_at"] == newest
    assert told["feed"]["sources"][0]["source"] == "file"
    assert told["feed"]["sources"][0]["posts"] == 4


def measures(url: str) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{url.removesuffix('/v1')}/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_is_told_of_requests_answers_and_the_feed(tmp_path: Path) -> None:
    with served(HomeFeed(tmp_path).fill()) as (url, _), client_of(url) as client:
        chatted(client, LIBRARY)
        list(responded(client, NOTHING, stream=True))
        httpx.post(f"{url}/responses", content=b"{")
        httpx.get(f"{url}/nothing")
        found = measures(url)
    assert found["giga_requests_total", "/v1/chat/completions", "200"] == 1
    assert found["giga_requests_total", "/v1/responses", "400"] == 1
    assert found["giga_requests_total", "other", "404"] == 1
    assert found["giga_answers_total", "extractive"] == 2
    assert found["giga_abstained_total",] == 1
    assert found["giga_first_sentence_seconds_count",] == 2
    assert found["giga_answer_seconds_count",] == 2
    assert found["giga_answers_in_progress",] == 0
    assert found["giga_feed_posts", "file"] == 4
    assert found["giga_feed_newest_post_age_seconds",] >= 3600
    assert found["giga_feed_source_state", "file", "stopped"] == 1


def test_an_unknown_path_and_a_wrong_method_get_error_objects(url: str) -> None:
    assert httpx.get(f"{url}/nothing").json()["error"]["message"] == "GET /v1/nothing: Not Found"
    told = httpx.get(f"{url}/chat/completions")
    assert told.status_code == 405
    assert "Method Not Allowed" in told.json()["error"]["message"]


def test_a_web_page_that_names_itself_as_host_is_refused(url: str) -> None:
    assert httpx.get(f"{url}/models", headers={"Host": "evil.example"}).status_code == 400


def test_eight_ask_at_once_and_each_gets_its_answer(client: openai.OpenAI) -> None:
    questions = [LIBRARY, NOTHING, FERRY, "Why was tram line 4 stopped?"] * 2
    alone = [responded(client, question).output_text for question in questions]
    with ThreadPoolExecutor(8) as pool:
        streams = pool.map(
            lambda question: list(responded(client, question, stream=True))[-1], questions
        )
        assert [one.response.output_text for one in streams] == alone


def test_a_feed_made_after_the_server_is_found(tmp_path: Path) -> None:
    feed = HomeFeed(tmp_path)
    with served(feed) as (url, _), client_of(url) as client:
        assert responded(client, LIBRARY).output_text == NOTHING_FOUND
        feed.fill()
        assert responded(client, LIBRARY).output_text == BOTH


def test_a_feed_that_cannot_be_read_is_said_without_its_path(tmp_path: Path) -> None:
    feed = HomeFeed(tmp_path)
    with served(feed) as (url, _):
        feed.home.folder.mkdir(parents=True, exist_ok=True)
        feed.home.posts.write_text("no log of posts " * 500)
        told = httpx.post(f"{url}/responses", json={"model": "extractive", "input": LIBRARY})
        assert told.status_code == 503
        assert str(tmp_path) not in told.text
        assert httpx.get(f"{url.removesuffix('/v1')}/healthz").status_code == 503
        asked = {"model": "extractive", "input": LIBRARY, "stream": True}
        events = httpx.post(f"{url}/responses", json=asked).text
        assert "event: response.failed" in events
        assert str(tmp_path) not in events


def test_with_a_token_only_those_who_show_it_are_answered(feed: HomeFeed) -> None:
    with served(feed, "--token-env", "MY_TOKEN") as (url, _):
        root = url.removesuffix("/v1")
        for token in ("none", TOKEN[:-1], "ü"):
            shown = {b"Authorization": f"Bearer {token}".encode()}
            assert httpx.get(f"{url}/models", headers=shown).status_code == 401
            assert httpx.get(f"{root}/metrics", headers=shown).status_code == 401
            assert httpx.get(f"{url}/search?q=library", headers=shown).status_code == 401
            assert httpx.get(f"{root}/healthz", headers=shown).json() == {"status": "ok"}
        with client_of(url) as stranger, pytest.raises(openai.AuthenticationError):
            responded(stranger, LIBRARY)
        with client_of(url, TOKEN) as friend:
            assert responded(friend, LIBRARY).output_text == BOTH


def test_other_machines_are_served_only_behind_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--token-env" in refused("serve", "--host", "0.0.0.0")  # noqa: S104
    assert "NO_SUCH" in refused("serve", "--token-env", "NO_SUCH")
    assert "--max-tokens" in refused("serve", "--max-tokens", "5")
    assert "--max-rate" in refused("serve", "--max-rate", "nan")
    assert "exclude each other" in refused(
        "serve", "--model", "embedded", "--endpoint", "http://127.0.0.1:9/v1"
    )


def test_who_asks_too_often_is_told_when_to_ask_again(feed: HomeFeed) -> None:
    with served(feed, "--max-rate", "0.01") as (url, _), client_of(url) as client:
        assert responded(client, LIBRARY).output_text == BOTH
        with pytest.raises(openai.RateLimitError) as told:
            responded(client, LIBRARY)
        assert told.value.code == "rate_limit_exceeded"
        assert 90 <= int(told.value.response.headers["retry-after"]) <= 100
        assert httpx.get(f"{url.removesuffix('/v1')}/healthz").status_code == 200


def test_a_slow_client_holds_up_nobody(url: str, client: openai.OpenAI) -> None:
    body = json.dumps({"model": "extractive", "input": LIBRARY}).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    address = httpx.URL(url)
    slow = [socket.create_connection((address.host, address.port or 0)) for _ in range(20)]
    try:
        for one in slow:
            one.sendall(head.encode() + body[:9])
        assert responded(client, LIBRARY).output_text == BOTH
        for one in slow:
            one.sendall(body[9:])
        assert all(b"200 OK" in one.recv(1 << 16) for one in slow)
    finally:
        for one in slow:
            one.close()


def held(model: HeldModel) -> tuple[str, ...]:
    return ("--endpoint", model.url, "--endpoint-model", "held", "--max-rate", "0")


def asked_of(client: openai.OpenAI, **fields: Any) -> Any:
    messages: Any = [{"role": "user", "content": LIBRARY}]
    return client.chat.completions.create(model="held", messages=messages, **fields)


def test_a_models_sentence_is_shown_before_it_has_thought_of_the_next(feed: HomeFeed) -> None:
    go_on = Event()
    script: list[str | Event] = [f"{FIRST} The", go_on, " moon is made of cheese. ", SECOND]
    with (
        listening(HeldModel(script)) as model,
        served(feed, *held(model)) as (url, _),
        client_of(url) as client,
    ):
        assert [one.id for one in client.models.list()] == ["held", "extractive"]
        chunks = asked_of(client, stream=True)
        texts = (one.choices[0].delta.content for one in chunks)
        assert next(text for text in texts if text) == f"{FIRST} [1]"
        go_on.set()
        assert "".join(text for text in texts if text) == f" {SECOND} [2]"
        assert measures(url)["giga_dropped_sentences_total",] == 1


def test_a_client_that_leaves_ends_the_work_streamed_or_not(feed: HomeFeed) -> None:
    for stream in (True, False):
        with (
            listening(HeldModel([f"{FIRST} "], for_ever=True)) as model,
            served(feed, *held(model)) as (url, _),
        ):
            said = [{"role": "user", "content": LIBRARY}]
            body = json.dumps({"model": "held", "stream": stream, "messages": said})
            head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
            address = httpx.URL(url)
            with socket.create_connection((address.host, address.port or 0)) as client:
                client.sendall(f"{head}\r\n\r\n{body}".encode())
                assert model.asked.wait(60)
            assert model.left.wait(60)
            found = measures(url)
            assert found["giga_unfinished_answers_total",] == 1
            assert found["giga_answers_in_progress",] == 0


def test_when_the_queue_is_full_more_are_sent_away(feed: HomeFeed) -> None:
    go_on = Event()
    with (
        listening(HeldModel([go_on, FIRST])) as model,
        served(feed, *held(model), "--max-waiting", "0") as (url, _),
        client_of(url) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        streams = [asked_of(client, stream=True) for _ in range(4)]
        with pytest.raises(openai.RateLimitError) as told:
            asked_of(client)
        assert told.value.code == "queue_full"
        go_on.set()
        texts = pool.map(
            lambda chunks: "".join(c.choices[0].delta.content or "" for c in chunks), streams
        )
        assert list(texts) == [f"{FIRST} [1]"] * 4
        assert asked_of(client).choices[0].message.content == f"{FIRST} [1]"


def test_sigterm_under_load_ends_the_answers_under_way_and_then_the_server(feed: HomeFeed) -> None:
    go_on = Event()
    with (
        listening(HeldModel([f"{FIRST} The", go_on, SECOND.removeprefix("The")])) as model,
        served(feed, *held(model)) as (url, process),
        client_of(url) as client,
    ):
        streams = [asked_of(client, stream=True) for _ in range(6)]
        assert model.asked.wait(60)
        process.send_signal(signal.SIGTERM)
        wait_until_refused(url)
        go_on.set()
        told = ["".join(one.choices[0].delta.content or "" for one in chunks) for chunks in streams]
        assert told == [BOTH] * 6
        assert process.wait(timeout=60) == 0


def wait_until_refused(url: str) -> None:
    while True:
        try:
            httpx.get(f"{url}/models")
        except httpx.TransportError:
            return


def test_a_model_that_cannot_be_reached_is_said_and_posts_are_quoted(feed: HomeFeed) -> None:
    nobody = ("--endpoint", "http://127.0.0.1:9/v1", "--endpoint-model", "held")
    with served(feed, *nobody) as (url, _), client_of(url) as client:
        told = asked_of(client)
        assert told.choices[0].message.content == BOTH
        assert told.model_extra is not None
        assert told.grok["model"] == "extractive"
        assert "unavailable" in told.grok["notes"][0]


def test_ctrl_c_ends_the_server_without_a_word(feed: HomeFeed) -> None:
    with served(feed) as (url, process):
        assert httpx.get(f"{url}/models").status_code == 200
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_people_are_told_where_it_answers(feed: HomeFeed) -> None:
    from tests.integration.test_cli_command import PROGRAM

    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"], stderr=subprocess.PIPE, text=True, env=feed.environ
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.terminate()
    assert line.startswith("the feed (extractive) answers at http://127.0.0.1:")
