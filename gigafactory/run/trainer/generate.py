"""Text out of a trained model, a token at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from gigafactory.run.trainer.cached import Cache, extended
from gigafactory.run.trainer.stops import Stops
from gigafactory.spec.base import Spec, fault, require_count, require_positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from gigafactory.run.trainer.model import Transformer
    from gigafactory.run.trainer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling(Spec):
    """How the next token is drawn, and when to stop.

    Attributes:
        max_tokens: Most tokens drawn.
        temperature: Divides the logits; 0 takes the likeliest token.
        top_k: Draw from that many likeliest tokens; 0 for all.
        top_p: Draw from the fewest likeliest tokens that together have this probability.
        seed: The same seed draws the same text.
        stop: Texts before which the text ends.
    """

    max_tokens: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_count(self, "max_tokens", most=10**7)
        require_count(self, "top_k", least=0, most=10**8)
        require_count(self, "seed", least=-(2**63), most=2**64 - 1)
        require_positive(self, "temperature", zero=True)
        require_positive(self, "top_p")
        if self.top_p > 1:
            raise fault(self, "top_p", self.top_p, "must be at most 1")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text, or all of it.

    Attributes:
        num_tokens: Drawn up to its end, the end of a document counted.
        ended_by: "stop" (end of the document, or a text to stop at), "length"; "" before the end.
    """

    text: str
    num_tokens: int
    ended_by: str = ""


def generate(
    transformer: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    sampling: Sampling,
    *,
    window: int,
    on_text: Callable[[str], object] = lambda _: None,
) -> Part:
    """Return how the model goes on after a prompt.

    Args:
        transformer: In one process, as `load.load_model` gives it.
        tokenizer: The one it was trained with.
        prompt: May be empty: the beginning of a document.
        sampling: How tokens are drawn.
        window: Tokens the model sees at once: those of a sequence it was trained on.
        on_text: Called with each part of the text when it is there.
    """
    text = ""
    tokens = prompt_tokens(tokenizer, prompt)
    for part in stream(transformer, tokenizer, tokens, sampling, window=window):
        text += part.text
        on_text(part.text)
    return Part(text, part.num_tokens, part.ended_by)


def prompt_tokens(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """Return the tokens of a prompt that begins a document, as the model saw them begin."""
    return [tokenizer.end_of_document, *tokenizer.encode(prompt)]


def stream(
    transformer: Transformer,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    window: int,
) -> Iterator[Part]:
    """Yield how the model goes on, one part a token; only the last has `ended_by`."""
    stops, decoded = Stops(sampling.stop), tokenizer.streaming()
    for count, token in enumerate(_drawn(transformer, prompt, sampling, window), start=1):
        ends = token == tokenizer.end_of_document
        text = "" if ends else stops.passed(decoded(token))
        if ends or stops.stopped:
            yield Part(text + stops.rest(), count, "stop")
            return
        if count == sampling.max_tokens:
            yield Part(text + stops.rest(), count, "length")
            return
        yield Part(text, count)


def _drawn(
    transformer: Transformer, prompt: Sequence[int], sampling: Sampling, window: int
) -> Iterator[int]:
    """Yield tokens without end; what outgrows the window is seen from its newer half on."""
    chance = torch.Generator().manual_seed(sampling.seed)
    tokens, cache = list(prompt), Cache(transformer, window)
    new = tokens[-window:]
    while True:
        if cache.length + len(new) > window:
            cache, new = Cache(transformer, window), tokens[-max(1, window // 2) :]
        token = _draw(extended(transformer, cache, new).cpu(), sampling, chance)
        tokens.append(token)
        new = [token]
        yield token


def _draw(logits: Tensor, sampling: Sampling, chance: torch.Generator) -> int:
    """Return a token drawn from logits `[vocab]`.

    Source of top_p: Holtzman et al., arXiv 1904.09751, section 3.1.
    """
    if sampling.temperature == 0:
        return int(logits.argmax())
    logits = logits.double()  # holds what any temperature makes of them
    chances = ((logits - logits.max()) / sampling.temperature).softmax(dim=0)
    ordered, tokens = chances.sort(descending=True, stable=True)
    if sampling.top_k:
        ordered[sampling.top_k :] = 0
    if sampling.top_p < 1:
        ordered[ordered.cumsum(dim=0) - ordered >= sampling.top_p * ordered.sum()] = 0
    return int(tokens[torch.multinomial(ordered, 1, generator=chance)])
