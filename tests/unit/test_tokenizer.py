"""The tokenizer: exactly the model's vocabulary, every text, byte for byte."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.errors import SpecError
from gigafactory.run.trainer import tokenizer

SOME_TEXT = Path(tokenizer.__file__).read_text(encoding="utf-8")
SMALL = tokenizer.train([SOME_TEXT], 512)


@pytest.mark.parametrize("size", [257, 300, 512])
def test_the_vocabulary_has_exactly_the_size_asked_for(size: int) -> None:
    learnt = tokenizer.train([SOME_TEXT], size)
    assert learnt.vocab_size == size
    assert learnt.num_reserved == 0


def test_a_text_too_small_is_filled_up_with_tokens_that_never_occur() -> None:
    learnt = tokenizer.train(["abab abab"], 400)
    assert learnt.vocab_size == 400
    reserved = learnt.num_reserved
    assert 100 < reserved < 143
    assert max(learnt.encode("abab abab <|reserved_0|>")) < 400 - reserved
    assert learnt.decode([399]) == ""


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(SpecError, match=r"at least 257 .* got 256"):
        tokenizer.train([SOME_TEXT], 256)


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    assert SMALL.decode(SMALL.encode(text)) == text


def test_a_text_about_a_special_token_does_not_end_the_document() -> None:
    tokens = SMALL.encode(f"say {tokenizer.END_OF_DOCUMENT} now")
    assert SMALL.end_of_document not in tokens
    assert SMALL.decode(tokens) == f"say {tokenizer.END_OF_DOCUMENT} now"


@given(st.text(alphabet=st.sampled_from("aé€😀 \n"), max_size=40))
def test_streamed_text_is_the_text_and_never_half_a_character(text: str) -> None:
    stream = SMALL.streaming()
    parts = [stream(token) for token in SMALL.encode(text)]
    assert "".join(parts) == text
    assert "\ufffd" not in "".join(parts)


def test_the_same_text_teaches_the_same_tokens() -> None:
    one, other = (tokenizer.train([SOME_TEXT], 400) for _ in range(2))
    assert one.to_json() == other.to_json()


def test_a_file_brings_the_tokenizer_back() -> None:
    again = tokenizer.from_json(SMALL.to_json(), Path("tokenizer.json"))
    assert again.encode(SOME_TEXT) == SMALL.encode(SOME_TEXT)
    assert again.end_of_document == SMALL.end_of_document
    with pytest.raises(SpecError, match=r"broken\.json is no tokenizer"):
        tokenizer.from_json("{}", Path("broken.json"))
