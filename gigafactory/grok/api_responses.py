"""An answer as a response: whole, or as the typed events of a stream.

Source: https://platform.openai.com/docs/api-reference (responses/object, responses-streaming).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gigafactory.grok.api_chat import about, url_citation
from gigafactory.grok.told import pages

if TYPE_CHECKING:
    from datetime import datetime

    from gigafactory.grok.api_ask import Responses
    from gigafactory.spec.answer import Answer, Sentence

_NEITHER: Final = ("background", "incomplete_details", "max_output_tokens", "temperature", "top_p")


@dataclass(slots=True)
class ResponseReply:
    """One answer to a question of the Responses API.

    Attributes:
        id: Of the answer.
        asked: What it answers.
        created: Seconds since 1970.
        as_of: What ages count from.
    """

    id: str
    asked: Responses
    created: int
    as_of: datetime
    _sequence: int = 0
    _text: str = ""
    _marks: list[dict[str, Any]] = field(default_factory=list)

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return the response when all is said."""
        marks = [_mark(one, self.as_of) for one in answer.citations]
        told = {**about(answer), "x_search": [tool.table for tool in self.asked.tools]}
        beside = {"citations": pages(answer), "grok": told, "usage": _used(answer)}
        return self._response("completed", [self._item("completed", answer.text, marks)], beside)

    def begin(self) -> list[str]:
        """Return the events before any text."""
        begun, item = self._response("in_progress", [], {}), self._item("in_progress")
        return [
            self._event("response.created", response=begun),
            self._event("response.in_progress", response=begun),
            self._event("response.output_item.added", output_index=0, item=item),
            self._event("response.content_part.added", **self._place(), part=_part("", [])),
        ]

    def sentence(self, sentence: Sentence) -> list[str]:
        """Return the events of one sentence: its text, then each of its marks."""
        told = [self._delta(f" {sentence.text}" if self._text else sentence.text)]
        for citation in sentence.citations:
            mark = _mark(citation, self.as_of)
            place = {**self._place(), "annotation_index": len(self._marks)}
            told.append(
                self._event("response.output_text.annotation.added", **place, annotation=mark)
            )
            self._marks.append(mark)
        return told

    def end(self, answer: Answer) -> list[str]:
        """Return the events after all sentences."""
        rest = answer.text[len(self._text) :]
        told = [self._delta(rest)] if rest else []
        whole = self.whole(answer)
        item = whole["output"][0]
        done = {"text": answer.text, "logprobs": []}
        return [
            *told,
            self._event("response.output_text.done", **self._place(), **done),
            self._event("response.content_part.done", **self._place(), part=item["content"][0]),
            self._event("response.output_item.done", output_index=0, item=item),
            self._event("response.completed", response=whole),
        ]

    def failed(self, table: dict[str, Any]) -> list[str]:
        """Return the events of an answer that cannot be ended."""
        error = {"code": "server_error", "message": table["error"]["message"]}
        item = self._item("incomplete", self._text, self._marks)
        failed = self._response("failed", [item], {"error": error})
        return [self._event("response.failed", response=failed)]

    def _delta(self, text: str) -> str:
        self._text += text
        return self._event("response.output_text.delta", **self._place(), delta=text, logprobs=[])

    def _event(self, kind: str, **told: Any) -> str:
        table = {"type": kind, "sequence_number": self._sequence, **told}
        self._sequence += 1
        return f"event: {kind}\ndata: {json.dumps(table)}\n\n"

    def _place(self) -> dict[str, Any]:
        return {"item_id": f"msg_{self.id}", "output_index": 0, "content_index": 0}

    def _item(
        self, status: str, text: str | None = None, marks: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        content = [] if text is None else [_part(text, marks or [])]
        return {
            "id": f"msg_{self.id}", "type": "message", "role": "assistant", "status": status,
            "content": content,
        }  # fmt: skip

    def _response(
        self, status: str, output: list[dict[str, Any]], beside: dict[str, Any]
    ) -> dict[str, Any]:
        asked = self.asked
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": asked.model,
            "output": output,
            "error": None,
            "instructions": asked.instructions or None,
            "metadata": asked.metadata,
            "parallel_tool_calls": False,
            "previous_response_id": asked.previous_response_id or None,
            "store": asked.store,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],  # of OpenAI's kinds, which typed clients know, there is none here
            "truncation": "disabled",
            "usage": None,
            **dict.fromkeys(_NEITHER),
            **beside,
        }


def _part(text: str, marks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": marks, "logprobs": []}


def _mark(citation: Any, as_of: datetime) -> dict[str, Any]:
    return {"type": "url_citation", **url_citation(citation, as_of)}


def _used(answer: Answer) -> dict[str, Any] | None:
    """Return the usage: none of a model where posts are quoted, unknown where one drafted."""
    if answer.model != "extractive":
        return None
    return {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
