"""A trained checkpoint, served by a process of its own, asked by the OpenAI client."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import openai
import pytest

from tests.integration.test_cli_command import PROGRAM, refused
from tests.trained_run import COUNTED, trained_run

TOKEN: Final = "a-token-made-for-this-test"  # noqa: S105
GREEDY: Final[dict[str, Any]] = {"model": "tiny", "temperature": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory.mktemp("served"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def served(run: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a run; give the URL and the process, which is ended by its id."""
    with subprocess.Popen(
        [*PROGRAM, "serve", str(run), "--port", "0", "--json", *options],
        stdout=subprocess.PIPE, text=True,
        env=os.environ | {"MY_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert told["schema"] == 1
            assert told["pid"] == process.pid
            yield told["url"], process
        finally:
            process.terminate()
            process.wait(timeout=60)


def client_of(url: str, token: str = "none") -> openai.OpenAI:  # noqa: S107
    return openai.OpenAI(base_url=url, api_key=token, max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def url(run: Path) -> Iterator[str]:
    with served(run) as (url, _):
        yield url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with client_of(url) as client:
        yield client


def test_the_model_goes_on_as_it_was_trained_to_and_ends_where_the_document_ends(
    client: openai.OpenAI,
) -> None:
    told = client.completions.create(prompt="List 7: one two", max_tokens=40, **GREEDY)
    assert told.choices[0].text == COUNTED.removeprefix("one two") + "."
    assert told.choices[0].finish_reason == "stop"
    assert told.usage is not None
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens


def test_a_streamed_text_is_the_whole_text_in_parts(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"prompt": "List 9: one", "max_tokens": 30, **GREEDY}
    whole = client.completions.create(**asked)
    events = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    parts = [event.choices[0].text for event in events if event.choices]
    assert len(parts) > 3
    assert "".join(parts) == whole.choices[0].text
    assert events[-1].usage == whole.usage
    assert events[-2].choices[0].finish_reason == "stop"
    assert {event.id for event in events} == {events[0].id}


def test_a_chat_is_answered_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "messages": [
            {"role": "system", "content": "Count."},
            {"role": "user", "content": [{"type": "text", "text": "Please."}]},
        ],
        "max_completion_tokens": 8,
        **GREEDY,
    }
    whole = client.chat.completions.create(**asked)
    text = whole.choices[0].message.content
    assert text
    assert not text.startswith(" ")
    events = list(client.chat.completions.create(**asked, stream=True))
    assert events[0].choices[0].delta.role == "assistant"
    assert "".join(event.choices[0].delta.content or "" for event in events) == text
    assert events[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 8


def test_a_text_stops_before_a_stop_string_that_spans_tokens(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"prompt": "List 7: one", "max_tokens": 40, "stop": ["ee fo"], **GREEDY}
    whole = client.completions.create(**asked)
    assert whole.choices[0].text == " two thr"
    assert whole.choices[0].finish_reason == "stop"
    events = list(client.completions.create(**asked, stream=True))
    assert "".join(event.choices[0].text for event in events) == " two thr"


def test_the_same_seed_gives_the_same_text_and_no_seed_another(client: openai.OpenAI) -> None:
    def text(seed: int | None) -> str:
        told = client.completions.create(
            model="tiny", prompt="", max_tokens=40, temperature=2.0, seed=seed
        )
        return told.choices[0].text

    assert text(5) == text(5)
    assert len({text(None) for _ in range(4)}) > 1


def test_tokens_may_be_sent_instead_of_text(client: openai.OpenAI) -> None:
    told = client.completions.create(prompt=[65, 66, 67], max_tokens=1, **GREEDY)
    assert told.usage is not None
    assert told.usage.prompt_tokens == 4  # the model saw every document begin after an end
    assert told.choices[0].finish_reason == "length" or not told.choices[0].text


def test_half_a_surrogate_pair_in_a_prompt_is_no_fault(url: str) -> None:
    body = '{"model": "tiny", "prompt": "a\\ud800b", "max_tokens": 1}'
    assert httpx.post(f"{url}/completions", content=body).status_code == 200


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "gigafactory"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("grok-9")


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"max_tokens": 0}, "max_tokens", "between 1 and"),
        ({"max_tokens": 65}, "max_tokens", "at most 64"),
        ({"temperature": 2.5}, "temperature", "at most 2, got 2.5"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"top_p": 0}, "top_p", "above 0"),
        ({"n": 2}, "n", "not supported"),
        ({"logprobs": 3}, "logprobs", "not supported"),
        ({"stop": [""]}, "stop", "none empty"),
        ({"stop": ["x"] * 17}, "stop", "1 to 16"),
        ({"prompt": ["a", "b"]}, "prompt", "one text"),
        ({"prompt": [1, 300]}, "prompt", "from 0 to 299"),
        ({"seed": 2**63}, "seed", "between"),
        ({"extra_body": {"tempratur": 1}}, "tempratur", "did you mean temperature"),
    ],
)
def test_a_field_at_fault_is_named(
    client: openai.OpenAI, fields: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        client.completions.create(**{"model": "tiny", "prompt": "x"} | fields)
    assert told.value.type == "invalid_request_error"
    assert told.value.param == param
    assert param in told.value.message
    assert words in told.value.message


def test_a_chat_that_is_none_is_refused(client: openai.OpenAI) -> None:
    for messages in ([], [{"role": "tool", "content": "x"}], [{"role": "user"}]):
        with pytest.raises(openai.BadRequestError, match="messages"):
            client.chat.completions.create(model="tiny", messages=messages)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="tools: is not supported"):
        client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "x"}],
            tools=[{"type": "function", "function": {"name": "f"}}],
        )


