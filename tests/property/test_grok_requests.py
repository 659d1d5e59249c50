"""Whatever a client sends is understood, or refused as the API words it; nothing else happens."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from gigafactory.grok.api_ask import Chat, Responses, parsed, question_of
from gigafactory.grok.api_refusal import RequestError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": VALUES}
    )
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["x_search", "function"])},
        optional={"from_date": VALUES, "to_date": VALUES, "allowed_x_handles": VALUES},
    ),
    max_size=2,
)
FIELDS = {
    "messages": MESSAGES | VALUES, "input": st.text() | MESSAGES | VALUES, "tools": TOOLS | VALUES,
    "stream": VALUES, "stream_options": VALUES, "metadata": VALUES, "store": VALUES, "n": VALUES,
    "tool_choice": VALUES, "text": VALUES, "previous_response_id": VALUES, "include": VALUES,
}  # fmt: skip
BODIES = st.fixed_dictionaries({"model": st.just("extractive") | VALUES}, optional=FIELDS)


@given(BODIES)
def test_any_json_is_understood_or_refused(body: object) -> None:
    sent = json.dumps(body).encode()
    with contextlib.suppress(RequestError):
        question, _ = question_of(parsed(Chat, sent).said, "messages")
        assert question.strip()
    with contextlib.suppress(RequestError):
        asked = parsed(Responses, sent)
        assert asked.within is not None
        assert question_of(asked.said, "input")[0].strip()


@given(st.binary())
def test_any_bytes_are_understood_or_refused(body: bytes) -> None:
    with contextlib.suppress(RequestError):
        parsed(Chat, body)
