"""One model and those who wait for it: one text is generated at a time, the others queue."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gigafactory.run.requests import COMPLETION_TOKENS, USER_TURN, Chat, RequestError
from gigafactory.run.trainer.generate import Part, Sampling, prompt_tokens, stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from gigafactory.run.requests import Completion
    from gigafactory.run.trainer.model import Transformer
    from gigafactory.run.trainer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Served:
    """A trained model.

    Attributes:
        window: Tokens it sees at once, prompt and answer together.
        max_tokens: Most tokens of one answer.
    """

    name: str
    transformer: Transformer
    tokenizer: Tokenizer
    window: int
    max_tokens: int


class Engine:
    """Generates for one request at a time, in a thread of its own, a token at a time.

    So a request that is given up costs one token more, and small things (turning prompts into
    tokens) slip in between tokens.
    """

    def __init__(self, served: Served, max_waiting: int) -> None:
        self.served = served
        self._max_waiting, self._here = max_waiting, 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="generate")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            RequestError: It is full; status 429.
        """
        if self._here > self._max_waiting:
            raise RequestError(
                f"{self._max_waiting} requests are waiting already; try again later",
                status=429,
                code="queue_full",
            )
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1

    async def understood(self, asked: Chat | Completion) -> tuple[list[int], Sampling]:
        """Return the prompt's tokens, and how to go on.

        Raises:
            RequestError: Longer than the context with the answer, or no tokens of the model.
        """
        begun = asked.begun
        if isinstance(begun, str):
            prompt = await self._in_thread(prompt_tokens, self.served.tokenizer, begun)
        else:
            prompt = [self.served.tokenizer.end_of_document, *begun]
        name = "messages" if isinstance(asked, Chat) else "prompt"
        self._check_tokens(prompt, name)
        return prompt, self._sampling(asked, len(prompt), name)

    async def parts(self, prompt: list[int], sampling: Sampling) -> AsyncGenerator[Part]:
        """Yield an answer's parts, once it is its turn; closed early, it ends at once."""
        served = self.served
        async with self._turn:
            parts = stream(
                served.transformer, served.tokenizer, prompt, sampling, window=served.window
            )
            while (part := await self._in_thread(next, parts, None)) is not None:
                yield part

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _check_tokens(self, prompt: list[int], name: str) -> None:
        size, window = self.served.tokenizer.vocab_size, self.served.window
        if not all(0 <= token < size for token in prompt):
            raise RequestError(f"prompt: tokens must be from 0 to {size - 1}", param="prompt")
        if len(prompt) >= window:
            raise _too_long(window, f"the prompt alone has {len(prompt)}", name)

    def _sampling(self, asked: Chat | Completion, num_prompt: int, name: str) -> Sampling:
        room, is_chat = self.served.window - num_prompt, isinstance(asked, Chat)
        most = self.served.max_tokens
        default = min(room, most, room if is_chat else COMPLETION_TOKENS)
        wanted = default if asked.max_tokens is None else asked.max_tokens
        if wanted > most:
            raise RequestError(
                f"max_tokens: must be at most {most}, got {wanted}", param="max_tokens"
            )
        if wanted > room:
            words = f"{num_prompt} in the prompt and {wanted} to come were asked for"
            raise _too_long(self.served.window, words, name)
        return Sampling(
            max_tokens=wanted,
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            seed=secrets.randbits(63) if asked.seed is None else asked.seed,
            stop=(*asked.stops, USER_TURN) if is_chat else asked.stops,
        )


def _too_long(window: int, words: str, name: str) -> RequestError:
    return RequestError(
        f"the model's context holds {window} tokens, {words}",
        param=name,
        code="context_length_exceeded",
    )
