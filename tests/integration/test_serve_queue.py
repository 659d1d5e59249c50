"""Those who leave and those who are too many: a real server in a thread, a model that is slow."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from gigafactory.run.engine import Served
from gigafactory.run.serve import application
from gigafactory.run.trainer import tokenizer
from gigafactory.run.trainer.model import Transformer
from gigafactory.run.trainer.weights import begin
from gigafactory.spec.model import Model

WINDOW = 5_000
MANY = 4_000
MODEL = Model(
    name="slow", num_layers=1, hidden_size=16, ffn_hidden_size=16, num_heads=2, num_kv_heads=1,
    head_dim=8, vocab_size=257, context_length=WINDOW,
)  # fmt: skip


@dataclass
class Slow:
    """A server whose model takes some milliseconds a token, and counts them."""

    url: str
    drawn: int = 0


@pytest.fixture
def slow() -> Iterator[Slow]:
    transformer = Transformer(MODEL)
    begin(transformer, seed=0)
    bound = socket.create_server(("127.0.0.1", 0))
    told = Slow(f"http://127.0.0.1:{bound.getsockname()[1]}/v1")

    def count(*_: Any) -> None:
        told.drawn += 1
        time.sleep(0.01)

    transformer.output.register_forward_hook(count)
    served = Served("slow", transformer.eval(), tokenizer.train([], 257), WINDOW, MANY)
    config = uvicorn.Config(
        application(served, max_waiting=1), log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[bound]),))
    thread.start()
    yield told
    server.should_exit = True
    thread.join()
    bound.close()


@pytest.fixture
def client(slow: Slow) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=slow.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def streamed(client: openai.OpenAI) -> Any:
    """Return a stream that would take long, its first event read: it is its turn."""
    stream = client.completions.create(
        model="slow", prompt="x", max_tokens=MANY, temperature=0, stream=True
    )
    next(stream)
    return stream


def next_is_answered(client: openai.OpenAI) -> None:
    told = client.completions.create(model="slow", prompt="x", max_tokens=3, temperature=0)
    assert told.usage is not None
    assert told.usage.completion_tokens == 3


def test_who_leaves_a_stream_stops_its_generation(slow: Slow, client: openai.OpenAI) -> None:
    streamed(client).close()
    next_is_answered(client)
    assert slow.drawn < MANY / 2


def test_who_leaves_before_a_whole_answer_stops_its_generation(
    slow: Slow, client: openai.OpenAI
) -> None:
    asked = {"model": "slow", "prompt": "x", "max_tokens": MANY, "temperature": 0}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{slow.url}/completions", json=asked, timeout=0.5)
    next_is_answered(client)
    assert slow.drawn < MANY / 2


def test_who_leaves_the_queue_frees_a_place(slow: Slow, client: openai.OpenAI) -> None:
    running = streamed(client)
    for _ in range(3):  # there is one place to wait in: each gets it because the last one left
        wait_and_leave(slow)
    running.close()
    next_is_answered(client)
    assert slow.drawn < MANY / 2  # nobody waited for the first answer's end


def wait_and_leave(slow: Slow) -> None:
    """Take a place in the queue as soon as there is one, and give up."""
    asked = {"model": "slow", "prompt": "x", "max_tokens": MANY, "stream": True}
    while slow.drawn < MANY / 2:
        with httpx.stream("POST", f"{slow.url}/completions", json=asked) as told:
            if told.status_code == 200:
                return
        time.sleep(0.01)
    raise AssertionError("no place became free")


def test_who_finds_the_queue_full_is_told_at_once(slow: Slow, client: openai.OpenAI) -> None:
    running = streamed(client)
    asked = {"model": "slow", "prompt": "x", "max_tokens": 1, "stream": True}
    with httpx.stream("POST", f"{slow.url}/completions", json=asked) as waiting:
        assert waiting.status_code == 200
        with pytest.raises(openai.RateLimitError) as told:
            next_is_answered(client)
        assert told.value.code == "queue_full"
        running.close()
        lines = list(waiting.iter_lines())
    assert lines[-2] == "data: [DONE]"
    next_is_answered(client)