def test_more_than_the_context_holds_is_refused_with_its_size(client: openai.OpenAI) -> None:
    for prompt, max_tokens in (("word " * 200, 1), ("List 1:", 62)):
        with pytest.raises(openai.BadRequestError, match="context holds 64 tokens") as told:
            client.completions.create(prompt=prompt, max_tokens=max_tokens, **GREEDY)
        assert told.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "must be JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b'{"model": "tiny", "temperature": NaN}', 400, "NaN"),
        (b"[" * 100_000, 400, "JSON"),
        (b'{"prompt": "x"}', 400, "model: is missing"),
        (b'{"model": "grok-9", "prompt": "x"}', 404, "grok-9"),
        (b'{"prompt": "' + b"x" * 2**20 + b'"}', 413, "at most 1048576 bytes"),
    ],
)
def test_a_body_at_fault_gets_an_error_object(
    url: str, body: bytes, status: int, words: str
) -> None:
    told = httpx.post(f"{url}/completions", content=body)
    assert told.status_code == status
    error = told.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert words in error["message"]


def test_an_unknown_path_and_a_wrong_method_get_error_objects(url: str) -> None:
    assert httpx.get(f"{url}/nothing").json()["error"]["message"] == "GET /v1/nothing: Not Found"
    told = httpx.get(f"{url}/completions")
    assert told.status_code == 405
    assert "Method Not Allowed" in told.json()["error"]["message"]


def test_a_web_page_that_names_itself_as_host_is_refused(url: str) -> None:
    assert httpx.get(f"{url}/models", headers={"Host": "evil.example"}).status_code == 400


def test_many_ask_at_once_and_each_gets_its_answer(client: openai.OpenAI) -> None:
    def text(prompt: str) -> str:
        told = client.completions.create(prompt=prompt, max_tokens=30, **GREEDY)
        return str(told.choices[0].text)

    prompts = [f"List {i}: one" for i in range(8)]
    alone = [text(prompt) for prompt in prompts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(text, prompts)) == alone


def test_with_a_token_only_those_who_show_it_are_answered(run: Path) -> None:
    with served(run, "--token-env", "MY_TOKEN", "--max-tokens", "5") as (url, _):
        for token in ("none", TOKEN[:-1], "ü"):
            shown = {b"Authorization": f"Bearer {token}".encode()}
            told = httpx.get(f"{url}/models", headers=shown)
            assert told.status_code == 401
        with client_of(url) as stranger, pytest.raises(openai.AuthenticationError):
            stranger.completions.create(prompt="x", **GREEDY)
        with client_of(url, TOKEN) as friend:
            assert friend.completions.create(prompt="x", max_tokens=5, **GREEDY).choices
            with pytest.raises(openai.BadRequestError, match="at most 5, got 6"):
                friend.completions.create(prompt="x", max_tokens=6, **GREEDY)
        assert httpx.get(f"{url.removesuffix('/v1')}/healthz").json()["status"] == "ok"


def test_sigterm_lets_answers_under_way_end_and_exits_0(run: Path) -> None:
    with served(run) as (url, process), client_of(url) as client:

        def asked(i: int) -> Any:
            return client.completions.create(
                prompt=f"List {i}: one", max_tokens=40, stream=True, **GREEDY
            )

        streams = [asked(i) for i in range(6)]  # five of them wait
        first = next(streams[0])
        process.send_signal(signal.SIGTERM)
        texts = ["".join(event.choices[0].text for event in stream) for stream in streams]
        assert process.wait(timeout=60) == 0
    assert (first.choices[0].text + texts[0]).endswith("ten.")
    assert all(text.endswith("ten.") for text in texts)


def test_what_cannot_be_served_is_told_in_one_line(run: Path, tmp_path: Path) -> None:
    assert "plan.toml" in refused("serve", tmp_path)
    assert "--token-env" in refused("serve", run, "--host", "0.0.0.0")  # noqa: S104
    assert "cannot listen" in refused("serve", run, "--host", "203.0.113.1", "--token-env", "HOME")
    assert "NO_SUCH" in refused("serve", run, "--token-env", "NO_SUCH")
    assert "--max-waiting" in refused("serve", run, "--max-waiting", "-1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "Address already in use" in refused("serve", run, "--port", port)


def test_a_run_without_a_whole_checkpoint_is_told(run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "torn")
    for file in (tmp_path / "torn" / "checkpoints").rglob("*.distcp"):
        file.write_bytes(file.read_bytes()[:-1])
    assert "whole checkpoint" in refused("serve", tmp_path / "torn", "--port", "0")
