"""Questions that come in, and their answers: whole or streamed, kept, counted, given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from gigafactory.errors import SpecError
from gigafactory.grok.answering import Answering
from gigafactory.grok.api_ask import Chat, Responses, question_of
from gigafactory.grok.api_chat import ChatReply
from gigafactory.grok.api_kept import Kept, Shelf
from gigafactory.grok.api_refusal import RequestError, error_table
from gigafactory.grok.api_responses import ResponseReply
from gigafactory.grok.modelled import Modelled
from gigafactory.spec.answer import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from gigafactory.grok.api_desk import Desk
    from gigafactory.grok.api_meters import Meters, Stopwatch
    from gigafactory.grok.doors import Searchable
    from gigafactory.grok.modelled import ChatModel
    from gigafactory.grok.reader import Reader
    from gigafactory.spec.answer import Sentence, Turn
    from gigafactory.spec.post import Query

    Reply = ChatReply | ResponseReply

CLIENT_LEFT: Final = 499  # nginx's word for it; nobody reads it but the counters

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was understood."""

    reply: Reply
    model: ChatModel | None
    question: str
    turns: tuple[Turn, ...]
    within: Query
    stream: bool
    is_kept: bool


class Answers:
    """Answers questions over a feed.

    Args:
        feed: What is searched.
        models: Who may draft, by the names clients call them; None quotes posts.
        desk: Where answers are made.
        meters: Where they are counted.
        reader: Reads question and posts together; None for nobody.
    """

    def __init__(
        self, feed: Searchable, models: Mapping[str, ChatModel | None], desk: Desk, meters: Meters,
        reader: Reader | None = None,
    ) -> None:  # fmt: skip
        self.feed, self.models, self.reader, self.shelf = feed, models, reader, Shelf()
        self.desk, self._meters = desk, meters

    def understood(self, asked: Chat | Responses) -> Asked:
        """Return what is asked.

        Raises:
            RequestError: No such model, no question, or no such earlier answer.
        """
        model = self.model(asked.model)
        is_chat = isinstance(asked, Chat)
        question, turns = question_of(asked.said, "messages" if is_chat else "input")
        name, created, now = uuid.uuid4().hex, int(time.time()), utc_now()
        reply: Reply
        if isinstance(asked, Chat):
            usage = asked.stream_options.include_usage
            reply = ChatReply(name, asked.model, created, now, usage)
        else:
            turns = (*self._before(asked.previous_response_id), *turns)
            reply = ResponseReply(name, asked, created, now)
        is_kept = asked.store and not is_chat
        return Asked(reply, model, question, turns, asked.within, asked.stream, is_kept)

    def model(self, name: str) -> ChatModel | None:
        """Return who drafts under a name.

        Raises:
            RequestError: Nobody; status 404.
        """
        if name not in self.models:
            known = ", ".join(map(repr, self.models))
            raise RequestError(
                f"no model {name[:80]!r} here, only {known}",
                status=404,
                param="model",
                code="model_not_found",
            )
        return self.models[name]

    def _before(self, name: str) -> Sequence[Turn]:
        if not name:
            return ()
        kept = self.shelf.get(name)
        if kept is None:
            raise RequestError(
                f"no response {name[:80]!r} is kept here",
                status=404,
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return kept.conversation

    async def answered(self, request: Request, asked: Asked) -> Response:
        """Return the answer, or the stream it comes in."""
        with ExitStack() as place:
            place.enter_context(self.desk.place())
            watch = place.enter_context(self._meters.answer())
            if asked.stream:
                return _Stream(self._events(asked, watch), place.pop_all())
            answer = await _unless_left(request, self._whole(asked, watch))
            if answer is None:
                return Response(status_code=CLIENT_LEFT)
            self._keep(asked, answer)
            return JSONResponse(asked.reply.whole(answer))

    async def _whole(self, asked: Asked, watch: Stopwatch) -> Answer:
        async with aclosing(self._parts(asked)) as parts:
            async for part in parts:
                watch.see(part)
                if isinstance(part, Answer):
                    return part
        raise AssertionError("answers end with an Answer")

    async def _events(self, asked: Asked, watch: Stopwatch) -> AsyncGenerator[str]:
        """Yield an answer's events as its sentences are checked."""
        reply = asked.reply
        for event in reply.begin():
            yield event
        try:
            async with aclosing(self._parts(asked)) as parts:
                async for part in parts:
                    watch.see(part)
                    for event in self._told(asked, part):
                        yield event
        except Exception as error:
            log.exception("serve: an answer failed")
            for event in reply.failed(failure(error)[1]):
                yield event

    def _told(self, asked: Asked, part: Sentence | Answer) -> list[str]:
        if not isinstance(part, Answer):
            return asked.reply.sentence(part)
        self._keep(asked, part)
        return asked.reply.end(part)

    def _keep(self, asked: Asked, answer: Answer) -> None:
        reply = asked.reply
        if asked.is_kept and isinstance(reply, ResponseReply):
            self.shelf.put(f"resp_{reply.id}", Kept(reply, asked.turns, answer))

    def _parts(self, asked: Asked) -> AsyncGenerator[Sentence | Answer]:
        def begin(stopped: Callable[[], bool]) -> Iterator[Sentence | Answer]:
            drafting = None
            if asked.model is not None:
                drafting = Modelled(_Stoppable(asked.model, stopped))
            answering = Answering(self.feed, utc_now, drafting, reader=self.reader)
            return answering.stream(asked.question, asked.turns, asked.within)

        return self.desk.parts(begin)


class _Stoppable:
    """A model whose reply ends when nobody wants it any more, in the midst of a sentence too."""

    def __init__(self, model: ChatModel, stopped: Callable[[], bool]) -> None:
        self._model, self._stopped = model, stopped

    @property
    def name(self) -> str:
        """As answers call it."""
        return self._model.name

    @property
    def is_small(self) -> bool:
        """Whether it is shown posts one by one."""
        return self._model.is_small

    def chat(self, messages: Sequence[dict[str, str]]) -> Iterator[str]:
        """Yield the reply in pieces."""
        for piece in self._model.chat(messages):
            if self._stopped():
                return
            yield piece


class _Stream(StreamingResponse):
    """Server-sent events; whatever ends them, the generator and the place in the queue go too."""

    def __init__(self, events: AsyncGenerator[str], place: ExitStack) -> None:
        super().__init__(events, media_type="text/event-stream")
        self.headers["cache-control"] = "no-cache"
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            async with aclosing(self.body_iterator):  # type: ignore[type-var]
                await super().__call__(scope, receive, send)


async def _unless_left(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer | None:
    """Return what the work returns; end it, and return None, once the client has left."""
    doing, left = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({doing, left}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for task in (doing, left):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def failure(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return status and error object of an answer that failed, without what is none's business."""
    if isinstance(error, SpecError):
        return 503, error_table("the feed cannot be read now", 503)
    return 500, error_table("the request failed", 500)
