"""A byte-level byte-pair encoding of exactly the model's vocabulary, learnt from its own text.

Any text can be written in it, and comes back byte for byte. The library is Hugging Face's
`tokenizers`; the file is its `tokenizer.json`, which other engines read.

Source: Sennrich et al., arXiv 1508.07909; bytes as the alphabet: GPT-2, Radford et al. 2019, 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gigafactory.errors import MissingExtra, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from types import ModuleType

    import numpy.typing as npt

END_OF_DOCUMENT: Final = "<|end_of_document|>"
RESERVED: Final = "<|reserved_{}|>"  # no text holds these; they fill a vocabulary up
LEAST_VOCABULARY: Final = 257  # every byte, and the end of a document


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Text to tokens and back."""

    library: Any  # a tokenizers.Tokenizer; the library ships no types

    @property
    def vocab_size(self) -> int:
        """Number of different tokens, reserved ones counted."""
        return int(self.library.get_vocab_size(with_added_tokens=True))

    @property
    def num_reserved(self) -> int:
        """Number of tokens that no text holds, because the text taught too few."""
        return sum(name.startswith(RESERVED[:11]) for name in self.library.get_vocab())

    @property
    def end_of_document(self) -> int:
        """The token that ends a document."""
        return int(self.library.token_to_id(END_OF_DOCUMENT))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, no end of a document added or read out of it."""
        return list(self.library.encode(text, add_special_tokens=False).ids)

    def encode_all(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Return the tokens of many texts, on all cores."""
        found = self.library.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int64) for one in found]

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens; those that no text holds give nothing."""
        return str(self.library.decode([int(t) for t in tokens], skip_special_tokens=True))

    def streaming(self) -> Callable[[int], str]:
        """Return a function that takes token after token, and gives text once it is whole.

        A character may take several tokens; until the last of them it gives "".
        """
        stream = _library().decoders.DecodeStream(skip_special_tokens=True)
        return lambda token: stream.step(self.library, int(token)) or ""

    def to_json(self) -> str:
        """Return the `tokenizer.json`."""
        return str(self.library.to_str(pretty=False))


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Return the tokenizer of a vocabulary, learnt from texts.

    Where the texts hold too few pairs, the vocabulary is filled up with reserved tokens.

    Raises:
        SpecError: The vocabulary has no room for all bytes.
    """
    if vocab_size < LEAST_VOCABULARY:
        raise SpecError(
            f"model: vocab_size must be at least {LEAST_VOCABULARY} to train on text (every byte "
            f"and the end of a document), got {vocab_size}",
            field="vocab_size",
        )
    parts = _library()
    learnt = parts.Tokenizer(parts.models.BPE())
    learnt.pre_tokenizer = parts.pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt.decoder = parts.decoders.ByteLevel()
    trainer = parts.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_DOCUMENT],
        initial_alphabet=sorted(parts.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learnt.train_from_iterator(texts, trainer)
    missing = vocab_size - learnt.get_vocab_size()
    learnt.add_special_tokens([RESERVED.format(i) for i in range(missing)])
    return _ready(learnt)


def from_json(text: str, where: Path) -> Tokenizer:
    """Return the tokenizer in the text of a `tokenizer.json`.

    Raises:
        SpecError: It is none.
    """
    try:
        return _ready(_library().Tokenizer.from_str(text))
    except Exception as error:
        if isinstance(error, MissingExtra):
            raise
        raise SpecError(f"data: {where} is no tokenizer ({error})", field="data") from None


def _ready(library: Any) -> Tokenizer:
    # Text that spells a special token out is text: nobody ends a document by writing about it.
    library.encode_special_tokens = True
    return Tokenizer(library)


def _library() -> ModuleType:
    try:
        import tokenizers
    except ImportError:
        raise MissingExtra(
            "tokenizers is not installed: pip install 'gigafactory[train]'"
        ) from None
    return tokenizers
