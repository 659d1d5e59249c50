"""What a client of the OpenAI API asks for, understood or refused, never half ignored.

`null` counts as not given, as it does there. What this server cannot do is refused by its name,
unless it asks for nothing. A chat becomes a transcript, since the model is a base model: it was
trained to go on with text, not to follow turns.

Source: https://platform.openai.com/docs/api-reference (chat/create, completions/create).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from gigafactory.catalog import check
from gigafactory.errors import SpecError
from gigafactory.spec.base import Spec, fault, require_count, require_positive

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_STOPS: Final = 16
MAX_TEMPERATURE: Final = 2
COMPLETION_TOKENS: Final = 16  # of a completion that names no number; the API's own default
WITHOUT_EFFECT: Final = frozenset(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
)
# What this server cannot do, and the values of each that ask for nothing.
NOTHING: Final[dict[str, tuple[object, ...]]] = {
    "n": (1,), "best_of": (1,), "echo": (False,), "suffix": ("",), "logprobs": (False,),
    "top_logprobs": (0,), "frequency_penalty": (0,), "presence_penalty": (0,), "logit_bias": ({},),
    "tools": ([],), "tool_choice": ("none", "auto"), "parallel_tool_calls": (True, False),
    "functions": ([],), "function_call": ("none", "auto"), "response_format": ({"type": "text"},),
    "modalities": (["text"],), "audio": (), "prediction": (), "reasoning_effort": (),
    "verbosity": (), "web_search_options": (),
}  # fmt: skip
USER_TURN: Final = "\nUser:"  # the model would go on to write the next question

AskT = TypeVar("AskT", "Chat", "Completion")


class RequestError(Exception):
    """A request that is refused, as the API words it."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions(Spec):
    """Whether a last event tells the usage."""

    include_usage: bool = False
    include_obfuscation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Spec):
    """What chats and completions have in common.

    Attributes:
        max_tokens: None for as many as the context holds, or the API's default.
        top_k: Beyond the API, as vLLM and llama.cpp have it; 0 for all.
        seed: None for a new one each time.
    """

    model: str
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: str | tuple[str, ...] = ()
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    def __post_init__(self) -> None:
        require_positive(self, "temperature", zero=True)
        require_positive(self, "top_p")
        require_count(self, "top_k", least=0, most=10**8)
        if self.max_tokens is not None:
            require_count(self, "max_tokens", most=10**7)
        if self.seed is not None:
            require_count(self, "seed", least=-(2**63), most=2**63 - 1)
        for name, most in (("temperature", MAX_TEMPERATURE), ("top_p", 1)):
            if getattr(self, name) > most:
                raise fault(self, name, getattr(self, name), f"must be at most {most}")
        if len(self.stops) > MAX_STOPS or not all(self.stops):
            raise fault(self, "stop", self.stop, f"must be 1 to {MAX_STOPS} texts, none empty")

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts to stop at."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(Ask):
    """A text to go on with: as text, as one text in a list, or as tokens."""

    prompt: str | tuple[str, ...] | tuple[int, ...] = ""

    def __post_init__(self) -> None:
        Ask.__post_init__(self)
        texts = isinstance(self.prompt, tuple) and isinstance(next(iter(self.prompt), ""), str)
        if texts and len(self.prompt) != 1:
            raise fault(self, "prompt", len(self.prompt), "must be one text, not several")

    @property
    def begun(self) -> str | Sequence[int]:
        """What the model goes on with: a text, or tokens."""
        prompt = self.prompt
        if isinstance(prompt, tuple) and isinstance(prompt[0], str):
            return prompt[0]
        return prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart(Spec):
    """A part of a message."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Spec):
    """One turn of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[TextPart, ...]
    name: str = ""

    @property
    def text(self) -> str:
        """Return all of its text."""
        parts = self.content
        whole = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        return whole.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat(Ask):
    """Turns of a chat, to which the assistant's next one is asked for."""

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        Ask.__post_init__(self)
        if not self.messages:
            raise fault(self, "messages", [], "must hold at least one message")

    @property
    def begun(self) -> str:
        """The chat as a transcript that ends where the assistant's answer begins."""
        return transcript(self.messages)


def transcript(messages: Sequence[Message]) -> str:
    r"""Return a chat as text for a model that goes on with text.

    >>> system = Message(role="system", content="Be brief.")
    >>> transcript([system, Message(role="user", content="Hi")])
    'Be brief.\n\nUser: Hi\nAssistant:'
    """
    told = {"user": "User: {}\n", "assistant": "Assistant: {}\n"}
    turns = [told.get(message.role, "{}\n\n").format(message.text) for message in messages]
    return "".join(turns) + "Assistant:"


def parsed(cls: type[AskT], body: bytes) -> AskT:
    """Return the request in a body of JSON.

    Raises:
        RequestError: No JSON object, or fields at fault; the message names all of them.
    """
    try:
        table = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body must be JSON: {error}") from None
    if not isinstance(table, dict):
        raise RequestError(f"the body must be a JSON object, is {type(table).__name__}")
    given = _tidied(table)
    names = {item.name for item in fields(cls)} | given.keys()
    table, unable = _able(given)
    try:
        return check.build(cls, table, "request", sourced=False, extra=tuple(unable))
    except SpecError as error:
        message = str(error).removeprefix("request: ")
        raise RequestError(message, param=_first_of(names, message)) from None


def _able(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that matter here, and a fault for each that cannot be done."""
    unable = [
        f"{name}: is not supported by this server"
        for name, neutral in NOTHING.items()
        if name in table and table[name] not in neutral
    ]
    kept = {k: v for k, v in table.items() if k not in NOTHING and k not in WITHOUT_EFFECT}
    newer = kept.pop("max_completion_tokens", None)
    if newer is not None and kept.setdefault("max_tokens", newer) != newer:
        unable.append("max_completion_tokens: must equal max_tokens where both are given")
    return kept, unable


def _tidied(value: Any) -> Any:
    """Return a table without nulls, and without the halves of surrogate pairs JSON may hold."""
    if isinstance(value, dict):
        return {_tidied(key): _tidied(item) for key, item in value.items() if item is not None}
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return [_tidied(item) for item in value] if isinstance(value, list) else value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _first_of(names: set[str], message: str) -> str | None:
    return next((word for word in re.findall(r"\w+", message) if word in names), None)
