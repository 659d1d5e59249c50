"""A small transformer under onnxruntime: texts, or pairs of texts, through it in batches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

BATCH: Final = 16  # texts of like length are run together


class Output(NamedTuple):
    """What the model makes of some of the texts.

    Attributes:
        places: Of the texts among those given.
        mask: 1 where a word piece is, [text, piece].
        values: The model's first output, a row a text.
    """

    places: list[int]
    mask: NDArray[np.int64]
    values: NDArray[np.float32]


class Encoder:
    """A model and its tokenizer.

    Args:
        weights: An ONNX model of `input_ids`, `token_type_ids` and `attention_mask`.
        tokenizer: A `tokenizer.json`.
        pieces: How many word pieces of a text, or of a pair together, are read.

    Raises:
        MissingExtra: A package is not installed.
    """

    def __init__(self, weights: bytes, tokenizer: bytes, pieces: int) -> None:
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra(
                f"{error.name} is not installed: pip install 'gigafactory[reader]'"
            ) from None
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = _threads()
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            weights, settings, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_buffer(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(pieces)
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a post is text like any other

    def outputs(self, texts: Sequence[str | tuple[str, str]]) -> Iterator[Output]:
        """Yield what the model makes of texts, the short ones together so that little is padded."""
        encoded = self._tokenizer.encode_batch([_valid(one) for one in texts])
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place].ids))
        for begin in range(0, len(order), BATCH):
            some = order[begin : begin + BATCH]
            given = _padded([encoded[place] for place in some])
            yield Output(some, given["attention_mask"], self._session.run(None, given)[0])


def _valid(text: str | tuple[str, str]) -> str | tuple[str, str]:
    """Return a text, or both of a pair, as UTF-8 can hold it: lone surrogates are refused."""
    if isinstance(text, str):
        return text.encode("utf-8", "replace").decode()
    one, other = (part.encode("utf-8", "replace").decode() for part in text)
    return one, other


def _padded(encoded: list[Any]) -> dict[str, NDArray[np.int64]]:
    import numpy as np

    shape = len(encoded), max(len(one.ids) for one in encoded)
    ids, kinds, mask = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for row, one in enumerate(encoded):
        length = len(one.ids)
        ids[row, :length], kinds[row, :length], mask[row, :length] = one.ids, one.type_ids, 1
    return {"input_ids": ids, "token_type_ids": kinds, "attention_mask": mask}


def _threads() -> int:
    """Return how many cores to use: fifty texts are too few for more than four."""
    return min(4, len(os.sched_getaffinity(0)))
