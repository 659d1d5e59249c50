"""An answer as a chat completion: whole, or as the chunks of a stream.

Beside what OpenAI's API has: `citations`, the pages of the cited posts, that of mark [n] at place
n - 1 (as xAI's API has them), and `grok`, how the answer came about.

Source: https://platform.openai.com/docs/api-reference/chat (object, streaming).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gigafactory.grok.told import about_table, citation_table, page, pages

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gigafactory.spec.answer import Answer, Citation, Sentence


@dataclass(slots=True)
class ChatReply:
    """One answer to a chat.

    Attributes:
        id: Of the answer.
        model: As the client called it.
        created: Seconds since 1970.
        as_of: What ages count from.
        usage: The last chunk tells the usage.
    """

    id: str
    model: str
    created: int
    as_of: datetime
    usage: bool = False
    _text: str = ""

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return an answer that is not streamed."""
        message = {
            "role": "assistant", "content": answer.text, "refusal": None,
            "annotations": marks(answer.citations, self.as_of),
        }  # fmt: skip
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        head = self._head("chat.completion")
        return {**head, "choices": [choice], "usage": used(answer), **_beside(answer)}

    def begin(self) -> list[str]:
        """Return the chunks before any text."""
        return [self._chunk({"role": "assistant", "content": ""})]

    def sentence(self, sentence: Sentence) -> list[str]:
        """Return the chunk of one sentence, and of what it cites."""
        text = f" {sentence.text}" if self._text else sentence.text
        self._text += text
        cited = marks(sentence.citations, self.as_of)
        return [self._chunk({"content": text, "annotations": cited})]

    def end(self, answer: Answer) -> list[str]:
        """Return the chunks after all sentences."""
        rest = answer.text[len(self._text) :]
        told = [self._chunk({"content": rest})] if rest else []
        told.append(self._chunk({}, "stop", _beside(answer)))
        if self.usage:
            table = {**self._head("chat.completion.chunk"), "choices": [], "usage": used(answer)}
            told.append(data(table))
        return [*told, "data: [DONE]\n\n"]

    def failed(self, table: dict[str, Any]) -> list[str]:
        """Return the events of an answer that cannot be ended."""
        return [data(table)]

    def _chunk(
        self,
        delta: dict[str, Any],
        ended_by: str | None = None,
        beside: dict[str, Any] | None = None,
    ) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ended_by}
        usage = {"usage": None} if self.usage else {}
        head = self._head("chat.completion.chunk")
        return data({**head, "choices": [choice], **usage, **(beside or {})})

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.id}", "object": kind, "created": self.created,
            "model": self.model,
        }  # fmt: skip


def marks(citations: Iterable[Citation], as_of: datetime) -> list[dict[str, Any]]:
    """Return citations as this API has them: the span within a table of its own."""
    return [{"type": "url_citation", "url_citation": url_citation(one, as_of)} for one in citations]


def url_citation(citation: Citation, as_of: datetime) -> dict[str, Any]:
    """Return the span of a sentence, and the post it rests on; titled by its number."""
    told = citation_table(citation, as_of)
    return {
        "start_index": told.pop("start"),
        "end_index": told.pop("end"),
        "title": str(citation.number),
        "url": page(citation.post),
        "post": {"id": told.pop("id"), **{k: v for k, v in told.items() if k != "url"}},
    }


def used(answer: Answer) -> dict[str, Any] | None:
    """Return the usage: none of a model where posts are quoted, unknown where one drafted."""
    if answer.model != "extractive":
        return None
    return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def data(table: dict[str, Any]) -> str:
    """Return one server-sent event without a name."""
    return f"data: {json.dumps(table)}\n\n"


def _beside(answer: Answer) -> dict[str, Any]:
    return {"citations": pages(answer), "grok": about(answer)}


def about(answer: Answer) -> dict[str, Any]:
    """Return how an answer came about."""
    return {"abstained": answer.abstained, "model": answer.model, **about_table(answer)}
