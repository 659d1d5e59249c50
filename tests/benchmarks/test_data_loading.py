"""What data costs: preparing it, and reading a step's sequences beside training on them.

Printed by `make bench`; nothing is asserted of a time. The share is a ratio within one run.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gigafactory.catalog import loader
from gigafactory.run.trainer.data import Dataset, prepare
from gigafactory.run.trainer.model import Transformer
from gigafactory.run.trainer.weights import begin

BATCH = 8
MODEL = loader.model("grok-tiny")


def repeats(request: pytest.FixtureRequest) -> int:
    return 7 if request.config.getoption("benchmark_enable", default=False) else 2


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def tell(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The standard library's source, in grok-tiny's vocabulary."""
    folder = tmp_path_factory.mktemp("bench") / "data"
    begun, busy = time.perf_counter(), time.process_time()
    manifest = prepare("", vocab_size=MODEL.vocab_size, seed=0, folder=folder)
    wall, cpu = time.perf_counter() - begun, time.process_time() - busy
    tell(
        f"standard library: {manifest.characters:,} characters, {manifest.num_tokens:,} tokens, "
        f"prepared in {wall:.1f} s ({cpu:.1f} s of CPU)"
    )
    return folder


def test_preparing_again_costs_a_checksum(prepared: Path) -> None:
    again = seconds(lambda: prepare("", vocab_size=MODEL.vocab_size, seed=0, folder=prepared))
    tell(f"prepared data verified in {again:.3f} s")


def test_loading_beside_a_step_of_grok_tiny(prepared: Path, request: pytest.FixtureRequest) -> None:
    data = Dataset.open(prepared, seq_len=MODEL.context_length, seed=0)
    transformer = Transformer(MODEL)
    begin(transformer, seed=0)
    optimizer = torch.optim.AdamW(transformer.parameters())

    def train(tokens: torch.Tensor) -> None:
        logits = transformer(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    shares = []
    for step in range(repeats(request)):
        begun = time.perf_counter()
        tokens = torch.from_numpy(data.sequences(step, BATCH))
        loaded = time.perf_counter() - begun
        shares.append(loaded / (loaded + seconds(lambda tokens=tokens: train(tokens))))  # type: ignore[misc]
    tell(
        f"loading {BATCH} x {data.seq_len} tokens: median {statistics.median(shares):.4%} of a "
        f"step of {MODEL.name}, most {max(shares):.4%} (goal: < 1 %)"
    )
    assert tokens.shape == (BATCH, data.seq_len + 1)


def test_reading_an_epoch(
    prepared: Path, benchmark: Callable[[Callable[[], object]], object]
) -> None:
    data = Dataset.open(prepared, seq_len=MODEL.context_length, seed=0)
    steps = iter(range(10**9))
    benchmark(lambda: data.sequences(next(steps), 64))
