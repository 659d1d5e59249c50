"""Answers in the words of the OpenAI API: whole ones, events of a stream, lists and errors."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

OWNER = "gigafactory"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, to a chat or a completion.

    Attributes:
        usage: Events of the stream tell the usage: null, but for the last.
    """

    model: str
    is_chat: bool
    usage: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, ended_by: str, tokens: tuple[int, int]) -> dict[str, Any]:
        """Return an answer that is not streamed."""
        if self.is_chat:
            content = {"message": {"role": "assistant", "content": text, "refusal": None}}
        else:
            content = {"text": text}  # type: ignore[dict-item]
        kind = "chat.completion" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": [_choice(content, ended_by)], "usage": used(*tokens)}

    def begin(self) -> list[str]:
        """Return the events before any text."""
        if not self.is_chat:
            return []
        return [self._event([_choice({"delta": {"role": "assistant", "content": ""}})])]

    def part(self, text: str, ended_by: str = "") -> list[str]:
        """Return the events of one part of the text."""
        if not self.is_chat:
            return [self._event([_choice({"text": text}, ended_by)])]
        parts = [_choice({"delta": {"content": text}})] if text else []
        ends = [_choice({"delta": {}}, ended_by)] if ended_by else []
        return [self._event([choice]) for choice in parts + ends]

    def end(self, tokens: tuple[int, int]) -> list[str]:
        """Return the events after all text."""
        told = [self._event([], used(*tokens))] if self.usage else []
        return [*told, "data: [DONE]\n\n"]

    def _event(self, choices: list[Any], usage: dict[str, int] | None = None) -> str:
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        told = {"usage": usage} if self.usage else {}
        return event({**self._head(kind), "choices": choices, **told})

    def _head(self, kind: str) -> dict[str, Any]:
        prefix = "chatcmpl" if self.is_chat else "cmpl"
        return {
            "id": f"{prefix}-{self.id}", "object": kind, "created": self.created,
            "model": self.model,
        }  # fmt: skip


def event(table: dict[str, Any]) -> str:
    """Return one server-sent event."""
    return f"data: {json.dumps(table)}\n\n"


def used(prompt: int, drawn: int) -> dict[str, int]:
    """Return the usage of an answer."""
    return {"prompt_tokens": prompt, "completion_tokens": drawn, "total_tokens": prompt + drawn}


def model_object(name: str, created: int) -> dict[str, Any]:
    """Return a model as it is listed."""
    return {"id": name, "object": "model", "created": created, "owned_by": OWNER}


def error_object(
    message: str, *, status: int, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Return an error; its type follows from the HTTP status."""
    types = {401: "authentication_error", 429: "rate_limit_error"}
    kind = types.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _choice(content: dict[str, Any], ended_by: str = "") -> dict[str, Any]:
    return {"index": 0, **content, "logprobs": None, "finish_reason": ended_by or None}
