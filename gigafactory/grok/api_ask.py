"""What a client asks for, understood or refused by name, never half ignored.

Fields of OpenAI's two APIs of chat, and the tool `x_search` as xAI's API has it. `null` counts as
not given, as it does there. How a model samples has no effect here: what is shown are sentences
that posts support, whoever drafted them.

Source: https://platform.openai.com/docs/api-reference (chat/create, responses/create);
https://docs.x.ai/developers/tools/x-search.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from gigafactory.catalog import check
from gigafactory.errors import SpecError
from gigafactory.grok.api_refusal import RequestError
from gigafactory.grok.api_x_search import XSearch
from gigafactory.spec.answer import Turn
from gigafactory.spec.base import Spec, fault
from gigafactory.spec.post import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_QUESTION_CHARS: Final = 4_096
MAX_METADATA: Final = 16
WITHOUT_EFFECT: Final = frozenset(
    {
        "frequency_penalty", "max_completion_tokens", "max_output_tokens", "max_tokens",
        "max_tool_calls", "max_turns", "parallel_tool_calls", "presence_penalty",
        "prompt_cache_key", "prompt_cache_retention", "reasoning", "reasoning_effort",
        "safety_identifier", "seed", "service_tier", "temperature", "top_k", "top_p",
        "truncation", "user", "verbosity",
    }
)  # fmt: skip
# What this server cannot do, and the values of each that ask for nothing.
NOTHING: Final[dict[str, tuple[object, ...]]] = {
    "audio": (), "background": (False,), "conversation": (), "function_call": ("none", "auto"),
    "functions": ([],), "include": ([], ["inline_citations"]), "logit_bias": ({},),
    "logprobs": (False,), "modalities": (["text"],), "n": (1,), "prediction": (), "prompt": (),
    "response_format": ({"type": "text"},), "stop": ([], ""),
    "text": ({}, {"format": {"type": "text"}}),
    "tool_choice": ("auto", "required", {"type": "x_search"}), "top_logprobs": (0,),
    "web_search_options": (),
}  # fmt: skip

AskT = TypeVar("AskT", "Chat", "Responses")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Spec):
    """A part of a message; what an earlier answer carried besides its text is not read."""

    text: str
    type: Literal["text", "input_text", "output_text"] = "text"
    annotations: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    logprobs: tuple[dict[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Spec):
    """One turn of a conversation, as a client wrote it or as this server did before."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[Part, ...]
    type: Literal["message"] = "message"
    name: str = ""
    id: str = ""
    status: str = ""
    phase: str = ""
    annotations: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    @property
    def turn(self) -> Turn:
        """What was said."""
        parts = self.content
        text = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        role = "system" if self.role == "developer" else self.role
        return Turn(role=role, text=text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions(Spec):
    """Whether a last event tells the usage."""

    include_usage: bool = False
    include_obfuscation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Spec):
    """What both APIs have in common."""

    model: str
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    tools: tuple[XSearch, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict, hash=False)
    store: bool = True

    def __post_init__(self) -> None:
        if len(self.tools) > 1:
            raise fault(self, "tools", len(self.tools), "must hold x_search at most once")
        if len(self.metadata) > MAX_METADATA:
            raise fault(self, "metadata", len(self.metadata), f"must hold at most {MAX_METADATA}")

    @property
    def within(self) -> Query:
        """The posts that may be read."""
        return self.tools[0].within if self.tools else Query()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat(Ask):
    """Turns of a chat, the last of them a question."""

    messages: tuple[Message, ...]

    @property
    def said(self) -> tuple[Turn, ...]:
        """All turns."""
        return tuple(message.turn for message in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses(Ask):
    """A question, or turns of which the last is one; perhaps behind an answer that is kept."""

    input: str | tuple[Message, ...]
    instructions: str = ""
    previous_response_id: str = ""

    @property
    def said(self) -> tuple[Turn, ...]:
        """All turns."""
        if isinstance(self.input, str):
            return (Turn(role="user", text=self.input.strip()),)
        return tuple(message.turn for message in self.input)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAsk(Spec):
    """A search in the query syntax.

    Attributes:
        query: Words and filters.
        limit: Hits at most.
        as_of: The moment as of which the feed is seen; empty for now.
    """

    query: str
    limit: int = 10
    as_of: str = ""


def question_of(said: Sequence[Turn], name: str) -> tuple[str, tuple[Turn, ...]]:
    """Return the question that turns end with, and those before it.

    Raises:
        RequestError: They end with something else, or one of them is too long to be read.
    """
    if not said or said[-1].role != "user" or not said[-1].text:
        raise RequestError(f"{name}: must end with a question of the user", param=name)
    for place, turn in enumerate(said):
        if turn.role == "user" and len(turn.text) > MAX_QUESTION_CHARS:
            rule = f"must have at most {MAX_QUESTION_CHARS} characters, has {len(turn.text)}"
            raise RequestError(f"{name}: turn {place} of the user {rule}", param=name)
    return said[-1].text, tuple(turn for turn in said[:-1] if turn.role != "system")


def parsed(cls: type[AskT], body: bytes) -> AskT:
    """Return the request in a body of JSON.

    Raises:
        RequestError: No JSON object, or fields at fault; the message names all of them.
    """
    table = json_object(body)
    if "search_parameters" in table:
        raise RequestError(
            "search_parameters: is gone; give the tool instead: "
            '"tools": [{"type": "x_search", "from_date": ..., "allowed_x_handles": [...]}]',
            status=410,
            param="search_parameters",
        )
    return built(cls, _able(table), table)


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object in a body of JSON, without nulls.

    Raises:
        RequestError: There is none.
    """
    try:
        table = _tidied(json.loads(body, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body must be JSON: {error}") from None
    if not isinstance(table, dict):
        raise RequestError(f"the body must be a JSON object, is {type(table).__name__}")
    return table


def built(
    cls: type[check.SpecT], able: tuple[dict[str, Any], list[str]], given: dict[str, Any]
) -> check.SpecT:
    """Return the request that a table describes.

    Args:
        cls: Its class.
        able: The fields that matter, and a fault for each that cannot be done.
        given: All fields.

    Raises:
        RequestError: Names all that is at fault.
    """
    table, unable = able
    names = {item.name for item in fields(cls)} | given.keys()  # type: ignore[arg-type]
    try:
        return check.build(cls, table, "request", sourced=False, extra=tuple(unable))
    except SpecError as error:
        message = str(error).removeprefix("request: ")
        param = next((word for word in re.findall(r"\w+", message) if word in names), None)
        raise RequestError(message, param=param) from None


def _able(table: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    unable = [
        f"{name}: is not supported by this server"
        for name, neutral in NOTHING.items()
        if name in table and table[name] not in neutral
    ]
    kept = {k: v for k, v in table.items() if k not in NOTHING and k not in WITHOUT_EFFECT}
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
